"""What the server and a worker say to each other, as frames; both sides use this module.

To the worker: ``task``, ``cancel``. From it: ``ready`` once, then for each task any number of
``progress`` and one of ``report``, ``failed``, ``cancelled``, ``out_of_memory``, ``crashed``.
The pipe keeps the order and a worker has one task at a time, so messages need no task id.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from chatops.backtests.work import OnProgress, Progress, Report, ShouldCancel, Task
from chatops.errors import AppError, InternalError
from chatops.workers.frames import Frame

Work = Callable[[Task, OnProgress, ShouldCancel], Report]
"""Does a task; raises ``AppError`` or ``Cancelled``."""

OpenWork = Callable[[Path], Work]
"""Makes a process ready to work on the price files of a folder; runs once, at its start."""

CANCEL = Frame({"type": "cancel"})
CANCELLED = Frame({"type": "cancelled"})
OUT_OF_MEMORY = Frame({"type": "out_of_memory"})


def kind(frame: Frame) -> str:
    """Return the word that says what the frame is."""
    return str(frame.header.get("type"))


def task_frame(task: Task) -> Frame:
    """Return the order to do ``task``."""
    header: dict[str, Any] = {
        "type": "task",
        "job_id": task.job_id,
        "kind": task.kind,
        "spec": task.spec,
        "inputs": task.inputs,
    }
    return Frame(header, task.files)


def task_of(frame: Frame) -> Task:
    """Return the task of a ``task`` frame."""
    header = frame.header
    return Task(
        job_id=header["job_id"],
        kind=header["kind"],
        spec=header["spec"],
        inputs=header["inputs"],
        files=dict(frame.blobs),
    )


def ready_frame(versions: dict[str, str]) -> Frame:
    """Return the word that the worker has loaded everything, with the versions it runs."""
    return Frame({"type": "ready", "versions": versions})


def progress_frame(progress: Progress) -> Frame:
    """Return how far the task is."""
    return Frame(
        {
            "type": "progress",
            "phase": progress.phase,
            "fraction": progress.fraction,
            "message": progress.message,
        }
    )


def progress_of(frame: Frame) -> Progress:
    """Return the progress of a ``progress`` frame."""
    header = frame.header
    return Progress(header["phase"], header["fraction"], header["message"])


def report_frame(report: Report) -> Frame:
    """Return the result."""
    header = {"type": "report", "summary": report.summary, "loads": report.loads}
    return Frame(header, report.files)


def report_of(frame: Frame) -> Report:
    """Return the result of a ``report`` frame."""
    hits, misses = frame.header["loads"]
    return Report(frame.header["summary"], frame.blobs, (hits, misses))


def failed_frame(error: AppError) -> Frame:
    """Return the words for a person why the task cannot be done."""
    return Frame(
        {"type": "failed", "code": error.code, "message": error.message, "hint": error.hint}
    )


def error_of(frame: Frame) -> AppError:
    """Return the error of a ``failed`` frame, of the class that has its code."""
    header = frame.header
    for known in AppError.__subclasses__():
        if known.code == header["code"]:
            return known(header["message"], header["hint"])
    return InternalError(header["message"], header["hint"])


def crashed_frame(cause: str) -> Frame:
    """Return the traceback of a fault in the program; it is for the log only."""
    return Frame({"type": "crashed", "cause": cause})

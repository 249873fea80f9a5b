"""What test workers do instead of backtests: the ``spec`` of a task says which kind of trouble.

Runs in worker processes, which load it as ``worker_tasks:open_work`` from ``PYTHONPATH``.
"""

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from chatops.backtests.work import Cancelled, OnProgress, Progress, Report, ShouldCancel, Task
from chatops.errors import NotFoundError

Spec = dict[str, Any]


def open_work(_market_folder: Path) -> Callable[[Task, OnProgress, ShouldCancel], Report]:
    """Return the work."""
    return _work


def open_broken(_market_folder: Path) -> NoReturn:
    """Be a worker that cannot start."""
    raise RuntimeError("the library is not installed")


def open_when_file_exists(
    market_folder: Path,
) -> Callable[[Task, OnProgress, ShouldCancel], Report]:
    """Be a worker that cannot start until somebody makes a file."""
    if not (market_folder / "repaired").exists():
        raise RuntimeError("not yet")
    return _work


def _work(task: Task, on_progress: OnProgress, should_cancel: ShouldCancel) -> Report:
    on_progress(Progress("loading", 0.0))
    trouble = _TROUBLES[str(task.spec["do"])]
    return trouble(task, on_progress, should_cancel)


def _echo(task: Task, on_progress: OnProgress, _should_cancel: ShouldCancel) -> Report:
    on_progress(Progress("running", 0.5, "half"))
    on_progress(Progress("analyzing", 0.9))
    summary = {
        "job": task.job_id,
        "kind": task.kind,
        "spec": task.spec,
        "inputs": task.inputs,
        "pid": os.getpid(),
    }
    return Report(summary, dict(task.files))


def _count(task: Task, on_progress: OnProgress, _should_cancel: ShouldCancel) -> Report:
    steps = int(task.spec["steps"])
    for step in range(steps):
        on_progress(Progress("running", step / steps, str(step)))
    on_progress(Progress("saving", 1.0))
    return Report({}, {})


def _bytes(task: Task, _on_progress: OnProgress, _should_cancel: ShouldCancel) -> Report:
    return Report({}, {"big.bin": b"\x07" * int(task.spec["size"])})


def _fail(task: Task, _on_progress: OnProgress, _should_cancel: ShouldCancel) -> Report:
    raise NotFoundError("There is no symbol `ZZZZ`.", "Type /symbols to see which there are.")


def _crash(task: Task, _on_progress: OnProgress, _should_cancel: ShouldCancel) -> Report:
    raise ZeroDivisionError("a secret of the program")


def _nan(task: Task, _on_progress: OnProgress, _should_cancel: ShouldCancel) -> Report:
    return Report({"sharpe": float("nan")}, {})


def _polite(task: Task, _on_progress: OnProgress, should_cancel: ShouldCancel) -> Report:
    while not should_cancel():
        time.sleep(0.001)
    raise Cancelled


def _deaf(task: Task, _on_progress: OnProgress, _should_cancel: ShouldCancel) -> Report:
    while True:
        pass


def _deaf_in_c(task: Task, _on_progress: OnProgress, _should_cancel: ShouldCancel) -> Report:
    re.match("(a+)+$", "a" * 60 + "b")  # holds the interpreter for years
    return Report({}, {})


def _hog(task: Task, _on_progress: OnProgress, _should_cancel: ShouldCancel) -> Report:
    hoard = []
    while True:
        hoard.append(bytearray(8 << 20))


def _leak(task: Task, _on_progress: OnProgress, _should_cancel: ShouldCancel) -> Report:
    _LEAKED.append(b"\x01" * (int(task.spec["mb"]) << 20))
    return Report({"pid": os.getpid()}, {})


def _die(task: Task, _on_progress: OnProgress, _should_cancel: ShouldCancel) -> Report:
    if signal_name := task.spec.get("signal"):
        os.kill(os.getpid(), signal.Signals[signal_name])
    os._exit(7)


def _noise(task: Task, _on_progress: OnProgress, _should_cancel: ShouldCancel) -> Report:
    sys.stdout.write("a library that prints\n")
    os.write(1, b"and one in C, " + b"x" * 100_000 + b"\n")
    sys.stdout.write(f"left over from stdin: {sys.stdin.read()!r}\n")
    return Report({}, {})


_LEAKED: list[bytes] = []
_TROUBLES: dict[str, Callable[[Task, OnProgress, ShouldCancel], Report]] = {
    "echo": _echo,
    "count": _count,
    "bytes": _bytes,
    "fail": _fail,
    "crash": _crash,
    "nan": _nan,
    "polite": _polite,
    "deaf": _deaf,
    "deaf in C": _deaf_in_c,
    "hog": _hog,
    "leak": _leak,
    "die": _die,
    "noise": _noise,
}

"""The worker process: ``python -m chatops.workers.child``, started by the server only.

It reads frames on standard input and answers on what was standard output. Whatever libraries
print goes to standard error, which the server turns into log lines.
"""

import argparse
import contextlib
import ctypes
import faulthandler
import importlib
import importlib.metadata
import os
import queue
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from chatops.backtests.work import Cancelled, Progress, Task
from chatops.errors import AppError
from chatops.workers import messages
from chatops.workers.frames import Frame, encode, read

PROGRESS_EVERY_S = 0.05
LIBRARIES = ("chatops", "bt", "duckdb", "matplotlib", "numpy", "pandas", "TA-Lib")
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

Inbox = queue.SimpleQueue[tuple[Task, threading.Event]]


class Outbox:
    """The way to the server; any thread may send."""

    def __init__(self, descriptor: int) -> None:
        self._pipe = os.fdopen(descriptor, "wb")
        self._lock = threading.Lock()

    def send(self, message: bytes) -> None:
        """Send an encoded frame; blocks until the pipe has taken it."""
        with self._lock:
            self._pipe.write(message)
            self._pipe.flush()


class ProgressSender:
    """Sends each change of phase, and in between no more often than a person can see."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._phase = ""
        self._sent_at = 0.0

    def __call__(self, progress: Progress) -> None:
        """Send ``progress`` or drop it."""
        now = time.monotonic()
        if progress.phase != self._phase or now - self._sent_at >= PROGRESS_EVERY_S:
            self._phase, self._sent_at = progress.phase, now
            self._outbox.send(encode(messages.progress_frame(progress)))


def attempt(
    work: messages.Work, task: Task, on_progress: ProgressSender, cancel: threading.Event
) -> bytes:
    """Do the task and return what to answer, encoded."""
    try:
        # Encoded in here: a report that is too large or holds NaN is a fault like any other.
        return encode(messages.report_frame(work(task, on_progress, cancel.is_set)))
    except Cancelled:
        return encode(messages.CANCELLED)
    except AppError as error:
        return encode(messages.failed_frame(error))
    except MemoryError:
        pass  # answered below, once the frames of the traceback have let go of their memory
    except Exception as error:  # noqa: BLE001 - one bad task must not end the worker
        # DuckDB has a class of its own, which is no MemoryError.
        if type(error).__name__ != "OutOfMemoryException":
            return encode(messages.crashed_frame(traceback.format_exc()))
    return encode(messages.OUT_OF_MEMORY)


def listen(descriptor: int, inbox: Inbox) -> None:
    """Take orders until the server is gone, then end the process at once, whatever it is doing."""

    def read_exactly(size: int) -> bytes:
        content = bytearray()
        while len(content) < size:
            part = os.read(descriptor, min(size - len(content), 1 << 20))
            if not part:
                os._exit(0)
            content += part
        return bytes(content)

    cancel = threading.Event()
    try:
        while True:
            frame: Frame = read(read_exactly)
            if messages.kind(frame) == "task":
                cancel = threading.Event()
                inbox.put((messages.task_of(frame), cancel))
            else:
                cancel.set()
    except BaseException:  # noqa: BLE001 - a worker that cannot hear must not live on
        traceback.print_exc()
        os._exit(1)


def _claim_pipes() -> tuple[int, int]:
    """Take standard input and output for ourselves; libraries get nothing and standard error."""
    orders, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return orders, answers


def _limit_memory(memory_mb: int) -> None:
    """Make allocations beyond ``memory_mb`` fail in this process; heap and private maps count."""
    with contextlib.suppress(ImportError):  # Windows has no such limits
        resource = importlib.import_module("resource")
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mb << 20, memory_mb << 20))


def _die_with_server() -> None:
    """Have Linux kill this process with its parent, even while C code holds the interpreter.

    Elsewhere only :func:`listen` sees the end of the server, when the interpreter lets it run.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _versions() -> dict[str, str]:
    versions = {"python": sys.version.split()[0]}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _load(entry: str) -> messages.OpenWork:
    module, _, function = entry.partition(":")
    open_work: messages.OpenWork = getattr(importlib.import_module(module), function)
    return open_work


def main() -> None:
    """Load everything, then do one task after the other until the server closes the pipe."""
    parser = argparse.ArgumentParser(prog="chatops.workers.child")
    parser.add_argument("--entry", required=True, help="module:function, an OpenWork")
    parser.add_argument("--market-folder", type=Path, required=True)
    parser.add_argument("--memory-mb", type=int, required=True)
    options = parser.parse_args()

    # Ctrl-C and service managers signal the whole group; it is the server that ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    faulthandler.enable()
    orders, answers = _claim_pipes()
    inbox: Inbox = queue.SimpleQueue()
    # Before the slow imports, so that a server that ends meanwhile takes this process with it.
    threading.Thread(target=listen, args=(orders, inbox), daemon=True).start()
    _die_with_server()
    _limit_memory(options.memory_mb)

    work = _load(options.entry)(options.market_folder)
    outbox = Outbox(answers)
    outbox.send(encode(messages.ready_frame(_versions())))
    while True:
        task, cancel = inbox.get()
        outbox.send(attempt(work, task, ProgressSender(outbox), cancel))


if __name__ == "__main__":
    main()

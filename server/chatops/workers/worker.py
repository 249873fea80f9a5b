"""The server's side of one worker process."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import structlog

from chatops.backtests.ports import WorkerLostError
from chatops.backtests.work import Cancelled, Progress, Report, Task
from chatops.errors import InternalError, LimitExceededError
from chatops.tasks import Supervisor
from chatops.workers import messages
from chatops.workers.frames import Frame, FrameError, encode, read_async

STOP_GRACE_S = 2.0
START_LIMIT_S = 120.0
LOG_LINE_BYTES = 8192
PIPE_BUFFER_BYTES = 1 << 20
# Several workers share the cores already; a pool of threads in each would only make them wait.
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)

log = structlog.get_logger(__name__)

StopReason = Literal["cancel", "time"]


class Worker:
    """One process, from its start to its end; does one task at a time.

    Attributes:
        tasks: How many tasks it was given.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        supervisor: Supervisor,
        timeout_s: float,
        memory_mb: int,
    ) -> None:
        self.tasks = 0
        self._process = process
        self._timeout_s = timeout_s
        self._memory_mb = memory_mb
        self._idle_bytes = 0
        self._retired = False
        self._silent = False
        self._busy = False
        self._stopped_for: StopReason | None = None
        self._kill_timer: asyncio.TimerHandle | None = None
        # None in it: the process can say no more.
        self._inbox: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._pipes = (
            supervisor.start(self._listen(), f"worker {process.pid} answers"),
            supervisor.start(self._log_output(), f"worker {process.pid} output"),
        )

    @classmethod
    async def spawn(
        cls,
        supervisor: Supervisor,
        *,
        entry: str,
        market_folder: Path,
        timeout_s: float,
        memory_mb: int,
    ) -> "Worker":
        """Start a process; it is of use once :meth:`ready` has returned.

        Raises:
            OSError: The system has no process to give.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            # Without -P a stray numpy.py in the working folder would be imported.
            *("-P", "-m", "chatops.workers.child"),
            *("--entry", entry),
            *("--market-folder", str(market_folder)),
            *("--memory-mb", str(memory_mb)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **ONE_THREAD},  # noqa: TID251 - passed on, not read
            limit=PIPE_BUFFER_BYTES,
        )
        return cls(process, supervisor, timeout_s, memory_mb)

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    @property
    def busy(self) -> bool:
        """Whether it is at a task, or has not yet let go of one that nobody waits for."""
        return self._busy

    @property
    def usable(self) -> bool:
        """Whether it can be given another task, now or later."""
        return not self._retired and not self._silent

    @property
    def retired(self) -> bool:
        """Whether its end was asked for."""
        return self._retired

    async def ready(self) -> Mapping[str, str]:
        """Wait until it has loaded everything; return the versions it runs.

        Raises:
            WorkerLostError: It ended, or was killed because it took too long.
        """
        frame: Frame | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_LIMIT_S):
                frame = await self._inbox.get()
        if frame is None or messages.kind(frame) != "ready":
            self.kill()
            raise WorkerLostError(await self._death())
        self._idle_bytes = self._resident_bytes()
        versions: Mapping[str, str] = frame.header["versions"]
        return versions

    async def run(self, task: Task, on_progress: Callable[[Progress], None]) -> Report:
        """Do the task. When this call is cancelled, :meth:`wind_down` must follow.

        Raises:
            AppError: The task cannot be done, or takes more time or memory than allowed.
            Cancelled: :meth:`stop` ended it.
            WorkerLostError: The process died.
        """
        order = encode(messages.task_frame(task))
        self.tasks += 1
        self._busy, self._stopped_for = True, None
        self._write(order)
        loop = asyncio.get_running_loop()
        limit = loop.call_later(self._timeout_s, self.stop, "time")
        try:
            answer = await self._answer(on_progress)
        finally:
            limit.cancel()
        if answer is None:
            raise await self._loss(task)
        return self._outcome(task, answer)

    def stop(self, reason: StopReason) -> None:
        """Ask the task to stop, and kill the process if it has not in ``STOP_GRACE_S``.

        Does nothing without a task; a second call does not extend the time.
        """
        if self._busy and self._kill_timer is None:
            self._stopped_for = reason
            self._write(encode(messages.CANCEL))
            self._kill_later()

    async def wind_down(self) -> None:
        """Stop a task that nobody waits for any more; return when the worker is free or dead."""
        self.stop("cancel")
        await self._answer(lambda _progress: None)

    def worn(self, most_tasks: int) -> bool:
        """Whether a fresh process should replace it.

        True after ``most_tasks``, or when a task has left behind more than half of the memory that
        tasks have between the size of a fresh worker and the limit.
        """
        room = (self._memory_mb << 20) - self._idle_bytes
        return self.tasks >= most_tasks or self._resident_bytes() - self._idle_bytes > room // 2 > 0

    def retire(self) -> None:
        """End the process: it sees the end of its input; if not in ``STOP_GRACE_S``, by force."""
        self._retired = True
        if stdin := self._process.stdin:
            stdin.close()
        self._kill_later()

    def kill(self) -> None:
        """End the process by force, at once. A dead one is let be."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def ended(self) -> None:
        """Wait until the process is gone and its pipes are closed."""
        await self._process.wait()
        self._stop_kill_timer()
        # A stranger that inherited a pipe could keep it open for ever.
        _, open_pipes = await asyncio.wait(self._pipes, timeout=STOP_GRACE_S)
        for pipe in open_pipes:
            pipe.cancel()
        if stdin := self._process.stdin:
            stdin.close()
            with contextlib.suppress(OSError):
                await stdin.wait_closed()

    async def _answer(self, on_progress: Callable[[Progress], None]) -> Frame | None:
        """Pass progress on until the task's last word; None when the process can say no more."""
        frame = await self._inbox.get()
        while frame is not None and messages.kind(frame) == "progress":
            on_progress(messages.progress_of(frame))
            frame = await self._inbox.get()
        self._busy = False
        if not self._retired and frame is not None:
            self._stop_kill_timer()
        return frame

    def _outcome(self, task: Task, answer: Frame) -> Report:
        """Return the report, or raise what stands in the answer instead of one."""
        kind = messages.kind(answer)
        if kind == "report":
            return messages.report_of(answer)
        if kind == "failed":
            raise messages.error_of(answer)
        if kind == "cancelled":
            raise self._stopped()
        if kind == "out_of_memory":
            self.retire()
            raise LimitExceededError(
                f"The run needs more than the {self._memory_mb} MB of memory that one may use.",
                "Ask for a shorter period, a longer timeframe or fewer symbols, or have "
                "CHATOPS_BACKTEST_MEMORY_MB raised.",
            )
        log.error("task_crashed", job_id=task.job_id, worker=self.pid, cause=answer.header["cause"])
        raise InternalError(
            "The run stopped because of a fault in the program.",
            "Tell the operator the id of the job; the server's log holds the cause.",
        )

    async def _loss(self, task: Task) -> Exception:
        """Return what to raise for a task whose process is gone."""
        death = await self._death()
        if self._stopped_for is None:
            return WorkerLostError(death)
        log.warning("worker_killed", job_id=task.job_id, worker=self.pid, over=self._stopped_for)
        return self._stopped()

    def _stopped(self) -> Exception:
        if self._stopped_for != "time":
            return Cancelled()
        return LimitExceededError(
            f"The run took longer than the {self._timeout_s:g} s that one may take.",
            "Ask for a shorter period, a longer timeframe or fewer symbols, or have "
            "CHATOPS_BACKTEST_TIMEOUT_S raised.",
        )

    async def _death(self) -> str:
        """Return how the process ended, once it has."""
        code = await self._process.wait()
        if code >= 0:
            return f"exit code {code}"
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
        return f"signal {-code}"

    def _write(self, message: bytes) -> None:
        # No drain: the caller waits for the answer anyway. A dead process is found by its silence.
        if (stdin := self._process.stdin) and not stdin.is_closing():
            stdin.write(message)

    def _kill_later(self) -> None:
        if self._kill_timer is None and self._process.returncode is None:
            loop = asyncio.get_running_loop()
            self._kill_timer = loop.call_later(STOP_GRACE_S, self.kill)

    def _stop_kill_timer(self) -> None:
        if self._kill_timer is not None:
            self._kill_timer.cancel()
            self._kill_timer = None

    def _resident_bytes(self) -> int:
        """Return the memory the process holds, 0 where the system does not tell."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1]
        except OSError:
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    async def _listen(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 - spawned with a pipe
        try:
            while True:
                self._inbox.put_nowait(await read_async(stdout))
        except (asyncio.IncompleteReadError, FrameError, OSError) as error:
            if isinstance(error, FrameError):
                log.error("worker_talks_nonsense", worker=self.pid, error=str(error))
        finally:
            # A process without a voice is of no use, but let it end by itself, to see how.
            self._silent = True
            self._inbox.put_nowait(None)
            self._kill_later()

    async def _log_output(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None  # noqa: S101 - spawned with a pipe
        rest = b""
        while part := await stderr.read(LOG_LINE_BYTES):
            *lines, rest = (rest + part).split(b"\n")
            if len(rest) > LOG_LINE_BYTES:
                lines, rest = [*lines, rest], b""
            self._log_lines(lines)
        self._log_lines([rest])

    def _log_lines(self, lines: list[bytes]) -> None:
        for line in lines:
            if text := line.decode(errors="replace").rstrip():
                log.warning("worker_output", worker=self.pid, line=text)

"""The pool of warm worker processes."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from chatops.backtests.ports import WorkerLostError, Workers
from chatops.backtests.work import Cancelled, Progress, Report, Task
from chatops.errors import InternalError
from chatops.tasks import Supervisor
from chatops.workers.worker import Worker

DEFAULT_ENTRY = "chatops.workers.entry:open_work"
TASKS_PER_WORKER = 200
START_TRIES = 3
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 30.0

log = structlog.get_logger(__name__)


class ProcessPool:
    """Runs tasks in ``slots`` processes that have everything loaded before the first task comes.

    A process that died, was killed, reached its memory limit or has done many tasks is replaced;
    the other slots do not notice. The server's own process imports nothing that a task needs.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        *,
        slots: int,
        market_folder: Path,
        timeout_s: float,
        memory_mb: int,
        entry: str = DEFAULT_ENTRY,
        tasks_per_worker: int = TASKS_PER_WORKER,
    ) -> None:
        """Make a pool that has no processes yet.

        Args:
            supervisor: Runs the pool's background tasks; to be closed after the pool.
            slots: How many processes.
            market_folder: Folder of imported prices.
            timeout_s: Seconds one task may take.
            memory_mb: Megabytes one process may allocate.
            entry: ``module:function``, an ``OpenWork``: what the processes do.
            tasks_per_worker: After so many tasks a process is replaced.
        """
        self._supervisor = supervisor
        self._slots = slots
        self._market_folder = market_folder
        self._timeout_s = timeout_s
        self._memory_mb = memory_mb
        self._entry = entry
        self._tasks_per_worker = tasks_per_worker
        self._closing = asyncio.Event()
        self._keepers: list[asyncio.Task[None]] = []
        self._workers: set[Worker] = set()
        self._ready: set[Worker] = set()
        self._idle: deque[Worker] = deque()
        self._waiting: deque[tuple[str, asyncio.Future[Worker]]] = deque()
        self._running: dict[str, Worker] = {}
        self._failed_starts = 0
        self._loads = (0, 0)

    @property
    def slots(self) -> int:
        """How many tasks may run at once."""
        return self._slots

    def open(self) -> None:
        """Start the processes in the background; :meth:`run` waits for them as needed."""
        for slot in range(self._slots):
            self._keepers.append(self._supervisor.start(self._keep(), f"worker slot {slot}"))

    async def close(self) -> None:
        """End every process; tasks still running or waiting raise ``WorkerLostError``.

        Takes 2 s at most. A second call does nothing.
        """
        self._closing.set()
        self._refuse_waiting(WorkerLostError("the pool is closed"))
        for worker in self._workers:
            worker.retire()
        if self._keepers:
            await asyncio.wait(self._keepers)

    async def run(self, task: Task, on_progress: Callable[[Progress], None]) -> Report:
        """Run the task in a warm process; see :class:`chatops.backtests.ports.Workers`.

        The time limit starts when a process takes the task. Cancelling this call returns at once;
        the process is wound down behind it.
        """
        worker = await self._take(task.job_id)
        self._failed_starts = 0
        self._running[task.job_id] = worker
        try:
            report = await worker.run(task, on_progress)
        finally:
            # The same job may be running again by now, on another worker.
            if self._running.get(task.job_id) is worker:
                del self._running[task.job_id]
            if worker.busy:
                self._supervisor.start(self._wind_down(worker), f"stop job {task.job_id}")
            else:
                self._give_back(worker)
        self._loads = (self._loads[0] + report.loads[0], self._loads[1] + report.loads[1])
        return report

    def cache_counts(self) -> tuple[int, int]:
        """Return how often prices were in a worker's memory, and how often they were read."""
        return self._loads

    def cancel(self, job_id: str) -> bool:
        """Ask a task to stop, by force after 2 s; whether it was running or waiting here."""
        for waiting_id, place in self._waiting:
            if waiting_id == job_id and not place.done():
                place.set_exception(Cancelled())
                return True
        if worker := self._running.get(job_id):
            worker.stop("cancel")
            return True
        return False

    async def _take(self, job_id: str) -> Worker:
        """Return an idle worker, first come first served."""
        if self._closing.is_set():
            raise WorkerLostError("the pool is closed")
        if self._cannot_start:
            raise _cannot_start_error()
        while self._idle:
            if (worker := self._idle.popleft()).usable:
                return worker
        place: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
        self._waiting.append((job_id, place))
        try:
            return await place
        except asyncio.CancelledError:
            # Cancelled in the moment between being given a worker and taking it.
            if place.done() and not place.cancelled() and place.exception() is None:
                self._give_back(place.result())
            raise

    def _give_back(self, worker: Worker) -> None:
        """Hand a free worker to who waits longest, or replace it."""
        if worker.usable and worker.worn(self._tasks_per_worker):
            log.info("worker_replaced", worker=worker.pid, tasks=worker.tasks)
            worker.retire()
        if not worker.usable:
            return
        while self._waiting:
            _, place = self._waiting.popleft()
            if not place.done():
                place.set_result(worker)
                return
        self._idle.append(worker)

    async def _wind_down(self, worker: Worker) -> None:
        await worker.wind_down()
        self._give_back(worker)

    async def _keep(self) -> None:
        """Keep one slot filled until the pool closes."""
        while not self._closing.is_set():
            if not await self._one_worker():
                self._failed_starts += 1
                if self._cannot_start:
                    self._refuse_waiting(_cannot_start_error())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_s):
                        await self._closing.wait()

    async def _one_worker(self) -> bool:
        """See one process through its life; return False if it was of no use."""
        try:
            worker = await Worker.spawn(
                self._supervisor,
                entry=self._entry,
                market_folder=self._market_folder,
                timeout_s=self._timeout_s,
                memory_mb=self._memory_mb,
            )
        except OSError as error:
            log.error("worker_start_failed", reason=str(error))
            return False
        self._workers.add(worker)
        if self._closing.is_set():
            worker.retire()
        try:
            versions = await worker.ready()
            log.info("worker_ready", worker=worker.pid, versions=versions)
            self._ready.add(worker)
            self._give_back(worker)
            await worker.ended()
        except WorkerLostError as error:
            if not self._closing.is_set():
                log.error("worker_start_failed", worker=worker.pid, reason=error.reason)
            await worker.ended()
        finally:
            worker.kill()
            self._workers.discard(worker)
            self._ready.discard(worker)
            with contextlib.suppress(ValueError):
                self._idle.remove(worker)
        return worker.tasks > 0 or worker.retired

    @property
    def _cannot_start(self) -> bool:
        return self._failed_starts >= START_TRIES and not self._ready

    @property
    def _pause_s(self) -> float:
        return min(FIRST_PAUSE_S * 2.0 ** min(self._failed_starts - 1, 16), LONGEST_PAUSE_S)

    def _refuse_waiting(self, error: Exception) -> None:
        while self._waiting:
            _, place = self._waiting.popleft()
            if not place.done():
                place.set_exception(error)


def _cannot_start_error() -> InternalError:
    return InternalError(
        "Backtests cannot run because their worker process does not start.",
        "Try again in a minute; the server's log tells the operator the cause.",
    )


if TYPE_CHECKING:
    _: type[Workers] = ProcessPool

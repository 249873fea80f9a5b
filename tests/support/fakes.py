"""Fakes at the ports of jobs: workers that a test drives, rooms that remember what they hear.

And signals between several nodes in one loop, that a test can lose.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chatops.backtests.job import Asker, Job
from chatops.backtests.ports import Announcer, Signals, Tickets, WorkerLostError, Workers
from chatops.backtests.work import Cancelled, Progress, Report, Task
from chatops.errors import StoreUnavailableError


@dataclass
class Started:
    """A task that a fake worker has, and the strings to pull."""

    task: Task
    on_progress: Callable[[Progress], None]
    result: "asyncio.Future[Report]"

    def done(self, files: dict[str, bytes] | None = None, **summary: Any) -> None:
        """Hand back a report."""
        self.result.set_result(Report(summary, files or {"equity.csv": b"time,equity\n"}))

    def fail(self, error: Exception) -> None:
        """End the task with an error."""
        self.result.set_exception(error)

    def die(self) -> None:
        """Lose the process."""
        self.fail(WorkerLostError("SIGKILL"))


class FakeWorkers:
    """Keeps every task until the test ends it."""

    def __init__(self, slots: int = 2) -> None:
        self.slots = slots
        self.tasks: list[Started] = []
        self.counts = (0, 0)
        self.deaf = False
        self._running: dict[str, Started] = {}
        self._news = asyncio.Condition()

    async def run(self, task: Task, on_progress: Callable[[Progress], None]) -> Report:
        """Hold the task."""
        assert len(self._running) < self.slots, "more tasks at once than slots"
        assert task.job_id not in self._running, "one job twice at once"
        started = Started(task, on_progress, asyncio.get_running_loop().create_future())
        self._running[task.job_id] = started
        self.tasks.append(started)
        async with self._news:
            self._news.notify_all()
        try:
            return await started.result
        finally:
            del self._running[task.job_id]

    def cancel(self, job_id: str) -> bool:
        """Stop the task at once, unless it is deaf."""
        started = self._running.get(job_id)
        if started is None or started.result.done():
            return False
        if not self.deaf:
            started.fail(Cancelled())
        return True

    def cache_counts(self) -> tuple[int, int]:
        """Return what the test set."""
        return self.counts

    async def started(self, number: int) -> Started:
        """Wait for the task of this number, from 0, in the order of their start."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: len(self.tasks) > number)
        return self.tasks[number]


@dataclass(frozen=True)
class Heard:
    """One progress as a room heard it; ``at_s`` is of the monotonic clock."""

    room: str
    job: Job
    position: int | None
    eta_s: float | None
    at_s: float


@dataclass
class FakeRooms:
    """Remembers progress and ends."""

    progressed: list[Heard] = field(default_factory=list)
    ends: list[tuple[Job, Asker]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def progress(
        self, job: Job, asker: Asker, queue_position: int | None, eta_s: float | None
    ) -> None:
        """Take note."""
        now_s = time.monotonic()
        self.progressed.append(Heard(asker.session_id, job, queue_position, eta_s, now_s))
        self.news.set()

    async def ended(self, job: Job, asker: Asker) -> None:
        """Take note."""
        self.ends.append((job, asker))
        self.news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what was heard meets the condition."""
        async with asyncio.timeout(15):
            while not condition():
                self.news.clear()
                await self.news.wait()

    async def end_of(self, command_id: str) -> tuple[Job, Asker]:
        """Wait for the one end of a command."""
        await self.until(lambda: any(a.command_id == command_id for _, a in self.ends))
        (found,) = [end for end in self.ends if end[1].command_id == command_id]
        return found


class Air:
    """Carries signals between nodes, or loses all of them."""

    def __init__(self) -> None:
        self.silent = False
        self.nodes: list[FakeSignals] = []

    def node(self) -> "FakeSignals":
        """Return the signals of one more node."""
        signals = FakeSignals(self)
        self.nodes.append(signals)
        return signals


class FakeSignals:
    """One node's end of the air; a deaf one neither hears nor is heard."""

    alone = False

    def __init__(self, air: Air) -> None:
        self.healthy = True
        self.deaf = False
        self._air = air
        self._changed: Callable[[str], None] = lambda _job: None

    def attach_jobs(self, changed: Callable[[str], None]) -> None:
        """Take note."""
        self._changed = changed

    def job_changed(self, job_id: str) -> None:
        """Tell the others in the next turn of the loop."""
        for other in self._air.nodes:
            if other is not self and not (self._air.silent or self.deaf or other.deaf):
                asyncio.get_running_loop().call_soon(other._changed, job_id)


class FakeTickets:
    """Remembers what was offered."""

    def __init__(self) -> None:
        self.offers: list[int] = []

    def offer(self, ready: int) -> None:
        """Take note."""
        self.offers.append(ready)


class Shaky:
    """A store whose named methods fail for a while, or that a dead node can no longer use."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.failures: dict[str, int] = {}
        self.cut = False

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method: Callable[..., Awaitable[Any]] = getattr(self._store, name)

        async def shaky(*args: Any, **kwargs: Any) -> Any:
            if self.cut:
                await asyncio.Event().wait()
            if self.failures.get(name, 0) > 0:
                self.failures[name] -= 1
                raise StoreUnavailableError("The store is away.", "Try again.")
            return await method(*args, **kwargs)

        return shaky


if TYPE_CHECKING:
    _workers: type[Workers] = FakeWorkers
    _rooms: type[Announcer] = FakeRooms
    _signals: type[Signals] = FakeSignals
    _tickets: type[Tickets] = FakeTickets

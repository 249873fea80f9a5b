"""What this node knows of all jobs, kept true to the store: by signals at once, else by looks."""

import asyncio
from collections.abc import Callable
from typing import Protocol
from weakref import WeakValueDictionary

from chatops.backtests.job import Job
from chatops.backtests.jobs.board import Board
from chatops.backtests.jobs.progress import ProgressReports
from chatops.backtests.ports import Announcer, JobStore, Signals
from chatops.errors import StoreUnavailableError
from chatops.tasks import Supervisor


class News(Protocol):
    """Called when a job may have become ready, or a place in the queue has changed."""

    def __call__(self, *, own: bool) -> None:
        """Look what can start; ``own`` says that this node made the change."""
        ...


class View:
    """The board of this node and the rooms' view of it, kept true to the store.

    Whatever is learned of a job goes through :meth:`take`, in any order: a record that is older
    than what is known changes nothing.

    Attributes:
        board: The active jobs.
        progress: What the rooms are told of them.
    """

    def __init__(
        self,
        store: JobStore,
        announcer: Announcer,
        supervisor: Supervisor,
        signals: Signals,
        *,
        slots: int,
        stop: Callable[[str], object],
        news: News,
    ) -> None:
        """Make it.

        Args:
            store: The truth.
            announcer: Tells the rooms.
            supervisor: Runs what goes on behind.
            signals: Tells the other nodes of changes.
            slots: Jobs that may run here at once.
            stop: Stops the work on a job, if it is here.
            news: Told when something may have become ready.
        """
        self.board = Board(slots)
        self.progress = ProgressReports(
            store, announcer, supervisor, self.board, self.hear, alone=signals.alone
        )
        self._store = store
        self._supervisor = supervisor
        self._signals = signals
        self._stop = stop
        self._news = news
        self._stale: dict[str, None] = {}  # in the order in which they were heard of
        self._reading = False
        self._moved = False
        self._ends: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()

    # ---------------------------------------------------------------- what this node did

    def changed(self, job: Job) -> None:
        """Take a job that this node has just changed in the store, and tell the other nodes."""
        self.take(job)
        self._signals.job_changed(job.id)
        self._tell_news(own=True)

    # ---------------------------------------------------------------- what others did

    def hear(self, job_id: str) -> None:
        """Read the job again soon, because it has changed."""
        self._stale[job_id] = None
        if not self._reading:
            self._reading = True
            self._supervisor.start(self._read_stale(), "read changed jobs")

    async def refresh(self, job_id: str) -> None:
        """Take what the store says of the job now.

        Raises:
            StoreUnavailableError: Nothing has changed then.
        """
        job = await self._store.get(job_id)
        if job is None:
            self._gone(job_id)
        else:
            self.take(job)
        self._tell_news(own=False)

    async def look(self) -> None:
        """Take what the store says of all jobs.

        Raises:
            StoreUnavailableError: Nothing has changed then.
        """
        known = {*self.board.ids(), *self._ends}
        found = await self._store.active()
        for job in found:
            self.take(job)
        for job_id in known - {job.id for job in found}:
            self._gone(job_id)
        self._tell_news(own=False)

    def end_of(self, job_id: str) -> asyncio.Event:
        """Return what is set when this node learns that the job has ended, unless it knew."""
        return self._ends.setdefault(job_id, asyncio.Event())

    # ---------------------------------------------------------------- inside

    def take(self, job: Job) -> None:
        """Take what the store says of a job, unless more is known already."""
        if not job.is_active:
            if job.state == "completed" and self.board.get(job.id) is not None:
                self._learn_duration(job)
            self._gone(job.id)
            return
        told_here, before = self.board.tells(job.id), self.board.get(job.id)
        if not self.board.put(job):
            return
        self._moved |= before is not None and before.state != job.state
        if self.board.tells(job.id) and not told_here and job.attempt:
            self.progress.taken_over(job)
        if before is None or before.askers != job.askers:
            self.progress.joined(job.id)
        else:
            self.progress.soon(job.id)
        for comparison in self.board.waiting_for(job.id):
            self.progress.soon(comparison)
        if self.board.has_slot(job.id) and self._not_to_run(job):
            self._stop(job.id)

    def _learn_duration(self, job: Job) -> None:
        if job.started_at is not None and job.ended_at is not None:
            self.board.took(job.kind, (job.ended_at - job.started_at).total_seconds())

    def _not_to_run(self, job: Job) -> bool:
        return job.ended_by is not None or not self.board.runs(job.id)

    def _gone(self, job_id: str) -> None:
        self._moved |= self.board.get(job_id) is not None
        self.board.drop(job_id)
        self.progress.forget(job_id)
        if (end := self._ends.get(job_id)) is not None:
            end.set()
        if self.board.has_slot(job_id):
            self._stop(job_id)

    async def _read_stale(self) -> None:
        try:
            while self._stale:
                job_id = next(iter(self._stale))
                del self._stale[job_id]  # if it changes while it is read, it is read again
                await self.refresh(job_id)
        except StoreUnavailableError:
            self._stale.clear()  # the next look brings them all
        finally:
            self._reading = False

    def _tell_news(self, *, own: bool) -> None:
        self._news(own=own)
        if self._moved:
            self._moved = False
            for job_id in self.board.ids():
                self.progress.soon(job_id)  # its place in the queue may be another

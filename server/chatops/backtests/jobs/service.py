"""Jobs from the asking to the answer: submit, schedule, watch, cancel, recover.

Every change is in the store before anybody hears of it, and what a room is owed is in the store
too, so any other process continues where a dead one stopped; see ``docs/topics/jobs.md``.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Literal

from chatops.access.identity import Person
from chatops.backtests.job import Job
from chatops.backtests.jobs.board import REMEMBERED, Standing
from chatops.backtests.jobs.ends import Ends, insist
from chatops.backtests.jobs.repair import Repair
from chatops.backtests.jobs.running import Runner
from chatops.backtests.jobs.view import View
from chatops.backtests.ports import Announcer, JobStore, Signals, Tickets, Workers
from chatops.errors import NotFoundError, ShuttingDownError, StoreUnavailableError
from chatops.protocol.base import utc_now
from chatops.tasks import Supervisor


class Jobs:
    """The jobs of the cluster, as this node sees them and takes part in them."""

    def __init__(
        self,
        store: JobStore,
        announcer: Announcer,
        supervisor: Supervisor,
        signals: Signals,
        *,
        workers: Workers | None,
        tickets: Tickets | None = None,
        queue_limit: int,
    ) -> None:
        """Make it.

        Args:
            store: The record of jobs, and their queue.
            announcer: Tells rooms.
            supervisor: Runs what goes on behind.
            signals: Tells the other nodes of changes.
            workers: Run jobs on this node; None if others do.
            tickets: Calls the workers where jobs are run by ticket; who has one calls
                :meth:`run_next`. None: this node runs what waits as soon as a slot is free.
            queue_limit: Jobs that may wait.
        """
        self._store = store
        self._announcer = announcer
        self._supervisor = supervisor
        self._signals = signals
        self._workers = workers
        self._tickets = tickets
        self._queue_limit = queue_limit
        self._closing = False
        self._ran = asyncio.Event()
        self._keeping_up: asyncio.Task[None] | None = None
        self._view = View(
            store,
            announcer,
            supervisor,
            signals,
            slots=workers.slots if workers else 0,
            stop=self._stop,
            news=self._news,
        )
        self._board = self._view.board
        self._ends = Ends(store, announcer, self._view)
        self._repair = Repair(store, signals, self._view, self._ends, self._looked)
        self._runner: Runner | None = None
        if workers is not None:
            self._runner = Runner(
                store, workers, self._view, self._ends, supervisor, lambda: self._closing
            )

    # ---------------------------------------------------------------- life

    async def open(self) -> None:
        """Take up what dead processes left: answer what is owed, run again what was running."""
        kinds: tuple[Literal["backtest", "comparison"], ...] = ("backtest", "comparison")
        for kind in kinds:
            for seconds in reversed(await self._store.durations_s(kind, REMEMBERED)):
                self._board.took(kind, seconds)
        self._signals.attach_jobs(self._view.hear)
        await insist(self._repair.at_start)
        self._keeping_up = self._supervisor.start(self._repair.keep_up(), "look after jobs")
        self._news(own=True)

    async def close(self) -> None:
        """Start nothing more. A job whose worker stops now waits for whoever takes it."""
        self._closing = True
        if self._keeping_up is not None:
            self._keeping_up.cancel()

    async def idle(self, within_s: float) -> bool:
        """Wait until nothing runs here, for so many seconds at most; return whether that is so."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._board.busy():
                    self._ran.clear()
                    await self._ran.wait()
        return not self._board.busy()

    # ---------------------------------------------------------------- asking

    async def submit(self, job: Job, *, fresh: bool = False) -> Job:
        """Store the job, or attach its askers to an equal one; see :meth:`JobStore.submit`.

        A job that had ended already answers its asker at once.

        Raises:
            QueueFullError: Too many wait.
            ShuttingDownError: The server is going away.
        """
        if self._closing:
            raise ShuttingDownError("The server is going away.", "Try again in a few seconds.")
        stored = await self._store.submit(job, fresh=fresh, queue_limit=self._queue_limit)
        if not stored.is_active:
            mine = {asker.command_id for asker in job.askers}
            askers = tuple(a for a in stored.askers if a.command_id in mine)
            await insist(lambda: self._ends.answer(replace(stored, askers=askers)))
            return stored
        if stored.id == job.id:
            self._board.asked_here(stored.id)
        self._view.changed(stored)
        return stored

    async def cancel(self, job_id: str, person: Person) -> Job:
        """Stop the job, wherever it is; whoever asked for it is told who stopped it.

        A queued job ends here; a running one ends when its worker has stopped. A comparison takes
        those of its runs with it that nobody else asked for.

        Raises:
            NotFoundError: No job of this id is active.
        """
        job = await self._store.cancel(job_id, person, utc_now())
        if job is None:
            raise NotFoundError(
                f'No job "{job_id}" is waiting or running.', "Type /jobs to see those that are."
            )
        if job.is_active:
            self._view.changed(job)  # if it runs here, that stops it
        else:
            await self._ends.ended(job)
        await self.abandon(job.depends_on, person)
        return job

    async def abandon(self, job_ids: Sequence[str], person: Person) -> None:
        """Stop those of the jobs that nobody asked for and no comparison needs (any more)."""
        if job_ids and not self._signals.alone:
            # Another node may have met a need of which nothing was heard yet.
            await insist(self._view.look)
        for job_id in job_ids:
            if self._board.unwanted(job_id):
                with suppress(NotFoundError):  # it has ended meanwhile
                    await insist(partial(self.cancel, job_id, person))

    # ---------------------------------------------------------------- looking

    async def ended(self, job_id: str) -> Job:
        """Wait until the job has ended, whoever runs it, and return it with its result.

        Safe to cancel: the job goes on. A store that is away is waited for.

        Raises:
            NotFoundError: There is no such job.
        """
        while True:
            end = self._view.end_of(job_id)  # before the look, so that no end falls between
            job = await insist(lambda: self._store.get(job_id))
            if job is None:
                raise NotFoundError(
                    f'There is no job "{job_id}".', "Type /jobs for those there are."
                )
            if not job.is_active:
                return job
            await end.wait()

    def standing(self) -> list[Standing]:
        """Return every active job, running ones first, then in the order of their start."""
        return self._board.everything()

    def of_session(self, session_id: str) -> list[tuple[Standing, Person]]:
        """Return the active jobs that somebody in the session asked for, with that person."""
        return [
            (now, asker.person)
            for now in self.standing()
            for asker in [a for a in now.job.askers if a.session_id == session_id][:1]
        ]

    async def owed(self) -> set[str]:
        """Return the ids of the commands that a job has still to answer, on whichever node.

        Raises:
            StoreUnavailableError: Nobody knows.
        """
        # In this order: a job that ends meanwhile is in one of the two, or has been answered.
        found = [*await self._store.active(), *await self._store.owed()]
        return {asker.command_id for job in found for asker in job.askers}

    def cache_counts(self) -> tuple[int, int]:
        """Return how often prices were in a worker's memory, and how often they were read."""
        return self._workers.cache_counts() if self._workers else (0, 0)

    # ---------------------------------------------------------------- running

    async def run_next(self) -> bool:
        """Run the job that is next, and return when it has ended; False if there is none.

        This is what a ticket is for. One that comes when nothing waits does no harm.
        """
        try:
            await self._view.look()  # a ticket may be faster than the signal
        except StoreUnavailableError:
            return False
        while (job := self._begin()) is not None:
            if await self._run(job):
                return True
        return False

    def _begin(self) -> Job | None:
        return None if self._closing or self._runner is None else self._board.begin()

    async def _run(self, job: Job) -> bool:
        assert self._runner is not None  # noqa: S101 - else the board has no slot to give
        try:
            return await self._runner.run(job)
        finally:
            self._ran.set()
            self._news(own=True)

    def _news(self, *, own: bool) -> None:
        """See that what is ready is run; other nodes send the tickets for their own changes."""
        if self._tickets is None:
            self._fill_slots()
        elif own and (ready := len(self._board.order())):
            self._tickets.offer(ready)

    def _looked(self) -> None:
        self._fill_slots()  # so a ticket that was lost costs no more than a signal that was
        self._news(own=True)

    def _fill_slots(self) -> None:
        while (job := self._begin()) is not None:
            self._supervisor.start(self._run(job), f"job {job.id}")

    def _stop(self, job_id: str) -> None:
        if self._workers is not None:
            self._workers.cancel(job_id)

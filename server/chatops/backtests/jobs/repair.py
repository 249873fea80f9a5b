"""What every node does for the jobs of all: what a dead one left is taken up, what is owed given.

Any number of nodes may do it at once: the store lets one of them requeue or end an attempt, and
keeps one result of each command.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog

from chatops.backtests.job import Job
from chatops.backtests.jobs.ends import Ends
from chatops.backtests.jobs.view import View
from chatops.backtests.ports import JobStore, Signals
from chatops.errors import StoreUnavailableError
from chatops.protocol.base import utc_now

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 2.0
LOOK_EVERY_DEAF_S = 0.5
"""Seconds between looks at the store, while signals come and while they do not."""

RENEWED_WITHIN_S = 2.0
"""After the store was away all leases are over, and whoever is alive renews theirs within this."""

ANSWERED_WITHIN = timedelta(seconds=5)
"""Whoever ended a job answers its askers in much less, unless it died."""


class Repair:
    """Looks after the jobs of the cluster, again and again."""

    def __init__(
        self,
        store: JobStore,
        signals: Signals,
        view: View,
        ends: Ends,
        looked: Callable[[], None],
    ) -> None:
        """Make it; ``looked`` is called after each look that went well."""
        self._store = store
        self._signals = signals
        self._view = view
        self._ends = ends
        self._looked = looked
        self._silent_since: dict[tuple[str, int], float] = {}

    async def at_start(self) -> None:
        """Take up what there is.

        Alone, this node speaks for every job, and nobody can be at work on one that was running.

        Raises:
            StoreUnavailableError: It is to be done again.
        """
        await self._view.look()
        if self._signals.alone:
            for job_id in self._view.board.ids():
                self._view.board.asked_here(job_id)
        for job in await self._store.lapsed():
            if self._signals.alone or self._silent_for_long(job):
                await self._ends.lost(job, "the server stopped while it ran")
        for job in await self._store.owed():
            await self._ends.answer(job)

    async def keep_up(self) -> None:
        """Look after everything every few seconds, until cancelled."""
        while True:
            every_s = LOOK_EVERY_S if self._signals.healthy else LOOK_EVERY_DEAF_S
            await asyncio.sleep(every_s * random.uniform(0.8, 1.2))  # noqa: S311 - not a secret
            try:
                await self._look_after_all()
            except StoreUnavailableError:
                log.warning("jobs_not_looked_after")
            except Exception:  # whatever it is, the jobs of dead nodes need somebody tomorrow too
                log.exception("repair_failed")

    async def _look_after_all(self) -> None:
        if not self._signals.alone:
            await self._view.look()
        lapsed = await self._store.lapsed()
        self._forget_all_but(lapsed)
        for job in lapsed:
            if not self._view.board.runs(job.id) and self._silent_for_long(job):
                await self._ends.lost(job, "nothing was heard of it")
        for job in await self._store.owed():
            if job.ended_at is None or utc_now() - job.ended_at > ANSWERED_WITHIN:
                await self._ends.answer(job)
        self._looked()

    def _silent_for_long(self, job: Job) -> bool:
        now_s = time.monotonic()
        since_s = self._silent_since.setdefault((job.id, job.attempt), now_s)
        return now_s - since_s >= RENEWED_WITHIN_S

    def _forget_all_but(self, lapsed: Sequence[Job]) -> None:
        keys = {(job.id, job.attempt) for job in lapsed}
        self._silent_since = {k: at for k, at in self._silent_since.items() if k in keys}

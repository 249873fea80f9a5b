"""The composition root of ``chatops worker``; it loads Celery, which servers may do without."""

import asyncio

import structlog

from chatops.backtests.jobs.service import Jobs
from chatops.bootstrap import (
    RELEASE_S,
    broker_of,
    cluster_for,
    pool_for,
    store_for,
    tickets_for,
)
from chatops.chat.reports import JobReports
from chatops.cluster.local import NoConnections
from chatops.sessions.service import Sessions
from chatops.settings import Settings
from chatops.tasks import Supervisor
from chatops.workers.celery import CeleryTaker

log = structlog.get_logger(__name__)

_GRACE_S = 3.0


class WorkerNode:
    """One worker process of the Celery queue: a node without faces.

    It sees, runs, repairs and answers jobs as every node does; only that tickets call it.
    """

    def __init__(self, settings: Settings) -> None:
        self.supervisor = Supervisor()
        self.tickets = tickets_for(settings)
        self.store = store_for(settings, self.supervisor)
        self.cluster = cluster_for(settings, self.supervisor)
        self.pool = pool_for(settings, self.supervisor)
        sessions = Sessions(
            self.store.sessions,
            NoConnections(),
            self.cluster,
            self.supervisor,
            max_entries=settings.session_max_entries,
        )
        self.jobs = Jobs(
            self.store.jobs,
            JobReports(sessions),
            self.supervisor,
            self.cluster,
            workers=self.pool,
            tickets=self.tickets,
            queue_limit=settings.backtest_queue,
        )
        self.taker = CeleryTaker(
            broker_of(settings),
            settings.cluster_prefix,
            self.supervisor,
            slots=settings.backtest_workers,
            take=self.jobs.run_next,
        )

    async def open(self) -> None:
        """Begin to take tickets. Redis may be away.

        Raises:
            StoreUnavailableError: The store is.
        """
        await self.store.open()
        self.cluster.open(await self.store.secret())
        self.pool.open()
        self.tickets.open()
        await self.jobs.open()
        self.taker.open()

    async def close(self) -> None:
        """Take nothing more, give what runs a moment to end, and leave the rest to others."""
        now_s = asyncio.get_running_loop().time
        grace_ends_s = now_s() + _GRACE_S
        self.taker.stop()
        await self.jobs.close()
        if not await self.jobs.idle(_GRACE_S):
            log.info("jobs_left_to_others")
        await self.pool.close()
        await self.jobs.idle(RELEASE_S)
        # Celery cannot be stopped while it starts; what of the grace was not needed is for that.
        await self.taker.close(max(grace_ends_s - now_s(), RELEASE_S))
        await self.tickets.close(RELEASE_S)
        await self.cluster.close()
        await self.supervisor.close(0.2)
        await self.store.close()

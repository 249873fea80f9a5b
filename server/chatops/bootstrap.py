"""The composition root: builds the server from settings. The only module that names adapters."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web

from chatops import __version__
from chatops.access.permissions import authorize
from chatops.access.rates import PersonRates, Rate
from chatops.adapters import Answers, Cluster, Store
from chatops.assistant.answering import Answerer
from chatops.assistant.briefing import Briefing
from chatops.assistant.budgets import Budgets, Limits
from chatops.assistant.builder import Builder
from chatops.assistant.calls import ModelCalls
from chatops.assistant.catalogue_file import load_policies
from chatops.assistant.client import ModelClient
from chatops.assistant.narrative import Narrator
from chatops.assistant.questions import Questions
from chatops.assistant.tools import Tools
from chatops.assistant.turns import Turns
from chatops.backtests.jobs.service import Jobs
from chatops.backtests.market.catalogue import Catalogue
from chatops.backtests.planning import Planner
from chatops.backtests.strategies.book import StrategyBook
from chatops.chat.asking import Asking
from chatops.chat.reports import JobReports
from chatops.chat.service import Chat
from chatops.cluster.cache import MemoryCache
from chatops.cluster.local import Alone, Unconnected
from chatops.commands import Toolbox, build_registry
from chatops.dispatch.dispatcher import Dispatcher
from chatops.errors import BadParameterError, ShuttingDownError, StoreUnavailableError
from chatops.protocol.base import new_id, utc_now
from chatops.realtime.channel import SocketChannel
from chatops.realtime.handlers import Events
from chatops.realtime.server import PATH, ChatServer
from chatops.rest.errors import answers
from chatops.rest.operations import Door
from chatops.rest.routes import Rest
from chatops.rest.services import Services
from chatops.sessions.listeners import Listeners
from chatops.sessions.service import Sessions
from chatops.settings import Settings
from chatops.stores.sqlite import SqliteStore
from chatops.tasks import Supervisor
from chatops.workers.importing import ProcessPriceImporter
from chatops.workers.pool import ProcessPool

if TYPE_CHECKING:
    from chatops.workers.celery import CeleryTickets

log = structlog.get_logger(__name__)

_GRACE_S = 3.0
RELEASE_S = 0.5
TURNS_END_S = 1.0
_CLOSE_COMMANDS_EVERY_S = 5.0
_EXPIRE_EVERY_S = 60.0
_SHARE_EVERY_S = 1.0


class Node:
    """One server process, all parts connected."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.supervisor = Supervisor()
        self.store = store_for(settings, self.supervisor)
        self.cluster = cluster_for(settings, self.supervisor)
        self.answers = answers_for(settings)
        by_ticket = settings.queue == "celery"
        self.tickets = tickets_for(settings) if by_ticket else None
        self.pool = None if by_ticket else pool_for(settings, self.supervisor)
        limited = settings.rate_limit == "on"
        people = Rate(settings.person_rate, settings.person_burst)
        self.people = PersonRates(people) if limited else None
        self.server = ChatServer(
            self.supervisor,
            rate=Rate(settings.message_rate, settings.message_burst) if limited else None,
            people=self.people,
            cors_origins=settings.cors_origins,
        )
        self.listeners = Listeners(SocketChannel(self.server))
        self.sessions = Sessions(
            self.store.sessions,
            self.listeners,
            self.cluster,
            self.supervisor,
            max_entries=settings.session_max_entries,
            assistant=settings.assistant_mode,
        )
        self.jobs = Jobs(
            self.store.jobs,
            JobReports(self.sessions),
            self.supervisor,
            self.cluster,
            workers=self.pool,
            tickets=self.tickets,
            queue_limit=settings.backtest_queue,
        )
        self.catalogue = Catalogue(settings.market_folder)
        book = StrategyBook(self.store.strategies)
        self.model = model_for(settings)
        self.policies, limits = load_policies(settings.models_file), limits_of(settings)
        self.calls = ModelCalls(
            self.model,
            self.policies,
            Budgets(limits, self.store.usage),
            self.store.usage,
            self.supervisor,
        )
        self.turns = Turns(
            self.sessions, self.store.floors, self.supervisor, available=self.calls.available
        )
        questions = Questions(self.sessions, self.turns, settings.assistant_waiting)
        tools = Toolbox(
            sessions=self.sessions,
            jobs=self.jobs,
            job_store=self.store.jobs,
            planner=Planner(book, self.catalogue, settings.default_symbols),
            book=book,
            catalogue=self.catalogue,
            builder=Builder(self.calls, book),
            questions=questions,
            turns=self.turns,
            usage=self.store.usage,
            policies=self.policies,
            limits=limits,
            server_facts=self.facts,
        )
        registry = build_registry(tools)
        dispatcher = Dispatcher(registry, authorize)
        self.chat = Chat(self.sessions, dispatcher, questions, self.supervisor)
        self.turns.answerer = Answerer(
            self.sessions,
            self.calls,
            Tools(registry, dispatcher, self.jobs, wait_s=settings.assistant_tool_wait_s),
            Briefing(self.sessions, self.jobs, self.store.jobs, book, self.catalogue),
            self.answers,
        )
        self.rest = Services(
            door=Door(settings.cors_origins, self.people),
            asking=Asking(self.sessions, self.listeners, self.chat, limit_s=settings.http_wait_s),
            dispatcher=dispatcher,
            sessions=self.sessions,
            session_store=self.store.sessions,
            jobs=self.jobs,
            job_store=self.store.jobs,
            narrator=Narrator(self.calls),
            policies=self.policies,
            usage=self.store.usage,
            limits=limits,
            supervisor=self.supervisor,
            book=book,
            prices=ProcessPriceImporter(
                self.supervisor,
                market_folder=settings.market_folder,
                timeout_s=settings.backtest_timeout_s,
                memory_mb=settings.backtest_memory_mb,
            ),
            max_file_bytes=settings.import_max_mb << 20,
            health=self._ready,
            facts=self.facts,
        )
        self._started_at = utc_now()
        self._draining = False

    def app(self) -> web.Application:
        """Return the web application with both faces."""
        app = web.Application(middlewares=[answers(self.settings.cors_origins)])
        self.server.attach_to(app, Events(self.sessions, self.chat, self.turns, self.jobs))
        Rest(self.rest).add_to(app)
        app.cleanup_ctx.append(self._life)
        app.on_shutdown.append(self._drain)
        return app

    def facts(self) -> dict[str, Any]:
        """Return what the server says of itself."""
        rooms, _ = self.sessions.counts()
        standing = self.jobs.standing()
        running = sum(1 for now in standing if now.job.state == "running")
        return {
            "version": __version__,
            "up since": f"{self._started_at:%Y-%m-%d %H:%M:%S} UTC",
            "socket path": PATH,
            "connections": self.server.connected,
            "open sessions": rooms,
            "jobs running": running,
            "jobs waiting": len(standing) - running,
            "workers": self.pool.slots if self.pool else "Celery",
            "store": self.store.kind,
            "nodes": self.cluster.nodes,
            "bus": _state(self.cluster),
            "assistant": self.settings.assistant_mode if self.turns.available else "off",
        }

    async def _life(self, _app: web.Application) -> AsyncIterator[None]:
        await self.store.open()
        try:
            key = await self.store.secret()
            self.cluster.open(key)
            self.answers.open(key)
            if self.pool is not None:
                self.pool.open()
            if self.tickets is not None:
                self.tickets.open()
            self.sessions.open()
            await self.jobs.open()
            await self.chat.close_open_commands(self.jobs.owed, at_once=self.cluster.alone)
            if not self.cluster.alone:
                self.supervisor.start(self._close_open_commands(), "close open commands")
            self.turns.open()
            self.supervisor.start(self._expire(), "expire sessions")
            if self.people is not None:
                self.supervisor.start(self._share_use(self.people), "share use")
            yield
        finally:
            await self.turns.close(TURNS_END_S)
            await self.jobs.close()
            if self.pool is not None:
                await self.pool.close()
                await self.jobs.idle(RELEASE_S)
            if self.tickets is not None:
                await self.tickets.close(RELEASE_S)
            await self.model.close()
            await self.answers.close()
            await self.cluster.close()
            await self.supervisor.close(0.5)
            await self.store.close()

    def begin_drain(self) -> None:
        """Say from now on that this node is not ready, and refuse what is new."""
        self._draining = True
        self.server.refuse()
        self.rest.door.closing = True

    async def _ready(self) -> dict[str, Any]:
        if self._draining:
            raise ShuttingDownError("The server is going away.", "Another node takes over.")
        await self.store.ping()
        return {"bus": _state(self.cluster)}

    async def _drain(self, _app: web.Application) -> None:
        log.info("draining", connections=self.server.connected)
        await self.server.drain(_GRACE_S)

    async def _share_use(self, people: PersonRates) -> None:
        self.cluster.attach_used(lambda used: people.used_elsewhere(used, time.monotonic()))
        while True:
            await asyncio.sleep(_SHARE_EVERY_S)
            self.cluster.tell_used(people.used())

    async def _close_open_commands(self) -> None:
        """Give the commands of nodes that died meanwhile their end."""
        while True:
            await asyncio.sleep(_CLOSE_COMMANDS_EVERY_S)
            try:
                await self.chat.close_open_commands(self.jobs.owed, at_once=False)
            except StoreUnavailableError:
                log.warning("close_open_commands_failed")

    async def _expire(self) -> None:
        if not self.settings.session_ttl_hours:
            return
        kept_for = timedelta(hours=self.settings.session_ttl_hours)
        while True:
            try:
                await self.sessions.expire(utc_now() - kept_for)
            except StoreUnavailableError:
                log.warning("expire_failed")
            await asyncio.sleep(_EXPIRE_EVERY_S)


def model_for(settings: Settings) -> ModelClient:
    """Return the client of the language model's provider; nothing is loaded or connected."""
    return ModelClient(
        settings.openai_api_key,
        settings.openai_base_url,
        timeout_s=settings.assistant_timeout_s,
        retries=settings.assistant_retries,
    )


def limits_of(settings: Settings) -> Limits:
    """Return what calls of language models may cost."""
    return Limits(
        person_usd=settings.budget_person_usd,
        session_usd=settings.budget_session_usd,
        day_usd=settings.budget_day_usd,
    )


def pool_for(settings: Settings, supervisor: Supervisor) -> ProcessPool:
    """Return the processes that run backtests; they are not started."""
    return ProcessPool(
        supervisor,
        slots=settings.backtest_workers,
        market_folder=settings.market_folder,
        timeout_s=settings.backtest_timeout_s,
        memory_mb=settings.backtest_memory_mb,
    )


def tickets_for(settings: Settings) -> "CeleryTickets":
    """Return the sender of tickets; it is not opened."""
    # Celery is loaded by those alone who use it.
    from chatops.workers.celery import CeleryTickets

    return CeleryTickets(broker_of(settings), settings.cluster_prefix)


def broker_of(settings: Settings) -> str:
    """Return the address of the Redis that carries tickets.

    Raises:
        BadParameterError: The settings name no store and bus that processes could share.
    """
    if settings.redis_url is None or settings.mongodb_uri is None:
        raise BadParameterError(
            "Workers of other processes need a store and a bus that they share with the servers.",
            "Set REDIS_URL and MONGODB_URI, or leave CHATOPS_QUEUE at pool.",
        )
    return settings.redis_url.get_secret_value()


def store_for(settings: Settings, supervisor: Supervisor) -> Store:
    """Return the store that the settings choose; it is not opened."""
    if settings.mongodb_uri is None:
        return SqliteStore(settings.data_dir)
    # Its drivers are loaded by those alone who use them.
    from chatops.stores.mongo import MongoStore

    return MongoStore(settings.mongodb_uri.get_secret_value(), supervisor)


def cluster_for(settings: Settings, supervisor: Supervisor) -> Cluster:
    """Return the bus that the settings choose; it is not opened."""
    if settings.mongodb_uri is None:
        if settings.redis_url is not None:
            log.warning(
                "setting_without_effect", setting="REDIS_URL", reason="SQLite serves one node alone"
            )
        return Alone()
    if settings.redis_url is None:
        return Unconnected()
    from chatops.cluster.redis import RedisCluster

    return RedisCluster(
        settings.redis_url.get_secret_value(), settings.cluster_prefix, new_id("node"), supervisor
    )


def answers_for(settings: Settings) -> Answers:
    """Return the cache of answers that the settings choose; it is not opened."""
    if settings.mongodb_uri is None or settings.redis_url is None:
        return MemoryCache()
    from chatops.cluster.redis_cache import RedisCache

    return RedisCache(settings.redis_url.get_secret_value(), settings.cluster_prefix)


def _state(cluster: Cluster) -> str:
    if cluster.alone:
        return "none"
    return "up" if cluster.healthy else "degraded"

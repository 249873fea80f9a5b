"""The connection to MongoDB, through whichever driver; every call is bounded and told in words.

This is the one place where the drivers differ: :func:`_settled` awaits what one of them gives at
once and the other in a while.
"""

import asyncio
import contextlib
import inspect
import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl, urlsplit

import structlog

from chatops.errors import AppError, StoreUnavailableError
from chatops.stores import mongo_errors
from chatops.stores.mongo_breaker import Breaker
from chatops.stores.mongo_errors import Doing
from chatops.stores.mongo_schema import Collection, prepare
from chatops.tasks import Supervisor

log = structlog.get_logger(__name__)

Driver = Literal["motor", "pymongo"]

TIMEOUT_MS = 2_000
SELECTION_TIMEOUT_MS = 1_500
_MARGIN_S = 0.5
"""Longer than the driver's own limit, for what waits before the driver counts."""

_CONFLICT_WAIT_S = 0.02
_LOOK_EVERY_S = 0.5
_ABORT_S = 0.25
_CLOSE_S = 1.0
_KILL_EVERY_S = 1.0
_KILL_TIMES = 3
_KILL_TRIES = 60
"""The server itself ends a transaction that was left after that many seconds."""

T = TypeVar("T")


class MongoDatabase:
    """One database of a replica set; connected by :meth:`open`, not before.

    Attributes:
        name: Of the database, once it is open.
        supervisor: Runs what goes on in the background.
    """

    def __init__(self, uri: str, supervisor: Supervisor, *, driver: Driver = "motor") -> None:
        self.name = ""
        self.supervisor = supervisor
        self._uri = uri
        self._driver = driver
        self._hosts = _hosts(uri)
        self._breaker = Breaker()
        self._client: Any = None
        self._database: Any = None
        self._collections: dict[Collection, Any] = {}
        self._timeout_s = TIMEOUT_MS / 1000
        self._appname = "chatops"

    def __getitem__(self, name: Collection) -> Any:
        """Return the driver's collection.

        Raises:
            StoreUnavailableError: The database is not open.
        """
        self.check_open()
        found = self._collections.get(name)
        if found is None:  # to make one costs more than many a call
            found = self._collections[name] = self._database[name]
        return found

    def check_open(self) -> None:
        """Return if the database is open.

        Raises:
            StoreUnavailableError: It is not.
        """
        if self._client is None:
            raise mongo_errors.closed()

    async def open(self) -> None:
        """Connect, check that it is a replica set, and bring the database up to date.

        Raises:
            StoreUnavailableError: It cannot be used; the words say why, without the password.
        """
        from pymongo.errors import PyMongoError, ServerSelectionTimeoutError

        self._connect()
        try:
            hello = await self._client.admin.command("hello")
            if "setName" not in hello and hello.get("msg") != "isdbgrid":
                raise mongo_errors.standalone(self._hosts)
            await prepare(self)
        except BaseException as error:
            await self.close()
            if isinstance(error, ServerSelectionTimeoutError):
                raise mongo_errors.unreachable(self._hosts) from error
            if isinstance(error, PyMongoError):
                log.error("store_open_failed", error=str(error))
                raise mongo_errors.unavailable(error, "read") from error
            raise

    def _connect(self) -> None:
        from pymongo import AsyncMongoClient
        from pymongo.errors import PyMongoError

        make: Any = AsyncMongoClient
        if self._driver == "motor":
            from motor.motor_asyncio import AsyncIOMotorClient as make  # noqa: N813
        given = {name.lower(): value for name, value in parse_qsl(urlsplit(self._uri).query)}
        bounds = {
            "serverSelectionTimeoutMS": SELECTION_TIMEOUT_MS,
            "connectTimeoutMS": TIMEOUT_MS,
            "timeoutMS": TIMEOUT_MS,
        }
        self._appname = given.get("appname", self._appname)
        bounds = {name: value for name, value in bounds.items() if name.lower() not in given}
        promises = {
            "w": "majority",
            "journal": True,
            "readConcernLevel": "majority",
            "readPreference": "primary",
            "retryWrites": True,
            "retryReads": True,
            "appname": self._appname,
        }
        try:
            self._timeout_s = int(given.get("timeoutms", TIMEOUT_MS)) / 1000
            self._client = make(self._uri, **bounds, **promises)
            self._database = self._client.get_default_database("chatops")
        except (PyMongoError, ValueError, TypeError):
            # The driver's words may quote a part of the address, and so of the password.
            raise mongo_errors.bad_address() from None
        self.name = self._database.name

    async def close(self) -> None:
        """Disconnect. A repeat does nothing."""
        import pymongo

        client, self._client, self._database = self._client, None, None
        self._collections.clear()
        if client is not None:
            # It says goodbye to the server first, and one of the drivers does so without a pause.
            with pymongo.timeout(_CLOSE_S):
                await _settled(await asyncio.to_thread(client.close))

    async def call(
        self, work: Callable[[], Awaitable[T]], doing: Doing, *, within_s: float | None = None
    ) -> T:
        """Return what ``work``, a call of the driver, returns.

        A duplicate key is raised as the driver's own error; so is what is wrong with a document.

        Raises:
            StoreUnavailableError: It failed or took too long, or has failed too often of late.
        """
        from pymongo.errors import PyMongoError

        if not self._breaker.admits():
            raise mongo_errors.not_saved() if doing == "save" else mongo_errors.unreadable()
        answered: bool | None = None
        try:
            async with asyncio.timeout((within_s or self._timeout_s) + _MARGIN_S):
                result = await work()
            answered = True
        except (PyMongoError, TimeoutError) as error:
            answered = mongo_errors.is_answer(error)
            if mongo_errors.is_callers(error):
                raise
            log.warning("store_failed", doing=doing, error=str(error), kind=type(error).__name__)
            raise mongo_errors.unavailable(error, doing) from error
        except AppError as error:
            answered = not isinstance(error, StoreUnavailableError)
            raise
        finally:
            self._breaker.ended(answered)
        return result

    async def find(
        self,
        collection: Collection,
        which: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] | None = None,
        sort: Sequence[tuple[str, int]] | None = None,
        limit: int = 0,
        hint: str | None = None,
    ) -> list[dict[str, Any]]:
        """Return the documents, at most ``limit`` unless that is 0.

        Raises:
            StoreUnavailableError: They could not be read.
        """
        found: list[dict[str, Any]] = await self.call(
            lambda: (
                self[collection]
                .find(which, fields, sort=sort, limit=limit, hint=hint, batch_size=limit or 1000)
                .to_list(None)
            ),
            "read",
        )
        return found

    async def first(
        self,
        collection: Collection,
        which: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] | None = None,
        sort: Sequence[tuple[str, int]] | None = None,
    ) -> dict[str, Any] | None:
        """Return the first document, or None.

        Raises:
            StoreUnavailableError: It could not be read.
        """
        found: dict[str, Any] | None = await self.call(
            lambda: self[collection].find_one(which, fields, sort=sort), "read"
        )
        return found

    async def aggregate(
        self, collection: Collection, pipeline: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return what the pipeline gives.

        Raises:
            StoreUnavailableError: It could not be read.
        """

        async def run() -> list[dict[str, Any]]:
            cursor = await _settled(self[collection].aggregate(list(pipeline), batchSize=1000))
            found: list[dict[str, Any]] = await cursor.to_list(None)
            return found

        return await self.call(run, "read")

    async def transaction(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Return what ``work`` returns, when all it did is committed together.

        ``work`` gets the driver's session, which it hands to every call; it may run several times,
        since who meets another transaction begins again. What it raises undoes all. One that a
        dead node has left open is ended before it has kept others out for longer than they wait.

        Raises:
            StoreUnavailableError: The commit may or may not have been done, or surely was not.
        """
        from pymongo.errors import OperationFailure

        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + 2 * self._timeout_s
        look_s = loop.time() + _LOOK_EVERY_S
        while True:
            try:
                return await self.call(lambda: self._transact(work), "save")
            except OperationFailure as error:
                if not mongo_errors.is_conflict(error):
                    raise
                if loop.time() > deadline_s:
                    raise mongo_errors.crowded() from error
            if loop.time() > look_s:
                look_s = loop.time() + _LOOK_EVERY_S
                await self._end_abandoned()
            await asyncio.sleep(random.uniform(0.0, _CONFLICT_WAIT_S))  # noqa: S311

    async def _transact(self, work: Callable[[Any], Awaitable[T]]) -> T:
        import pymongo
        from pymongo.errors import ConnectionFailure, PyMongoError
        from pymongo.read_concern import ReadConcern

        session = await _settled(self._client.start_session())
        session_id = session.session_id
        try:
            with pymongo.timeout(self._timeout_s):
                await _settled(session.start_transaction(read_concern=ReadConcern("snapshot")))
                try:
                    result = await work(session)
                except ConnectionFailure as error:
                    raise mongo_errors.not_saved() from error
                await session.commit_transaction()
        except BaseException as error:
            if mongo_errors.may_go_on(error):
                self.supervisor.start(self._kill(session_id), "end a transaction")
            if session.in_transaction:
                with contextlib.suppress(PyMongoError), pymongo.timeout(_ABORT_S):
                    await session.abort_transaction()
            raise
        finally:
            await session.end_session()
        return result

    async def _end_abandoned(self) -> None:
        """End transactions that are older than one of a living node can be."""
        from pymongo.errors import PyMongoError

        admin, oldest_us = self._client.admin, int((self._timeout_s + _MARGIN_S) * 1e6)
        which = {"appName": self._appname, "transaction.timeOpenMicros": {"$gt": oldest_us}}
        left = [{"$currentOp": {"allUsers": False, "idleSessions": True}}, {"$match": which}]
        with contextlib.suppress(PyMongoError):
            found = await admin.command({"aggregate": 1, "pipeline": left, "cursor": {}})
            for one in found["cursor"]["firstBatch"]:
                log.warning("transaction_abandoned", by=one.get("client"))
                await admin.command("killSessions", [{"id": one["lsid"]["id"]}])

    async def _kill(self, session_id: Any) -> None:
        """End a transaction that the server may not have heard the end of: it keeps others out.

        More than once, for what was on the way to the server may begin the transaction after all.
        """
        from pymongo.errors import PyMongoError

        times = 0
        for _ in range(_KILL_TRIES):
            if self._client is None or times == _KILL_TIMES:
                return
            with contextlib.suppress(PyMongoError):
                await self._client.admin.command("killSessions", [session_id])
                times += 1
            await asyncio.sleep(_KILL_EVERY_S)


async def _settled(value: Any) -> Any:
    """Return ``value``, awaited where the driver gives it later."""
    return await value if inspect.isawaitable(value) else value


def _hosts(uri: str) -> str:
    """Return the servers that an address names, without user and password."""
    return re.split(r"[/?]", uri.partition("://")[2].rpartition("@")[2])[0] or "no host"

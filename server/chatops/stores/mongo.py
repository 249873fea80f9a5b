"""The store of many nodes: everything durable in one database of a MongoDB replica set."""

import secrets

from chatops.assistant.ports import FLOOR_LEASE_S
from chatops.backtests.ports import LEASE_S
from chatops.stores.mongo_database import Driver, MongoDatabase
from chatops.stores.mongo_floors import MongoFloorStore
from chatops.stores.mongo_jobs import MongoJobStore
from chatops.stores.mongo_nodes import MongoNodes
from chatops.stores.mongo_schema import once
from chatops.stores.mongo_sessions import MongoSessionStore
from chatops.stores.mongo_strategies import MongoStrategyStore
from chatops.stores.mongo_usage import MongoUsageStore
from chatops.tasks import Supervisor

_SECRET_BYTES = 32


class MongoStore:
    """The stores over one database; nothing happens before :meth:`open`.

    Any number of processes on any machines may have it open at once.

    Attributes:
        kind: Its name for a person.
        database: The connection.
        nodes: Which servers live.
        sessions: The rooms and their logs.
        floors: Who answers in which session.
        jobs: The record of jobs.
        strategies: Saved strategies.
        usage: What calls of the language model used.
    """

    kind = "MongoDB"

    def __init__(
        self,
        uri: str,
        supervisor: Supervisor,
        *,
        driver: Driver = "motor",
        lease_s: float = LEASE_S,
        floor_lease_s: float = FLOOR_LEASE_S,
        node: str | None = None,
    ) -> None:
        self.database = MongoDatabase(uri, supervisor, driver=driver)
        self.nodes = MongoNodes(self.database, node or secrets.token_hex(8))
        self.sessions = MongoSessionStore(self.database, self.nodes)
        self.floors = MongoFloorStore(self.database, lease_s=floor_lease_s)
        self.jobs = MongoJobStore(self.database, lease_s=lease_s)
        self.strategies = MongoStrategyStore(self.database)
        self.usage = MongoUsageStore(self.database)

    async def open(self) -> None:
        """Connect, make what is missing in the database, and say that this server lives.

        Raises:
            StoreUnavailableError: The database cannot be used; the words say why.
        """
        await self.database.open()
        try:
            await self.nodes.open()
        except BaseException:
            await self.database.close()
            raise

    async def close(self) -> None:
        """Wait for what is pending, say that this server has gone, and disconnect.

        A repeat does nothing.
        """
        await self.sessions.close()
        await self.nodes.close()
        await self.database.close()

    async def beat(self) -> None:
        """Say that this server lives; what :meth:`open` began does so every two seconds."""
        await self.nodes.beat()

    async def ping(self) -> None:
        """Return when the store takes a write and gives a read.

        Raises:
            StoreUnavailableError: It does not.
        """
        await self.nodes.beat()
        await self.nodes.live()

    async def secret(self) -> bytes:
        """Return a key of 32 random bytes, the same for every node of this database, for ever.

        Raises:
            StoreUnavailableError: It could be neither read nor made.
        """
        made = await once(self.database, "secret", {"value": secrets.token_bytes(_SECRET_BYTES)})
        return bytes(made["value"])

"""Nodes over one database of a real MongoDB, which is deleted at the end."""

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any

from chatops.access.identity import SYSTEM
from chatops.backtests.ports import LEASE_S
from chatops.sessions.model import Appended, NewEntry, Session
from chatops.stores.mongo import MongoStore
from chatops.stores.mongo_database import Driver
from chatops.tasks import Supervisor
from tests.support.services import Mongod


class MongoNodes:
    """Opens stores, each as a server of its own would, on one database.

    Attributes:
        server: The MongoDB.
        name: Of the database.
        uri: Of it.
        driver: Through which it is used.
    """

    def __init__(self, server: Mongod, driver: Driver, lease_s: float = LEASE_S) -> None:
        self.server = server
        self.name = f"t{uuid.uuid4().hex}"
        self.uri = server.uri(self.name)
        self.driver: Driver = driver
        self._lease_s = lease_s
        self._supervisors: list[Supervisor] = []
        self._stores: list[MongoStore] = []

    async def open(self, uri: str | None = None) -> MongoStore:
        """Open one more."""
        supervisor = Supervisor()
        store = MongoStore(
            uri or self.uri,
            supervisor,
            driver=self.driver,
            lease_s=self._lease_s,
            floor_lease_s=self._lease_s,
        )
        await store.open()
        self._supervisors.append(supervisor)
        self._stores.append(store)
        return store

    async def close(self) -> None:
        """Close all."""
        for store in self._stores:
            await store.close()
        for supervisor in self._supervisors:
            await supervisor.close(5)
            assert len(supervisor) == 0

    @contextmanager
    def plain(self) -> Iterator[Any]:
        """Give the database by a plain client, to look behind the store."""
        with self.server.client() as client:
            yield client[self.name]


@asynccontextmanager
async def mongo_nodes(
    server: Mongod, driver: Driver, lease_s: float = LEASE_S
) -> AsyncIterator[MongoNodes]:
    """Open nodes until the block ends, then close them and delete their database."""
    nodes = MongoNodes(server, driver, lease_s)
    try:
        yield nodes
    finally:
        await nodes.close()
        server.drop(nodes.name)


async def make_room(store: MongoStore, name: str = "room") -> None:
    """Create a session."""
    await store.sessions.create_session(Session(name, "epoch", "Room", SYSTEM, datetime.now(UTC)))


async def append(store: MongoStore, key: str, session_id: str = "room") -> Appended:
    """Append a message under the key."""
    entry = NewEntry("message", SYSTEM, {"content": key}, key)
    return await store.sessions.append(session_id, entry)


async def stored_keys(store: MongoStore, session_id: str = "room") -> list[str]:
    """Return what was said, in the order of the numbers, which must be 1, 2, 3, ..."""
    entries = await store.sessions.read(session_id, 0, 1_000_000)
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    return [entry.payload["content"] for entry in entries]

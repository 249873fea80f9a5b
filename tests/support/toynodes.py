"""The sessions of several nodes in one loop, over one store and a bus that misbehaves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from chatops.access.identity import Person
from chatops.sessions.entries import user_message
from chatops.sessions.service import Sessions, Snapshot
from chatops.stores.sqlite import SqliteStore
from chatops.tasks import Supervisor
from tests.support.fakes import Shaky
from tests.support.nodes import FakeBus, FakeChannel, Network

ANN, BEN = Person("client:ann", "Ann"), Person("client:ben", "Ben")
ROOM = "desk"
LOG = ("message", "commandResult")


class ToyNode:
    """The sessions of one node."""

    def __init__(self, store: Any, bus: FakeBus, supervisor: Supervisor) -> None:
        self.bus = bus
        self.channel = FakeChannel()
        self.store = Shaky(store)
        self.sessions = Sessions(self.store, self.channel, bus, supervisor)  # type: ignore[arg-type]
        self.sessions.open()

    async def join(
        self, connection: str, person: Person = ANN, after: int | None = None
    ) -> Snapshot:
        """Join and return what the ack would say."""
        said: list[Snapshot] = []
        await self.sessions.join(
            ROOM, connection, person, after_seq=after, limit=None, reply=said.append
        )
        return said[0]

    async def say(self, text: str, person: Person = ANN, key: str | None = None) -> int:
        """Say something; return its number."""
        entry = user_message(ROOM, person, text, key=key)
        return (await self.sessions.append(ROOM, entry)).entry.seq

    def log_of(self, connection: str) -> list[int]:
        """Return the numbers that a connection was shown."""
        return [p["seq"] for event, p in self.channel.shown[connection] if event in LOG]


@asynccontextmanager
async def nodes(
    folder: Path, network: Network, count: int = 3
) -> AsyncIterator[tuple[SqliteStore, list[ToyNode]]]:
    store, supervisor = SqliteStore(folder / "data"), Supervisor()
    await store.open()
    try:
        made = [
            ToyNode(store.sessions, network.bus(f"n{number}"), supervisor)
            for number in range(count)
        ]
        yield store, made
    finally:
        await supervisor.close(0.0)
        await store.close()

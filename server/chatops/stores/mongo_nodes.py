"""Which servers live: each says so to the database, by the database's own clock."""

import asyncio
import contextlib
from typing import Any

from chatops.errors import StoreUnavailableError
from chatops.stores.mongo_database import MongoDatabase

NODE_LEASE_S = 10.0
"""How long a server may be silent before what it had begun is anybody's."""

BEAT_S = 2.0


class MongoNodes:
    """The record of servers.

    Attributes:
        own: Id of this one.
    """

    def __init__(self, database: MongoDatabase, own: str) -> None:
        self.own = own
        self._database = database
        self._beating: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Say that this server lives, and go on saying so.

        Raises:
            StoreUnavailableError: It could not be written.
        """
        await self.beat()
        self._beating = self._database.supervisor.start(self._beat_on(), "say that it lives")

    async def close(self) -> None:
        """Say that this server has gone; if that fails, it is found out when the lease ends."""
        beating, self._beating = self._beating, None
        if beating is None:
            return
        beating.cancel()
        await asyncio.wait([beating])
        with contextlib.suppress(StoreUnavailableError):
            await self._database.call(
                lambda: self._database["nodes"].delete_one({"_id": self.own}), "save"
            )

    async def beat(self) -> None:
        """Say that this server lives, for as long as the lease.

        Raises:
            StoreUnavailableError: It could not be written.
        """
        lease_ms = int(NODE_LEASE_S * 1000)
        await self._database.call(
            lambda: self._database["nodes"].update_one(
                {"_id": self.own},
                [{"$set": {"until": {"$add": ["$$NOW", lease_ms]}}}],
                upsert=True,
            ),
            "save",
        )

    async def live(self) -> list[str]:
        """Return the ids of the servers that live."""
        alive: dict[str, Any] = {"$expr": {"$gt": ["$until", "$$NOW"]}}
        return [node["_id"] for node in await self._database.find("nodes", alive)]

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            with contextlib.suppress(StoreUnavailableError):  # the database has logged it
                await self.beat()

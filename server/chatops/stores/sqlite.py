"""The embedded store: everything durable in one SQLite file of the data folder."""

import secrets
from pathlib import Path

from chatops.assistant.ports import FLOOR_LEASE_S
from chatops.backtests.ports import LEASE_S
from chatops.stores.sqlite_database import SqliteDatabase
from chatops.stores.sqlite_floors import SqliteFloorStore
from chatops.stores.sqlite_jobs import SqliteJobStore
from chatops.stores.sqlite_sessions import SqliteSessionStore
from chatops.stores.sqlite_strategies import SqliteStrategyStore
from chatops.stores.sqlite_usage import SqliteUsageStore
from chatops.stores.sqlite_writer import BATCH_LIMIT


class SqliteStore:
    """The stores over one file; nothing happens before :meth:`open`.

    Attributes:
        kind: Its name for a person.
        database: The file, its writer and its readers.
        sessions: The rooms and their logs.
        floors: Who answers in which session.
        jobs: The record of jobs.
        strategies: Saved strategies.
        usage: What calls of the language model used.
    """

    kind = "SQLite"

    def __init__(
        self,
        data_dir: Path,
        *,
        batch_limit: int = BATCH_LIMIT,
        lease_s: float = LEASE_S,
        floor_lease_s: float = FLOOR_LEASE_S,
    ) -> None:
        self.database = SqliteDatabase(data_dir, batch_limit=batch_limit)
        self.sessions = SqliteSessionStore(self.database)
        self.floors = SqliteFloorStore(self.database, lease_s=floor_lease_s)
        self.jobs = SqliteJobStore(self.database, lease_s=lease_s)
        self.strategies = SqliteStrategyStore(self.database)
        self.usage = SqliteUsageStore(self.database)

    async def open(self) -> None:
        """Open or make the file. A second server on the same folder is refused.

        Raises:
            StoreUnavailableError: The folder or the file cannot be used; the words say why.
        """
        await self.database.open()

    async def close(self) -> None:
        """Commit what is pending and let go of the folder. A repeat does nothing."""
        await self.database.close()

    async def ping(self) -> None:
        """Return when the store takes a write and gives a read.

        Raises:
            StoreUnavailableError: It does not.
        """
        await self.database.ping()

    async def secret(self) -> bytes:
        """Return a key of this process; no other node can share this store."""
        return secrets.token_bytes(32)

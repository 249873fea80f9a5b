"""One SQLite file: a writer that commits in groups, and readers beside it."""

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import structlog

from chatops.stores import sqlite_folder
from chatops.stores.sqlite_errors import unavailable
from chatops.stores.sqlite_schema import FILE_NAME, connect_reader, open_database
from chatops.stores.sqlite_writer import BATCH_LIMIT, GroupWriter, closed
from chatops.stores.values import to_time

log = structlog.get_logger(__name__)

READERS = 4
"""Threads that read, each with its own connection."""

T = TypeVar("T")


class SqliteDatabase:
    """The open file and everything that belongs to it; made by :meth:`open`, not before.

    Attributes:
        folder: The data folder.
        path: The database file in it.
        writer: The writer while the database is open, else None.
        found: Number of the newest entry that was there when it was opened.
    """

    def __init__(self, folder: Path, *, batch_limit: int = BATCH_LIMIT) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME
        self.writer: GroupWriter | None = None
        self.found = 0
        self._batch_limit = batch_limit
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._local = threading.local()
        self._read_connections: list[sqlite3.Connection] = []

    async def open(self) -> None:
        """Claim the folder, open the file, bring its schema up to date, and start the threads.

        Raises:
            StoreUnavailableError: The folder or the file cannot be used; nothing stays behind.
        """
        self._lock, connection = await asyncio.to_thread(self._claim_and_open)
        self._connection = connection
        newest = connection.execute("SELECT coalesce(max(number), 0) FROM entries").fetchone()
        self.found = newest[0]
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="sqlite-reader")
        self.writer = GroupWriter(connection, batch_limit=self._batch_limit)
        self.writer.start()

    def _claim_and_open(self) -> tuple[int, sqlite3.Connection]:
        lock = sqlite_folder.claim(self.folder)
        try:
            return lock, open_database(self.path)
        except BaseException:
            sqlite_folder.release(lock)
            raise

    async def close(self) -> None:
        """Commit what is pending, then let go of the file and the folder. A repeat does nothing."""
        writer, self.writer = self.writer, None
        if writer is not None:
            await asyncio.to_thread(self._let_go, writer)

    def _let_go(self, writer: GroupWriter) -> None:
        writer.stop()
        if self._readers is not None:
            self._readers.shutdown()
        for connection in self._read_connections:
            connection.close()
        self._read_connections.clear()
        self._local = threading.local()
        if self._connection is not None:
            self._connection.close()
        if self._lock is not None:
            sqlite_folder.release(self._lock)
        self._readers = self._connection = self._lock = None

    async def ping(self) -> None:
        """Return when a small write has reached the disk and could be read again.

        Raises:
            StoreUnavailableError: It could not.
        """
        at = to_time(datetime.now(UTC))
        await self.write(
            lambda connection: (
                connection.execute(
                    "INSERT OR REPLACE INTO heartbeat (id, at) VALUES (1, ?)", (at,)
                ).rowcount
            )
        )
        await self.read(
            lambda connection: connection.execute("SELECT at FROM heartbeat").fetchone()
        )

    def write(self, operation: Callable[[sqlite3.Connection], T]) -> Awaitable[T]:
        """Run ``operation`` on the writer's thread; the result comes when it is on the disk.

        What it raises is raised here, and what it did is undone. Cancellation: it may or may not
        be committed.

        Raises:
            StoreUnavailableError: The transaction failed, or the database is not open.
        """
        if self.writer is None:
            raise closed()
        return self.writer.submit(operation)

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``query`` on a reader's thread, in one transaction: it sees one moment.

        Raises:
            StoreUnavailableError: The file could not be read, or the database is not open.
        """
        if self.writer is None or self._readers is None:
            raise closed()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._readers, self._query, query)
        except sqlite3.Error as error:
            log.error("store_read_failed", error=str(error))
            raise unavailable(error, "read") from error

    def _query(self, query: Callable[[sqlite3.Connection], T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect_reader(self.path)
            self._read_connections.append(connection)
        connection.execute("BEGIN")
        try:
            return query(connection)
        finally:
            connection.execute("COMMIT")

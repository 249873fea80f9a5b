"""Sessions and their logs in SQLite."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from chatops.access.identity import Person
from chatops.sessions.model import Appended, Entry, Head, NewEntry, Session, SessionChange
from chatops.sessions.ports import MOST_OPEN_QUESTIONS, SessionStore
from chatops.stores.sqlite_database import SqliteDatabase
from chatops.stores.sqlite_entries import ENTRY, Append, appended, entries, keyed
from chatops.stores.values import from_time, key_digest, to_microseconds, to_time

# Without the hint SQLite reads every entry to have them in order; there are few open commands.
_OPEN_COMMANDS = f"""
{ENTRY} AS asked INDEXED BY entries_asked
WHERE kind = 'message' AND command_id IS NOT NULL AND number <= ? AND NOT EXISTS (
    SELECT 1 FROM entries AS result
    WHERE result.command_id = asked.command_id AND result.session_id = asked.session_id
      AND result.kind = 'commandResult'
)
ORDER BY number
"""  # noqa: S608 - made of constants

_OPEN_QUESTIONS = f"""
{ENTRY} INDEXED BY entries_question
WHERE question IS NOT NULL AND session_id = coalesce(?, session_id) ORDER BY number LIMIT ?
"""


class SqliteSessionStore:
    """The durable log on one machine; the contract is :class:`SessionStore`.

    A key is forgotten with its entry, so a retry that comes after :meth:`trim` or :meth:`expire`
    has deleted the entry is a new one.
    """

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def get_session(self, session_id: str) -> Session | None:
        """Return the session, or None."""
        return await self._database.read(lambda connection: _session(connection, session_id))

    async def create_session(self, session: Session) -> tuple[Session, bool]:
        """Create it, without entries, unless it exists."""

        def create(connection: sqlite3.Connection) -> tuple[Session, bool]:
            new = connection.execute(
                "INSERT INTO sessions (id, epoch, title, owner_id, owner_name, created_at,"
                " touched_us, assistant) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO NOTHING",
                (
                    session.id,
                    session.epoch,
                    session.title,
                    session.owner.id,
                    session.owner.name,
                    to_time(session.created_at),
                    to_microseconds(session.created_at),
                    session.assistant,
                ),
            ).rowcount
            return _session(connection, session.id) or session, new == 1

        return await self._database.write(create)

    async def append(
        self, session_id: str, entry: NewEntry, *, change: SessionChange | None = None
    ) -> Appended:
        """Store the entry with the next number, durably, before returning."""
        stored = await self._database.write(Append.of(session_id, entry, change))
        return appended(session_id, entry, stored)

    def heard(self, session_id: str, epoch: str, seq: int) -> None:
        """Do nothing: no other node can share this store."""

    async def read(self, session_id: str, after_seq: int, limit: int) -> Sequence[Entry]:
        """Return at most ``limit`` entries after ``after_seq``, oldest first."""
        return await self._database.read(
            lambda connection: entries(
                connection,
                f"{ENTRY} WHERE session_id = ? AND seq > ? ORDER BY seq LIMIT ?",
                (session_id, after_seq, max(limit, 0)),
            )
        )

    async def read_newest(self, session_id: str, limit: int) -> Sequence[Entry]:
        """Return the newest ``limit`` entries, oldest first."""
        newest = await self._database.read(
            lambda connection: entries(
                connection,
                f"{ENTRY} WHERE session_id = ? ORDER BY seq DESC LIMIT ?",
                (session_id, max(limit, 0)),
            )
        )
        return newest[::-1]

    async def find(self, session_id: str, author_id: str, key: str) -> Entry | None:
        """Return the entry that was stored under this key of the author, or None."""
        digest = key_digest(session_id, author_id, key)
        found = await self._database.read(lambda connection: keyed(connection, digest))
        return found[0] if found else None

    async def heads(self, session_ids: Sequence[str]) -> Mapping[str, Head]:
        """Return where each log ends, of those sessions that exist."""

        def heads(connection: sqlite3.Connection) -> dict[str, Head]:
            found = (_session(connection, session_id) for session_id in session_ids)
            return {one.id: Head(one.epoch, one.last_seq) for one in found if one is not None}

        return await self._database.read(heads)

    async def open_commands(self) -> Sequence[Entry]:
        """Return the commands without result that an earlier server took, oldest first."""
        return await self._database.read(
            lambda connection: entries(connection, _OPEN_COMMANDS, (self._database.found,))
        )

    async def open_questions(self, session_id: str | None = None) -> Sequence[Entry]:
        """Return the messages that ask for an answer which is not stored, oldest first."""
        return await self._database.read(
            lambda connection: entries(
                connection, _OPEN_QUESTIONS, (session_id, MOST_OPEN_QUESTIONS)
            )
        )

    async def trim(self, session_id: str, keep: int) -> None:
        """Delete all but the newest ``keep`` entries."""

        def trim(connection: sqlite3.Connection) -> None:
            session = _session(connection, session_id)
            if session is None or (first := session.last_seq - keep + 1) <= session.first_seq:
                return
            connection.execute(
                "DELETE FROM entries WHERE session_id = ? AND seq < ?", (session_id, first)
            )
            connection.execute(
                "UPDATE sessions SET first_seq = ? WHERE id = ?", (first, session_id)
            )

        await self._database.write(trim)

    async def expire(self, before: datetime) -> Sequence[str]:
        """Delete sessions whose newest entry (or creation) is older; return their ids.

        Their jobs stay, for other sessions may show them; answers still owed to commands of a
        deleted session are not owed any more.
        """

        def expire(connection: sqlite3.Connection) -> list[str]:
            old = [
                row["id"]
                for row in connection.execute(
                    "SELECT id FROM sessions WHERE touched_us < ? ORDER BY touched_us",
                    (to_microseconds(before),),
                ).fetchall()
            ]
            for session_id in old:
                connection.execute("DELETE FROM entries WHERE session_id = ?", (session_id,))
                connection.execute(
                    "DELETE FROM job_askers WHERE session_id = ? AND answered = 0", (session_id,)
                )
                connection.execute("DELETE FROM floors WHERE session_id = ?", (session_id,))
                connection.execute("DELETE FROM sessions WHERE id = ?", (session_id,))
            return old

        return await self._database.write(expire)


def _session(connection: sqlite3.Connection, session_id: str) -> Session | None:
    row = connection.execute("SELECT * FROM sessions WHERE id = ?", (session_id,)).fetchone()
    if row is None:
        return None
    return Session(
        id=row["id"],
        epoch=row["epoch"],
        title=row["title"],
        owner=Person(row["owner_id"], row["owner_name"]),
        created_at=from_time(row["created_at"]),
        last_seq=row["last_seq"],
        first_seq=row["first_seq"],
        assistant=row["assistant"],
    )


if TYPE_CHECKING:
    _: type[SessionStore] = SqliteSessionStore

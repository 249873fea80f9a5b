"""Who answers in which session, in SQLite."""

import secrets
import sqlite3
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chatops.access.identity import Person
from chatops.assistant.ports import FLOOR_LEASE_S, Floor, FloorStore, Saying
from chatops.stores.sqlite_database import SqliteDatabase
from chatops.stores.values import from_json, to_json

_RUNS = "process = :process AND until_s >= :now_s"

_TAKE = """
INSERT INTO floors (session_id, fence, process, until_s)
SELECT id, 1, :process, :until_s FROM sessions WHERE id = :session
ON CONFLICT (session_id) DO UPDATE
SET fence = fence + 1, process = excluded.process, until_s = excluded.until_s
WHERE process IS NULL
RETURNING fence
"""

_KEEP = """
UPDATE floors
SET process = :process, until_s = :until_s, turn = :turn, message_id = :message, text = :text,
    about = :about,
    stopped_by = CASE turn WHEN :turn THEN stopped_by END
WHERE session_id = :session AND fence = :fence AND process IS NOT NULL
RETURNING stopped_by
"""

_GIVE_BACK = """
UPDATE floors SET process = NULL, turn = '', message_id = '', text = '', about = '{}',
    stopped_by = NULL
WHERE session_id = :session AND fence = :fence
RETURNING fence
"""

_STOP = f"""
UPDATE floors SET stopped_by = coalesce(stopped_by, :person)
WHERE session_id = :session AND turn <> '' AND message_id = coalesce(:message, message_id)
  AND {_RUNS}
RETURNING fence
"""  # noqa: S608 - made of constants

_SAYING = f"SELECT * FROM floors WHERE session_id = :session AND {_RUNS}"  # noqa: S608

_LAPSED = f"""
SELECT * FROM floors INDEXED BY floors_held WHERE process IS NOT NULL AND NOT ({_RUNS})
ORDER BY session_id
"""  # noqa: S608

_SEIZE = f"""
UPDATE floors SET fence = fence + 1, process = :process, until_s = :until_s
WHERE session_id = :session AND fence = :fence AND process IS NOT NULL AND NOT ({_RUNS})
RETURNING fence
"""  # noqa: S608


class SqliteFloorStore:
    """Who answers in which session, on one machine; the contract is :class:`FloorStore`.

    A lease names the process that has it, and runs by the clock of that process alone.
    """

    def __init__(self, database: SqliteDatabase, *, lease_s: float = FLOOR_LEASE_S) -> None:
        self._database = database
        self._lease_s = lease_s
        self._process = secrets.token_hex(8)

    async def take(self, session_id: str) -> int | None:
        """Take the floor for the length of a lease; return its fence, or None."""
        taken = await self._change(_TAKE, session=session_id)
        return None if taken is None else taken["fence"]

    async def keep(self, session_id: str, fence: int, saying: Saying) -> Floor | None:
        """Begin the lease anew and say how far the answer is; return the floor as it is then."""
        kept = await self._change(
            _KEEP,
            session=session_id,
            fence=fence,
            turn=saying.turn,
            message=saying.message_id,
            text=saying.text,
            about=to_json(saying.about),
        )
        return None if kept is None else Floor(session_id, fence, saying, _person(kept))

    async def give_back(self, session_id: str, fence: int) -> None:
        """Let others have the floor."""
        await self._change(_GIVE_BACK, session=session_id, fence=fence)

    async def stop(self, session_id: str, person: Person, message_id: str | None = None) -> bool:
        """Note that the person wants the answer that is being given to end."""
        who = to_json([person.id, person.name])
        stopped = await self._change(_STOP, session=session_id, person=who, message=message_id)
        return stopped is not None

    async def saying(self, session_id: str) -> Floor | None:
        """Return the floor of a session if somebody holds it and their lease runs, else None."""
        found = await self._read(_SAYING, session=session_id)
        return _floor(found[0]) if found else None

    async def lapsed(self) -> Sequence[Floor]:
        """Return the floors whose lease is over, or was of an earlier process."""
        return [_floor(row) for row in await self._read(_LAPSED)]

    async def seize(self, session_id: str, fence: int) -> int | None:
        """Take a lapsed floor as it is, its saying included; return the new fence, or None."""
        seized = await self._change(_SEIZE, session=session_id, fence=fence)
        return None if seized is None else seized["fence"]

    async def _change(self, update: str, **values: Any) -> sqlite3.Row | None:
        """Run the fenced ``update``; return its row if it still applied, else None."""

        def change(connection: sqlite3.Connection) -> sqlite3.Row | None:
            rows = connection.execute(update, self._now() | values).fetchall()
            return rows[0] if rows else None

        return await self._database.write(change)

    async def _read(self, query: str, **values: Any) -> list[sqlite3.Row]:
        return await self._database.read(
            lambda connection: connection.execute(query, self._now() | values).fetchall()
        )

    def _now(self) -> dict[str, Any]:
        # Asked for when the statement runs, not when it begins to wait for the writer.
        now_s = time.monotonic()
        return {"process": self._process, "now_s": now_s, "until_s": now_s + self._lease_s}


def _floor(row: sqlite3.Row) -> Floor:
    saying = Saying(row["turn"], row["message_id"], row["text"], from_json(row["about"]))
    return Floor(row["session_id"], row["fence"], saying, _person(row))


def _person(row: sqlite3.Row) -> Person | None:
    who = row["stopped_by"]
    return None if who is None else Person(*from_json(who))


if TYPE_CHECKING:
    _: type[FloorStore] = SqliteFloorStore

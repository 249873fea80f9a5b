"""Entries of the log as rows: how they are read, and how new ones get their numbers."""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self

from chatops.errors import NotFoundError
from chatops.sessions.model import Appended, Entry, NewEntry, Preface, SessionChange
from chatops.stores.sqlite_writer import Joint, NotTogetherError
from chatops.stores.values import from_json, key_digest, to_json

ENTRY = "SELECT session_id, seq, kind, author_id, command_id, payload, preface FROM entries"

_HEADS = """
SELECT json_group_object(id, last_seq) FROM sessions WHERE id IN (SELECT value FROM json_each(?))
"""

_INSERT = """
INSERT INTO entries ({}) VALUES {} ON CONFLICT (key) WHERE key IS NOT NULL DO NOTHING
"""

# Most entries have nothing in the last columns. For each None, as for bytes, sqlite3 looks for an
# adapter, and the search costs more than all else about a value; for a bytearray it does not look.
_COLUMNS = ("session_id", "seq", "kind", "author_id", "payload", "key")
_ALL_COLUMNS = (*_COLUMNS, "command_id", "preface", "question")
_NOTHING = (None, None, None)

_SIZES = (64, 16, 4, 1)
"""Rows of one statement: a few sizes, so that each is compiled once."""

_INSERTS = {
    (len(columns), rows): _INSERT.format(
        ", ".join(columns), ", ".join([f"({', '.join('?' * len(columns))})"] * rows)
    )
    for columns in (_COLUMNS, _ALL_COLUMNS)
    for rows in _SIZES
}

_TOUCH = """
UPDATE sessions SET last_seq = json_extract(head.value, '$[1]'), touched_us = ?
FROM json_each(?) AS head WHERE sessions.id = json_extract(head.value, '$[0]')
"""

_CHANGE = """
UPDATE sessions SET title = coalesce(?, title), assistant = coalesce(?, assistant) WHERE id = ?
"""

_ANSWERED = "UPDATE entries SET question = NULL WHERE session_id = ? AND question = ?"

Row = tuple[str | bytes | bytearray | int | None, ...]


@dataclass(slots=True, eq=False)
class Append(Joint):
    """Stores a row under the next number of its session and returns that, or whose key it has.

    What can be made of an entry beforehand is in it already: the writer's thread should not have
    to touch what another processor made.

    Attributes:
        session_id: The room.
        key: What there is only one entry of (:func:`key_digest`); None for any number.
        values: The columns after ``seq``.
        change: What the entry changes of its session.
        answers: The question that is not open any more.
    """

    session_id: str
    key: bytes | None
    values: Row
    change: SessionChange | None
    answers: str | None

    @classmethod
    def of(cls, session_id: str, new: NewEntry, change: SessionChange | None) -> Self:
        """Return what stores the entry."""
        key = key_digest(session_id, new.author.id, new.key) if new.key else None
        values: Row = (new.kind, new.author.id, to_json(new.payload), key and bytearray(key))
        if new.command_id or new.preface or new.asks:
            values += (
                new.command_id,
                to_json([new.preface.event, new.preface.payload]) if new.preface else None,
                new.payload["id"] if new.asks else None,
            )
        return cls(session_id, key, values, change, new.answers)

    def __call__(self, connection: sqlite3.Connection) -> int | Entry:
        """Store it alone.

        Raises:
            NotFoundError: There is no such session.
        """
        try:
            return self.together(connection, [self])[0]
        except NotTogetherError:  # and nothing was changed, as it is only one
            found = self.key and keyed(connection, self.key)
        if not found:
            raise NotFoundError(
                "There is no such session.", "Join the session first, then try again."
            )
        return found[0]

    @classmethod
    def together(cls, connection: sqlite3.Connection, operations: Sequence[Self]) -> list[int]:
        """Store them in their order, by as few statements as one of them.

        Raises:
            NotTogetherError: A session does not exist, or a key is taken.
        """
        ids = {one.session_id for one in operations}
        (found,) = connection.execute(_HEADS, (to_json([*ids]),)).fetchone()
        heads: dict[str, int] = from_json(found)
        if len(heads) < len(ids):
            raise NotTogetherError
        numbers = []
        for one in operations:
            heads[one.session_id] += 1
            numbers.append(heads[one.session_id])
        rows = [
            (one.session_id, seq, *one.values) for one, seq in zip(operations, numbers, strict=True)
        ]
        _insert(connection, rows)
        connection.execute(_TOUCH, (time.time_ns() // 1000, to_json([*heads.items()])))
        for one in operations:
            if (change := one.change) is not None:
                connection.execute(_CHANGE, (change.title, change.assistant, one.session_id))
            if one.answers is not None:
                connection.execute(_ANSWERED, (one.session_id, one.answers))
        return numbers


def appended(session_id: str, new: NewEntry, stored: int | Entry) -> Appended:
    """Return what became of a new entry, by what :class:`Append` returned."""
    if isinstance(stored, Entry):
        return Appended(stored, duplicate=True)
    payload = {**new.payload, "seq": stored}
    return Appended(
        Entry(session_id, stored, new.kind, new.author.id, payload, new.command_id, new.preface)
    )


def _insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    columns = max(map(len, rows))
    at = 0
    while at < len(rows):
        many = next(size for size in _SIZES if at + size <= len(rows))
        values = chain.from_iterable(
            row if len(row) == columns else row + _NOTHING for row in rows[at : at + many]
        )
        if connection.execute(_INSERTS[columns, many], tuple(values)).rowcount < many:
            raise NotTogetherError
        at += many


def keyed(connection: sqlite3.Connection, key: bytes) -> list[Entry]:
    """Return the entry under the key, a :func:`key_digest`, or nothing."""
    return entries(connection, f"{ENTRY} WHERE key = ?", (key,))


def entries(connection: sqlite3.Connection, query: str, arguments: Row = ()) -> list[Entry]:
    """Return the entries that a query with the columns of :data:`ENTRY` finds."""
    return [
        Entry(
            session_id=row["session_id"],
            seq=row["seq"],
            kind=row["kind"],
            author_id=row["author_id"],
            payload={**from_json(row["payload"]), "seq": row["seq"]},
            command_id=row["command_id"],
            length=len(row["payload"]),
            preface=Preface(*from_json(row["preface"])) if row["preface"] else None,
        )
        for row in connection.execute(query, arguments)
    ]

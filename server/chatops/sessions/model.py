"""A session and the entries of its log, as the domain sees them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from chatops.access.identity import Person

EntryKind = Literal["message", "commandResult"]


@dataclass(frozen=True, slots=True)
class Session:
    """One shared room.

    Attributes:
        id: Chosen by the client that first named it.
        epoch: Random; a new one means that the log began again.
        title: What people call it.
        owner: Who created it.
        created_at: When, UTC.
        last_seq: Number of the newest entry; 0 while there is none.
        first_seq: Number of the oldest entry that is still kept; ``last_seq + 1`` if none is.
    """

    id: str
    epoch: str
    title: str
    owner: Person
    created_at: datetime
    last_seq: int = 0
    first_seq: int = 1


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry before the store has numbered it.

    Attributes:
        kind: Name of the wire event that shows it.
        author: Who did it. Every entry has one.
        payload: The wire payload of that event, all but ``seq``.
        key: Makes a retry harmless: one entry for each (session, author, key).
        command_id: The command that a message asks for, or that a result answers.
    """

    kind: EntryKind
    author: Person
    payload: dict[str, Any]
    key: str | None = None
    command_id: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored entry.

    Attributes:
        session_id: The room.
        seq: 1, 2, 3, ... without holes in a session.
        kind: Name of the wire event that shows it.
        author_id: Who did it.
        payload: The wire payload, ``seq`` included.
        command_id: The command that a message asks for, or that a result answers.
        length: Characters of the payload as JSON, or 0 for an entry that was not read but written.
    """

    session_id: str
    seq: int
    kind: EntryKind
    author_id: str
    payload: dict[str, Any]
    command_id: str | None = None
    length: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Appended:
    """What :meth:`SessionStore.append` did; ``duplicate`` means that it was there already."""

    entry: Entry
    duplicate: bool

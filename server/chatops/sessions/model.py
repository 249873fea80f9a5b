"""A session and the entries of its log, as the domain sees them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from chatops.access.identity import Person

EntryKind = Literal["message", "commandResult"]

AssistantMode = Literal["always", "addressed", "off"]
"""Which messages of a session the assistant answers: all, those to it, none."""


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
        assistant: Which messages the assistant answers.
    """

    id: str
    epoch: str
    title: str
    owner: Person
    created_at: datetime
    last_seq: int = 0
    first_seq: int = 1
    assistant: AssistantMode = "always"


@dataclass(frozen=True, slots=True)
class SessionChange:
    """What an entry changes of its session; None leaves a thing as it is."""

    title: str | None = None
    assistant: AssistantMode | None = None


@dataclass(frozen=True, slots=True)
class Preface:
    """An event of the wire that belongs to an entry: a job's last progress, before its result."""

    event: str
    payload: dict[str, Any]


# What every message makes of these is not frozen: that alone would be a twentieth of its cost.


@dataclass(slots=True)
class NewEntry:
    """An entry before the store has numbered it.

    Attributes:
        kind: Name of the wire event that shows it.
        author: Who did it. Every entry has one.
        payload: The wire payload of that event, all but ``seq``.
        key: Makes a retry harmless: one entry for each (session, author, key).
        command_id: The command that a message asks for, or that a result answers.
        preface: An event that whoever is in the room sees just before the entry, on every node;
            it is stored with the entry, but is not a part of the log that is read later.
        asks: The message wants an answer of the assistant; its turn has the message's id.
        answers: The turn that this message ends. Its key lets each turn have only one end.
    """

    kind: EntryKind
    author: Person
    payload: dict[str, Any]
    key: str | None = None
    command_id: str | None = None
    preface: Preface | None = None
    asks: bool = False
    answers: str | None = None


@dataclass(slots=True)
class Entry:
    """A stored entry.

    Attributes:
        session_id: The room.
        seq: 1, 2, 3, ... without holes in a session.
        kind: Name of the wire event that shows it.
        author_id: Who did it.
        payload: The wire payload, ``seq`` included.
        command_id: The command that a message asks for, or that a result answers.
        preface: The event that is shown just before it.
        length: Characters of the payload as JSON, or 0 for an entry that was not read but written.
    """

    session_id: str
    seq: int
    kind: EntryKind
    author_id: str
    payload: dict[str, Any]
    command_id: str | None = None
    preface: Preface | None = None
    length: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Head:
    """Where a log ends: its epoch, and the number of its newest entry."""

    epoch: str
    last_seq: int


@dataclass(frozen=True, slots=True)
class Hint:
    """What one node tells the others at once; whatever is lost of it, the store still has.

    Attributes:
        session_id: The room.
        event: Name of the event; one with a ``.`` at its front is between nodes alone.
        payload: The event's payload as JSON; empty where the receiver is to read the store.
        seq: Number of the entry that the event shows; 0 for an event that is not of the log.
        epoch: Of the log, where the sender knew it.
        node: Who sent it; filled in by the bus.
    """

    session_id: str
    event: str
    payload: bytes
    seq: int = 0
    epoch: str = ""
    node: str = ""


@dataclass(slots=True)
class Appended:
    """What :meth:`SessionStore.append` did.

    Attributes:
        entry: The stored entry.
        duplicate: It was there already.
        epoch: Of the log it is in, where the store knows it without asking.
    """

    entry: Entry
    duplicate: bool = False
    epoch: str = field(default="", compare=False)

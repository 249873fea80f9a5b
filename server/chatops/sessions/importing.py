"""A session's JSON export, read into a session again.

An entry is imported once, whoever imports it and however often: it is known by the id that it had
first. It keeps its time and its text; its author is ``imported:<id>``, who is nobody that could
act, under the name they had with "(imported)" after it.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from chatops.access.identity import MAX_NAME, Person
from chatops.errors import NotFoundError
from chatops.protocol.base import SessionId, WireModel
from chatops.protocol.events import Author
from chatops.protocol.requests import CommandResultEntry, LogEntry, MessageEntry
from chatops.sessions.entries import notice
from chatops.sessions.export import FORMAT, entries_of
from chatops.sessions.model import NewEntry, SessionChange
from chatops.sessions.ports import SessionStore
from chatops.sessions.service import Sessions

IMPORTED = "imported:"
"""Begins the id of whoever is only known from a file."""

_SUFFIX = " (imported)"

_NOT_KEPT = frozenset({"commandId", "ask", "assistantMode"})
"""Metadata that would have the server act upon an entry that is history."""


class ExportedSession(WireModel):
    """The session as it was."""

    id: SessionId
    title: str = Field(max_length=120)


class SessionExport(WireModel):
    """What ``export?format=json`` gives."""

    format: str = Field(pattern=f"^{FORMAT}$")
    session: ExportedSession
    entries: list[LogEntry]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did.

    Attributes:
        session_id: Where the entries are now.
        imported: How many are new there.
        skipped: How many were there already.
    """

    session_id: str
    imported: int
    skipped: int


async def import_session(
    sessions: Sessions,
    store: SessionStore,
    person: Person,
    export: SessionExport,
    session_id: str | None = None,
) -> Imported:
    """Add the entries of an export to a session, its own or another; a new one gets its title.

    The room sees them as they come, and then who imported them. If it is cancelled or the store
    goes away, those until then are there, and a repeat adds the others.

    Raises:
        NotAllowedError: Not by this person.
        StoreUnavailableError: Some may be missing.
    """
    target = session_id or export.session.id
    is_new = True
    with suppress(NotFoundError):
        await sessions.get(target, person)
        is_new = False
    session = await sessions.enter(target, person)
    known = {_id(entry.payload) async for entry in entries_of(store, session)}
    count = 0
    for entry in export.entries:
        new = _entry(target, entry, export.session.id)
        if _id(new.payload) not in known:
            known.add(_id(new.payload))
            count += not (await sessions.append(target, new)).duplicate
    if count:
        told = f"{person.name} imported {count:,} entries of “{export.session.title}”."
        change = SessionChange(title=export.session.title) if is_new else None
        await sessions.append(target, notice(target, person, told), change=change)
    return Imported(target, count, len(export.entries) - count)


def _id(payload: Mapping[str, Any]) -> str:
    """Return what an entry is known by: a message's id, or the command that a result answers."""
    return str(payload.get("id") or payload["commandId"])


def _entry(session_id: str, entry: LogEntry, exported: str) -> NewEntry:
    payload = entry.model_copy(update={"session_id": session_id}).to_wire()
    del payload["type"], payload["seq"]
    if isinstance(entry, CommandResultEntry):
        author = _stranger(entry.requested_by)
        payload["requestedBy"] = {"id": author.id, "name": author.name}
    else:
        author = _stranger(entry.author or Author(id=entry.role, name=entry.role))
        payload["author"] = {"id": author.id, "name": author.name}
        payload.pop("clientMessageId", None)
        payload["metadata"] = _metadata(entry, exported)
    return NewEntry(entry.type, author, payload, key=f"import:{_id(payload)}")


def _metadata(entry: MessageEntry, exported: str) -> dict[str, Any]:
    told = dict(entry.metadata or {})
    kept = {name: value for name, value in told.items() if name not in _NOT_KEPT}
    return {"imported": {"sessionId": exported, "seq": entry.seq}, **kept}


def _stranger(author: Author) -> Person:
    """Return the author as one of whom this server knows nothing but what the file says."""
    name = author.name.removesuffix(_SUFFIX)[: MAX_NAME - len(_SUFFIX)]
    return Person(IMPORTED + author.id.removeprefix(IMPORTED), name + _SUFFIX)

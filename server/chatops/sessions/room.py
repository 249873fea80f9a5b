"""One room on this node: who is in it, and how far its log has been shown.

Not here: storing. A room only decides what its members see next; see ``docs/topics/delivery.md``.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from chatops.access.identity import Person
from chatops.protocol.base import utc_now
from chatops.sessions.model import Entry
from chatops.sessions.ports import SessionStore

_PAGE = 500
UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Presence:
    """A person in the room, since when."""

    person: Person
    since: datetime


@dataclass(slots=True)
class Room:
    """State of a room with members on this node.

    Attributes:
        lock: Held while the log is shown and while somebody enters, so nothing falls between
            the history a member gets and the first live event.
        cursor: Number of the last entry shown here; ``UNKNOWN`` until the store has been asked.
        members: Who is behind each connection.
        users: Calls that hold the room at this moment; it goes when it has neither these
            nor members.
        presence_due: Whether the members' list is about to be sent.
    """

    session_id: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    cursor: int = UNKNOWN
    members: dict[str, Presence] = field(default_factory=dict)
    users: int = 0
    presence_due: bool = False

    def people(self) -> list[Presence]:
        """Return the members, each person once, the longest present first."""
        first: dict[str, Presence] = {}
        for one in self.members.values():
            seen = first.get(one.person.id)
            if seen is None or one.since < seen.since:
                first[one.person.id] = one
        return sorted(first.values(), key=lambda one: (one.since, one.person.name))

    def people_with(self, person: Person) -> list[Presence]:
        """Return the members and ``person``, who is about to be one."""
        people = self.people()
        if all(one.person.id != person.id for one in people):
            people.append(Presence(person, utc_now()))
        return people

    async def show_until(
        self, seq: int, store: SessionStore, emit: Callable[[Entry], Awaitable[None]]
    ) -> None:
        """Show every entry after the cursor up to at least ``seq``, from the store, in order.

        The caller holds the lock and has set the cursor.
        """
        while self.cursor < seq:
            page = await store.read(self.session_id, self.cursor, _PAGE)
            if not page:
                return
            for entry in page:
                await self.show(entry, emit)

    async def show(self, entry: Entry, emit: Callable[[Entry], Awaitable[None]]) -> None:
        """Show one entry. The caller holds the lock; entries shown before are passed over."""
        if entry.seq > self.cursor:
            self.cursor = entry.seq
            await emit(entry)

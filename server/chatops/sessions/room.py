"""One room on this node: who is in it, and how far its log has been shown.

Not here: storing. A room only decides what its members see next; see ``docs/topics/delivery.md``.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from chatops.access.identity import Person
from chatops.protocol.base import utc_now
from chatops.sessions.model import Entry
from chatops.sessions.ports import SessionStore

_PAGE = 500
UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Presence:
    """A person in the room, since when, behind how many connections."""

    person: Person
    since: datetime
    connections: int = 1


@dataclass(slots=True)
class Room:
    """State of a room with members on this node.

    Attributes:
        lock: Held while the log is shown and while somebody enters, so nothing falls between
            the history a member gets and the first live event.
        cursor: Number of the last entry shown here; ``UNKNOWN`` until the store has been asked.
        members: Id of the person behind each connection.
        present: The people by their id, in the order of their coming.
        users: Calls that hold the room at this moment; it goes when it has neither these
            nor members.
        presence_due: Whether the members' list is about to be sent.
    """

    session_id: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    cursor: int = UNKNOWN
    members: dict[str, str] = field(default_factory=dict)
    present: dict[str, Presence] = field(default_factory=dict)
    users: int = 0
    presence_due: bool = False

    def admit(self, connection_id: str, person: Person) -> None:
        """Note that the person is behind the connection. A repeat may bring another name."""
        before = self.members.get(connection_id)
        if before is not None and before != person.id:
            self.dismiss(connection_id)
        known = self.present.get(person.id)
        added = 0 if before == person.id else 1
        self.members[connection_id] = person.id
        self.present[person.id] = Presence(
            person,
            known.since if known else utc_now(),
            (known.connections if known else 0) + added,
        )

    def dismiss(self, connection_id: str) -> None:
        """Forget the connection, and the person with their last one."""
        person_id = self.members.pop(connection_id, None)
        if person_id is None:
            return
        known = self.present[person_id]
        if known.connections > 1:
            self.present[person_id] = replace(known, connections=known.connections - 1)
        else:
            del self.present[person_id]

    def people(self, limit: int) -> list[Presence]:
        """Return the people who are here, each once, the longest present first."""
        return list(islice(self.present.values(), limit))

    async def show_until(
        self, seq: int, store: SessionStore, emit: Callable[[Entry], None]
    ) -> None:
        """Show every entry after the cursor up to at least ``seq``, from the store, in order.

        The caller holds the lock and has set the cursor.
        """
        while self.cursor < seq:
            page = await store.read(self.session_id, self.cursor, _PAGE)
            if not page:
                return
            for entry in page:
                self.show(entry, emit)

    def show(self, entry: Entry, emit: Callable[[Entry], None]) -> None:
        """Show one entry. The caller holds the lock; entries shown before are passed over."""
        if entry.seq > self.cursor:
            self.cursor = entry.seq
            emit(entry)


class Hold:
    """The room to oneself: ``async with`` waits for its lock, and it is not forgotten meanwhile.

    A class, because what every message passes through should not be a generator each time.
    """

    __slots__ = ("_let_go", "_room")

    def __init__(self, room: Room, let_go: Callable[[Room], None]) -> None:
        self._room = room
        self._let_go = let_go

    async def __aenter__(self) -> Room:
        room = self._room
        room.users += 1
        try:
            await room.lock.acquire()
        except BaseException:
            self._leave()
            raise
        return room

    async def __aexit__(self, *_error: object) -> None:
        self._room.lock.release()
        self._leave()

    def _leave(self) -> None:
        self._room.users -= 1
        self._let_go(self._room)

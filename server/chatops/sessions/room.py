"""One room on this node: who is in it, and how far its log has been shown.

Not here: storing. A room only decides what its members see next; see ``docs/topics/delivery.md``.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from chatops.access.identity import Person
from chatops.protocol.base import utc_now
from chatops.sessions.model import AssistantMode, Entry, Hint
from chatops.sessions.ports import SessionStore

if TYPE_CHECKING:
    from chatops.sessions.streams import Stream

_PAGE = 500
UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Presence:
    """A person in the room, since when, behind how many connections."""

    person: Person
    since: datetime
    connections: int = 1


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Who is in the room on another node: some of them, the longest present first, and how many."""

    people: tuple[Presence, ...]
    total: int


@dataclass(slots=True)
class Room:
    """State of a room with members on this node.

    Attributes:
        lock: Held while the log is shown and while somebody enters, so nothing falls between
            the history a member gets and the first live event.
        cursor: Number of the last entry shown here; ``UNKNOWN`` until the store has been asked.
        epoch: Of the log that the cursor counts in.
        target: Number of the newest entry that is known to be stored.
        ahead: Hints of entries after the next one, by number.
        catching_up: Whether a task is about to show what is missing.
        members: Id of the person behind each connection.
        present: The people by their id, in the order of their coming.
        users: Calls that hold the room at this moment; it goes when it has neither these
            nor members.
        presence_due: Whether the members' list is about to be sent.
        elsewhere: Who is in the room on other nodes.
        followed: Whether other nodes' hints about the room are asked for.
        assistant: Which messages the assistant answers, as of the cursor.
        stream: The message that is being written, as far as the members have seen it.
        streamed: Ids of the newest answers that they have seen as a whole.
    """

    session_id: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    cursor: int = UNKNOWN
    epoch: str = ""
    target: int = 0
    ahead: dict[int, Hint] = field(default_factory=dict)
    catching_up: bool = False
    members: dict[str, str] = field(default_factory=dict)
    present: dict[str, Presence] = field(default_factory=dict)
    users: int = 0
    presence_due: bool = False
    elsewhere: dict[str, Elsewhere] = field(default_factory=dict)
    followed: bool = False
    assistant: AssistantMode = "off"
    stream: "Stream | None" = None
    streamed: deque[str] = field(default_factory=lambda: deque(maxlen=8))

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
        if not self.elsewhere:
            return list(islice(self.present.values(), limit))
        everybody: dict[str, Presence] = dict(self.present)
        for one in (one for other in self.elsewhere.values() for one in other.people):
            known = everybody.get(one.person.id)
            if known is None or one.since < known.since:
                everybody[one.person.id] = one
        return sorted(everybody.values(), key=lambda one: one.since)[:limit]

    def total(self) -> int:
        """Return how many people are here; who is on several nodes may count more than once.

        Once each where the lists of all nodes are whole.
        """
        listed = {one.person.id for other in self.elsewhere.values() for one in other.people}
        unlisted = sum(other.total - len(other.people) for other in self.elsewhere.values())
        return len(self.present.keys() | listed) + unlisted

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


class Rooms:
    """The rooms that somebody on this node is in, or that a call of this moment holds."""

    def __init__(self, forgotten: Callable[[Room], None]) -> None:
        """Make it; ``forgotten`` is told of each room that nobody is in any longer."""
        self._rooms: dict[str, Room] = {}
        self._forgotten = forgotten

    def __iter__(self) -> Iterator[Room]:
        return iter(self._rooms.values())

    def __len__(self) -> int:
        return len(self._rooms)

    def get(self, session_id: str) -> Room | None:
        """Return the room, or None if nobody here is in it."""
        return self._rooms.get(session_id)

    def hold(self, session_id: str) -> Hold:
        """Return the room to be entered by ``async with``; made if it is not there."""
        room = self._rooms.get(session_id)
        if room is None:
            room = self._rooms[session_id] = Room(session_id)
        return Hold(room, self.forget_if_empty)

    def forget_if_empty(self, room: Room) -> None:
        """Let go of a room that has neither members nor callers."""
        if not room.users and not room.members and self._rooms.get(room.session_id) is room:
            del self._rooms[room.session_id]
            self._forgotten(room)

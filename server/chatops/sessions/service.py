"""The shared room: open, join, leave, append; every member sees the same entries in one order.

The store is the log and numbers the entries. The members on this node are shown them exactly in
that order, and a joining member is handed the part it missed; ``docs/topics/delivery.md`` tells why
nothing can fall between the two.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate
from typing import Any

import structlog

from chatops.access.identity import Person
from chatops.access.permissions import Action, Target, authorize
from chatops.errors import NotFoundError
from chatops.protocol.base import MAX_ENTRIES, MAX_PAGE, utc_now
from chatops.protocol.strictjson import encode
from chatops.sessions.entries import client_key, notice
from chatops.sessions.following import Following
from chatops.sessions.model import (
    Appended,
    AssistantMode,
    Entry,
    Hint,
    NewEntry,
    Session,
    SessionChange,
)
from chatops.sessions.ports import Bus, RoomChannel, SessionStore
from chatops.sessions.presence import MAX_MEMBERS_SHOWN, PresenceLists
from chatops.sessions.room import UNKNOWN, Presence, Room, Rooms
from chatops.sessions.streams import Stream, Streams
from chatops.tasks import Supervisor

log = structlog.get_logger(__name__)

_TRIM_EVERY = 100

_MODE_WORDS: Mapping[AssistantMode, str] = {
    "always": "lets the assistant answer every message here.",
    "addressed": "lets the assistant answer only what is said to it: @assistant, or /ask.",
    "off": "switched the assistant off here.",
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a joining member is told; live events continue exactly where ``entries`` ends.

    Attributes:
        session: The room.
        last_seq: Number of the last entry shown here; what comes live is the next.
        entries: Its log after the number asked for, or the newest, oldest first.
        more: The rest did not fit and the room has not been entered; join again.
        gap: Entries that were asked for are no longer kept.
        people: Who is there, the joining person included.
        assistant: Which messages the assistant answers.
        stream: The message that is being written, as far as the room has seen it.
    """

    session: Session
    last_seq: int
    entries: Sequence[Entry]
    more: bool
    gap: bool
    people: Sequence[Presence]
    assistant: AssistantMode
    stream: Stream | None = None


class Sessions:
    """All sessions, as this node sees them.

    Attributes:
        streams: The messages that are being written.
    """

    def __init__(
        self,
        store: SessionStore,
        channel: RoomChannel,
        bus: Bus,
        supervisor: Supervisor,
        *,
        max_entries: int = 0,
        assistant: AssistantMode = "always",
    ) -> None:
        """Make it; ``assistant`` is the mode of sessions that are new."""
        self._store = store
        self._channel = channel
        self._bus = bus
        self._supervisor = supervisor
        self._max_entries = max_entries
        self._assistant = assistant
        self._rooms = Rooms(self._forgotten)
        self._presence = PresenceLists(self._rooms, channel, bus, supervisor)
        self.streams = Streams(self._rooms, channel, bus)
        self._following = Following(
            store,
            channel,
            bus,
            self._rooms,
            self._presence,
            self.streams,
            supervisor,
            self._part_with_all,
        )
        bus.attach(self._following.hear, self._following.doubt, self._presence.node_gone)
        self._of_connection: dict[str, set[str]] = {}

    def open(self) -> None:
        """Begin to keep the rooms up with what other nodes store, if there may be others."""
        if not self._bus.alone:
            self._supervisor.start(self._following.keep_up(), "keep up")

    # ------------------------------------------------------------------ reading

    async def get(self, session_id: str, person: Person) -> Session:
        """Return the session for somebody who may read it.

        Raises:
            NotFoundError: There is none.
            NotAllowedError: Not for this person.
        """
        authorize(person, Action.READ_SESSION, Target(session_id=session_id))
        session = await self._store.get_session(session_id)
        if session is None:
            raise NotFoundError(
                f'There is no session "{session_id}".', "Join it once to create it."
            )
        return session

    async def read(self, session_id: str, after_seq: int, limit: int) -> Sequence[Entry]:
        """Return entries of the log, oldest first. The caller has asked :meth:`get`."""
        return await self._store.read(session_id, after_seq, limit)

    async def read_newest(self, session_id: str, limit: int) -> Sequence[Entry]:
        """Return the newest entries, oldest first. The caller has asked :meth:`get`."""
        return await self._store.read_newest(session_id, limit)

    def people(self, session_id: str) -> list[Presence]:
        """Return who is in the room on this node, the longest present first, 100 at most."""
        room = self._rooms.get(session_id)
        return room.people(MAX_MEMBERS_SHOWN) if room else []

    def is_member(self, connection_id: str, session_id: str) -> bool:
        """Whether the connection is in the room."""
        return session_id in self._of_connection.get(connection_id, ())

    def counts(self) -> tuple[int, int]:
        """Return how many rooms and how many memberships this node holds."""
        return len(self._rooms), sum(len(s) for s in self._of_connection.values())

    async def find(self, session_id: str, author: Person, key: str) -> Entry | None:
        """Return what the author stored under this key of a client, or None."""
        return await self._store.find(session_id, author.id, client_key(key))

    async def stored(self, session_id: str, entry: NewEntry) -> Entry | None:
        """Return what is stored under the key of an entry that has one, and show it, or None."""
        found = await self._store.find(session_id, entry.author.id, entry.key or "")
        if found is not None:
            await self._following.show(found)
        return found

    async def open_questions(self, session_id: str | None = None) -> Sequence[Entry]:
        """Return the messages that wait for the assistant, oldest first, of one session or all."""
        return await self._store.open_questions(session_id)

    async def mode(self, session_id: str) -> AssistantMode:
        """Return which messages the assistant answers.

        Raises:
            NotFoundError: There is no such session.
        """
        room = self._rooms.get(session_id)
        if room is not None and room.cursor != UNKNOWN:
            return room.assistant
        session = await self._store.get_session(session_id)
        if session is None:
            raise NotFoundError(
                f'There is no session "{session_id}".', "Join it once to create it."
            )
        return session.assistant

    async def open_commands(self) -> Sequence[Entry]:
        """Return the commands without result that servers took which are gone, oldest first."""
        return await self._store.open_commands()

    # ------------------------------------------------------------ coming and going

    async def enter(self, session_id: str, person: Person) -> Session:
        """Return the session; create it with ``person`` as its owner if it is new."""
        session = await self._store.get_session(session_id)
        if session is None:
            authorize(person, Action.CREATE_SESSION, Target(session_id=session_id))
            fresh = Session(
                id=session_id,
                epoch=secrets.token_hex(8),
                title=session_id,
                owner=person,
                created_at=utc_now(),
                assistant=self._assistant,
            )
            session, _ = await self._store.create_session(fresh)
        authorize(
            person, Action.JOIN_SESSION, Target(session_id=session_id, owner_id=session.owner.id)
        )
        return session

    async def join(
        self,
        session_id: str,
        connection_id: str,
        person: Person,
        *,
        after_seq: int | None,
        limit: int | None,
        reply: Callable[[Snapshot], None],
    ) -> None:
        """Put the connection into the room and tell it what it missed.

        ``reply`` is called while the room stands still, before the connection can receive a live
        event, so the first event after the snapshot is the one after its last entry. When the
        snapshot does not reach the present (``more``), the room is not entered.
        """
        session = await self.enter(session_id, person)
        async with self._rooms.hold(session_id) as room:
            await self._set_cursor(room, session)
            if after_seq is not None and after_seq > room.cursor:
                # The client has seen more than this room showed: it comes from a faster node.
                await room.show_until(after_seq, self._store, self._following.emit)
            cursor = room.cursor
            entries = await self._missed(session_id, after_seq, limit, cursor)
            reached = entries[-1].seq if entries else max(after_seq or 0, session.first_seq - 1)
            more = after_seq is not None and reached < cursor
            # What is there, not what ``session`` said: the log may have been trimmed since.
            oldest = entries[0].seq if entries else session.first_seq
            gap = after_seq is not None and (after_seq > cursor or after_seq + 1 < oldest)
            if not more:
                room.admit(connection_id, person)
            people = room.people(MAX_MEMBERS_SHOWN)
            self.streams.entered(room)
            stream = room.stream and replace(room.stream)
            try:
                reply(Snapshot(session, cursor, entries, more, gap, people, room.assistant, stream))
            except BaseException:
                room.dismiss(connection_id)
                raise
            if not more:
                self._enter(room, connection_id)

    async def ensure_joined(self, session_id: str, connection_id: str, person: Person) -> None:
        """Join for live events only, unless the connection is in the room already."""
        if self.is_member(connection_id, session_id):
            return
        session = await self.enter(session_id, person)
        async with self._rooms.hold(session_id) as room:
            await self._set_cursor(room, session)
            self.streams.entered(room)
            room.admit(connection_id, person)
            self._enter(room, connection_id)

    def leave(self, session_id: str, connection_id: str) -> None:
        """Take the connection out of the room. A repeat does nothing."""
        joined = self._of_connection.get(connection_id)
        if joined is None or session_id not in joined:
            return
        joined.discard(session_id)
        if not joined:
            del self._of_connection[connection_id]
        self._channel.leave(connection_id, session_id)
        if room := self._rooms.get(session_id):
            room.dismiss(connection_id)
            self._presence.changed(room)
            self._rooms.forget_if_empty(room)

    def drop(self, connection_id: str) -> None:
        """Take the connection out of every room, because it ended."""
        for session_id in list(self._of_connection.get(connection_id, ())):
            self.leave(session_id, connection_id)

    # ------------------------------------------------------------------ writing

    async def append(
        self, session_id: str, entry: NewEntry, *, change: SessionChange | None = None
    ) -> Appended:
        """Store the entry, then show it to the room. A repeat of its key shows nothing twice.

        If it is cancelled between the two, or the store could not say whether it has the entry, a
        repeat, the next entry or the next join shows it.
        """
        done = await self._store.append(session_id, entry, change=change)
        payload = self._following.tell(done)
        await self._following.show(done.entry, payload)
        if self._max_entries and not done.duplicate and done.entry.seq % _TRIM_EVERY == 0:
            await self._store.trim(session_id, self._max_entries)
        return done

    async def rename(self, session_id: str, person: Person, title: str) -> None:
        """Change the title; an entry of the log says who did it."""
        entry = notice(session_id, person, f"{person.name} named this session “{title}”.")
        await self.append(session_id, entry, change=SessionChange(title=title))

    async def set_mode(self, session_id: str, person: Person, mode: AssistantMode) -> None:
        """Change which messages the assistant answers; an entry of the log says who did it."""
        entry = notice(
            session_id,
            person,
            f"{person.name} {_MODE_WORDS[mode]}",
            {"assistantMode": mode},
        )
        await self.append(session_id, entry, change=SessionChange(assistant=mode))

    def emit(self, session_id: str, event: str, payload: dict[str, Any]) -> None:
        """Show something that is not of the log to whoever is in the room now, on any node."""
        told = encode(payload)
        self._channel.emit(session_id, event, told)
        if not self._bus.alone:
            self._bus.publish(Hint(session_id, event, told))

    async def expire(self, before: datetime) -> None:
        """Delete sessions without an entry since ``before``; their members must join anew."""
        for session_id in await self._store.expire(before):
            log.info("session_expired", session_id=session_id)
            if room := self._rooms.get(session_id):
                self._part_with_all(room)

    # ------------------------------------------------------------------ inside

    async def _missed(
        self, session_id: str, after_seq: int | None, limit: int | None, cursor: int
    ) -> list[Entry]:
        if after_seq is None:
            newest = 100 if limit is None else limit
            found = await self._store.read_newest(session_id, newest) if newest else []
        else:
            found = await self._store.read(session_id, after_seq, limit or MAX_ENTRIES)
        # Entries after the cursor are stored but not shown yet: they will come as live events.
        shown = [entry for entry in found if entry.seq <= cursor]
        if after_seq is None:
            return _page(shown[::-1])[::-1]
        return _page(shown)

    async def _set_cursor(self, room: Room, session: Session) -> None:
        if room.cursor == UNKNOWN:
            present = await self._store.get_session(session.id)
            room.cursor = (present or session).last_seq
            room.epoch = (present or session).epoch
            room.assistant = (present or session).assistant

    def _enter(self, room: Room, connection_id: str) -> None:
        self._of_connection.setdefault(connection_id, set()).add(room.session_id)
        self._channel.enter(connection_id, room.session_id)
        if not room.followed:
            room.followed = True
            self._bus.follow(room.session_id)
        self._presence.changed(room)

    def _part_with_all(self, room: Room) -> None:
        """Take everybody out of a room whose log is gone; they must join anew."""
        for connection_id in list(room.members):
            self.leave(room.session_id, connection_id)

    def _forgotten(self, room: Room) -> None:
        if room.followed:
            self._presence.emptied(room)
            self._bus.unfollow(room.session_id)


def _page(entries: Sequence[Entry]) -> list[Entry]:
    """Return as many of the first entries as go into one ack, and one at least."""
    lengths = accumulate(entry.length for entry in entries)
    fitting = sum(1 for length in lengths if length <= MAX_PAGE)
    return list(entries[: max(fitting, 1)])

"""How the rooms of this node keep up with the log, whichever node writes to it.

The store is the log. What other nodes say over the bus are hints: one about the very next entry is
shown at once, as it came; anything else only tells that the store has more, and so does the look
that is taken at the store every other second. ``docs/topics/cluster.md`` has the whole of it.
"""

import asyncio
import random
from collections.abc import Callable, Sequence

import structlog

from chatops.errors import StoreUnavailableError
from chatops.protocol.strictjson import encode
from chatops.sessions.entries import MODE_KEY, mode_in
from chatops.sessions.model import Appended, Entry, Head, Hint
from chatops.sessions.ports import Bus, RoomChannel, SessionStore
from chatops.sessions.presence import PresenceLists
from chatops.sessions.room import UNKNOWN, Room, Rooms
from chatops.sessions.streams import ANSWER, DELTA, WHOLE, Streams, shown_whole
from chatops.tasks import Supervisor

log = structlog.get_logger(__name__)

HEAL_EVERY_S = 2.0
HEAL_EVERY_DEAF_S = 0.5
"""Seconds between looks at the store, while hints come and while they do not."""

_ROOMS_A_LOOK = 500
_AHEAD = 256

_OTHERS_ARE_COMING_S = 0.005
"""Two nodes' hints can overtake each other; a store read is spared by waiting so long."""


class Following:
    """Shows what is stored to the members here, in order, each entry once."""

    def __init__(
        self,
        store: SessionStore,
        channel: RoomChannel,
        bus: Bus,
        rooms: Rooms,
        presence: PresenceLists,
        streams: Streams,
        supervisor: Supervisor,
        lost: Callable[[Room], None],
    ) -> None:
        """Make it; ``lost`` is told of a room whose log is gone or has begun again."""
        self._store = store
        self._channel = channel
        self._bus = bus
        self._rooms = rooms
        self._presence = presence
        self._streams = streams
        self._supervisor = supervisor
        self._lost = lost
        self._doubtful: set[str] = set()
        self._look_now = asyncio.Event()

    # ---------------------------------------------------------------- what was stored here

    def tell(self, done: Appended) -> bytes | None:
        """Tell the other nodes of a new entry; return its payload as JSON if that was made."""
        entry = done.entry
        if self._bus.alone or done.duplicate:
            return None
        payload = encode(entry.payload)
        told = payload if entry.preface is None else b""
        self._bus.publish(Hint(entry.session_id, entry.kind, told, entry.seq, done.epoch))
        return payload

    async def show(self, entry: Entry, payload: bytes | None = None) -> None:
        """Show an entry that was stored here, after all that come before it."""
        room = self._rooms.get(entry.session_id)
        if room is None:
            return
        if entry.seq == room.cursor + 1 and not room.lock.locked():
            self._show_next(room, entry, payload)  # as nearly always: there is nothing to wait for
            return
        async with self._rooms.hold(entry.session_id) as room:
            if room.cursor == UNKNOWN:  # nobody has seen anything yet
                return
            if entry.seq == room.cursor + 1:
                self._show_next(room, entry, payload)
            else:
                await room.show_until(entry.seq, self._store, self.emit)

    def _show_next(self, room: Room, entry: Entry, payload: bytes | None) -> None:
        room.cursor = entry.seq
        self.emit(entry, payload)
        self._show_ahead(room)

    def emit(self, entry: Entry, payload: bytes | None = None) -> None:
        """Hand an entry to the members here."""
        payload = payload or encode(entry.payload)
        if room := self._rooms.get(entry.session_id):
            _note(room, payload)
        if entry.preface is not None:
            self._channel.emit(entry.session_id, entry.preface.event, encode(entry.preface.payload))
        self._channel.emit(entry.session_id, entry.kind, payload)

    # ---------------------------------------------------------------- what others stored

    def hear(self, hint: Hint) -> None:
        """Take a hint of another node."""
        if hint.seq and hint.epoch:
            self._store.heard(hint.session_id, hint.epoch, hint.seq)
        room = self._rooms.get(hint.session_id)
        if room is None or not _live(room):
            return
        if hint.event in (DELTA, WHOLE):
            self._streams.heard(room, hint)
        elif hint.event.startswith("."):
            self._presence.heard(room, hint)
        elif hint.seq == 0:
            self._channel.emit(room.session_id, hint.event, hint.payload)
        elif hint.epoch and hint.epoch != room.epoch:
            self.doubt(room.session_id)
        elif hint.seq == room.cursor + 1 and hint.payload and not room.lock.locked():
            self._show_hint(room, hint)
            self._show_ahead(room)
        elif hint.seq > room.cursor:
            if hint.payload and len(room.ahead) < _AHEAD:
                room.ahead[hint.seq] = hint
            self._catch_up(room, hint.seq)

    def doubt(self, session_id: str | None) -> None:
        """Look into the store soon, for one session or for all: hints may have been lost."""
        known = list(self._rooms) if session_id is None else [self._rooms.get(session_id)]
        for room in known:
            if room is not None and room.members:
                self._doubtful.add(room.session_id)
                self._presence.tell_nodes(room, asking=True)
        self._look_now.set()

    async def keep_up(self) -> None:
        """Look into the store again and again, until cancelled."""
        while True:
            every_s = HEAL_EVERY_S if self._bus.healthy else HEAL_EVERY_DEAF_S
            try:
                async with asyncio.timeout(every_s * random.uniform(0.8, 1.2)):  # noqa: S311
                    await self._look_now.wait()
            except TimeoutError:
                self._doubtful.update(room.session_id for room in self._rooms)
            self._look_now.clear()
            doubtful, self._doubtful = list(self._doubtful), set()
            try:
                await self._look(doubtful)
            except StoreUnavailableError:
                log.warning("heal_failed", rooms=len(doubtful))

    async def _look(self, session_ids: Sequence[str]) -> None:
        """Compare the rooms with the store, and catch up where it has more."""
        for first in range(0, len(session_ids), _ROOMS_A_LOOK):
            part = session_ids[first : first + _ROOMS_A_LOOK]
            found = [self._rooms.get(session_id) for session_id in part]
            known = [(room, room.epoch) for room in found if room is not None and _live(room)]
            heads = await self._store.heads([room.session_id for room, _ in known])
            for room, epoch in known:
                if room.epoch == epoch:
                    self._compare(room, heads.get(room.session_id))

    def _compare(self, room: Room, head: Head | None) -> None:
        if head is None or head.epoch != room.epoch:
            log.info("log_gone", session_id=room.session_id)
            self._lost(room)
        elif head.last_seq > room.cursor:
            self._catch_up(room, head.last_seq)

    def _catch_up(self, room: Room, seq: int) -> None:
        room.target = max(room.target, seq)
        if not room.catching_up:
            room.catching_up = True
            self._supervisor.start(self._catching_up(room), f"catch up {room.session_id}")

    async def _catching_up(self, room: Room) -> None:
        try:
            await asyncio.sleep(_OTHERS_ARE_COMING_S)
            async with self._rooms.hold(room.session_id) as held:
                if held is not room:
                    return
                shown = UNKNOWN
                while shown < room.cursor < room.target:  # which may have moved meanwhile
                    shown = room.cursor
                    self._show_ahead(room)
                    await room.show_until(room.target, self._store, self.emit)
        except StoreUnavailableError:
            log.warning("catch_up_failed", session_id=room.session_id)  # the next look does it
        finally:
            room.catching_up = False
            room.ahead.clear()

    def _show_ahead(self, room: Room) -> None:
        while room.ahead and (hint := room.ahead.pop(room.cursor + 1, None)):
            self._show_hint(room, hint)

    def _show_hint(self, room: Room, hint: Hint) -> None:
        room.cursor = hint.seq
        _note(room, hint.payload)
        self._channel.emit(room.session_id, hint.event, hint.payload)


def _note(room: Room, payload: bytes) -> None:
    """Take from an entry what it changes of the room."""
    # Not by ``in``, which first tries to take the word for an integer and raises inside.
    if payload.find(ANSWER) >= 0:
        shown_whole(room, payload)
    if payload.find(MODE_KEY) >= 0:
        room.assistant = mode_in(payload) or room.assistant


def _live(room: Room) -> bool:
    return bool(room.members) and room.cursor != UNKNOWN

"""Who is in a room, told to the room: here, and from node to node.

Each node tells the others its own people; nobody keeps a list of everybody, so none can be wrong
for longer than a node is silent.
"""

import asyncio
from datetime import datetime
from itertools import islice
from typing import Any

import orjson
import structlog

from chatops.access.identity import Person
from chatops.protocol import events
from chatops.protocol.base import rfc3339
from chatops.protocol.strictjson import encode
from chatops.sessions.model import Hint
from chatops.sessions.ports import Bus, RoomChannel
from chatops.sessions.room import Elsewhere, Presence, Room, Rooms
from chatops.tasks import Supervisor

log = structlog.get_logger(__name__)

# The list of members is sent this long after a change, so that a storm of joins sends few lists;
# a large room waits longer because each list is as long as the room.
_DELAY_S = 0.05
_DELAY_PER_MEMBER_S = 0.001

MAX_MEMBERS_SHOWN = 100
"""People in a list of members: to tell everybody about everybody grows with the square."""

MEMBERS = ".members"
"""Between nodes: who is in the room at the sender's."""

WHO = ".who"
"""The same of a node that has just come to the room, or was deaf: it asks for the others'."""


class PresenceLists:
    """Tells rooms who is in them, soon after that has changed."""

    def __init__(
        self, rooms: Rooms, channel: RoomChannel, bus: Bus, supervisor: Supervisor
    ) -> None:
        self._rooms = rooms
        self._channel = channel
        self._bus = bus
        self._supervisor = supervisor

    def changed(self, room: Room) -> None:
        """Tell the members here, and the other nodes, soon."""
        if room.presence_due or not room.members:
            return
        room.presence_due = True
        self._supervisor.start(self._send(room), f"presence {room.session_id}")

    def emptied(self, room: Room) -> None:
        """Tell the other nodes that nobody here is in the room any longer."""
        if not self._bus.alone:
            self._bus.publish(Hint(room.session_id, MEMBERS, b'{"people":[],"total":0}'))

    def tell_nodes(self, room: Room, *, asking: bool = False) -> None:
        """Tell the other nodes who is in the room here; ask who is there, if ``asking``."""
        people = [
            [one.person.id, one.person.name, rfc3339(one.since)]
            for one in islice(room.present.values(), MAX_MEMBERS_SHOWN)
        ]
        told = encode({"people": people, "total": len(room.present)})
        self._bus.publish(Hint(room.session_id, WHO if asking else MEMBERS, told))

    def heard(self, room: Room, hint: Hint) -> None:
        """Take note of what another node said, and answer if it asked."""
        if hint.event == WHO:
            self.tell_nodes(room)
        there = _elsewhere(hint.payload)
        if there is None:
            log.warning("hint_refused", reason="members of another form")
        elif there.people:
            room.elsewhere[hint.node] = there
            self._show_soon(room)
        elif room.elsewhere.pop(hint.node, None) is not None:
            self._show_soon(room)

    def node_gone(self, node: str) -> None:
        """Forget the people of a node that has gone silent."""
        for room in self._rooms:
            if room.elsewhere.pop(node, None) is not None:
                self._show_soon(room)

    def _show_soon(self, room: Room) -> None:
        """As :meth:`changed`, to the members here alone."""
        if not room.presence_due and room.members:
            room.presence_due = True
            self._supervisor.start(self._send(room, here_alone=True), f"presence {room.session_id}")

    async def _send(self, room: Room, *, here_alone: bool = False) -> None:
        await asyncio.sleep(_DELAY_S + len(room.members) * _DELAY_PER_MEMBER_S)
        room.presence_due = False
        if self._rooms.get(room.session_id) is not room:  # all have left; others may have come
            return
        payload = events.Presence(
            session_id=room.session_id,
            members=[member(one) for one in room.people(MAX_MEMBERS_SHOWN)],
            total=room.total(),
        )
        self._channel.emit(room.session_id, "presence", encode(payload.to_wire()))
        if not self._bus.alone and not here_alone:
            self.tell_nodes(room)


def member(present: Presence) -> events.Member:
    """Return the person in the room as the wire shows them."""
    return events.Member(id=present.person.id, name=present.person.name, since=present.since)


def _elsewhere(told: bytes) -> Elsewhere | None:
    """Return what another node told of its people, or None if that cannot be read."""
    try:
        said: dict[str, Any] = orjson.loads(told)
        people = tuple(
            Presence(Person(str(person_id), str(name)), datetime.fromisoformat(since))
            for person_id, name, since in said["people"][:MAX_MEMBERS_SHOWN]
        )
        return Elsewhere(people, max(int(said["total"]), len(people)))
    except (ValueError, TypeError, KeyError):
        return None

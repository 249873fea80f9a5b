"""One event to every member of a room: encoded once, framed once, the same bytes to each.

What one turn of the loop has for a member (events of its rooms, acks, whispers) leaves in one
write, in the order of its making; every change of membership first lets out what waits. So one
member's events never overtake each other. Streamed text is patient: it waits for more of its kind,
but never for longer than an eye notices, and nothing of its room overtakes it. Members on
long-polling, or on their way from there to a WebSocket, get packets through the library's own
queue.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from engineio import packet as engine_packet
from socketio import AsyncManager
from socketio.base_manager import BaseManager

from chatops.protocol import strictjson
from chatops.realtime.frames import text_frame
from chatops.realtime.transport import Sockets

if TYPE_CHECKING:
    from bidict import bidict

_PATIENT = frozenset({"messageDelta"})
"""Events that wait for others of their room; the text that they carry is read, not watched."""

_PATIENCE_S = 0.02

Members: TypeAlias = "bidict[str, str]"
"""Of a room, as the library has them: Socket.IO ids, and their Engine.IO ids."""

Piece = tuple[str, bytes, list[bytes]]
"""What a room is told in a row: its name, the frames, and the packets that these are of."""


class FanoutManager(AsyncManager):  # type: ignore[misc]  # the library is not typed
    """A client manager of python-socketio for rooms with many members."""

    def __init__(self) -> None:
        super().__init__()
        self.sockets: Sockets | None = None
        self.deliveries = 0
        self._waiting: list[tuple[str, list[bytes]]] = []
        self._due: asyncio.Handle | None = None
        self._patient: dict[str, list[bytes]] = {}
        self._patience: asyncio.TimerHandle | None = None

    async def emit(
        self,
        event: str,
        data: Any,
        namespace: str,
        room: str | None = None,
        skip_sid: Any = None,
        callback: Any = None,
        to: str | None = None,
        **_kwargs: Any,
    ) -> None:
        """Send an event as the library's users do; see :meth:`show`."""
        target = to or room
        if callback is not None or skip_sid is not None or target is None:
            self.flush()
            await super().emit(
                event, data, namespace, room=target, skip_sid=skip_sid, callback=callback
            )
        else:
            self.show(target, event, strictjson.encode(data))

    def show(self, target: str, event: str, payload: bytes) -> None:
        """Send an event to a room, or to one connection (whose id is the name of its room).

        ``payload`` is JSON: what is made once goes to the other nodes too.
        """
        members = self.rooms.get("/", {}).get(target)
        if members is None:
            return
        packet = b'42["%b",%b]' % (event.encode(), payload)
        if event in _PATIENT:
            self._patient.setdefault(target, []).append(packet)
            if self._patience is None:
                loop = asyncio.get_running_loop()
                self._patience = loop.call_later(_PATIENCE_S, self._lose_patience)
        else:
            self._tell(target, members, packet)

    def tell(self, target: str, packet: bytes) -> None:
        """Send a packet to a room or to one connection, after what was for them before."""
        members = self.rooms.get("/", {}).get(target)
        if members is not None:
            self._tell(target, members, packet)

    def _tell(self, target: str, members: Members, packet: bytes) -> None:
        if self._patient:
            rooms = self.rooms["/"]
            alone = target in members  # the room of one connection
            self._hurry([r for r in self._patient if r == target or (alone and target in rooms[r])])
        if self._waiting:
            if self._waiting[-1][0] == target:
                self._waiting[-1][1].append(packet)
            else:
                self._wait(target, [packet])
        elif target in members:
            self._deliver(members.inverse, text_frame(packet), [packet])
        else:
            self._wait(target, [packet])

    def answer(self, connection_id: str, engine_id: str, packet: bytes) -> None:
        """Send a packet to one connection; as :meth:`tell`, at once where nothing waits."""
        if self._waiting or self._patient:
            self.tell(connection_id, packet)
        else:
            self._deliver((engine_id,), text_frame(packet), (packet,))

    def flush(self) -> None:
        """Let out what waits, in the order of its coming."""
        if self._patient:
            self._hurry(list(self._patient))
        if self._due is not None:
            self._due.cancel()
            self._let_out()

    def _wait(self, target: str, packets: list[bytes]) -> None:
        self._waiting.append((target, packets))
        if self._due is None:
            self._due = asyncio.get_running_loop().call_soon(self._let_out)

    def _hurry(self, rooms: Collection[str]) -> None:
        """Let out in this turn what waits patiently for the rooms."""
        for room in rooms:
            self._wait(room, self._patient.pop(room))
        if not self._patient and self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _lose_patience(self) -> None:
        self._patience = None
        self.flush()

    def _let_out(self) -> None:
        self._due = None
        waiting, self._waiting = self._waiting, []
        rooms = self.rooms.get("/", {})
        pieces = [
            (room, b"".join(map(text_frame, packets)), packets)
            for room, packets in waiting
            if room in rooms
        ]
        by_room: dict[str, list[Piece]] = {}
        for piece in pieces:
            by_room.setdefault(piece[0], []).append(piece)
        members = {room: rooms[room].inverse.keys() for room in by_room}
        # Mostly an ack beside an event of its room: the sender first, then the many others at once.
        of_several: set[str] = set()
        if len(by_room) > 1:
            seen: set[str] = set()
            for its_members in members.values():
                of_several |= its_members & seen
                seen.update(its_members)
        if of_several:
            there = {room: its_members & of_several for room, its_members in members.items()}
            own: dict[str, list[Piece]] = {}
            for piece in pieces:
                for engine_id in there[piece[0]]:
                    own.setdefault(engine_id, []).append(piece)
            for engine_id, its_pieces in own.items():
                self._deliver_all((engine_id,), its_pieces)
        for room, its_pieces in by_room.items():
            others: Collection[str] = members[room]
            if of_several:
                others = [one for one in others if one not in of_several]
            self._deliver_all(others, its_pieces)

    def _deliver_all(self, engine_ids: Collection[str], pieces: Sequence[Piece]) -> None:
        _, frames, packets = pieces[0]
        if len(pieces) > 1:
            frames = b"".join([frames for _, frames, _ in pieces])
            packets = [packet for _, _, packets in pieces for packet in packets]
        self._deliver(engine_ids, frames, packets)

    def _deliver(
        self, engine_ids: Collection[str], frames: bytes, packets: Sequence[bytes]
    ) -> None:
        """Give each the frames, which are those of the packets."""
        assert self.sockets is not None  # noqa: S101 - set when the server is made
        peers = self.sockets.peers
        for engine_id in engine_ids:
            peer = peers.get(engine_id)
            if peer is not None and peer.live:
                peer.write(frames)
            else:
                self._enqueue(engine_id, packets)
        self.deliveries += len(engine_ids) * len(packets)

    def _enqueue(self, engine_id: str, packets: Sequence[bytes]) -> None:
        assert self.sockets is not None  # noqa: S101 - set when the server is made
        socket = self.sockets.engine.sockets.get(engine_id)
        if socket is not None and not socket.closed:
            for packet in packets:
                text = packet[1:].decode()
                socket.queue.put_nowait(engine_packet.Packet(engine_packet.MESSAGE, text))

    def register(self, engine_id: str) -> str | None:
        """Make an admitted connection known and return its id; None if it is known already."""
        connection_id: str | None = BaseManager.pre_connect(self, engine_id, "/")
        if connection_id is not None:
            BaseManager.connect(self, connection_id, "/")
        return connection_id

    def unregister(self, connection_id: str) -> None:
        """Forget a connection and every room it is in."""
        self.basic_disconnect(connection_id, "/")

    def basic_enter_room(self, *args: Any, **kwargs: Any) -> None:
        """Put a connection into a room, after what the room was told before."""
        self.flush()
        super().basic_enter_room(*args, **kwargs)

    def basic_leave_room(self, *args: Any, **kwargs: Any) -> None:
        """Take a connection out of a room, after what the room was told before."""
        self.flush()
        super().basic_leave_room(*args, **kwargs)

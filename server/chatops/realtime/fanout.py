"""One event to every member of a room: encoded once, framed once, the same bytes to each.

Events of one turn of the loop leave together, in one write for each member. Whatever goes to a
single member (an ack, a whisper) and every change of membership first lets out what waits, so one
member's events never overtake each other. Members on long-polling, or on their way from there to a
WebSocket, get packets through the library's own queue.
"""

import asyncio
from collections.abc import Collection
from typing import Any

from engineio import packet as engine_packet
from socketio import AsyncManager
from socketio.base_manager import BaseManager

from chatops.protocol import strictjson
from chatops.realtime.frames import text_frame
from chatops.realtime.transport import Sockets


class FanoutManager(AsyncManager):  # type: ignore[misc]  # the library is not typed
    """A client manager of python-socketio for rooms with many members."""

    def __init__(self) -> None:
        super().__init__()
        self.sockets: Sockets | None = None
        self.deliveries = 0
        self._waiting: list[tuple[str, list[bytes]]] = []
        self._due: asyncio.Handle | None = None

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
            self.show(target, event, data)

    def show(self, target: str, event: str, data: Any) -> None:
        """Send an event to a room, or to one connection (whose id is the name of its room)."""
        members = self.rooms.get("/", {}).get(target)
        if not members:
            return
        packet = b"42" + strictjson.encode([event, data])
        if target in members:  # the room of one connection alone
            self.flush()
            self._deliver(members.values(), [packet])
        elif self._waiting and self._waiting[-1][0] == target:
            self._waiting[-1][1].append(packet)
        else:
            self._waiting.append((target, [packet]))
            if self._due is None:
                self._due = asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Let out what waits, in the order of its coming."""
        if self._due is None:
            return
        self._due.cancel()
        self._due = None
        waiting, self._waiting = self._waiting, []
        rooms = self.rooms.get("/", {})
        for room, packets in waiting:
            if members := rooms.get(room):
                self._deliver(members.values(), packets)

    def _deliver(self, engine_ids: Collection[str], packets: list[bytes]) -> None:
        assert self.sockets is not None  # noqa: S101 - set when the server is made
        frames = b"".join(map(text_frame, packets))
        peers = self.sockets.peers
        for engine_id in engine_ids:
            peer = peers.get(engine_id)
            if peer is not None and peer.live:
                peer.write(frames)
            else:
                self._enqueue(engine_id, packets)
        self.deliveries += len(engine_ids) * len(packets)

    def _enqueue(self, engine_id: str, packets: list[bytes]) -> None:
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

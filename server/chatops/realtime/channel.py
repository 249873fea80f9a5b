"""Rooms of this node: a room of the library for each session, under a name no client can choose."""

from typing import TYPE_CHECKING

from chatops.realtime.fanout import FanoutManager
from chatops.realtime.server import ChatServer
from chatops.sessions.ports import RoomChannel


class SocketChannel:
    """The room channel over Socket.IO."""

    def __init__(self, server: ChatServer) -> None:
        self._rooms: FanoutManager = server.manager

    def enter(self, connection_id: str, session_id: str) -> None:
        """Let the connection receive the room's events from now on."""
        if self._rooms.is_connected(connection_id, "/"):
            self._rooms.basic_enter_room(connection_id, "/", _room(session_id))

    def leave(self, connection_id: str, session_id: str) -> None:
        """Stop the room's events to the connection."""
        self._rooms.basic_leave_room(connection_id, "/", _room(session_id))

    def emit(self, session_id: str, event: str, payload: bytes) -> None:
        """Hand the event to every connection in the room."""
        self._rooms.show(_room(session_id), event, payload)


def _room(session_id: str) -> str:
    return f"session:{session_id}"


if TYPE_CHECKING:
    _: type[RoomChannel] = SocketChannel

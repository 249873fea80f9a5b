"""Rooms of this node: a room of the library for each session, under a name no client can choose."""

from typing import TYPE_CHECKING, Any

from chatops.realtime.server import ChatServer
from chatops.sessions.ports import RoomChannel


class SocketChannel:
    """The room channel over Socket.IO."""

    def __init__(self, server: ChatServer) -> None:
        self._server = server

    async def enter(self, connection_id: str, session_id: str) -> None:
        """Let the connection receive the room's events from now on."""
        if self._server.manager.is_connected(connection_id, "/"):
            await self._server.enter_room(connection_id, _room(session_id))

    async def leave(self, connection_id: str, session_id: str) -> None:
        """Stop the room's events to the connection."""
        await self._server.leave_room(connection_id, _room(session_id))

    async def emit(self, session_id: str, event: str, payload: dict[str, Any]) -> None:
        """Hand the event to every connection in the room."""
        await self._server.manager.emit(event, payload, "/", _room(session_id))


def _room(session_id: str) -> str:
    return f"session:{session_id}"


if TYPE_CHECKING:
    _: type[RoomChannel] = SocketChannel

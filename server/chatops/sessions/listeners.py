"""Members of a room who are no sockets: they hear its events in this process, as JSON."""

import asyncio
from typing import TYPE_CHECKING

from chatops.sessions.ports import RoomChannel

MOST_WAITING = 10_000
"""Events that may wait for a listener who does not take them; then it is cut off."""


class Listener:
    """What one of them has heard and not taken yet.

    Attributes:
        cut: Whether it was too slow: what comes from now on is lost to it, the log has it.
    """

    def __init__(self) -> None:
        self.cut = False
        self._heard: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(MOST_WAITING)

    async def next(self) -> tuple[str, bytes]:
        """Return the next event, its name and its payload. Safe to cancel."""
        return await self._heard.get()

    def hear(self, event: str, payload: bytes) -> None:
        """Take an event, or be cut off."""
        if not self.cut:
            try:
                self._heard.put_nowait((event, payload))
            except asyncio.QueueFull:
                self.cut = True


class Listeners:
    """The room channel of sockets, and of listeners beside them."""

    def __init__(self, sockets: RoomChannel) -> None:
        self._sockets = sockets
        self._listeners: dict[str, Listener] = {}
        self._rooms: dict[str, dict[str, Listener]] = {}

    def add(self, connection_id: str) -> Listener:
        """Make a listener under an id that no socket has; enter rooms as with one."""
        listener = self._listeners[connection_id] = Listener()
        return listener

    def remove(self, connection_id: str) -> None:
        """Forget a listener that has left its rooms."""
        self._listeners.pop(connection_id, None)

    def enter(self, connection_id: str, session_id: str) -> None:
        """Let the connection receive the room's events from now on."""
        listener = self._listeners.get(connection_id)
        if listener is None:
            self._sockets.enter(connection_id, session_id)
        else:
            self._rooms.setdefault(session_id, {})[connection_id] = listener

    def leave(self, connection_id: str, session_id: str) -> None:
        """Stop the room's events to the connection."""
        if connection_id not in self._listeners:
            self._sockets.leave(connection_id, session_id)
        elif here := self._rooms.get(session_id):
            here.pop(connection_id, None)
            if not here:
                del self._rooms[session_id]

    def emit(self, session_id: str, event: str, payload: bytes) -> None:
        """Hand the event to every connection in the room."""
        self._sockets.emit(session_id, event, payload)
        for listener in self._rooms.get(session_id, {}).values():
            listener.hear(event, payload)


if TYPE_CHECKING:
    _: type[RoomChannel] = Listeners

"""One connected client: who it is, and the events of it that have not been served yet."""

import asyncio
import itertools
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chatops.access.identity import Person
from chatops.access.rates import TokenBucket
from chatops.realtime.peer import Peer

if TYPE_CHECKING:
    from chatops.realtime.serving import Serving

_run = secrets.token_hex(3)
_count = itertools.count(1)

INBOX = 64
"""Events that may wait. When they do, the socket is not read, so TCP slows the sender down."""


@dataclass(slots=True, eq=False)
class Turn:
    """An event as it arrived, and its turn to be served.

    Attributes:
        connection: Where it came from.
        ack_id: Number of the ack that was asked for, if one was.
        refused: What was wrong with it, if something was.
        passed: The task that goes on with it although the next event may begin, or None.
    """

    _serving: "Serving"
    connection: "Connection"
    name: str
    payload: Any
    ack_id: int | None
    refused: str | None = None
    passed: asyncio.Task[None] | None = None
    _number: int = 0

    @property
    def request_id(self) -> str:
        """Id under which the log has it; most are never asked for theirs."""
        self._number = self._number or next(_count)
        return f"req_{_run}{self._number:x}"

    def reply(self, ack: dict[str, Any]) -> None:
        """Answer the event, if its sender asked for that and is still there."""
        self._serving.reply(self, ack)

    def whisper(self, event: str, payload: dict[str, Any]) -> None:
        """Send an event to where this one came from, and nowhere else."""
        self._serving.whisper(self, event, payload)

    def pass_on(self) -> None:
        """Let the next event begin: this one only waits, for what keeps their order by itself.

        Nothing happens while as many as may wait so already do.
        """
        self._serving.pass_on(self)

    def facts(self) -> dict[str, Any]:
        """Return what every line of the log about it says."""
        payload = self.payload
        named = payload.get("sessionId") if isinstance(payload, dict) else payload
        return {
            "request_id": self.request_id,
            "wire_event": self.name[:64],
            "person": self.connection.person.id,
            "session_id": named[:64] if isinstance(named, str) else None,
        }


@dataclass(slots=True)
class Connection:
    """One Socket.IO connection.

    Attributes:
        id: Socket.IO id; the room of its own events.
        engine_id: Engine.IO id of its transport.
        person: Who is behind it.
        bucket: Its allowance, or None without limits.
        inbox: Events that wait, oldest first.
        serving: The task that works through the inbox, if one does.
        behind: Tasks whose event has passed its turn on and waits to be stored.
        at_once: Events served since it came or the last such task ended, each as it arrived.
        closed: Set when the client is gone; nothing more is served.
        paused: The WebSocket that is not read because the inbox is full.
    """

    id: str
    engine_id: str
    person: Person
    bucket: TokenBucket | None
    inbox: list[Turn] = field(default_factory=list)
    serving: asyncio.Task[None] | None = None
    behind: list[asyncio.Task[None]] = field(default_factory=list)
    at_once: int = 0
    closed: bool = False
    paused: Peer | None = None

    @property
    def busy(self) -> list[asyncio.Task[None]]:
        """The tasks that serve its events at this moment."""
        return self.behind if self.serving is None else [*self.behind, self.serving]

"""Every event of the wire and the models of its payload and ack; all descriptions start here."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from chatops.protocol.base import WireModel
from chatops.protocol.events import (
    BacktestProgress,
    CommandResult,
    Message,
    MessageDelta,
    Presence,
    Refusal,
    WireError,
)
from chatops.protocol.requests import (
    Auth,
    CommandAck,
    CompleteAck,
    CompleteCommand,
    ErrorAck,
    ExecuteCommand,
    JoinAck,
    JoinSession,
    LeaveSession,
    MessageAck,
    OkAck,
    SendMessage,
    StopAck,
    StopGeneration,
)


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """An event from a client.

    Attributes:
        request: Its payload; a ``SessionRequest`` may also be the bare session id.
        ack: What the server answers when it was done; otherwise the answer is ``REFUSED``.
    """

    request: type[WireModel]
    ack: type[OkAck]


CLIENT_EVENTS: Mapping[str, ClientEvent] = MappingProxyType(
    {
        "joinSession": ClientEvent(JoinSession, JoinAck),
        "leaveSession": ClientEvent(LeaveSession, OkAck),
        "sendMessage": ClientEvent(SendMessage, MessageAck),
        "executeCommand": ClientEvent(ExecuteCommand, CommandAck),
        "stopGeneration": ClientEvent(StopGeneration, StopAck),
        "completeCommand": ClientEvent(CompleteCommand, CompleteAck),
    }
)

SERVER_EVENTS: Mapping[str, type[WireModel]] = MappingProxyType(
    {
        "message": Message,
        "backtestProgress": BacktestProgress,
        "commandResult": CommandResult,
        "error": WireError,
        "presence": Presence,
        "messageDelta": MessageDelta,
    }
)

REFUSED = ErrorAck
"""The ack of every event that was not done."""

CONNECT_AUTH = Auth
"""The ``auth`` object of the connect packet."""

CONNECT_REFUSED = Refusal
"""The ``data`` of the connect packet's refusal."""

"""What a frame of either layer may look like; all else is refused before the library sees it.

Each rule answers something the libraries do with such a frame; ``docs/topics/hostile-frames.md``
has the list.
"""

import re
from typing import Any

from socketio import packet

from chatops.protocol import strictjson
from chatops.protocol.base import MAX_PAYLOAD_BYTES
from chatops.protocol.strictjson import StrictJsonError

MAX_POLLED_FRAMES = 16

_EVENT = str(packet.EVENT)

# Type, namespace, ack id, JSON. Binary types (5, 6) and CONNECT_ERROR (4) are not for clients.
_FRAME = re.compile(r"([0-3])(?:(/[^,]*)(?:,|$))?([0-9]{1,15})?(?![0-9])(.*)", re.ASCII | re.DOTALL)


class FrameError(ValueError):
    """The frame is not of the protocol, and the connection that sent it is cut."""


def check_engine_frame(frame: Any, *, upgrading: bool = False) -> str:
    """Return the Engine.IO text frame if a client may send it.

    Args:
        frame: What came.
        upgrading: Whether it came on a WebSocket that is about to replace long-polling.

    Raises:
        FrameError: It is binary, empty, of a type only servers send, or out of place.
    """
    if not isinstance(frame, str):
        raise FrameError("binary frames are not used here")
    if frame[:1] == "4" and frame[1:2] in ("0", "1", "2", "3"):
        return frame
    if frame in ("1", "3") or (upgrading and frame in ("2probe", "5")):
        return frame
    raise FrameError("a frame of an unknown type")


class BadEvent:
    """An event that was refused: still an event, so its sender gets an answer.

    Attributes:
        reason: What is wrong with it, for a person.
    """

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


class StrictPacket(packet.Packet):  # type: ignore[misc]  # the library is not typed
    """A Socket.IO packet as the library sends it, without binary parts."""

    uses_binary_events = False
    json = strictjson


def parse(text: Any) -> tuple[int, str, int | None, Any]:
    """Return the type of a packet, its namespace, the number of the ack asked for, and its data.

    The data of an event are the list of its name and arguments, or a :class:`BadEvent`.

    Raises:
        FrameError: It is not a Socket.IO packet that a client may send.
    """
    if not isinstance(text, str):  # the library reads JSON into some
        raise FrameError("a packet of an unknown type")
    if text[:1] == _EVENT:  # nearly all are: an event of the one namespace
        at = text.find("[", 1, 17)
        digits = text[1:at]
        if at == 1:
            return packet.EVENT, "/", None, _event(text[1:])
        if at > 1 and digits.isascii() and digits.isdecimal():
            return packet.EVENT, "/", int(digits), _event(text[at:])
    found = _FRAME.fullmatch(text)
    if found is None:
        raise FrameError("a packet of an unknown type")
    kind, namespace, ack_id, body = found.groups()
    return (
        int(kind),
        "/" if namespace is None else namespace.partition("?")[0],
        None if ack_id is None else int(ack_id),
        _event(body) if kind == _EVENT else _other(body),
    )


def _event(body: str) -> Any:
    if 4 * len(body) > MAX_PAYLOAD_BYTES and len(body.encode(errors="ignore")) > MAX_PAYLOAD_BYTES:
        return BadEvent(f"The payload is larger than {MAX_PAYLOAD_BYTES // 1024} KiB.")
    try:
        data = strictjson.loads(body)
    except StrictJsonError as error:
        return BadEvent(f"The payload was refused: {error}")
    if not isinstance(data, list) or not data or not isinstance(data[0], str):
        raise FrameError("an event without a name")
    return data


def _other(body: str) -> Any:
    if not body:
        return None
    try:
        return strictjson.loads(body)
    except StrictJsonError as error:
        raise FrameError(f"a packet with bad JSON: {error}") from None

"""Messages that are being written: shown piece by piece, on every node, also to who comes later.

One node writes, and tells the others each piece. A piece that is lost is made good by the whole
text, which the writer tells from time to time; so what a member has seen is always a beginning of
the text, and the next piece continues it. When the log shows the message, its stream is over.
"""

from dataclasses import dataclass
from typing import Any

import orjson
import structlog

from chatops.protocol.strictjson import encode
from chatops.sessions.model import Hint
from chatops.sessions.ports import Bus, RoomChannel
from chatops.sessions.room import Room, Rooms

log = structlog.get_logger(__name__)

DELTA = "messageDelta"

WHOLE = ".stream"
"""Between nodes: the whole text so far."""

ANSWER = b'"role":"assistant"'
"""Stands in the JSON of an answer; in a text, its quotation marks would be escaped.

It may stand in the metadata of another message, too.
"""


@dataclass(slots=True)
class Stream:
    """A message that is being written.

    Attributes:
        message_id: Id that the message will have.
        reply_to: Id of the message that it answers.
        index: Number of its last piece.
        text: All pieces until then.
    """

    message_id: str
    reply_to: str
    index: int = -1
    text: str = ""


class Streams:
    """The messages that are being written in the rooms of this node."""

    def __init__(self, rooms: Rooms, channel: RoomChannel, bus: Bus) -> None:
        self._rooms = rooms
        self._channel = channel
        self._bus = bus
        self._own: dict[str, Stream] = {}

    # ---------------------------------------------------------------- written here

    def write(
        self, session_id: str, message_id: str, reply_to: str, delta: str, doing: str | None = None
    ) -> None:
        """Show one more piece of a message. A session has one such message at a time.

        An empty piece only shows that it is being written, and what its writer is ``doing``.
        """
        stream = self._own.get(session_id)
        if stream is None or stream.message_id != message_id:
            stream = self._own[session_id] = Stream(message_id, reply_to)
        stream.index += 1
        stream.text += delta
        told = _delta(session_id, stream, delta)
        payload = encode(told if doing is None else {**told, "doing": doing})
        room = self._rooms.get(session_id)
        if room is not None and room.members and message_id not in room.streamed:
            room.stream = stream
            self._channel.emit(session_id, DELTA, payload)
        if not self._bus.alone:
            self._bus.publish(Hint(session_id, DELTA, payload))

    def repeat(self, session_id: str) -> None:
        """Tell the other nodes the whole text again, for those that missed a piece."""
        stream = self._own.get(session_id)
        if stream is not None and not self._bus.alone:
            payload = encode(_delta(session_id, stream, stream.text))
            self._bus.publish(Hint(session_id, WHOLE, payload))

    def close(self, session_id: str) -> None:
        """Write no more of the message that is being written here."""
        self._own.pop(session_id, None)

    # ---------------------------------------------------------------- read here

    def entered(self, room: Room) -> None:
        """Note what a member who enters now is told of: all that was written here."""
        if (stream := self._own.get(room.session_id)) is not None:
            room.stream = stream

    def heard(self, room: Room, hint: Hint) -> None:
        """Show a piece that another node wrote, if it continues what was shown."""
        told = _read(hint.payload)
        if told is None:
            log.warning("hint_refused", reason="a stream of another form")
            return
        if told.message_id in room.streamed:
            return  # late: it has been shown as a whole
        shown = room.stream
        if shown is None or shown.message_id != told.message_id:
            shown = Stream(told.message_id, told.reply_to)
        if hint.event == DELTA and told.index == shown.index + 1:
            missing, payload = told.text, hint.payload
        elif hint.event == WHOLE and told.index > shown.index and told.text.startswith(shown.text):
            missing = told.text[len(shown.text) :]
            payload = encode(_delta(room.session_id, told, missing))
        else:
            return  # a piece is missing before it: the whole text will follow
        room.stream = shown
        shown.index = told.index
        shown.text += missing
        self._channel.emit(room.session_id, DELTA, payload)


def shown_whole(room: Room, payload: bytes) -> None:
    """Take note if the room has been shown an answer: its stream is over, and no other."""
    message = orjson.loads(payload)
    if message.get("role") != "assistant":
        return  # what a client says in its metadata
    room.streamed.append(message["id"])
    if room.stream is not None and room.stream.message_id == message["id"]:
        room.stream = None


def _delta(session_id: str, stream: Stream, delta: str) -> dict[str, Any]:
    return {
        "sessionId": session_id,
        "messageId": stream.message_id,
        "replyTo": stream.reply_to,
        "index": stream.index,
        "delta": delta,
    }


def _read(payload: bytes) -> Stream | None:
    try:
        told: dict[str, Any] = orjson.loads(payload)
        return Stream(
            str(told["messageId"]), str(told["replyTo"]), int(told["index"]), str(told["delta"])
        )
    except (ValueError, TypeError, KeyError):
        return None

"""Answers while they are written: their pieces in order, each once, until the message is here."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from link import Payload

_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Writing:
    """A message that is being written.

    Attributes:
        id: Id that the message will have.
        reply_to: Id of the message that it answers.
        index: Number of its last piece.
        text: All pieces until then.
        doing: The command that its writer runs now.
    """

    id: str
    reply_to: str
    index: int
    text: str
    doing: str | None = None


class Streams:
    """What is being written in a room.

    A join tells what was written until then. Pieces that come while it is under way are held back,
    for only its ack shows which of them it has already.

    Attributes:
        written: The messages that are being written, by id.
    """

    def __init__(self) -> None:
        self.written: dict[str, Writing] = {}
        self._ended: deque[str] = deque(maxlen=_REMEMBERED)
        self._held: list[Payload] | None = None

    def hold(self) -> None:
        """Keep the pieces that come from now on until :meth:`joined`."""
        self._held = []

    def joined(self, streams: Iterable[Payload]) -> list[Payload]:
        """Go on from what a join told; return the pieces that had not been shown."""
        before, self.written = self.written, {}
        new = []
        for stream in streams:
            if (known := before.get(stream["messageId"])) is not None:
                self.written[known.id] = known
                stream = {**stream, "content": stream["content"][len(known.text) :]}
            new.append(self._grown({**stream, "delta": stream["content"]}))
        held, self._held = self._held or [], None
        new += [self._grown(piece) for piece in held]
        return [piece for piece in new if piece is not None]

    def add(self, piece: Payload) -> Payload | None:
        """Take a piece; return it with the ``text`` until then, or None: it is not to be shown."""
        if self._held is not None:
            self._held.append(piece)
            return None
        return self._grown(piece)

    def end(self, message_id: str) -> None:
        """Forget a message that is here as a whole, and all its pieces to come."""
        self._ended.append(message_id)
        self.written.pop(message_id, None)

    def _grown(self, piece: Payload) -> Payload | None:
        message_id, index = piece["messageId"], piece["index"]
        known = self.written.get(message_id)
        if message_id in self._ended or (known is not None and index <= known.index):
            return None
        text = (known.text if known else "") + piece["delta"]
        self.written[message_id] = Writing(
            message_id, piece["replyTo"], index, text, piece.get("doing")
        )
        return {**piece, "text": text}

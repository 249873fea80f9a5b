"""One WebSocket after its handshake: bytes in, checked frames out to the server, and back.

aiohttp does the handshake and lends its frame parser; after that nothing of it is kept. A frame is
handed on in the turn of the loop in which it arrives, without a task or a queue between, and what
is written goes to the transport at once, so there is one order for everything a client gets. The
library details that this leans on are held by ``tests/integration/test_libraries.py``.
"""

import asyncio
from typing import Any, Protocol, cast

import structlog
from aiohttp import WSMsgType
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_websocket import WebSocketError

from chatops.realtime.frames import close_frame, pong_frame, text_frame

NORMAL, PROTOCOL_ERROR, TOO_BIG, INTERNAL = 1000, 1002, 1009, 1011

log = structlog.get_logger(__name__)

_TEXT = WSMsgType.TEXT  # the way through the class is a long one

_ABORT_AFTER_S = 5.0


class Owner(Protocol):
    """Who is told what a peer does. Nothing here may raise."""

    def received(self, peer: "Peer", text: str) -> None:
        """Take a text frame."""
        ...

    def broke(self, peer: "Peer", reason: str) -> None:
        """Note a frame that is not of the protocol; the peer closes by itself."""
        ...

    def lost(self, peer: "Peer") -> None:
        """Forget the peer: its connection has ended, for whatever reason."""
        ...

    def choked(self, peer: "Peer") -> None:
        """Note that the peer was cut because more waited for it than may."""
        ...


class _Inbox(WebSocketDataQueue):
    """Where aiohttp's parser puts messages: not a queue here, but the peer itself."""

    def __init__(self, peer: "Peer", loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(cast(BaseProtocol, peer), 2**16, loop=loop)
        self._peer = peer
        self.feed_data = peer.message  # type: ignore[method-assign,assignment]  # one call less

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:  # noqa: ARG002
        self._peer.unparsable(exc)


class Peer(asyncio.Protocol):
    """A connected WebSocket.

    Attributes:
        id: Engine.IO id of the connection.
        written: Bytes handed to the transport so far.
        pinged_at: When it was last sent an Engine.IO ping, monotonic seconds.
        answered: Whether it has answered that ping.
        live: Whether its events go straight to it; not so while an upgrade is under way.
        closing: Set when nothing more is to be written.
    """

    __slots__ = (
        "_answers",
        "_inbox",
        "_limit",
        "_owner",
        "_parser",
        "_reading",
        "_stalled_since",
        "_taken",
        "answered",
        "closing",
        "id",
        "live",
        "pinged_at",
        "transport",
        "written",
    )

    def __init__(
        self,
        peer_id: str,
        transport: asyncio.Transport,
        owner: Owner,
        *,
        max_frame_bytes: int,
        max_waiting_bytes: int,
        now: float,
    ) -> None:
        self.id = peer_id
        self.transport = transport
        self.written = 0
        self.pinged_at = now
        self.answered = True
        self.live = False
        self.closing = False
        self._owner = owner
        self._limit = max_waiting_bytes
        self._answers: list[bytes] | None = None
        self._reading = True
        self._taken = 0
        self._stalled_since = now
        self._inbox = _Inbox(self, asyncio.get_running_loop())
        self._parser = WebSocketReader(self._inbox, max_frame_bytes, False, True)

    @property
    def parser(self) -> Any:
        """The parser that bytes go to before the transport is ours."""
        return self._parser

    # ------------------------------------------------------------ writing

    def write(self, frames: bytes) -> None:
        """Hand whole frames to the transport; cut the peer if more waits than may."""
        if self.closing:
            return
        if self._answers is not None:
            self._answers.append(frames)
            return
        # Before, not after: one long frame is no sign of a client that does not read.
        if self.transport.get_write_buffer_size() > self._limit:
            self._owner.choked(self)
            self.abort()
            return
        self.transport.write(frames)
        self.written += len(frames)

    def send(self, text: bytes) -> None:
        """Send one frame of UTF-8 text."""
        self.write(text_frame(text))

    def close(self, code: int = NORMAL) -> None:
        """Send what waits, for at most 5 seconds, then a close frame, then end the connection."""
        if not self.closing:
            self._let_out_answers()
            self.transport.write(close_frame(code))
            self.closing = True
            self.transport.close()
            asyncio.get_running_loop().call_later(_ABORT_AFTER_S, self.transport.abort)

    def abort(self) -> None:
        """End the connection now, whatever waits."""
        self.closing = True
        self.transport.abort()

    def stalled_s(self, now: float) -> float:
        """Return for how many seconds bytes have waited and none was taken.

        To be asked regularly: it compares with what had been taken when it was asked last.
        """
        waiting = self.transport.get_write_buffer_size()
        taken = self.written - waiting
        if not waiting or taken != self._taken:
            self._taken = taken
            self._stalled_since = now
        return now - self._stalled_since

    # ------------------------------------------------------------ reading

    def pause(self) -> None:
        """Stop reading: the sender feels it through TCP."""
        if self._reading and not self.closing:
            self._reading = False
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if not self._reading and not self.closing:
            self._reading = True
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; messages come back through :meth:`message`.

        What is written meanwhile leaves in one write at the end.
        """
        if self.closing:
            return
        self._answers = []
        try:
            self._parser.feed_data(data)
        finally:
            self._let_out_answers()

    def _let_out_answers(self) -> None:
        answers, self._answers = self._answers, None
        if answers:
            self.write(b"".join(answers))

    def message(self, message: Any, _size: int = 0) -> None:
        """Take one parsed message."""
        if self.closing:
            return
        if message.type is _TEXT:
            try:
                self._owner.received(self, message.data)
            except Exception:  # the parser would take it for a bad frame
                log.exception("frame_failed")
                self.close(INTERNAL)
        elif message.type is WSMsgType.PING:
            self.write(pong_frame(message.data))
        elif message.type is WSMsgType.CLOSE:
            self.close()
        elif message.type is WSMsgType.BINARY:
            self._owner.broke(self, "binary frames are not used here")
            self.close()

    def unparsable(self, error: BaseException) -> None:
        """End a connection whose bytes are not WebSocket frames."""
        code = error.code if isinstance(error, WebSocketError) else PROTOCOL_ERROR
        self._owner.broke(self, "too large a frame" if code == TOO_BIG else "not WebSocket frames")
        self.close(code)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Tell the owner, once."""
        self.closing = True
        self._owner.lost(self)

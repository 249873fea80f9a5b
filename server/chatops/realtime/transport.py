"""Engine.IO over aiohttp: handshake, upgrade, checked polling, heartbeat, and how a socket ends.

A WebSocket leaves the libraries as soon as its handshake is done and lives on as a :class:`Peer`;
long-polling stays the library's, with each posted frame checked. The one place that leans on inner
names of python-engineio and aiohttp; ``tests/integration/test_libraries.py`` fails when an upgrade
changes one of them.
"""

import asyncio
import base64
import hashlib
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any, Protocol

import structlog
from aiohttp import web
from engineio import packet as engine_packet
from engineio.async_drivers import aiohttp as driver

from chatops.realtime.frames import text_frame
from chatops.realtime.guard import MAX_POLLED_FRAMES, FrameError, check_engine_frame
from chatops.realtime.peer import Peer

log = structlog.get_logger(__name__)

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PING = text_frame(b"2")
_EVENT = "42"


class Listener(Protocol):
    """Who is told about frames and ends."""

    def received(self, peer: Peer, packet: str) -> None:
        """Take the Socket.IO packet of a message frame of a WebSocket."""
        ...

    def violated(self, sid: str, reason: str) -> None:
        """Note a frame that is not of the protocol, before its socket is cut."""
        ...


class _Switched(web.StreamResponse):
    """The 101 answer. What follows it on the connection is not HTTP, so it never ends."""

    _length_check = False

    def __init__(self, key: str) -> None:
        super().__init__(status=101)
        digest = hashlib.sha1(key.encode() + _GUID).digest()  # noqa: S324 - RFC 6455 says so
        self.headers["Upgrade"] = "websocket"
        self.headers["Connection"] = "upgrade"
        self.headers["Sec-WebSocket-Accept"] = base64.b64encode(digest).decode()

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing."""


class _Body:
    """A request's body that has been read already, as the library wants to read it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self, length: int) -> bytes:
        return self._body[:length]


class Sockets:
    """The open sockets of an Engine.IO server: the peers of this node, and polling clients.

    Attributes:
        peers: WebSockets by Engine.IO id.
        slow_cut: How many were cut because they did not read.
    """

    def __init__(
        self,
        engine: Any,
        listener: Listener,
        start: Callable[[Coroutine[Any, Any, Any], str], object],
        *,
        max_waiting_bytes: int,
        stall_s: float,
    ) -> None:
        self.engine = engine
        self.peers: dict[str, Peer] = {}
        self.slow_cut = 0
        self._listener = listener
        self._start = start
        self._max_waiting_bytes = max_waiting_bytes
        self._stall_s = stall_s
        engine.create_queue = _Waiting
        engine._async = {  # noqa: SLF001 - the library has no other way to bring a transport
            **engine._async,  # noqa: SLF001
            "websocket": lambda handler, _server: _Handshake(self, handler.__self__),
            "translate_request": self._translate,
        }

    # ------------------------------------------------------------ peers

    def adopt(self, socket: Any, request: web.Request) -> None:
        """Take the connection of a finished handshake away from aiohttp."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        peer = Peer(
            socket.sid,
            transport,
            self,
            max_frame_bytes=self.engine.max_http_buffer_size,
            max_waiting_bytes=self._max_waiting_bytes,
            now=asyncio.get_running_loop().time(),
        )
        self.peers[peer.id] = peer
        handler = request.protocol
        handler.set_parser(peer.parser)  # gives the peer what came with the handshake
        transport.set_protocol(peer)
        # aiohttp must not close the transport when its handler returns, nor end our parser.
        handler.transport = None
        handler._payload_parser = None  # noqa: SLF001
        handler.connection_lost(None)
        if not socket.upgrading:  # not from long-polling: a WebSocket from the start
            socket.connected = True
            self._flush(socket, peer)

    def received(self, peer: Peer, text: str) -> None:
        """Take a frame of a WebSocket."""
        if peer.live and text[:2] == _EVENT:
            self._listener.received(peer, text[1:])
            return
        socket = self.engine.sockets.get(peer.id)
        if socket is None:
            peer.close()
            return
        try:
            frame = check_engine_frame(text, upgrading=socket.upgrading)
        except FrameError as error:
            self.broke(peer, str(error))
            peer.close()
            return
        kind = frame[0]
        if socket.upgrading:
            self._upgrade(socket, peer, frame)
        elif kind == "4":
            self._listener.received(peer, frame[1:])
        elif kind == "3":
            peer.answered = True
            socket.last_ping = None
        elif kind == "1":
            peer.close()

    def broke(self, peer: Peer, reason: str) -> None:
        """Note a frame that is not of the protocol."""
        self._listener.violated(peer.id, reason)

    def choked(self, peer: Peer) -> None:
        """Count a peer that did not read."""
        self.slow_cut += 1
        log.warning("slow_client_cut", count=self.slow_cut, written=peer.written)

    def lost(self, peer: Peer) -> None:
        """Close the Engine.IO socket of a connection that has ended."""
        if self.peers.get(peer.id) is peer:
            del self.peers[peer.id]
        socket = self.engine.sockets.get(peer.id)
        if socket is None:
            return
        if socket.upgraded:
            self._start(self.forget(socket), "disconnect")
        else:  # the upgrade failed; long-polling goes on
            socket.upgrading = False

    async def forget(self, socket: Any) -> None:
        """Close the Engine.IO socket whose transport is gone."""
        self.engine.sockets.pop(socket.sid, None)
        await socket.close(wait=False, abort=True, reason=self.engine.reason.TRANSPORT_CLOSE)

    # ------------------------------------------------------------ becoming a WebSocket

    def _upgrade(self, socket: Any, peer: Peer, frame: str) -> None:
        """Answer the probe, then move what waits for the poll to the WebSocket."""
        if frame == "2probe":
            peer.send(b"3probe")
            socket.queue.put_nowait(engine_packet.Packet(engine_packet.NOOP))  # ends the poll
        elif frame == "5":
            self._flush(socket, peer)
        else:
            peer.close()

    def _flush(self, socket: Any, peer: Peer) -> None:
        polled = socket.queue
        for waiting in polled.rest():
            if waiting is not None and waiting.packet_type != engine_packet.NOOP:
                peer.send(waiting.encode().encode())
        socket.queue = _Direct(peer)
        polled.put_nowait(engine_packet.Packet(engine_packet.NOOP))  # if a poll waits, it ends
        socket.upgraded, socket.upgrading = True, False
        socket.last_ping = None  # our heartbeat takes over
        peer.live = True

    # ------------------------------------------------------------ heartbeat and end

    async def beat(self) -> None:
        """Ping clients, and cut those that do not answer or do not read. Runs for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(1.0)
            now = loop.time()
            for peer in list(self.peers.values()):
                if not peer.closing:
                    self._look_after(peer, now)
            for sid, socket in list(self.engine.sockets.items()):
                if socket.closed:
                    self.engine.sockets.pop(sid, None)
                elif not socket.upgraded and not socket.closing:
                    await socket.check_ping_timeout()

    def _look_after(self, peer: Peer, now: float) -> None:
        since_ping_s = now - peer.pinged_at
        if peer.stalled_s(now) >= self._stall_s:
            self.choked(peer)
            peer.abort()
        elif not peer.answered and since_ping_s >= self.engine.ping_timeout:
            peer.abort()
        elif peer.answered and since_ping_s >= self.engine.ping_interval:
            peer.pinged_at, peer.answered = now, False
            peer.write(_PING)

    async def cut(self, sid: str) -> None:
        """End the socket: what is queued goes out first, for at most 5 seconds."""
        if (peer := self.peers.get(sid)) is not None:
            peer.close()
        socket = self.engine.sockets.get(sid)
        if socket is not None and not socket.upgraded:
            await socket.close(wait=False, abort=True, reason=self.engine.reason.SERVER_DISCONNECT)

    def ended(self, sid: str) -> None:
        """Let go of what a closed socket may still have: a poll, an upgrade under way."""
        socket = self.engine.sockets.get(sid)
        if socket is not None and not socket.upgraded:
            socket.queue.put_nowait(engine_packet.Packet(engine_packet.CLOSE))
            socket.queue.put_nowait(None)
        if peer := self.peers.get(sid):
            peer.close()

    # ------------------------------------------------------------ polling

    async def _translate(self, request: web.Request) -> dict[str, Any]:
        """Return the library's view of the request, its posted frames checked."""
        if "j" in request.query:  # a script of any page could read the answer
            raise web.HTTPBadRequest(text="JSONP is not served")
        if _half_asked(request):  # the library would answer with a list, which aiohttp cannot send
            raise web.HTTPBadRequest(text="Bad WebSocket handshake")
        environ: dict[str, Any] = driver.translate_request(request)
        if request.method != "POST":
            return environ
        body = await request.read()
        try:
            frames = body.decode().split("\x1e")
            if len(frames) > MAX_POLLED_FRAMES:
                raise FrameError("too many frames in one request")
            for frame in frames:
                check_engine_frame(frame)
        except (FrameError, UnicodeDecodeError) as error:
            sid = request.query.get("sid", "")
            self._listener.violated(sid, str(error))
            await self.cut(sid)
            raise web.HTTPBadRequest(text="Malformed frame") from None
        environ["wsgi.input"] = _Body(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        return environ


class _Handshake:
    """What the library calls to make a WebSocket of a request."""

    def __init__(self, sockets: Sockets, socket: Any) -> None:
        self._sockets = sockets
        self._socket = socket

    async def __call__(self, environ: dict[str, Any]) -> web.StreamResponse:
        request: web.Request = environ["aiohttp.request"]
        if self._socket.upgrading:
            raise web.HTTPBadRequest(text="An upgrade is under way")
        self._socket.upgrading = self._socket.connected
        try:
            response = _Switched(_key(request))
            await response.prepare(request)
            self._sockets.adopt(self._socket, request)
        except (ConnectionError, web.HTTPBadRequest) as error:
            self._socket.upgrading = False
            if not self._socket.connected:
                await self._sockets.forget(self._socket)
            if isinstance(error, web.HTTPBadRequest):
                raise
            raise web.HTTPBadRequest(text="Gone") from None  # nobody is there to read it
        return response


def _half_asked(request: web.Request) -> bool:
    """Whether the request names a WebSocket but does not ask to become one."""
    wanted = request.headers.get("Connection", "").lower().split(",")
    return request.query.get("transport") == "websocket" and "upgrade" not in map(str.strip, wanted)


def _key(request: web.Request) -> str:
    key = request.headers.get("Sec-WebSocket-Key", "")
    try:
        valid = len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        valid = False
    if not valid or request.headers.get("Sec-WebSocket-Version") != "13":
        raise web.HTTPBadRequest(text="Bad WebSocket handshake")
    return key


class _Waiting(asyncio.Queue[Any]):
    """What waits for a poll. One answer holds no more packets than python-socketio reads in one."""

    _left = 0

    async def get(self) -> Any:
        while True:
            self._left = MAX_POLLED_FRAMES
            with suppress(asyncio.QueueEmpty):  # other polls of the same client took them
                return await super().get()

    def get_nowait(self) -> Any:
        if not self._left:
            raise asyncio.QueueEmpty
        self._left -= 1
        return super().get_nowait()

    def rest(self) -> Iterator[Any]:
        while not self.empty():
            yield super().get_nowait()


class _Direct:
    """Stands where the library has a socket's queue; what is put goes out at once.

    A poll that began before the upgrade ends here: it finds nothing more.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def put(self, packet: Any) -> None:
        self.put_nowait(packet)

    def put_nowait(self, packet: Any) -> None:
        if packet is None:
            self._peer.close()
        else:
            self._peer.send(packet.encode().encode())

    def empty(self) -> bool:
        return True

    def get_nowait(self) -> Any:
        raise asyncio.QueueEmpty

    def task_done(self) -> None:
        return

    async def join(self) -> None:
        return

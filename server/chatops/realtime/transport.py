"""Engine.IO on aiohttp, with every frame checked and every end of a socket noticed at once.

The one place that leans on inner names of python-engineio; ``tests/integration/test_libraries.py``
fails when an upgrade changes one of them.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType, web
from engineio.async_drivers import aiohttp as driver

from chatops.realtime.guard import MAX_POLLED_FRAMES, FrameError, check_engine_frame

Violated = Callable[[str, str], Awaitable[None]]
"""Called with the Engine.IO id and what was wrong, before the socket is cut."""

_ABORT_AFTER_S = 5.0


class _Body:
    """A request's body that has been read already, as the library wants to read it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self, length: int) -> bytes:
        return self._body[:length]


class GuardedWebSocket:
    """The library's WebSocket, uncompressed, that lets no bad frame through.

    The library forgets a socket whose frame it cannot decode and notices only when pings stop, a
    minute later; here every way out of the handler closes the Engine.IO socket.
    """

    def __init__(self, handler: Callable[[Any], Awaitable[None]], _server: Any, sockets: "Sockets"):
        self._handler = handler
        self._engine_socket = handler.__self__  # type: ignore[attr-defined]  # a bound method
        self._sockets = sockets
        self._ws = web.WebSocketResponse(
            compress=False, max_msg_size=sockets.engine.max_http_buffer_size
        )
        self._transport: Any = None

    async def __call__(self, environ: dict[str, Any]) -> web.WebSocketResponse:
        """Serve the socket until it ends."""
        request: web.Request = environ["aiohttp.request"]
        await self._ws.prepare(request)
        self._transport = request.transport
        sid = self._engine_socket.sid
        self._sockets.open[sid] = self
        try:
            await self._handler(self)
        finally:
            if self._sockets.open.get(sid) is self:
                del self._sockets.open[sid]
            if self._engine_socket.upgraded:
                await self._engine_socket.close(
                    wait=False, abort=True, reason=self._sockets.engine.reason.TRANSPORT_CLOSE
                )
                self._sockets.engine.sockets.pop(sid, None)
            else:  # the upgrade failed; long-polling goes on
                self._engine_socket.upgrading = False
        return self._ws

    async def wait(self) -> str:
        """Return the next text frame; raise ``OSError`` when there will be none."""
        message = await self._ws.receive()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            try:
                return check_engine_frame(message.data)
            except FrameError as error:
                await self._sockets.violated(self._engine_socket.sid, str(error))
        raise OSError  # what the library takes for the end of the stream

    async def send(self, message: str) -> None:
        """Send a text frame."""
        await self._ws.send_str(message)

    async def close(self) -> None:
        """Close in good order."""
        await self._ws.close()

    def abort(self) -> None:
        """Cut the TCP connection, whatever is still waiting to be sent."""
        if self._transport is not None:
            self._transport.abort()


class Sockets:
    """The open sockets of an Engine.IO server, and how to end one."""

    def __init__(self, engine: Any, violated: Violated, call_later: Callable[..., Any]) -> None:
        self.engine = engine
        self.violated = violated
        self.open: dict[str, GuardedWebSocket] = {}
        self._call_later = call_later
        engine._async = {  # noqa: SLF001 - the library has no other way to bring a transport
            **engine._async,  # noqa: SLF001
            "websocket": lambda handler, server: GuardedWebSocket(handler, server, self),
            "translate_request": self._translate,
        }

    async def cut(self, sid: str) -> None:
        """End the socket: what is queued goes out first, for at most 5 seconds."""
        socket = self.engine.sockets.get(sid)
        if socket is None:
            return
        if not socket.upgraded:
            await socket.close(wait=False, abort=True, reason=self.engine.reason.SERVER_DISCONNECT)
        elif (ws := self.open.get(sid)) is not None:
            self._call_later(_ABORT_AFTER_S, ws.abort)
        await socket.queue.put(None)

    async def _translate(self, request: web.Request) -> dict[str, Any]:
        """Return the library's view of the request, its posted frames checked."""
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
            await self.violated(sid, str(error))
            await self.cut(sid)
            raise web.HTTPBadRequest(text="Malformed frame") from None
        environ["wsgi.input"] = _Body(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        return environ

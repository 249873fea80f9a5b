"""Processes that share a port: a request of Engine.IO reaches the one that knows its sid.

The kernel gives each connection to any of them. So a sid ends in the number of its process, and
another one that is asked for it passes the connection on (``SCM_RIGHTS``) with the request it has
read. From then on the connection is the owner's, as if accepted there. ADR 8 says why.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from chatops.realtime.server import PATH, ChatServer

log = structlog.get_logger(__name__)

Start = Callable[[Coroutine[Any, Any, Any], str], object]

_TRIES = 250
_TRY_EVERY_S = 0.02
# A body is passed on whole and decoded, and its sender has been told to continue.
_OF_THE_BODY = (b"content-length", b"transfer-encoding", b"content-encoding", b"expect")


class Neighbours:
    """This process among those of its port.

    Args:
        number: Which one it is, from 0; the one started in the place of a dead one has its number.
        fds: For each of them a datagram socket: its own to read, the others' to write.
    """

    def __init__(self, number: int, fds: Sequence[int]) -> None:
        self._number = number
        sockets = [socket.socket(fileno=fd) for fd in fds]
        for one in sockets:
            one.setblocking(False)
            one.set_inheritable(False)
        self._own = sockets[number]
        self._others = {str(n): one for n, one in enumerate(sockets) if n != number}

    def guide(self, server: ChatServer, app: web.Application) -> None:
        """Sign the sids of the server, and pass on what is asked of other processes."""
        new_sid = server.eio.generate_id
        server.eio.generate_id = lambda: f"{new_sid()}.{self._number}"
        app.middlewares.append(self._send_home)

    def open(self, new_handler: Callable[[], asyncio.Protocol], start: Start) -> None:
        """Take what the others pass on, from now until :meth:`close`.

        Args:
            new_handler: Makes the protocol of a connection.
            start: Starts a task under a name.
        """
        loop = asyncio.get_running_loop()
        loop.add_reader(self._own.fileno(), self._take, new_handler, start)

    def close(self) -> None:
        """Take no more. What waits is for the process that comes after this one."""
        asyncio.get_running_loop().remove_reader(self._own.fileno())

    @web.middleware
    async def _send_home(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        number = request.query.get("sid", "").rpartition(".")[2]
        owner = self._others.get(number)
        if owner and request.path in (PATH, PATH + "/") and await _passed(request, owner):
            return web.Response()  # goes nowhere: here the connection is closed
        return await handler(request)

    def _take(self, new_handler: Callable[[], asyncio.Protocol], start: Start) -> None:
        with suppress(BlockingIOError):
            while True:
                _, fds, _, _ = socket.recv_fds(self._own, 1, 2, socket.MSG_CMSG_CLOEXEC)
                if len(fds) < 2:  # the kernel drops what there is no descriptor for
                    log.warning("connection_dropped", reason="too many open files")
                    for fd in fds:
                        os.close(fd)
                    continue
                connection = socket.socket(fileno=fds[0])
                connection.setblocking(False)
                with open(fds[1], "rb") as file:
                    file.seek(0)
                    arrival = _Arrival(new_handler(), file.read())
                start(_adopt(connection, arrival), "passed connection")


class _Arrival(asyncio.Protocol):
    """Gives a connection to its handler, and what another process has read from it."""

    def __init__(self, handler: asyncio.Protocol, read: bytes) -> None:
        self._handler = handler
        self._read = read

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bring what was read before anything can follow it."""
        transport.set_protocol(self._handler)
        self._handler.connection_made(transport)
        self._handler.data_received(self._read)


async def _adopt(connection: socket.socket, arrival: _Arrival) -> None:
    try:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: arrival, connection)
    except OSError:
        connection.close()


async def _passed(request: web.Request, owner: socket.socket) -> bool:
    """Pass the connection on; return whether it is gone from here."""
    body = await request.read()
    for _ in range(_TRIES):
        if _pass(request, body, owner):
            return True
        await asyncio.sleep(_TRY_EVERY_S)
    return False


def _pass(request: web.Request, body: bytes, owner: socket.socket) -> bool:
    """Pass the connection on, unless something still has to leave it or too much waits there.

    Nothing can arrive meanwhile: the loop reads between two turns.
    """
    transport, handler = request.transport, request.protocol
    if transport is None or transport.is_closing():  # nobody is there any more
        return True
    if transport.get_write_buffer_size():
        return False
    if handler._messages:  # noqa: SLF001 - they could not be passed on as they came
        raise web.HTTPBadRequest(text="The next request came before this one was answered")
    # Behind an upgrade everything is a WebSocket's, and kept by aiohttp as it came.
    read = _packed(request, body) + handler._message_tail  # noqa: SLF001
    connection = transport.get_extra_info("socket").fileno()
    try:
        # A file, since a datagram has no room for the longest body.
        with open(os.memfd_create("request"), "wb", buffering=0) as file:
            file.write(read)
            socket.send_fds(owner, [b"."], [connection, file.fileno()])
    except OSError:  # too many wait, or are open here
        return False
    transport.abort()  # closes our descriptor, not the connection
    return True


def _packed(request: web.Request, body: bytes) -> bytes:
    """Return the request as bytes that are parsed to the same again."""
    version = request.version
    lines = [
        f"{request.method} {request.raw_path} HTTP/{version.major}.{version.minor}".encode(
            errors="surrogateescape"
        ),
        *(
            name + b": " + value
            for name, value in request.raw_headers
            if name.lower() not in _OF_THE_BODY
        ),
        *([b"content-length: %d" % len(body)] if body else []),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body

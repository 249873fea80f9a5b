"""Two servers that know each other's sids by their numbers, and connections that go between them.

On asyncio's own loop and on uvloop, since a connection is taken out of one and put into another.
"""

import asyncio
import gzip
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest
import uvloop
from aiohttp import web

from chatops.realtime.connection import Connection, Turn
from chatops.realtime.neighbours import Neighbours
from chatops.realtime.server import ChatServer
from chatops.tasks import Supervisor
from tests.support.keepalive import KeepAlive, target
from tests.support.waiting import until

UPGRADE = (
    "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def on_both_loops(test: Callable[[], Awaitable[None]]) -> Callable[..., None]:
    async def main() -> None:
        await test()

    @pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
    def run(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())

    run.__name__ = test.__name__
    return run


class Listener:
    """Answers each event and remembers how much it said."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    def handle(self, turn: Turn) -> None:
        self.heard.append(len(str(turn.payload)))
        turn.reply({"ok": True})

    def may_overlap(self, _turn: Turn) -> bool:
        return True

    def gone(self, connection: Connection) -> None:
        pass


@dataclass
class Process:
    url: str
    listener: Listener
    server: ChatServer
    neighbours: Neighbours
    open: Callable[[], None]


@asynccontextmanager
async def process(number: int, fds: Sequence[int]) -> AsyncIterator[Process]:
    async def name(_request: web.Request) -> web.Response:
        return web.Response(text=str(number))

    supervisor = Supervisor()
    server, listener, app = ChatServer(supervisor, rate=None), Listener(), web.Application()
    server.attach_to(app, listener)
    app.router.add_get("/name", name)
    neighbours = Neighbours(number, fds)
    neighbours.guide(server, app)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    handlers = runner.server
    assert handlers is not None
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    made = Process(
        url, listener, server, neighbours, lambda: neighbours.open(handlers, supervisor.start)
    )
    made.open()
    try:
        yield made
    finally:
        neighbours.close()
        await server.drain(0.1)
        await runner.cleanup()
        await supervisor.close(0.1)


@asynccontextmanager
async def two() -> AsyncIterator[tuple[Process, Process]]:
    ways = [socket.socketpair(type=socket.SOCK_DGRAM) for _ in range(2)]
    seats = [[os.dup(way[n != number].fileno()) for n, way in enumerate(ways)] for number in (0, 1)]
    async with process(0, seats[0]) as one, process(1, seats[1]) as other:
        yield one, other
    for end in (end for way in ways for end in way):
        end.close()


async def session_of(process: Process) -> str:
    """Return the sid of a client that is connected there."""
    async with KeepAlive(process.url) as way:
        sid = await way.handshake()
        assert await way.post(target(sid), "40") == (200, "OK")
        status, text = await way.get(target(sid))
        assert (status, text[:2]) == (200, "40")
    return sid


@on_both_loops
async def test_each_request_of_a_connection_reaches_the_process_that_knows_its_sid() -> None:
    async with two() as (one, other), KeepAlive(one.url) as way:
        near, far = await session_of(one), await session_of(other)
        assert (near[-2:], far[-2:]) == (".0", ".1")
        for _ in range(20):
            assert await way.get("/name") == (200, "0")
            assert await way.post(target(far), '420["x","far"]') == (200, "OK")
            assert await way.get("/name") == (200, "1"), "the connection is the owner's now"
            assert await way.get(target(far)) == (200, '430[{"ok":true}]')
            assert await way.post(target(near), '420["x","near"]') == (200, "OK")
            assert await way.get(target(near)) == (200, '430[{"ok":true}]')
        assert len(one.listener.heard) == len(other.listener.heard) == 20


@on_both_loops
async def test_a_body_arrives_whole_however_it_was_sent() -> None:
    async with two() as (one, other):
        sid = await session_of(other)
        post = f"POST {target(sid)} HTTP/1.1\r\nHost: x\r\n".encode()
        body = b'42["x","' + b"a" * 2_000 + b'"]'
        zipped = gzip.compress(body)
        length = b"Content-Length: %d\r\n"
        for pieces in (
            [post, length % len(body), b"\r\n", body[:1_000], body[1_000:]],
            [
                post + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body),
                body[:9],
                body[9:],
                b"\r\n0\r\n\r\n",
            ],
            [post + b"Content-Encoding: gzip\r\n" + length % len(zipped) + b"\r\n" + zipped],
            [post + b"Expect: 100-continue\r\n" + length % len(body) + b"\r\n" + body],
        ):
            async with KeepAlive(one.url) as way:
                await way.send(*pieces)
                status, text = await way.answer()
                if status == 100:
                    status, text = await way.answer()
                assert (status, text) == (200, "OK"), pieces[0]
                assert await way.get("/name") == (200, "1")
        assert other.listener.heard == [2_000] * 4

        long = "\x1e".join(['42["x","' + "a" * 60_000 + '"]'] * 16)
        async with KeepAlive(one.url) as way:
            assert await way.post(target(sid), long) == (200, "OK")
        assert other.listener.heard[4:] == [60_000] * 16


@on_both_loops
async def test_an_upgrade_goes_over_with_frames_that_did_not_wait_for_it() -> None:
    async with two() as (one, other), KeepAlive(one.url) as way:
        sid = await session_of(other)
        probe = bytes((0x81, 0x86)) + bytes(4) + b"2probe"
        await way.send(f"GET {target(sid, 'websocket')} HTTP/1.1\r\n{UPGRADE}".encode() + probe)
        assert (await way.answer())[0] == 101
        assert await way.read(8) == b"\x81\x063probe"
        await way.send(bytes((0x81, 0x81)) + bytes(4) + b"5")
        await way.send(bytes((0x81, 0x8E)) + bytes(4) + b'420["x","far"]')
        ack = b'430[{"ok":true}]'
        assert await way.read(2 + len(ack)) == bytes((0x81, len(ack))) + ack
        assert list(other.server.sockets.peers) == [sid]
        assert not one.server.sockets.peers


@on_both_loops
async def test_a_request_behind_it_is_not_lost() -> None:
    async with two() as (one, other), KeepAlive(one.url) as way:
        sid = await session_of(other)
        poll = f"GET {target(sid)} HTTP/1.1\r\nHost: x\r\n\r\n"
        await way.send((poll + "GET /name HTTP/1.1\r\nHost: x\r\n\r\n").encode())
        status, text = await way.answer()
        assert (status, text) == (400, "The next request came before this one was answered")
        assert await way.answer() == (200, "0")


@on_both_loops
async def test_a_sid_that_nobody_has_is_refused_as_always() -> None:
    async with two() as (one, _other), KeepAlive(one.url) as way:
        for sid in ("unknown", "unknown.0", "unknown.1", "unknown.2", "unknown.-1", ".", ".1"):
            status, text = await way.get(target(sid))
            assert (status, "Invalid session" in text) == (400, True)


@on_both_loops
async def test_what_waits_for_a_process_is_served_by_the_one_after_it() -> None:
    async with two() as (one, other), KeepAlive(one.url) as way, KeepAlive(one.url) as lost:
        sid = await session_of(other)
        other.neighbours.close()
        await way.send(f"GET {target(sid)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await lost.send(f"GET {target('before.1')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        other.open()
        assert (await lost.answer())[0] == 400
        assert await lost.post(target(sid), '420["x",1]') == (200, "OK")
        assert await way.answer() == (200, '430[{"ok":true}]')


@on_both_loops
async def test_when_too_many_wait_the_answer_is_that_of_an_unknown_sid() -> None:
    async with two() as (one, other), KeepAlive(one.url) as way:
        other.neighbours.close()
        with socket.socket() as some:
            (way_in,) = one.neighbours._others.values()
            with suppress(BlockingIOError):
                while True:
                    socket.send_fds(way_in, [b"."], [some.fileno()])
        assert (await way.get(target("x.1")))[0] == 400
        other.open()  # drops what is not whole, and goes on
        assert (await way.get(target("x.1")))[0] == 400
        assert await way.get("/name") == (200, "1")


@on_both_loops
async def test_no_descriptor_stays_behind() -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    async with two() as (one, other):
        far, near = await session_of(other), await session_of(one)
        async with KeepAlive(one.url) as way:
            await way.get("/name")
            await asyncio.sleep(0.1)
            before = count()
            for _ in range(25):
                await way.post(target(far), '42["x",1]')
                await way.post(target(near), '42["x",1]')
            await until(lambda: count() == before, 5, "only the connection itself is open")

"""A thousand members of one room, of whom fifty have stopped reading."""

import asyncio
import re
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import picows
import pytest

from tests.support.raw import PATH, RawClient
from tests.support.server import ServerProcess
from tests.support.waiting import until

READERS, DEAF = 950, 50
MESSAGES = 250
CONTENT = "가" * 5_000  # 15 KB of UTF-8, the longest message there is
_AT_ONCE = 50
_SEQ = re.compile(rb'"seq":(\d+)')


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Reader(picows.WSListener):
    """A member that notes the numbers of the messages it sees."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.joined = asyncio.Event()
        self.cut = False
        self.transport: Any = None

    def on_ws_connected(self, transport: Any) -> None:
        self.transport = transport

    def on_ws_disconnected(self, _transport: Any) -> None:
        self.cut = True

    def on_ws_frame(self, _transport: Any, frame: Any) -> None:
        text = frame.get_payload_as_bytes()
        if text.startswith(b'42["message"'):
            assert CONTENT[:100].encode() in text
            self.seen.append(int(_SEQ.findall(text, len(text) - 200)[-1]))
        elif text == b"2":
            self.say("3")
        elif text.startswith(b"0"):
            self.say("40")
        elif text.startswith(b"40"):
            self.say('421["joinSession","desk"]')
        elif text.startswith(b"431"):
            self.joined.set()

    def say(self, text: str) -> None:
        self.transport.send(picows.WSMsgType.TEXT, text.encode())


async def read(url: str, gate: asyncio.Semaphore) -> Reader:
    async with gate:
        reader = Reader()
        await picows.ws_connect(
            lambda: reader,
            f"{url.replace('http', 'ws', 1)}{PATH}?EIO=4&transport=websocket",
            websocket_handshake_timeout=60,
        )
        await asyncio.wait_for(reader.joined.wait(), 60)
        return reader


async def stop_reading(url: str) -> socket.socket:
    """Join, then take nothing more; the socket's own buffer is kept small."""
    where = urlsplit(url)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, (where.hostname, where.port))
    request = (
        f"GET {PATH}?EIO=4&transport=websocket HTTP/1.1\r\nHost: {where.netloc}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    await loop.sock_sendall(sock, request.encode())
    await _until_said(sock, b'"sid"')
    await loop.sock_sendall(sock, masked(b"40") + masked(b'421["joinSession","desk"]'))
    await _until_said(sock, b'431[{"ok":true')
    return sock


def masked(text: bytes) -> bytes:
    return bytes((0x81, 0x80 | len(text))) + bytes(4) + text


async def _until_said(sock: socket.socket, text: bytes) -> None:
    heard = b""
    while text not in heard:
        part = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 4096), 60)
        assert part, f"closed: {heard!r}"
        heard += part


@pytest.mark.timeout(240)
async def test_who_stops_reading_is_cut_and_the_other_950_miss_nothing(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", CHATOPS_RATE_LIMIT="off")
    await server.start()
    deaf: list[socket.socket] = []
    readers: list[Reader] = []
    try:
        gate = asyncio.Semaphore(_AT_ONCE)
        readers = await asyncio.gather(*(read(server.url, gate) for _ in range(READERS)))
        deaf = [await stop_reading(server.url) for _ in range(DEAF)]
        async with RawClient(server.url) as speaker:
            for number in range(MESSAGES):
                message = {"sessionId": "desk", "content": CONTENT}
                ack = await speaker.ask(number, "sendMessage", message)
                assert ack["ok"], ack
        everything = list(range(1, MESSAGES + 1))
        await until(lambda: all(r.seen == everything for r in readers), 60, "all see everything")
        await until(lambda: server.log().count('"slow_client_cut"') == DEAF, 30, "the deaf are cut")
        assert not any(reader.cut for reader in readers)
        assert all(reader.seen == everything for reader in readers)
    finally:
        for sock in deaf:
            sock.close()
        for reader in readers:
            reader.transport.disconnect(False)
        assert await server.stop() == 0

"""One TCP connection that HTTP requests go over one after another, as bytes."""

import asyncio
import json
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.raw import PATH


def target(sid: str = "", transport: str = "polling") -> str:
    """Return what a request of Engine.IO asks for."""
    return f"{PATH}?EIO=4&transport={transport}" + (f"&sid={sid}" if sid else "")


class KeepAlive:
    """The connection, from ``async with``."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self._where = (where.hostname, where.port)
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(*self._where)
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._writer.close()

    async def send(self, *pieces: bytes) -> None:
        """Send bytes, each piece in a packet of its own."""
        for piece in pieces:
            self._writer.write(piece)
            await asyncio.sleep(0.02)

    async def get(self, what: str) -> tuple[int, str]:
        """Ask and return status and text."""
        await self.send(f"GET {what} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return await self.answer()

    async def post(self, what: str, body: str) -> tuple[int, str]:
        """Post and return status and text."""
        head = f"POST {what} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body.encode())}\r\n\r\n"
        await self.send((head + body).encode())
        return await self.answer()

    async def handshake(self) -> str:
        """Open an Engine.IO session and return its id."""
        status, text = await self.get(target())
        assert status == 200, text
        opened: dict[str, Any] = json.loads(text[1:])
        return str(opened["sid"])

    async def answer(self, within_s: float = 10.0) -> tuple[int, str]:
        """Return status and text of the next answer."""
        async with asyncio.timeout(within_s):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
            body = await self._reader.readexactly(length)
        return int(head.split()[1]), body.decode()

    async def read(self, count: int) -> bytes:
        """Return so many bytes as they come."""
        return await asyncio.wait_for(self._reader.readexactly(count), 10)

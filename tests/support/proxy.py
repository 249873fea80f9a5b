"""A TCP proxy on the way to a server, to cut connections where a network would."""

import asyncio
import ssl
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class CuttingProxy:
    """Forwards bytes both ways until it is told to cut; with ``tls`` clients must speak that.

    Attributes:
        url: Where clients connect.
        cuts: Connections cut so far.
    """

    def __init__(self, target: str, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(target)
        self._tls = tls
        self._host, self._port = parts.hostname or "", parts.port or 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.url = ""
        self.cuts = 0
        self._answers = asyncio.Event()
        self._answers.set()
        self._closed = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()

    def cut(self) -> int:
        """Cut every connection at once, in the middle of whatever is under way."""
        cut = len(self._writers)
        for writer in list(self._writers):
            writer.transport.abort()
        self.cuts += cut // 2  # each connection has two ends
        return cut // 2

    def close(self) -> None:
        """Cut every connection, and take no new one until :meth:`open`."""
        self._closed = True
        self.cut()

    def open(self) -> None:
        """Take connections again."""
        self._closed = False

    def close_way_back(self) -> None:
        """Hold back what the server says from now on; what clients say still arrives."""
        self._answers.clear()

    def open_way_back(self) -> None:
        """Let the server's words pass again."""
        self._answers.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._closed:
            writer.transport.abort()
            return
        try:
            onward, back = await asyncio.open_connection(self._host, self._port)
        except OSError:  # the server is down: so is the way to it
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, back))
                both.create_task(self._pump(onward, writer, self._answers))
        finally:
            self._writers -= {writer, back}

    @staticmethod
    async def _pump(
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        gate: asyncio.Event | None = None,
    ) -> None:
        try:
            while data := await reader.read(65_536):
                if gate is not None:
                    await gate.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()

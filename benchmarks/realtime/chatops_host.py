"""Our server as ``chatops serve`` starts it, with the benchmark's orders on its standard input.

The product has no door for this: the orders are added here, in the benchmark's own process, and
an event takes the road that a stored room event takes: :meth:`SocketChannel.emit`.
"""

import asyncio
import platform
import signal
import sys
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

from aiohttp import web

from benchmarks.peers.control import serve_orders
from chatops import __version__, bootstrap, cli
from chatops.protocol import strictjson
from chatops.realtime.channel import SocketChannel


class OrderedNode(bootstrap.Node):
    """The server, and a task that carries out orders."""

    def app(self) -> web.Application:
        """Return the application with the task in its life."""
        app = super().app()
        app.cleanup_ctx.append(self._take_orders)
        return app

    async def _take_orders(self, _app: web.Application) -> AsyncIterator[None]:
        self.supervisor.start(self._orders(), "benchmark orders")
        yield

    async def _orders(self) -> None:
        loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
        about = (
            f"chatops {__version__}, python-socketio {version('python-socketio')}, "
            f"Python {platform.python_version()} {loop}"
        )
        channel = SocketChannel(self.server)

        async def emit(room: str, event: str, payload: dict[str, Any]) -> None:
            channel.emit(room, event, strictjson.encode(payload))

        try:
            await serve_orders(emit, about)
        finally:  # whatever happens: who waits for an answer hears that there is none
            signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    bootstrap.Node = OrderedNode  # type: ignore[misc]  # what the command line will build
    sys.exit(cli.main(["serve", "--port", "0"]))

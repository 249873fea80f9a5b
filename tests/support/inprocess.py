"""A whole server inside the test's own loop, for tests that look at what is left of a client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from chatops.bootstrap import Node
from chatops.settings import Settings


@asynccontextmanager
async def running_node(folder: Path, **settings: object) -> AsyncIterator[tuple[Node, str]]:
    """Yield a node and its URL; the settings are those of the server."""
    chosen = {"backtest_workers": 1, "rate_limit": "off", **settings}
    node = Node(Settings(data_dir=folder / "data", **chosen))  # type: ignore[arg-type]  # any setting
    runner = web.AppRunner(node.app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield node, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def leftovers(node: Node) -> dict[str, int]:
    """Count what a server keeps for its clients; all of it must go with them."""
    rooms = node.server.manager.rooms.get("/", {})
    held_rooms, memberships = node.sessions.counts()
    return {
        "connections": node.server.connected,
        "engine sockets": len(node.server.eio.sockets),
        "peers": len(node.server.sockets.peers),
        "environs": len(node.server.environ),
        "library rooms": sum(1 for members in rooms.values() if members),
        "rooms": held_rooms,
        "memberships": memberships,
    }

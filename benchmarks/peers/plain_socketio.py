"""python-socketio on aiohttp as both come: a room server without a single setting."""

import asyncio
import re
import sys
from importlib.metadata import version
from typing import Any

import socketio
from aiohttp import web

from benchmarks.peers.control import serve_orders

_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def session_of(given: Any) -> str | None:
    """Return the session id of a request, or None if it is not one."""
    found = given.get("sessionId") if isinstance(given, dict) else given
    return found if isinstance(found, str) and _SESSION_ID.fullmatch(found) else None


def room_server() -> socketio.AsyncServer:
    """Return a server whose clients may join and leave rooms."""
    sio = socketio.AsyncServer(async_mode="aiohttp")

    async def join(sid: str, given: Any) -> dict[str, Any]:
        room = session_of(given)
        if room is None:
            return {"ok": False}
        await sio.enter_room(sid, room)
        return {"ok": True}

    async def leave(sid: str, given: Any) -> dict[str, Any]:
        room = session_of(given)
        if room is None:
            return {"ok": False}
        await sio.leave_room(sid, room)
        return {"ok": True}

    sio.on("joinSession", join)
    sio.on("leaveSession", leave)
    return sio


async def main() -> None:
    """Serve on a free port until the standard input ends."""
    sio = room_server()
    app = web.Application()
    sio.attach(app, socketio_path="ws/chatops")
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"listens on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)

    async def emit(room: str, event: str, payload: dict[str, Any]) -> None:
        await sio.emit(event, payload, room=room)

    versions = " ".join(
        f"{name} {version(name)}" for name in ("python-socketio", "python-engineio", "aiohttp")
    )
    await serve_orders(emit, f"{versions}, Python {sys.version.split()[0]} asyncio")
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())

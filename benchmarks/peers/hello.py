"""The least that the same libraries can do: ack a message and show it to its room.

aiohttp and python-socketio as they come; nothing is checked, numbered or stored.
"""

import asyncio
from typing import Any

import socketio
from aiohttp import web


async def serve() -> None:
    """Serve on a free port of this machine until the process is ended."""
    server = socketio.AsyncServer(async_mode="aiohttp")

    async def join(sid: str, session: dict[str, Any]) -> dict[str, Any]:
        await server.enter_room(sid, session["sessionId"])
        return {"ok": True}

    async def send(_sid: str, message: dict[str, Any]) -> dict[str, Any]:
        await server.emit("message", message, room=message["sessionId"])
        return {"ok": True, "message": message}

    server.on("joinSession", join)
    server.on("sendMessage", send)
    app = web.Application()
    server.attach(app, socketio_path="ws/chatops")
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"hello listens on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())

"""The floor below every server: a loop in C that writes the same bytes to the same sockets.

Python makes the WebSocket handshakes and the frames; what is measured is the loop of ``write()``
in ``floor.c``. Without a C compiler the loop is one of ``os.write()``, which costs a little more.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from benchmarks.peers.control import payload, room_name

Loop = Callable[["array[int]", "array[int]", bytes, int, int, int], None]


def c_loop(compiler: str) -> Loop:
    """Return the loop of ``floor.c``, compiled now.

    Raises:
        subprocess.CalledProcessError: It does not compile here.
    """
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "floor.so"
        source = Path(__file__).with_name("floor.c")
        subprocess.run(
            [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], check=True
        )
        write_all = ctypes.CDLL(str(library)).burst
    write_all.restype = ctypes.c_long
    write_all.argtypes = [
        *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int),
        *(ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_int),
    ]

    def loop(
        sockets: array[int],
        room_of: array[int],
        frames: bytes,
        length: int,
        rooms: int,
        events: int,
    ) -> None:
        members = len(sockets)
        addresses = sockets.buffer_info()[0], room_of.buffer_info()[0]
        if write_all(*addresses, members, frames, length, rooms, events) != members * events:
            raise OSError("a member does not read")

    return loop


def python_loop(
    sockets: array[int], room_of: array[int], frames: bytes, length: int, rooms: int, events: int
) -> None:
    """Do what the loop in C does, with ``os.write()``."""
    for event in range(events):
        for socket, room in zip(sockets, room_of, strict=True):
            at = (event * rooms + room) * length
            left = frames[at : at + length]
            while left:
                try:
                    left = left[os.write(socket, left) :]
                except BlockingIOError:
                    select.select([], [socket], [], 5.0)


class Floor:
    """Accepts members as the servers do, and writes to their sockets."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.sockets = array("i")
        self.room_of = array("i")

    async def member(self, request: web.Request) -> web.WebSocketResponse:
        """Answer the Engine.IO and Socket.IO opening and the join, then wait for the end."""
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        await ws.send_str(
            '0{"sid":"s","upgrades":[],"pingInterval":600000,"pingTimeout":600000,'
            '"maxPayload":1000000}'
        )
        async for message in ws:
            if message.data.startswith("40"):
                await ws.send_str('40{"sid":"s"}')
            elif message.data.startswith("42"):
                ack_id, _, rest = message.data[2:].partition("[")
                self.sockets.append(request.get_extra_info("socket").fileno())
                self.room_of.append(int(json.loads("[" + rest)[1].partition("-")[2]))
                await ws.send_str(f'43{ack_id}[{{"ok":true}}]')
        return ws

    def burst(self, order: dict[str, Any], first: int, events: int) -> None:
        """Write ``events`` events to every member."""
        rooms = [room_name(number) for number in range(order["rooms"])]
        models = [
            f"42{json.dumps([order['event'], payload(order, room, 0)], separators=(',', ':'))}"
            for room in rooms
        ]
        frames = b"".join(
            frame(model.replace(":10000000,", f":{10_000_000 + first + number},", 1).encode())
            for number in range(events)
            for model in models
        )
        length = len(frames) // (events * len(rooms))
        self._loop(self.sockets, self.room_of, frames, length, len(rooms), events)

    async def carry_out(self, order: dict[str, Any]) -> None:
        """Send what the order asks for; see ``control.py``."""
        if not order["gap_s"]:
            self.burst(order, order["first"], order["events"])
            return
        began = time.monotonic()
        for done in range(0, order["events"], order["turn"]):
            self.burst(order, order["first"] + done, order["turn"])
            due = began + (done // order["turn"] + 1) * order["gap_s"]
            await asyncio.sleep(max(0.0, due - time.monotonic()))


def frame(text: bytes) -> bytes:
    """Return the unmasked WebSocket text frame of at most 65,535 bytes (RFC 6455, 5.2)."""
    if len(text) < 126:
        return bytes((0x81, len(text))) + text
    return b"\x81\x7e" + len(text).to_bytes(2, "big") + text


async def main() -> None:
    """Serve on a free port until the standard input ends."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    floor = Floor(c_loop(compiler) if compiler else python_loop)
    app = web.Application()
    app.router.add_get("/ws/chatops/", floor.member)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"listens on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    about = "write() in C" if compiler else "os.write() in Python (no C compiler here)"
    while line := await reader.readline():
        order = json.loads(line)
        if order["do"] == "burst":
            await floor.carry_out(order)
        print(json.dumps({"done": order["do"], "about": about}), flush=True)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())

"""How the benchmark orders events from a server under test: JSON lines on its standard input.

``{"do": "burst", "event", "rooms", "events", "bytes", "turn", "gap_s", "first"}`` makes the
server send events ``first``, ``first + 1``, ... to each of the rooms ``room-000``, ``room-001``,
..., ``turn`` of them in one turn of its loop, a turn every ``gap_s`` seconds (0: as fast as it
goes). ``{"do": "about"}`` asks for its versions. Each order is answered by one JSON line; the end
of the input ends the server. Nothing of this is reachable over the network.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

Emit = Callable[[str, str, dict[str, Any]], Awaitable[None]]
"""Sends (room, event, payload) to the members of the room."""

# What `42["message",` and a payload with empty content take, so that frames have the asked size.
_AROUND = len('42["",{"n":10000000,"t":"0000000000000000","sessionId":"room-000","content":""}]')


def room_name(number: int) -> str:
    """Return the name of a room; all have the same length."""
    return f"room-{number:03d}"


def payload(order: dict[str, Any], room: str, number: int) -> dict[str, Any]:
    """Return the payload of event ``number``: its frame has ``order["bytes"]`` bytes of text.

    ``t`` is the moment of sending in microseconds of the system's monotonic clock.
    """
    return {
        "n": 10_000_000 + number,
        "t": f"{time.monotonic_ns() // 1000:016d}",
        "sessionId": room,
        "content": "x" * (order["bytes"] - _AROUND - len(order["event"])),
    }


async def burst(emit: Emit, order: dict[str, Any]) -> None:
    """Send what the order asks for."""
    rooms = [room_name(number) for number in range(order["rooms"])]
    turn, gap_s = order["turn"], order["gap_s"]
    began = time.monotonic()
    for done in range(0, order["events"], turn):
        for number in range(done, min(done + turn, order["events"])):
            for room in rooms:
                await emit(room, order["event"], payload(order, room, order["first"] + number))
        due = began + (done // turn + 1) * gap_s
        await asyncio.sleep(max(0.0, due - time.monotonic()) if gap_s else 0)


async def serve_orders(emit: Emit, about: str) -> None:
    """Carry out the orders on the standard input until it ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        order = json.loads(line)
        if order["do"] == "burst":
            await burst(emit, order)
        print(json.dumps({"done": order["do"], "about": about}), flush=True)

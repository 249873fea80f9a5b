"""Clients of the load, many in one process, over raw WebSocket frames.

Run as ``members.py URL`` it takes orders (see :mod:`benchmarks.realtime.orders`). What it checks of
every event: its number follows the last one of this client, and its bytes run into a CRC that must
be equal for all members of a room at the end.
"""

from __future__ import annotations

import asyncio
import sys
import time
import zlib
from array import array
from collections.abc import Sequence
from typing import Any

import picows
import uvloop

from benchmarks.realtime.orders import serve_orders

_TEXT = picows.WSMsgType.TEXT
_OFFER = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}


class Tally:
    """What all clients together have received, and who waits for how much."""

    def __init__(self) -> None:
        self.ready = 0
        self.events = 0
        self.goal = 0
        self.acks = 0
        self.frames = 0
        self.wrong: list[str] = []
        self.latency_us: array[int] = array("q")
        self.timed = False
        self.changed = asyncio.Event()

    async def until(self, what: str, enough: int, within_s: float) -> None:
        """Wait until the count has reached ``enough``.

        Raises:
            TimeoutError: It has not, with the counts as they stand.
        """
        deadline = time.monotonic() + within_s
        while getattr(self, what) < enough and not self.wrong:
            self.changed.clear()
            try:
                await asyncio.wait_for(self.changed.wait(), 0.25)
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{getattr(self, what)} of {enough} {what}") from None
        if self.wrong:
            raise ValueError(self.wrong[0])


class Member(picows.WSListener):
    """One client: opens, joins at most one room, then counts and checks what comes."""

    def __init__(self, tally: Tally, room: str | None) -> None:
        self.tally = tally
        self.room = room
        self.next: int | None = None
        self.crc = 0
        self.ready = asyncio.Event()
        self.closing = False
        self.transport: Any = None
        self._inflate: Any = None
        self._asked = b""
        self._unasked = 0

    def on_ws_connected(self, transport: Any) -> None:
        """Remember the transport."""
        self.transport = transport

    def on_ws_disconnected(self, _transport: Any) -> None:
        """A server that hangs up while it is measured spoils the figures."""
        if not self.closing:
            self.tally.wrong.append("a client was cut by the server")
            self.ready.set()
            self.tally.changed.set()

    def on_ws_frame(self, _transport: Any, frame: Any) -> None:
        """Take one frame."""
        if frame.msg_type != _TEXT:
            return
        text = frame.get_payload_as_bytes()
        if text == b"2":  # a ping, which comes in the quietest room
            self.say(b"3")
            return
        if frame.rsv1:
            text = self._inflated(text)
        if text.startswith(b'42["message'):
            self._event(text)
        elif text.startswith(b"43"):
            self._acked(text)
        elif not text.startswith(b"42"):
            self._engine(text)
        self.tally.frames += 1

    def _event(self, text: bytes) -> None:
        tally = self.tally
        at = text.find(b'"n":', 10, 40) + 4
        if at == 3:  # another event of the product
            return
        number = int(text[at : at + 8])
        if number != (number if self.next is None else self.next):
            tally.wrong.append(f"event {number} came where {self.next} was due")
        self.next = number + 1
        self.crc = zlib.crc32(text, self.crc)
        if tally.timed:
            sent_us = int(text[at + 14 : at + 30])
            tally.latency_us.append(time.monotonic_ns() // 1000 - sent_us)
        tally.events += 1
        if tally.events >= tally.goal or tally.wrong:
            tally.changed.set()

    def _acked(self, text: bytes) -> None:
        if b'"ok":true' not in text:
            self.tally.wrong.append(f"refused: {text[:200]!r}")
        if self._asked:
            self.tally.acks += 1
            if self._unasked:
                self._unasked -= 1
                self.say(self._asked)
        else:
            self._let_in()
        self.tally.changed.set()

    def _let_in(self) -> None:
        self.ready.set()
        self.tally.ready += 1
        self.tally.changed.set()

    def _engine(self, text: bytes) -> None:
        if text.startswith(b"0"):
            self.say(b"40")
        elif text.startswith(b"40"):
            if self.room is not None:
                self.say(f'420["joinSession","{self.room}"]'.encode())
            else:
                self._let_in()
        else:
            self.tally.wrong.append(f"unexpected: {text[:200]!r}")
            self.tally.changed.set()

    def _inflated(self, text: bytes) -> bytes:
        self._inflate = self._inflate or zlib.decompressobj(-zlib.MAX_WBITS)
        whole: bytes = self._inflate.decompress(text + b"\x00\x00\xff\xff")
        return whole

    def say(self, text: bytes) -> None:
        """Send a text frame."""
        self.transport.send(_TEXT, text)

    def ask(self, text: bytes, window: int, times: int) -> None:
        """Send the event ``times`` times, ``window`` of them without an answer at once."""
        self._asked, self._unasked = text, times - window
        for _ in range(window):
            self.say(text)


class Members:
    """Carries out the orders."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._tally = Tally()
        self._members: list[Member] = []

    async def connect(
        self, numbers: list[int], rooms: int, deflate: bool, at_once: int, within_s: float
    ) -> dict[str, Any]:
        """Connect the clients of ``range(*numbers)``; with ``rooms``, n joins room n modulo rooms.

        ``at_once`` connections are being opened at the same moment, until each has its answer.
        """
        enough = self._tally.ready + len(range(*numbers))
        began = time.monotonic()
        gate = asyncio.Semaphore(at_once)

        async def open_one(number: int) -> Member:
            async with gate:
                member = self._member(f"room-{number % rooms:03d}" if rooms else None)
                await picows.ws_connect(
                    lambda: member,
                    self._url,
                    extra_headers=_OFFER if deflate else None,
                    websocket_handshake_timeout=within_s,
                    read_buffer_init_size=2048,
                )
                await member.ready.wait()
                return member

        try:
            async with asyncio.timeout(within_s):
                self._members += await asyncio.gather(*map(open_one, range(*numbers)))
        except TimeoutError:
            let_in = f"{self._tally.ready} of {enough} clients were let in"
            raise TimeoutError(f"{let_in} within {within_s:.0f} s") from None
        await self._tally.until("ready", enough, within_s)
        return {"wall_s": time.monotonic() - began}

    def _member(self, room: str | None, /) -> Member:
        """Return a client that is not connected yet."""
        return Member(self._tally, room)

    async def quiet(self, for_s: float) -> dict[str, Any]:
        """Return when no frame has come for ``for_s`` seconds."""
        seen = -1
        while seen != self._tally.frames:
            seen = self._tally.frames
            await asyncio.sleep(for_s)
        return {"frames": seen}

    async def expect(self, events: int, within_s: float) -> dict[str, Any]:
        """Return when all members together have received so many events since the start."""
        self._tally.goal = events
        await self._tally.until("events", events, within_s)
        return {"at": time.monotonic()}

    async def time(self, on: bool) -> dict[str, Any]:
        """Begin to measure latency, or stop and return at most 2,000 ranks of it, sorted."""
        self._tally.timed = on
        took = sorted(self._tally.latency_us)
        self._tally.latency_us = array("q")
        return {"sample_us": took[:: max(1, len(took) // 2000)]}

    async def check(self, events: int) -> dict[str, Any]:
        """Return the CRC of each room after ``events`` events.

        Raises:
            ValueError: A member did not receive each of them once, or not the same as another.
        """
        sums: dict[str, int] = {}
        for member in self._members:
            if member.next != 10_000_000 + events:
                raise ValueError(f"a member stands at {member.next}, not after {events} events")
            if sums.setdefault(str(member.room), member.crc) != member.crc:
                raise ValueError(f"members of {member.room} received different bytes")
        if self._tally.events != events * len(self._members):
            raise ValueError(f"{self._tally.events} events in all")
        return {"sums": sums}

    async def acks(self, times: int, window: int, within_s: float) -> dict[str, Any]:
        """Let every member ask for a small event ``times`` times and wait for all answers."""
        began, before = time.monotonic(), self._tally.acks
        for member in self._members:
            member.ask(b'421["leaveSession",{"sessionId":"not-joined"}]', window, times)
        enough = before + times * len(self._members)
        await self._tally.until("acks", enough, within_s)
        return {"wall_s": time.monotonic() - began}

    async def close(self) -> dict[str, Any]:
        """Close every connection."""
        for member in self._members:
            member.closing = True
            member.transport.disconnect(False)
        await asyncio.gather(*(member.transport.wait_disconnected() for member in self._members))
        self._members.clear()
        return {}


async def main(arguments: Sequence[str]) -> None:
    """Carry out the orders on the standard input until it ends."""
    orders = ("connect", "quiet", "expect", "time", "check", "acks", "close")
    await serve_orders(Members(arguments[0]), orders)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))

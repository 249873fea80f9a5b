"""Clients of one node in one room, the first of whom also speaks, over raw WebSocket frames.

Run as ``members.py URL ROOM SPEAKER ORDER`` it takes orders (see
:mod:`benchmarks.realtime.orders`). What it checks of every message: its number follows the last
one of its speaker, and its bytes run into a CRC that must be equal for all members of the room, on
whichever node they are. With the order ``one`` that is one CRC over all, so the speakers' messages
must come in the same order everywhere; with ``each`` it is one for each speaker.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
import zlib
from collections.abc import Sequence
from typing import Any

import uvloop

from benchmarks.realtime.members import Member, Members, Tally
from benchmarks.realtime.orders import serve_orders

_MARK = b'"content":"#'
"""What a message's text begins with; then its speaker, its number, and when it was sent, in µs."""

_ORDERS = ("connect", "quiet", "expect", "time", "check", "close", "say", "fit", "heard")


def now_us() -> int:
    """Return the system's monotonic clock, which all processes share."""
    return time.monotonic_ns() // 1000


class RoomMember(Member):
    """A member who hears speakers.

    Attributes:
        numbers: Of each speaker, the number that is due next.
        sums: The CRC, by what it runs over.
    """

    def __init__(self, tally: Tally, room: str, order: str) -> None:
        super().__init__(tally, room)
        self.numbers: dict[bytes, int] = {}
        self.sums: dict[bytes, int] = {}
        self._one_order = order == "one"

    def _event(self, text: bytes) -> None:
        at = text.find(_MARK) + len(_MARK)
        if at < len(_MARK):
            return
        tally = self.tally
        speaker, number = text[at : at + 2], int(text[at + 2 : at + 10])
        due = self.numbers.get(speaker, 0)
        if number != due:
            tally.wrong.append(f"message {number} of {speaker!r} came where {due} was due")
        self.numbers[speaker] = number + 1
        run = b"" if self._one_order else speaker
        self.sums[run] = zlib.crc32(text, self.sums.get(run, 0))
        if tally.timed:
            tally.latency_us.append(now_us() - int(text[at + 10 : at + 26]))
        tally.events += 1
        if tally.events >= tally.goal or tally.wrong:
            tally.changed.set()


class Speaker(RoomMember):
    """The member who speaks, and writes down when what came.

    Attributes:
        fill: What makes a message longer.
        acked_us: When the ack of each message came.
        took_us: How long each ack took.
        heard_us: When each message of each speaker came here.
        frame_bytes: Length of the last message's frame.
    """

    def __init__(self, tally: Tally, room: str, order: str, number: int) -> None:
        super().__init__(tally, room, order)
        self.fill = b""
        self.acked_us: list[int] = []
        self.took_us: list[int] = []
        self.heard_us: dict[str, list[int]] = {}
        self.frame_bytes = 0
        self._number = number
        self._sent_us: list[int] = []
        self._left = 0

    def say_many(self, messages: int, window: int) -> None:
        """Say so many messages, ``window`` of them without an ack at once."""
        now = min(messages, window)
        self._left = messages - now
        for _ in range(now):
            self.say_next()

    def say_next(self) -> None:
        """Say a message."""
        number, at_us = len(self._sent_us), now_us()
        self._sent_us.append(at_us)
        content = b"#%02d%08d%016d%b" % (self._number, number, at_us, self.fill)
        payload = b'{"sessionId":"%b","content":"%b"}' % (str(self.room).encode(), content)
        self.say(b'42%d["sendMessage",%b]' % (number + 1, payload))

    def _acked(self, text: bytes) -> None:
        number = int(text[2 : text.index(b"[")]) - 1
        if number < 0:  # the ack of the join
            super()._acked(text)
            return
        at_us = now_us()
        if b'"ok":true' not in text:
            self.tally.wrong.append(f"refused: {text[:200]!r}")
        elif number != len(self.acked_us):
            self.tally.wrong.append(f"ack {number} came where {len(self.acked_us)} was due")
        self.acked_us.append(at_us)
        self.took_us.append(at_us - self._sent_us[number])
        self.tally.acks += 1
        if self._left:
            self._left -= 1
            self.say_next()
        self.tally.changed.set()

    def _event(self, text: bytes) -> None:
        super()._event(text)
        if (at := text.find(_MARK) + len(_MARK)) >= len(_MARK):
            self.heard_us.setdefault(text[at : at + 2].decode(), []).append(now_us())
            self.frame_bytes = len(text)


class RoomMembers(Members):
    """Carries out the orders."""

    def __init__(self, url: str, room: str, speaker: str, order: str) -> None:
        super().__init__(url)
        self._room = room
        self._order = order
        self._speaker: Speaker | None = None
        self._number = int(speaker)
        self._chance = random.Random(self._number)  # noqa: S311 - no secret

    def _member(self, _room: str | None, /) -> Member:
        if self._speaker is not None:
            return RoomMember(self._tally, self._room, self._order)
        self._speaker = Speaker(self._tally, self._room, self._order, self._number)
        return self._speaker

    async def say(
        self, messages: int, gap_s: float, window: int, within_s: float
    ) -> dict[str, Any]:
        """Say so many messages, and return when all are acked; see :meth:`_pace`.

        ``gap_s`` 0: as fast as it goes, with at most ``window`` unacked.
        """
        assert self._speaker is not None  # noqa: S101 - connected before
        enough = self._tally.acks + messages
        first = len(self._speaker.acked_us)
        if gap_s:
            await self._pace(self._speaker, messages, gap_s)
        else:
            self._speaker.say_many(messages, window)
        await self._tally.until("acks", enough, within_s)
        return {
            "acked_us": self._speaker.acked_us[first:],
            "took_us": self._speaker.took_us[first:],
        }

    async def _pace(self, speaker: Speaker, messages: int, gap_s: float) -> None:
        """Say one message in each ``gap_s`` seconds, at a random moment of them.

        So speakers on several nodes neither keep out of each other's way nor always meet.
        """
        began = time.monotonic()
        for number in range(messages):
            due = began + (number + self._chance.random()) * gap_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            speaker.say_next()

    async def fit(self, frame_bytes: int) -> dict[str, Any]:
        """Make further messages so long that their frames have so many bytes, or nearly.

        Raises:
            ValueError: They have more without any text.
        """
        assert self._speaker is not None  # noqa: S101 - connected before
        missing = frame_bytes - self._speaker.frame_bytes + len(self._speaker.fill)
        if missing < 0:
            raise ValueError(f"a frame without text has {self._speaker.frame_bytes} bytes")
        self._speaker.fill = b"x" * missing
        return {}

    async def heard(self, speaker: int) -> dict[str, Any]:
        """Return when each message of a speaker came to the one here."""
        assert self._speaker is not None  # noqa: S101 - connected before
        return {"heard_us": self._speaker.heard_us.get(f"{speaker:02d}", [])}

    async def check(self, events: int) -> dict[str, Any]:
        """Return the CRCs after ``events`` messages of all speakers together.

        Raises:
            ValueError: A member did not receive each of them once.
        """
        sums: dict[str, int] = {}
        for member in self._members:
            assert isinstance(member, RoomMember)  # noqa: S101 - made by _member
            if sum(member.numbers.values()) != events:
                raise ValueError(f"a member has {member.numbers}, not {events} messages")
            for run, crc in member.sums.items():
                if sums.setdefault(f"{self._room} {run.decode()}", crc) != crc:
                    raise ValueError("members received different bytes, or another order")
        return {"sums": sums}


async def main(arguments: Sequence[str]) -> None:
    """Carry out the orders on the standard input until it ends."""
    await serve_orders(RoomMembers(*arguments), _ORDERS)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))

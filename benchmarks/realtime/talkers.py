"""People who each say something, wait for the answer, and say the next thing.

Run as ``talkers.py DIALECT URL``; the dialect is the server's way of being talked to. It takes
orders (see :mod:`benchmarks.realtime.orders`).
"""

import asyncio
import re
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import picows
import uvloop

from benchmarks.realtime.orders import serve_orders

_LAST_SEQ = re.compile(rb'"lastSeq":(\d+)')


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of server is talked to; ``WHO`` and ``ID`` stand for a session and a fresh id.

    Attributes:
        path: Where its socket is.
        connect: The Socket.IO connect packet.
        opening: The first event, after the connect was acknowledged.
        message: What is said.
        answer: What the frame of the answer begins with.
        echo: What must be in that frame.
        count: The request whose ack has the number of stored entries, if it stores any.
    """

    path: str
    connect: str
    opening: str
    message: str
    answer: bytes
    echo: bytes
    count: str = ""


DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        # The message is stored and shown, then its command is run, and its result is stored and
        # shown: two entries for each message.
        "chatops": Dialect(
            path="/ws/chatops/",
            connect="40",
            opening='42["joinSession","WHO"]',
            message='42["sendMessage",{"sessionId":"WHO","content":"/whoami",'
            '"clientMessageId":"ID"}]',
            answer=b'42["commandResult"',
            echo=b'"success":true',
            count='427["joinSession",{"sessionId":"WHO","limit":0}]',
        ),
        # The message is stored and shown.
        "say": Dialect(
            path="/ws/chatops/",
            connect="40",
            opening='42["joinSession","WHO"]',
            message='42["sendMessage",{"sessionId":"WHO","content":"whoami",'
            '"clientMessageId":"ID"}]',
            answer=b'42["message"',
            echo=b'"content":"whoami"',
            count='427["joinSession",{"sessionId":"WHO","limit":0}]',
        ),
        "chainlit": Dialect(
            path="/ws/socket.io/",
            connect='40{"sessionId":"WHO","clientType":"webapp","userEnv":"{}"}',
            opening='42["connection_successful"]',
            message='42["client_message",{"message":{"id":"ID","type":"user_message","name":"A",'
            '"output":"whoami","createdAt":"2026-01-01T00:00:00.000Z"},"fileReferences":[]}]',
            answer=b'42["new_message"',
            echo=b"echo: whoami",
        ),
    }
)


class Talker(picows.WSListener):
    """One person in a session of their own."""

    def __init__(self, dialect: Dialect) -> None:
        self.who = str(uuid.uuid4())
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()
        self.took_us: list[float] = []
        self.stored: int | None = None
        self._dialect = dialect
        self._transport: Any = None
        self._left = 0
        self._said_at = 0.0

    def on_ws_connected(self, transport: Any) -> None:
        """Remember the transport."""
        self._transport = transport

    def on_ws_frame(self, _transport: Any, frame: Any) -> None:
        """Take one frame."""
        text = frame.get_payload_as_bytes()
        if text == b"2":
            self._say("3")
        elif text.startswith(b"0"):
            self._say(self._dialect.connect)
        elif text.startswith(b"40"):
            self._say(self._dialect.opening)
            self.ready.set()
        elif text.startswith(b"437") and (found := _LAST_SEQ.search(text)):
            self.stored = int(found[1])
            self.ended.set()
        elif text.startswith(self._dialect.answer) and self._dialect.echo in text and self._left:
            self.took_us.append((time.monotonic() - self._said_at) * 1e6)
            self._left -= 1
            self._next()

    async def talk(self, times: int) -> None:
        """Say something ``times`` times, each after the answer to the last."""
        self._left = times
        self.ended.clear()
        self._next()
        await self.ended.wait()

    async def count(self) -> int | None:
        """Return how many entries the server has stored of this session."""
        if self._dialect.count:
            self.ended.clear()
            self._say(self._dialect.count)
            await self.ended.wait()
        return self.stored

    def close(self) -> None:
        """Hang up."""
        self._transport.disconnect(False)

    def _next(self) -> None:
        if not self._left:
            self.ended.set()
            return
        self._said_at = time.monotonic()
        self._say(self._dialect.message)

    def _say(self, text: str) -> None:
        whole = text.replace("WHO", self.who).replace("ID", str(uuid.uuid4()))
        self._transport.send(picows.WSMsgType.TEXT, whole.encode())


class Talk:
    """Carries out the orders."""

    def __init__(self, dialect: str, url: str) -> None:
        self._dialect = DIALECTS[dialect]
        base = url.replace("http", "ws", 1)
        self._url = f"{base}{self._dialect.path}?EIO=4&transport=websocket"
        self._talkers: list[Talker] = []

    async def connect(self, people: int) -> dict[str, Any]:
        """Connect so many people."""
        for _ in range(people):
            talker = Talker(self._dialect)
            await picows.ws_connect(lambda talker=talker: talker, self._url)
            await talker.ready.wait()
            self._talkers.append(talker)
        return {}

    async def talk(self, times: int, within_s: float) -> dict[str, Any]:
        """Let all talk at once; return each latency in µs and the fewest entries stored."""
        for talker in self._talkers:
            talker.took_us.clear()
        async with asyncio.timeout(within_s):
            await asyncio.gather(*(talker.talk(times) for talker in self._talkers))
            stored = [await talker.count() for talker in self._talkers]
        return {
            "took_us": [one for talker in self._talkers for one in talker.took_us],
            "stored": min((one for one in stored if one is not None), default=None),
        }

    async def close(self) -> dict[str, Any]:
        """Hang up."""
        for talker in self._talkers:
            talker.close()
        return {}


async def main(arguments: Sequence[str]) -> None:
    """Carry out the orders on the standard input until it ends."""
    await serve_orders(Talk(*arguments), ("connect", "talk", "close"))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))

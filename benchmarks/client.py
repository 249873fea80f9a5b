"""A Socket.IO client that costs as little as possible, so that the server is what is measured."""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import picows

PATH = "/ws/chatops/?EIO=4&transport=websocket"
ANSWER_WITHIN_S = 30.0


class Client(picows.WSListener):
    """One connection with at most one request on its way; made by :func:`connected`."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._last_id = 0
        self._frames: deque[str] = deque()
        self._waiter: asyncio.Future[str] | None = None

    def on_ws_connected(self, transport: Any) -> None:
        """Remember the transport."""
        self._transport = transport

    def on_ws_frame(self, _transport: Any, frame: Any) -> None:
        """Take one frame; a ping is answered."""
        text = frame.get_payload_as_utf8_text()
        if text == "2":
            self._say("3")
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(text)
        else:
            self._frames.append(text)

    def on_ws_disconnected(self, _transport: Any) -> None:
        """Whoever waits must hear of it."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionError("the server hung up"))

    async def open(self, name: str) -> None:
        """Say who this is and wait to be let in."""
        await self.frame()  # the handshake
        self._say(f'40{{"name":"{name}"}}')
        if not (answer := await self.frame()).startswith("40"):
            raise RuntimeError(f"not let in: {answer}")

    async def call(self, event: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Send an event and return its ack; what else comes meanwhile is passed over.

        Raises:
            RuntimeError: The server refused it.
            TimeoutError: No ack came.
        """
        self.send(event, payload)
        while not (frame := await self.frame()).startswith("43"):
            pass
        return self.ack(frame)

    def send(self, event: str, payload: dict[str, Any]) -> None:
        """Send an event that asks for an ack."""
        self._last_id += 1
        self._say(f"42{self._last_id}{json.dumps([event, payload])}")

    def ack(self, frame: str) -> dict[str, Any]:
        """Return the ack in a frame, which must be of the last event sent."""
        number, _, rest = frame[2:].partition("[")
        found: dict[str, Any] = json.loads("[" + rest)[0]
        if int(number) != self._last_id or not found["ok"]:
            raise RuntimeError(f"refused: {found}")
        return found

    async def frame(self) -> str:
        """Return the next frame that is not a ping."""
        if self._frames:
            return self._frames.popleft()
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        late = loop.call_later(ANSWER_WITHIN_S, _give_up, waiter)
        try:
            return await waiter
        finally:
            late.cancel()

    async def close(self) -> None:
        """Hang up."""
        self._transport.disconnect(False)
        await self._transport.wait_disconnected()

    def _say(self, text: str) -> None:
        self._transport.send(picows.WSMsgType.TEXT, text.encode())


def _give_up(waiter: asyncio.Future[str]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError("no answer"))


@asynccontextmanager
async def connected(url: str, count: int, sessions: int) -> AsyncIterator[list[Client]]:
    """Connect so many clients, and spread them evenly over so many sessions."""
    async with AsyncExitStack() as stack:
        clients = []
        for number in range(count):
            client = Client()
            await picows.ws_connect(
                lambda client=client: client, url.replace("http", "ws", 1) + PATH
            )
            stack.push_async_callback(client.close)
            await client.open(f"P{number}")
            await client.call("joinSession", {"sessionId": f"room{number % sessions}"})
            clients.append(client)
        yield clients


async def timed_ms(client: Client, session: str, content: str) -> float:
    """Say something; return the milliseconds until it was acked."""
    sent = time.perf_counter()
    await client.call("sendMessage", {"sessionId": session, "content": content})
    return (time.perf_counter() - sent) * 1000

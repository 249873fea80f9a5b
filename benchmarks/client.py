"""A Socket.IO client that costs as little as possible, so that the server is what is measured."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp

PATH = "/ws/chatops/?EIO=4&transport=websocket"
ANSWER_WITHIN_S = 30.0


class Client:
    """One connection with at most one request on its way; made by :func:`connected`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._last_id = 0

    async def open(self, name: str) -> None:
        """Say who this is and wait to be let in."""
        await self.frame()  # the handshake
        await self._socket.send_str(f'40{{"name":"{name}"}}')
        if not (answer := await self.frame()).startswith("40"):
            raise RuntimeError(f"not let in: {answer}")

    async def call(self, event: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Send an event and return its ack; what else comes meanwhile is passed over.

        Raises:
            RuntimeError: The server refused it.
            TimeoutError: No ack came.
        """
        await self.send(event, payload)
        while not (frame := await self.frame()).startswith("43"):
            pass
        return self.ack(frame)

    async def send(self, event: str, payload: dict[str, Any]) -> None:
        """Send an event that asks for an ack."""
        self._last_id += 1
        await self._socket.send_str(f"42{self._last_id}{json.dumps([event, payload])}")

    def ack(self, frame: str) -> dict[str, Any]:
        """Return the ack in a frame, which must be of the last event sent."""
        number, _, rest = frame[2:].partition("[")
        found: dict[str, Any] = json.loads("[" + rest)[0]
        if int(number) != self._last_id or not found["ok"]:
            raise RuntimeError(f"refused: {found}")
        return found

    async def frame(self) -> str:
        """Return the next frame that is not a ping."""
        async with asyncio.timeout(ANSWER_WITHIN_S):
            while (frame := await self._socket.receive_str()) == "2":
                await self._socket.send_str("3")
        return frame


@asynccontextmanager
async def connected(url: str, count: int, sessions: int) -> AsyncIterator[list[Client]]:
    """Connect so many clients, and spread them evenly over so many sessions."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        clients = []
        for number in range(count):
            socket = await stack.enter_async_context(http.ws_connect(url + PATH))
            client = Client(socket)
            await client.open(f"P{number}")
            await client.call("joinSession", {"sessionId": f"room{number % sessions}"})
            clients.append(client)
        yield clients


async def timed_ms(client: Client, session: str, content: str) -> float:
    """Say something; return the milliseconds until it was acked."""
    sent = time.perf_counter()
    await client.call("sendMessage", {"sessionId": session, "content": content})
    return (time.perf_counter() - sent) * 1000

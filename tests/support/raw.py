"""A client that speaks in raw frames: it can send what no client library would."""

import asyncio
import json
from contextlib import suppress
from typing import Any, Self

import aiohttp

PATH = "/ws/chatops/"


class RawClient:
    """One WebSocket, from ``async with``; connected to the namespace unless told otherwise.

    Attributes:
        ws: The WebSocket under it.
        handshake: The Engine.IO OPEN packet's data.
    """

    def __init__(self, url: str, *, connect: bool = True, auth: Any = None) -> None:
        self._url = url
        self._connect = connect
        self._auth = auth
        self._http = aiohttp.ClientSession()
        self.ws: aiohttp.ClientWebSocketResponse
        self.handshake: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        self.ws = await self._http.ws_connect(
            f"{self._url}{PATH}?EIO=4&transport=websocket", max_msg_size=0
        )
        opened = await self.frame()
        assert opened[0] == "0"
        self.handshake = json.loads(opened[1:])
        if self._connect:
            await self.send("40" + ("" if self._auth is None else json.dumps(self._auth)))
            assert (await self.frame()).startswith("40")
        return self

    async def __aexit__(self, *_exc: object) -> None:
        with suppress(TimeoutError):  # a server that throttles us reads our goodbye very late
            async with asyncio.timeout(2):
                await self.ws.close()
        await self._http.close()

    async def send(self, frame: str) -> None:
        """Send a text frame as it is."""
        await self.ws.send_str(frame)

    async def frame(self, within_s: float = 10.0) -> str:
        """Return the next text frame that is no ping."""
        while True:
            message = await self.ws.receive(within_s)
            assert message.type == aiohttp.WSMsgType.TEXT, f"closed: {message}"
            if message.data != "2":
                return str(message.data)
            await self.ws.send_str("3")

    async def event(self, name: str, within_s: float = 10.0) -> Any:
        """Return the payload of the next event of this name; others are passed over."""
        while True:
            frame = await self.frame(within_s)
            if frame.startswith("42"):
                found, payload = json.loads(frame[2:])
                if found == name:
                    return payload

    async def ack(self, ack_id: int, within_s: float = 10.0) -> Any:
        """Return the ack with this id; other frames are passed over."""
        head = f"43{ack_id}["
        while True:
            frame = await self.frame(within_s)
            if frame.startswith(head):
                return json.loads(frame[len(head) - 1 :])[0]

    async def ask(self, ack_id: int, event: str, *payload: Any) -> Any:
        """Send an event and return its ack."""
        await self.send(f"42{ack_id}" + json.dumps([event, *payload], ensure_ascii=False))
        return await self.ack(ack_id)

    async def closed(self, within_s: float = 10.0) -> int | None:
        """Wait until the server has closed; return the close code."""
        async with asyncio.timeout(within_s):
            while not self.ws.closed:
                message = await self.ws.receive()
                if message.type == aiohttp.WSMsgType.TEXT and message.data == "2":
                    await self.ws.send_str("3")
        return self.ws.close_code

"""One connection to a chatops server; ``room.py`` makes a new one for each reconnect."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import socketio

PATH = "/ws/chatops"

Payload = dict[str, Any]

_ACK_WITHIN_S = 10.0
_CONNECT_WITHIN_S = 10

LATER = {"rate_limited", "shutting_down", "store_unavailable"}
"""Codes of errors after which the server will take the same request later."""


class RefusedError(Exception):
    """The server said no. ``error`` is the wire's error: message, code, hint, ..."""

    def __init__(self, error: Payload) -> None:
        self.error = error
        super().__init__(" ".join(filter(None, (error.get("message"), error.get("hint")))))


class LinkLostError(Exception):
    """No answer: the connection could not be made, ended, or is silent."""


class Link:
    """One connection.

    Attributes:
        closed: Is done when the connection has ended.
    """

    def __init__(self, http: aiohttp.ClientSession, receive: Callable[[str, Any], None]) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._refusal: Payload | None = None
        self._client = socketio.AsyncClient(
            reconnection=False, handle_sigint=False, http_session=http
        )
        self._client.on("*", receive)
        self._client.on("disconnect", self._on_disconnect)
        self._client.on("connect_error", self._on_refusal)

    async def open(self, url: str, auth: Payload) -> None:
        """Connect.

        Raises:
            RefusedError: The server does not let us in, now or later.
            LinkLostError: It cannot be reached, or not now.
        """
        try:
            await self._client.connect(
                url,
                auth=auth,
                transports=["websocket"],
                socketio_path=PATH,
                wait_timeout=_CONNECT_WITHIN_S,
            )
        except socketio.exceptions.SocketIOError as error:
            if self._refusal and self._refusal.get("code") not in LATER:
                raise RefusedError(self._refusal) from error
            raise LinkLostError from error

    async def ask(self, event: str, payload: Payload) -> Payload:
        """Emit and return the ack.

        Raises:
            LinkLostError: The connection ended, or there was no ack within 10 s.
        """
        answer: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()

        def answered(ack: Payload) -> None:
            if not answer.done():
                answer.set_result(ack)

        try:
            await self._client.emit(event, payload, callback=answered)
        except socketio.exceptions.SocketIOError as error:
            raise LinkLostError from error
        await first_of(answer, self.closed, within_s=_ACK_WITHIN_S)
        if not answer.done():
            raise LinkLostError
        return answer.result()

    async def close(self) -> None:
        """End the connection. A repeat does nothing."""
        self._on_disconnect()
        await self._client.disconnect()

    def _on_disconnect(self, *_reason: object) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def _on_refusal(self, data: object) -> None:
        if isinstance(data, dict):  # the server's own no; a dead network gives a text
            self._refusal = {"message": data.get("message", ""), **(data.get("data") or {})}


async def first_of(*awaited: asyncio.Future[Any], within_s: float | None = None) -> None:
    """Return when one of them is done, or the time is over."""
    await asyncio.wait(awaited, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)

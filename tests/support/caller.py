"""A person at a socket who gives commands and waits for their results."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import socketio

Payload = dict[str, Any]


class RefusedError(Exception):
    """The server's ack said no; ``error`` is the wire's error."""

    def __init__(self, error: Payload) -> None:
        super().__init__(error)
        self.error = error


class Caller:
    """One connected person in one session.

    Attributes:
        heard: Every event with its payload, in the order they came.
        joined: What the join was acked with.
        url: The server.
    """

    def __init__(self, url: str, session: str, name: str, **auth: str) -> None:
        self.session = session
        self.heard: list[tuple[str, Payload]] = []
        self.joined: Payload = {}
        self.url = url
        self._auth = {"name": name, **auth}
        self._news = asyncio.Event()
        self._client = socketio.AsyncClient(reconnection=False)
        for event in ("message", "messageDelta", "commandResult", "backtestProgress", "error"):
            self._client.on(event, self._hearing(event))

    def _hearing(self, event: str) -> Any:
        def hear(payload: Payload) -> None:
            self.heard.append((event, payload))
            self._news.set()

        return hear

    async def __aenter__(self) -> Self:
        await self._client.connect(
            self.url,
            socketio_path="/ws/chatops",
            auth=self._auth,
            transports=["websocket"],
        )
        self.joined = await self.ask("joinSession", sessionId=self.session)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.disconnect()

    async def ask(self, event: str, **payload: Any) -> Payload:
        """Send an event and return its ack.

        Raises:
            RefusedError: The ack says no.
        """
        ack: Payload = await self._client.call(event, payload, timeout=20)
        if not ack["ok"]:
            raise RefusedError(ack["error"])
        return ack

    async def say(self, text: str) -> Payload:
        """Type a command; return its result."""
        ack = await self.ask("sendMessage", sessionId=self.session, content=text)
        return await self.result_of(ack["commandId"])

    async def execute(self, command: str, /, **parameters: Any) -> Payload:
        """Give a command as a program does; return its result."""
        given = {"sessionId": self.session, "command": command, "parameters": parameters}
        return await self.result_of((await self.ask("executeCommand", **given))["commandId"])

    async def complete(self, text: str) -> list[str]:
        """Return the labels of the completions of ``text``."""
        ack = await self.ask("completeCommand", sessionId=self.session, text=text)
        return [item["label"] for item in ack["items"]]

    async def refusal(self, text: str) -> Payload:
        """Type a command that must be refused; return the error."""
        try:
            result = await self.say(text)
        except RefusedError as refused:
            return refused.error
        raise AssertionError(f"{text} was not refused: {result['message']}")

    async def result_of(self, command_id: str) -> Payload:
        """Wait for the one result of a command."""
        return await self.hears("commandResult", lambda one: one["commandId"] == command_id)

    async def hears(self, event: str, matches: Callable[[Payload], bool]) -> Payload:
        """Wait for an event that matches; return its payload."""
        async with asyncio.timeout(60):
            while True:
                for payload in self.all(event):
                    if matches(payload):
                        return payload
                self._news.clear()
                await self._news.wait()

    def all(self, event: str) -> list[Payload]:
        """Return the payloads of every event of this name so far."""
        return [payload for name, payload in self.heard if name == event]

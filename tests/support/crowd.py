"""Many clients in one room that know nothing but their library's defaults, or transports named."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import socketio

from tests.support.members import ROOT
from tests.support.waiting import until


@dataclass
class One:
    """What became of one client.

    Attributes:
        seen: Number of each message, in the order in which they came.
        homes: For each connect the Engine.IO id that the server gave it.
        cuts: Why connections ended.
        failures: Why it could not connect or join.
        acked: How many of its messages the server has.
        over: The transport that it had when the last of them was acked.
    """

    seen: list[int] = field(default_factory=list)
    homes: list[str] = field(default_factory=list)
    cuts: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    acked: int = 0
    over: str = ""

    @property
    def process(self) -> str:
        """Number of the process that it is connected to."""
        return self.homes[-1].rpartition(".")[2]


class NodeCrowd:
    """So many socket.io-clients in one process of Node, in the room from ``async with``."""

    def __init__(self, url: str, session: str, count: int, transports: Sequence[str]) -> None:
        self.all = [One() for _ in range(count)]
        self._arguments = (url, session, str(count), *transports)
        self._process: asyncio.subprocess.Process
        self._reading: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            "node",
            str(ROOT / "tests" / "support" / "js" / "crowd.mjs"),
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.get_running_loop().create_task(self._read())
        await until(lambda: all(one.homes for one in self.all), 40, "all of Node have joined")
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
            await self._reading

    def say(self, text: str) -> None:
        """Let each of them say it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n".encode())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said: dict[str, Any] = json.loads(line)
            one = self.all[said["who"]]
            if "seq" in said:
                one.seen.append(said["seq"])
            elif "joined" in said:
                one.homes.append(said["joined"])
            elif "cut" in said:
                one.cuts.append(said["cut"])
            elif "acked" in said:
                one.acked += said["acked"]
                one.over = said["over"]
            else:
                one.failures.append(said["failed"])


class PythonCrowd:
    """So many python-socketio clients; as :class:`NodeCrowd`."""

    def __init__(self, url: str, session: str, count: int, transports: Sequence[str]) -> None:
        self.all = [One() for _ in range(count)]
        self._url = url
        self._session = session
        self._transports = list(transports) or None
        self._clients = [self._client(one) for one in self.all]

    def _client(self, one: One) -> socketio.AsyncClient:
        client = socketio.AsyncClient()

        async def join() -> None:
            ack = await client.call("joinSession", self._session, timeout=20)
            if ack["ok"]:
                one.homes.append(client.eio.sid)
            else:
                one.failures.append(ack["error"]["message"])

        client.on("connect", join)
        client.on("disconnect", one.cuts.append)
        client.on("message", lambda payload: one.seen.append(payload["seq"]))
        return client

    async def __aenter__(self) -> Self:
        await asyncio.gather(
            *(
                client.connect(self._url, socketio_path="/ws/chatops", transports=self._transports)
                for client in self._clients
            )
        )
        await until(lambda: all(one.homes for one in self.all), 40, "all of Python have joined")
        return self

    async def __aexit__(self, *_error: object) -> None:
        await asyncio.gather(*(client.disconnect() for client in self._clients))

    async def say(self, text: str) -> None:
        """Let each of them say it, and wait until the server has it."""
        acks = await asyncio.gather(
            *(
                client.call(
                    "sendMessage",
                    {"sessionId": self._session, "content": f"{text} {number}"},
                    timeout=20,
                )
                for number, client in enumerate(self._clients)
            )
        )
        for one, client, ack in zip(self.all, self._clients, acks, strict=True):
            one.acked += ack["ok"]
            one.over = client.transport()

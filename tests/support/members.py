"""Members of a session for tests: the published Python and Node clients, and what they saw."""

import asyncio
import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "client_examples" / "python"))  # examples are files, not a package

# Found by the line above.
from room import Room  # type: ignore[import-not-found]  # noqa: E402
from streams import Streams  # type: ignore[import-not-found]  # noqa: E402

__all__ = ["ROOT", "NodeMember", "PythonMember", "Room", "Streams"]

Seen = list[tuple[int, str]]


class PythonMember:
    """The Python client.

    Attributes:
        seen: Number and text of each entry, in the order it was shown.
        acked: Text to number of what the server acknowledged.
        trouble: What should not happen.
    """

    def __init__(self, url: str, session: str, name: str) -> None:
        self.seen: Seen = []
        self.acked: dict[str, int] = {}
        self.trouble: list[Any] = []
        self._room = Room(url, session, name=name, history=500, listener=self._listen)
        self._sending: set[asyncio.Future[Any]] = set()

    async def __aenter__(self) -> Self:
        await self._room.__aenter__()
        await self._room.joined()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._room.__aexit__(kind, error, trace)

    def send(self, text: str) -> None:
        """Send it, sooner or later."""

        def done(ack: asyncio.Future[Any]) -> None:
            self._sending.discard(ack)
            if not ack.cancelled():
                self.acked[text] = ack.result()["message"]["seq"]

        ack = self._room.post(text)
        self._sending.add(ack)
        ack.add_done_callback(done)

    def _listen(self, event: str, payload: dict[str, Any]) -> None:
        if event in ("message", "commandResult"):
            self.seen.append((payload["seq"], payload.get("content") or payload["message"]))
        elif event in ("gap", "afresh", "refused"):
            self.trouble.append((event, payload))


class NodeMember:
    """The Node client in a process of its own; attributes as of :class:`PythonMember`."""

    def __init__(self, url: str, session: str, name: str) -> None:
        self.seen: Seen = []
        self.acked: dict[str, int] = {}
        self.trouble: list[Any] = []
        self._arguments = (url, session, name)
        self._joined = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            "node",
            str(ROOT / "tests" / "support" / "js" / "member.mjs"),
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.get_running_loop().create_task(self._read())
        await asyncio.wait_for(self._joined.wait(), 20)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._reading is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
            await self._reading

    def send(self, text: str) -> None:
        """Send it, sooner or later."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n".encode())

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            if "entry" in said:
                self.seen.append((said["entry"], said["content"]))
            elif "acked" in said:
                self.acked[said["acked"]] = said["seq"]
            elif "joined" in said:
                self._joined.set()
            else:
                self.trouble.append(said)

"""The programs of a run: servers under test and the load, driven over their standard input."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.cpu import cpu_s

ROOT = Path(__file__).parents[2]
NODE_PEER = ROOT / "benchmarks" / "peers" / "node"

_LISTENS = re.compile(r"listens on (http://\S+)")
_START_WITHIN_S = 60.0
_ANSWER_WITHIN_S = 600.0


class ProgramError(Exception):
    """A program of the run did not start, died, or did not do what it was told."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A server to measure.

    Attributes:
        name: As in the table.
        command: What starts it.
        environment: What its environment has besides ours; ``{folder}`` is a fresh folder.
        warm: What its log says when it is ready, if it goes on loading after its port is
            open: that must not be in the figures.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    warm: Sequence[str] = ()


def _python(module: str) -> list[str]:
    return [sys.executable, "-m", module]


CHATOPS = Peer(
    "chatops",
    _python("benchmarks.realtime.chatops_host"),
    {
        "CHATOPS_DATA_DIR": "{folder}",
        "CHATOPS_RATE_LIMIT": "off",
        "CHATOPS_LOG_FORMAT": "json",
        "CHATOPS_BACKTEST_WORKERS": "1",
    },
    warm=('"worker_ready"',),
)
PLAIN = Peer("python-socketio", _python("benchmarks.peers.plain_socketio"))
NODE = Peer("node", ["node", str(NODE_PEER / "server.mjs")])
NODE_DEFLATE = Peer("node+deflate", [*NODE.command, "--deflate"])
FLOOR = Peer("floor", _python("benchmarks.peers.floor"))


def install_node(folder: Path) -> None:
    """Install what a peer on Node needs, unless it is there.

    Raises:
        ProgramError: It cannot be installed here.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise ProgramError(
            "Node and npm are needed for one of the peers. Install Node 20 or newer."
        )
    if not (folder / "node_modules").exists():
        try:
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, check=True)
        except subprocess.CalledProcessError as error:
            raise ProgramError(f"The Node peer could not be installed: {error}") from error


class Program:
    """A child process that answers one JSON line for each JSON line it is given."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    def cpu_s(self) -> float:
        """Return the processor time, user and system, that the process has used so far."""
        return cpu_s(self._process.pid)

    async def line(self, within_s: float) -> str:
        """Return its next line.

        Raises:
            ProgramError: There is none in time, or ever.
        """
        assert self._process.stdout is not None  # noqa: S101 - started with a pipe
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), within_s)
        except TimeoutError:
            raise ProgramError(f"no answer in {within_s:.0f} s: {self._said()}") from None
        if not line:
            raise ProgramError(f"it ended: {self._said()}")
        return line.decode()

    async def order(self, do: str, **how: Any) -> dict[str, Any]:
        """Give an order and return the answer.

        Raises:
            ProgramError: It failed.
        """
        assert self._process.stdin is not None  # noqa: S101 - started with a pipe
        self._process.stdin.write(json.dumps({"do": do, **how}).encode() + b"\n")
        answer: dict[str, Any] = json.loads(await self.line(_ANSWER_WITHIN_S))
        if "failed" in answer:
            raise ProgramError(f"{do}: {answer['failed']}")
        return answer

    async def until_said(self, text: str, within_s: float = 60.0) -> None:
        """Return when its log has the text.

        Raises:
            ProgramError: It has not, in time.
        """
        try:
            async with asyncio.timeout(within_s):
                # A file tells nobody that it has grown.
                while text not in self._log.read_text(errors="replace"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise ProgramError(f"it did not say {text}: {self._said()}") from None

    def _said(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]


class Server(Program):
    """A server under test.

    Attributes:
        peer: Which one.
        url: Where it listens.
    """

    def __init__(
        self, peer: Peer, url: str, process: asyncio.subprocess.Process, log: Path
    ) -> None:
        super().__init__(process, log)
        self.peer = peer
        self.url = url
        self._seen = psutil.Process(process.pid)

    def rss_bytes(self) -> int:
        """Return its resident memory."""
        return int(self._seen.memory_info().rss)


@contextlib.asynccontextmanager
async def _child(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a child of ours; it ends when its standard input does, or is killed after 10 s."""
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **environment},  # noqa: TID251 - a child needs PATH and HOME
        )
    try:
        yield process
    finally:
        assert process.stdin is not None  # noqa: S101 - started with a pipe
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10.0)
        except TimeoutError:
            process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def running(peer: Peer) -> AsyncIterator[Server]:
    """Run the server with a fresh folder.

    Raises:
        ProgramError: It does not start.
    """
    with tempfile.TemporaryDirectory(prefix="chatops-bench-") as folder:
        log = Path(folder) / "server.log"
        chosen = {key: value.format(folder=folder) for key, value in peer.environment.items()}
        async with _child(peer.command, chosen, log) as process:
            line = await Program(process, log).line(_START_WITHIN_S)
            found = _LISTENS.search(line)
            if found is None:
                raise ProgramError(f"{peer.name} did not start: {line}")
            server = Server(peer, found[1], process, log)
            for text in peer.warm:
                await server.until_said(text, _START_WITHIN_S)
            yield server


@contextlib.asynccontextmanager
async def loader(module: str, *arguments: str) -> AsyncIterator[Program]:
    """Run a program of the load, which is a module of the benchmarks."""
    with tempfile.TemporaryDirectory(prefix="chatops-bench-") as folder:
        log = Path(folder) / "load.log"
        command = [*_python(f"benchmarks.{module}"), *arguments]
        async with _child(command, {}, log) as process:
            yield Program(process, log)

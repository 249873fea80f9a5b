"""A real server in a process of its own, for tests that connect, kill and restart it."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.pausing import pause


class ServerProcess:
    """``chatops serve`` on a free port of this machine, with a data folder of its own.

    Use as an async context manager. After :meth:`kill` or :meth:`stop`, :meth:`start` brings the
    server back on the same port and folder.
    """

    _says = re.compile(r"listens on (http://\S+)")

    def __init__(
        self,
        data_dir: Path,
        *,
        prefix: Sequence[str] = (),
        **environment: str,
    ) -> None:
        """Make it; ``prefix`` is a command that ends by executing its arguments."""
        self.data_dir = data_dir
        self._prefix = prefix
        self.log_path = data_dir.parent / f"{data_dir.name}.log"
        self.url = ""
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, within_s: float = 30.0) -> None:
        """Start and wait until it listens."""
        port = self.url.rpartition(":")[2] or "0"
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._prefix,
                sys.executable,
                "-m",
                "chatops",
                *self._command(port),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={
                    **os.environ,
                    "CHATOPS_DATA_DIR": str(self.data_dir),
                    "CHATOPS_LOG_FORMAT": "json",
                    "CHATOPS_BACKTEST_WORKERS": "1",  # each loads for seconds, and most need none
                    **self._environment,
                },
            )
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), within_s)
        found = self._says.search(line.decode())
        assert found, f"it did not start: {self.log()}"
        self.url = found[1]

    def _command(self, port: str) -> list[str]:
        return ["serve", "--port", port]

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def pause(self) -> None:
        """Stop it in mid-air; its connections stay."""
        pause(self.pid)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of its log about an event."""
        lines = [line for line in self.log().splitlines() if line.startswith("{")]
        return [said for line in lines if (said := json.loads(line))["event"] == event]

    def log(self) -> str:
        """What it has logged so far."""
        return self.log_path.read_text(errors="replace")

    async def stop(self, within_s: float = 15.0) -> int:
        """End it in good order; return its exit code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self._process.wait(), within_s)

    async def kill(self) -> None:
        """Kill it where it stands."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.stop()
        finally:
            await self.kill()


class WorkerProcess(ServerProcess):
    """``chatops worker``; it has no port."""

    _says = re.compile(r"runs backtests()")

    def _command(self, _port: str) -> list[str]:
        return ["worker"]

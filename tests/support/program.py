"""A client run as a person runs it: a process with a keyboard and two streams to read."""

import asyncio
import contextlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psutil

from tests.support.waiting import until


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that has ended."""

    code: int
    out: str
    err: str


class Program:
    """A running program.

    Attributes:
        out: Lines of its standard output so far.
        err: Lines of its standard error so far.
    """

    def __init__(self, arguments: Sequence[str], **environment: str) -> None:
        self.out: list[str] = []
        self.err: list[str] = []
        self._arguments = arguments
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._reading: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=2**20,
            env={**os.environ, **self._environment},
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        loop = asyncio.get_running_loop()
        self._reading = [
            loop.create_task(_read(self._process.stdout, self.out)),
            loop.create_task(_read(self._process.stderr, self.err)),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await asyncio.gather(*self._reading)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def type(self, line: str) -> None:
        """Type a line."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    def interrupt(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def says(self, text: str, within_s: float = 30.0) -> None:
        """Wait until a line of either stream contains ``text``."""
        what = f"{text!r}; it said {self.out} and {self.err}"
        try:
            await until(lambda: any(text in line for line in self.out + self.err), within_s, text)
        except AssertionError as error:
            raise AssertionError(what) from error

    async def ended(self, within_s: float = 60.0) -> Ended:
        """End its input and wait for its end."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        code = await asyncio.wait_for(self._process.wait(), within_s)
        await asyncio.gather(*self._reading)
        return Ended(code, "\n".join(self.out), "\n".join(self.err))


async def _read(stream: asyncio.StreamReader, lines: list[str]) -> None:
    while line := await stream.readline():
        lines.append(line.decode().rstrip("\n"))


def alive(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Return those that still run; the dead that nobody has buried do not."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found

"""A program at a terminal: what a person sees on the screen, and the keys they press."""

import asyncio
import fcntl
import os
import pty
import struct
import termios
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import pyte

from tests.support.waiting import until


class Screen:
    """A running program and its terminal.

    Attributes:
        frames: How the screen looked after each piece of the program's output.
    """

    def __init__(
        self, arguments: Sequence[str], *, lines: int = 40, columns: int = 100, **environment: str
    ) -> None:
        self.frames: list[str] = []
        self._arguments = arguments
        self._environment = environment
        self._size = lines, columns
        self._screen = _Answering(self._write, columns, lines, history=5_000, ratio=1.0)
        self._stream = pyte.ByteStream(self._screen)
        self._process: asyncio.subprocess.Process | None = None
        self._keyboard = -1

    async def __aenter__(self) -> Self:
        self._keyboard, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", *self._size, 0, 0))
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=other,
                stdout=other,
                stderr=other,
                start_new_session=True,
                preexec_fn=_take_the_terminal,
                env={**_outside(), "TERM": "xterm-256color", **self._environment},
            )
        finally:
            os.close(other)
        asyncio.get_running_loop().add_reader(self._keyboard, self._read)
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
        asyncio.get_running_loop().remove_reader(self._keyboard)
        os.close(self._keyboard)

    @property
    def display(self) -> list[str]:
        """The lines of the screen."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def all_lines(self) -> list[str]:
        """What has gone up and out of the screen, and the screen."""
        gone = [
            "".join(row[column].data for column in range(self._screen.columns)).rstrip()
            for row in self._screen.history.top
        ]
        return gone + self.display

    def press(self, keys: str) -> None:
        """Press keys; a control key is its character."""
        self._write(keys)

    def type(self, line: str) -> None:
        """Type a line."""
        self.press(f"{line}\r")

    async def shows(self, text: str, within_s: float = 30.0) -> None:
        """Wait until a line that is or was on the screen has the text."""
        await self._until(text, lambda: any(text in line for line in self.all_lines), within_s)

    async def hides(self, text: str, within_s: float = 30.0) -> None:
        """Wait until no line of the screen has the text."""
        await self._until(text, lambda: not any(text in line for line in self.display), within_s)

    async def ended(self, within_s: float = 15.0) -> int:
        """Wait for its end; return its exit code."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), within_s)

    async def _until(self, text: str, is_so: Callable[[], bool], within_s: float) -> None:
        try:
            await until(is_so, within_s, text)
        except AssertionError as error:
            lines = "\n".join(self.all_lines)
            raise AssertionError(f"{text!r}; the screen is\n{lines}") from error

    def _read(self) -> None:
        try:
            data = os.read(self._keyboard, 65_536)
        except OSError:  # the program has ended
            asyncio.get_running_loop().remove_reader(self._keyboard)
            return
        self._stream.feed(data)
        self.frames.append("\n".join(self.display))

    def _write(self, text: str) -> None:
        os.write(self._keyboard, text.encode())


def _outside() -> dict[str, str]:
    """Our environment less the size of our own terminal, which would count more than its own."""
    return {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}


class _Answering(pyte.HistoryScreen):
    """Answers what the program asks its terminal, such as where the cursor is."""

    def __init__(self, write: Callable[[str], None], *size: int, **more: float) -> None:
        super().__init__(*size, **more)  # type: ignore[arg-type]
        self._write = write

    def write_process_input(self, data: str) -> None:
        self._write(data)


def _take_the_terminal() -> None:
    """In the child: what is pressed on it, such as Ctrl-C, is for this program."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)

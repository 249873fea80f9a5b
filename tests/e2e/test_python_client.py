"""The Python terminal client, used as a person and as a script use it."""

import asyncio
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path

from tests.support.members import ROOT, PythonMember
from tests.support.program import Program
from tests.support.proxy import CuttingProxy
from tests.support.server import ServerProcess
from tests.support.waiting import until

TERMINAL = str(ROOT / "client_examples" / "python" / "chatops_terminal.py")
SESSION = "desk"
BACKTEST = "/run_backtest sma_crossover AAPL"
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ASKS_FOR_CURSOR = b"\x1b[6n"


def terminal(url: str, folder: Path, *more: str, name: str = "Mina") -> Program:
    arguments = ["--url", url, "--session", SESSION, "--name", name, *more]
    return Program([sys.executable, TERMINAL, *arguments], XDG_CONFIG_HOME=str(folder))


async def test_once_prints_progress_and_the_reference_figure(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with terminal(server.url, tmp_path, "--once", BACKTEST) as program:
        done = await program.ended()
    assert done.code == 0, done.err
    assert done.out.count("637.59 %") == 1
    assert "sma_crossover on AAPL: queued" in done.err
    assert done.err.splitlines()[-1] == "[100 %] sma_crossover on AAPL: done (Mina)"


async def test_once_says_what_is_wrong_and_exits_with_1(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with terminal(server.url, tmp_path, "--once", "/run_bactest") as program:
        done = await program.ended()
    assert (done.code, done.out) == (1, "")
    assert 'Unknown command "/run_bactest". Did you mean "/run_backtest"?' in done.err


async def test_the_client_id_is_kept_and_private(server: ServerProcess, tmp_path: Path) -> None:
    said = set()
    for _ in range(2):
        async with terminal(server.url, tmp_path, "--once", "/whoami") as program:
            said.add((await program.ended()).out)
    assert len(said) == 1
    kept = tmp_path / "chatops-terminal" / "client-id"
    assert kept.stat().st_mode & 0o777 == 0o600


async def test_lines_from_a_pipe_are_all_sent_and_answered_before_it_ends(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with PythonMember(server.url, SESSION, "Jun") as watcher:
        async with terminal(server.url, tmp_path) as program:
            for line in ("안녕하세요", "", BACKTEST, "/help run_backtest"):
                program.type(line)
            done = await program.ended()
        assert done.code == 0, done.err
        assert "Mina: 안녕하세요" in done.out
        assert "637.59 %" in done.out
        await until(lambda: len(watcher.seen) == 3, 10, "three entries for everybody")
    assert [text for _, text in watcher.seen][:2] == ["안녕하세요", BACKTEST]


async def test_a_conversation_goes_on_when_the_server_is_killed_and_comes_back(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with terminal(server.url, tmp_path) as program:
        program.type("before")
        await program.says("Mina: before")
        await server.kill()
        program.type("meanwhile 1")
        program.type("meanwhile 2")
        await program.says("Not connected")
        await server.start()
        await program.says("Mina: meanwhile 2")
        program.type("after")
        done = await program.ended()
    said = [line.partition(": ")[2] for line in done.out.splitlines()]
    assert said == ["before", "meanwhile 1", "meanwhile 2", "after"]
    async with PythonMember(server.url, SESSION, "Jun") as late:
        assert late.seen == list(enumerate(said, start=1))


async def test_a_message_whose_ack_was_lost_is_stored_and_shown_once(
    server: ServerProcess, tmp_path: Path
) -> None:
    """The way back is closed before it is sent, and cut when another member has seen it."""
    async with (
        CuttingProxy(server.url) as way,
        PythonMember(server.url, SESSION, "Jun") as watcher,
        terminal(way.url, tmp_path) as program,
    ):
        program.type("first")
        await program.says("Mina: first")
        way.close_way_back()
        program.type("second")
        await until(lambda: len(watcher.seen) == 2, 10, "the server has stored it")
        assert not any("second" in line for line in program.out)
        assert way.cut() == 1
        way.open_way_back()
        await program.says("Mina: second")
        program.type("third")
        done = await program.ended()
        await until(lambda: len(watcher.seen) == 3, 10, "the third")
    said = [line.partition(": ")[2] for line in done.out.splitlines()]
    assert said == ["first", "second", "third"]
    assert watcher.seen == list(enumerate(said, start=1))


async def test_at_a_terminal_there_are_a_prompt_a_message_a_bar_and_a_framed_result(
    server: ServerProcess, tmp_path: Path
) -> None:
    keyboard, screen = pty.openpty()
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    shown = bytearray()
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            data = os.read(keyboard, 65_536)
        except OSError:  # the other end is closed
            loop.remove_reader(keyboard)
            return
        shown.extend(data)
        if ASKS_FOR_CURSOR in data:  # every terminal answers this one
            os.write(keyboard, b"\x1b[2;1R")

    def seen() -> str:
        return CONTROLS.sub("", shown.decode(errors="replace"))

    async def shows(text: str, times: int = 1) -> None:
        await until(lambda: seen().count(text) >= times, 30, text)

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        TERMINAL,
        *("--url", server.url, "--session", SESSION, "--name", "Mina"),
        stdin=screen,
        stdout=screen,
        stderr=screen,
        env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "TERM": "xterm-256color"},
    )
    os.close(screen)
    loop.add_reader(keyboard, read)
    try:
        await shows("Mina ❯")
        await shows("1 here: Mina")
        os.write(keyboard, "안녕하세요\r".encode())
        await shows("안녕하세요", times=2)  # as it was typed, and as it came back
        os.write(keyboard, f"{BACKTEST} MSFT IBM GOOG\r".encode())
        await shows("queued")
        await shows("━")
        await shows("✔ sma_crossover")
        await shows("╭─")
        os.write(keyboard, b"\x04")
        assert await asyncio.wait_for(process.wait(), 15) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        loop.remove_reader(keyboard)
        os.close(keyboard)
    assert "Traceback" not in seen()

"""The programs as people use them: from a shell, against a server in a process of its own."""

import asyncio
import os
import pty
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.log import stored_log
from tests.support.members import ROOT, NodeMember, PythonMember
from tests.support.server import ServerProcess
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

TERMINAL = [sys.executable, str(ROOT / "client_examples" / "python" / "chatops_terminal.py")]
BOT = ["node", str(ROOT / "client_examples" / "node" / "bot.mjs")]
CHATOPS = [sys.executable, "-m", "chatops"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(tmp_path_factory.mktemp("e2e") / "data") as running:
        yield running


async def shell(*command: str, within_s: float = 60, **environment: str) -> tuple[int, str, str]:
    """Run a program; return its exit code, standard output and standard error."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    out, err = await asyncio.wait_for(process.communicate(), within_s)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("program", ["chatops run", "terminal", "bot"])
async def test_each_runs_a_backtest_with_progress_and_the_reference_figure(
    server: ServerProcess, program: str, tmp_path: Path
) -> None:
    text = "/run_backtest sma_crossover AAPL"
    where = ["--url", server.url, "--session", "desk", "--name", "Kim"]
    commands = {
        "chatops run": [*CHATOPS, "run", text, *where],
        "terminal": [*TERMINAL, *where, "--once", text],
        "bot": [*BOT, *where, "--once", text],
    }
    code, out, err = await shell(*commands[program], XDG_CONFIG_HOME=str(tmp_path))
    assert code == 0, err
    assert "637.59 %" in out
    assert "Traceback" not in out + err


@pytest.mark.parametrize("program", ["chatops run", "terminal", "bot"])
async def test_a_mistake_is_one_sentence_and_exit_code_1(
    server: ServerProcess, program: str, tmp_path: Path
) -> None:
    where = ["--url", server.url, "--session", "desk", "--name", "Kim"]
    commands = {
        "chatops run": [*CHATOPS, "run", "/run_bactest", *where],
        "terminal": [*TERMINAL, *where, "--once", "/run_bactest"],
        "bot": [*BOT, *where, "--once", "/run_bactest"],
    }
    code, out, err = await shell(*commands[program], XDG_CONFIG_HOME=str(tmp_path))
    assert code == 1
    assert 'Did you mean "/run_backtest"?' in out + err
    assert "Traceback" not in out + err


async def test_no_server_is_said_in_one_sentence() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    code, _, err = await shell(*CHATOPS, "run", "/help", "--url", url)
    assert code == 1
    assert "does not answer" in err
    assert "Traceback" not in err


async def test_python_and_node_clients_see_the_same_entries_in_the_same_order(
    server: ServerProcess,
) -> None:
    async with (
        PythonMember(server.url, "both", "Pia") as pia,
        NodeMember(server.url, "both", "Noa") as noa,
    ):
        for number in range(20):
            pia.send(f"pia {number}")
            noa.send(f"noa {number}")
        pia.send("/run_backtest momentum IBM")
        await until(lambda: len(pia.seen) == len(noa.seen) == 42, 30, "all is seen by both")
        log = await stored_log(server.url, "both")
        assert pia.seen == noa.seen
        assert [seq for seq, _ in pia.seen] == [entry["seq"] for entry in log]


async def test_the_terminal_shows_what_is_said_and_sends_what_is_typed(
    server: ServerProcess, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *TERMINAL,
        *("--url", server.url, "--session", "tty", "--name", "민아"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "XDG_CONFIG_HOME": str(tmp_path)},
    )
    os.close(theirs)
    shown = bytearray()
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            shown.extend(os.read(ours, 65_536))
        except OSError:  # the program has ended
            loop.remove_reader(ours)

    loop.add_reader(ours, read)
    async with PythonMember(server.url, "tty", "Lee") as lee:
        try:
            lee.send("good morning")
            await until(lambda: b"good morning" in shown, 20, "it shows what others say")
            os.write(ours, "안녕하세요\r".encode())
            await until(
                lambda: any(text == "안녕하세요" for _, text in lee.seen), 20, "it sends Korean"
            )
            os.write(ours, b"/run_backtest macd IBM\r")
            await until(lambda: any("MACD" in t or "macd" in t for _, t in lee.seen), 20, "it runs")
            await until(lambda: b"total return" in shown, 30, "it shows the result")
            os.write(ours, b"\x04")  # Ctrl-D
            assert await asyncio.wait_for(process.wait(), 10) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            loop.remove_reader(ours)
            os.close(ours)


async def test_prices_are_imported_and_at_once_to_be_had(
    server: ServerProcess, tmp_path: Path
) -> None:
    good, bad = tmp_path / "NEW.csv", tmp_path / "BAD.csv"
    rows = [f"2024-01-{day:02d},{day},{day + 1},{day - 0.5},{day},100" for day in range(2, 30)]
    good.write_text("date,open,high,low,close,volume\n" + "\n".join(rows))
    bad.write_text(good.read_text().replace("5,6,4.5,5,100", "5,6,4.5,NaN,100"))
    where = {"CHATOPS_DATA_DIR": str(server.data_dir)}
    code, _, err = await shell(*CHATOPS, "import", str(bad), **where)
    assert code == 1
    assert "BAD.csv" in err
    assert "2024-01-05" in err
    assert "Traceback" not in err
    code, out, err = await shell(*CHATOPS, "import", str(good), **where)
    assert code == 0, err
    assert "NEW" in out
    code, out, err = await shell(
        *CHATOPS, "run", "/run_backtest buy_and_hold NEW", "--url", server.url
    )
    assert code == 0, err
    assert "buy_and_hold on NEW" in out


async def test_a_taken_port_and_a_second_server_on_the_folder_are_said_plainly(
    server: ServerProcess, tmp_path: Path
) -> None:
    port = server.url.rpartition(":")[2]
    code, _, err = await shell(
        *CHATOPS, "serve", "--port", port, CHATOPS_DATA_DIR=str(tmp_path / "other")
    )
    assert code == 1
    assert f"Port 127.0.0.1:{port} is taken by another program." in err
    assert "Traceback" not in err
    code, _, err = await shell(
        *CHATOPS, "serve", "--port", "0", CHATOPS_DATA_DIR=str(server.data_dir)
    )
    assert code == 1
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1


async def test_bad_settings_are_named(tmp_path: Path) -> None:
    code, _, err = await shell(
        *CHATOPS, "serve", CHATOPS_PORT="99999", CHATOPS_DATA_DIR=str(tmp_path)
    )
    assert code == 1
    assert "CHATOPS_PORT" in err
    code, _, err = await shell(*CHATOPS, "serve", "--workers", "2")
    assert code == 1
    assert "--workers 1" in err

"""The programs as an operator uses them: importing prices, ports, folders and settings."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.server import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHATOPS = [sys.executable, "-m", "chatops"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(tmp_path_factory.mktemp("e2e") / "data") as running:
        yield running


async def shell(*command: str, **environment: str) -> tuple[int, str, str]:
    """Run a program; return its exit code, standard output and standard error."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


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


async def test_a_download_without_its_extra_says_what_to_install(tmp_path: Path) -> None:
    code, _, err = await shell(
        *CHATOPS, "download", "TSLA", CHATOPS_DATA_DIR=str(tmp_path), PYTHONPATH=str(tmp_path)
    )
    assert code == 1
    assert "chatops[yahoo]" in err
    assert "Traceback" not in err

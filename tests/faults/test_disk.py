"""Disks that are full, read-only or damaged, and other bad starts: words, and nothing lost."""

import asyncio
import socket
import sys
from pathlib import Path

import psutil
import pytest
from psutil import RLIM_INFINITY

from tests.support.caller import Caller, RefusedError
from tests.support.disk import fill_the_disk, in_own_namespace
from tests.support.log import check_numbers, stored_log
from tests.support.server import ServerProcess
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(120)


async def failed_start(server: ServerProcess) -> str:
    """Start a server that must end by itself with exit code 1; return its last words."""
    with pytest.raises(AssertionError):
        await server.start()
    assert server._process is not None
    assert await asyncio.wait_for(server._process.wait(), 15) == 1
    said = server.log().strip()
    assert "Traceback" not in said
    (words,) = [line for line in said.splitlines() if not line.startswith("{")]  # less the log
    return words


async def send(caller: Caller, text: str, key: str) -> int:
    ack = await caller.ask(
        "sendMessage", sessionId=caller.session, content=text, clientMessageId=key
    )
    seq: int = ack["message"]["seq"]
    return seq


async def test_a_full_disk_is_told_to_the_sender_and_costs_nothing_that_was_acked(
    tmp_path: Path,
) -> None:
    data = tmp_path / "small"
    prefix = in_own_namespace(data, 'mount -t tmpfs -o size=6m tmpfs "$0"')
    acked: dict[str, int] = {}
    server = ServerProcess(
        data, prefix=prefix, CHATOPS_RATE_LIMIT="off", CHATOPS_ASSISTANT_MODE="off"
    )
    async with (
        server,
        Caller(server.url, "room", "Ann") as ann,
        Caller(server.url, "room", "Ben") as ben,
    ):
        inside = Path(f"/proc/{server.pid}/root{data}/ballast")
        acked["first"] = await send(ann, "before", "first")
        await asyncio.to_thread(fill_the_disk, inside)
        refused, key = None, ""
        for number in range(2000):
            key = f"n{number}"
            try:
                acked[key] = await send(ann, "x" * 4000, key)
            except RefusedError as no:
                refused = no.error
                break
        assert refused is not None
        assert (refused["code"], refused["message"]) == (
            "store_unavailable",
            "The store could not save this because the disk is full.",
        )
        assert refused["hint"]
        # Its neighbour can still read, and has heard exactly what was acked.
        page = await ben.ask("joinSession", sessionId="room", afterSeq=0)
        assert [entry["seq"] for entry in page["entries"]] == sorted(acked.values())
        assert len(ben.all("message")) == len(acked)
        assert {error["code"] for error in ben.all("error")} <= {"assistant_off"}
        await asyncio.to_thread(inside.unlink)
        acked[key] = await send(ann, "x" * 4000, key)
        entries = await stored_log(server.url, "room")
    check_numbers(entries)
    assert {entry["clientMessageId"]: entry["seq"] for entry in entries} == acked


async def test_a_result_that_meets_a_failing_disk_is_not_lost(tmp_path: Path) -> None:
    async with (
        ServerProcess(tmp_path / "data", CHATOPS_BACKTEST_WORKERS="1") as server,
        Caller(server.url, "room", "Ann") as ann,
    ):
        text = "/run_backtest momentum AAPL,IBM,MSFT,GOOG"
        ack = await ann.ask("sendMessage", sessionId="room", content=text)
        await ann.hears("backtestProgress", lambda one: one["phase"] in ("loading", "running"))
        process = psutil.Process(server.pid)
        # Nothing can be written beyond the first 16 KiB of a file: the log can, the store cannot.
        process.rlimit(psutil.RLIMIT_FSIZE, (16384, RLIM_INFINITY))
        await until(lambda: "store_write_failed" in server.log(), 30, "a write has failed")
        await asyncio.sleep(0.5)
        assert all(one["commandId"] != ack["commandId"] for one in ann.all("commandResult"))
        process.rlimit(psutil.RLIMIT_FSIZE, (RLIM_INFINITY, RLIM_INFINITY))
        result = await ann.result_of(ack["commandId"])
        assert result["success"], result["message"]
        check_numbers(await stored_log(server.url, "room"))


async def test_a_read_only_data_folder_stops_the_start_in_one_sentence(tmp_path: Path) -> None:
    data = tmp_path / "data"
    prefix = in_own_namespace(data, 'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"')
    said = await failed_start(ServerProcess(data, prefix=prefix))
    assert str(data) in said
    assert "read-only" in said
    assert "CHATOPS_DATA_DIR" in said


async def test_a_damaged_database_stops_the_start_in_one_sentence(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "chatops.sqlite3").write_bytes(b"this is no database at all " * 1000)
    said = await failed_start(ServerProcess(data))
    assert "chatops.sqlite3 is not a chatops database, or is damaged." in said
    assert "backup" in said
    assert (data / "chatops.sqlite3").read_bytes().startswith(b"this is no database")


async def test_a_port_that_is_taken_stops_the_start_in_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = ServerProcess(tmp_path / "data")
        server.url = f"http://127.0.0.1:{port}"
        said = await failed_start(server)
    assert said == f"Port 127.0.0.1:{port} is taken by another program. Choose another with --port."


async def test_a_second_server_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path / "data") as first:
        second = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chatops", "serve", "--port", "0"),
            env={"CHATOPS_DATA_DIR": str(first.data_dir), "PATH": "/usr/bin:/bin"},
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        _, said = await asyncio.wait_for(second.communicate(), 30)
        assert second.returncode == 1
        assert "Another chatops server uses the data folder" in said.decode()
        async with Caller(first.url, "room", "Ann") as ann:
            assert (await ann.say("/status"))["success"]


async def test_a_broken_price_file_spoils_only_its_own_symbol(tmp_path: Path) -> None:
    market = tmp_path / "data" / "market"
    market.mkdir(parents=True)
    (market / "BAD.1d.parquet").write_bytes(b"PAR1 this is not Parquet PAR1")
    (market / "notes.parquet").write_bytes(b"")
    async with (
        ServerProcess(tmp_path / "data", CHATOPS_BACKTEST_WORKERS="1") as server,
        Caller(server.url, "room", "Ann") as ann,
    ):
        error = await ann.refusal("/run_backtest macd BAD")
        assert error["message"] == "The prices of BAD are broken." or (
            error["message"] == "The prices of BAD 1d are broken."
        )
        assert error["hint"]
        assert (await ann.say("/run_backtest macd AAPL"))["success"]
        cache = await ann.say("/cache_status")
        assert {row["file"] for row in cache["data"]["broken"]} == {
            "BAD.1d.parquet",
            "notes.parquet",
        }
        assert "Traceback" not in server.log()

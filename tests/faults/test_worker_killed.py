"""A worker process killed in the middle of a run."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from tests.support.caller import Caller
from tests.support.server import ServerProcess
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(120)

LONG_RUN = "/run_backtest momentum AAPL,IBM,MSFT,GOOG --fresh"


def ready_workers(server: ServerProcess) -> list[int]:
    """Return the process ids of all workers that were ready so far."""
    lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    return [line["worker"] for line in lines if line["event"] == "worker_ready"]


async def kill_worker(server: ServerProcess, number: int) -> None:
    """Kill the worker of this number, from 1, once it is ready and thus has the waiting run."""
    await until(lambda: len(ready_workers(server)) >= number, 30, f"worker {number} is ready")
    os.kill(ready_workers(server)[number - 1], signal.SIGKILL)


async def test_a_run_whose_worker_is_killed_is_run_once_more(tmp_path: Path) -> None:
    async with (
        ServerProcess(tmp_path / "data", CHATOPS_BACKTEST_WORKERS="1") as server,
        Caller(server.url, "room", "Ann") as ann,
    ):
        ack = await ann.ask("sendMessage", sessionId="room", content=LONG_RUN)
        await kill_worker(server, 1)
        result = await ann.result_of(ack["commandId"])
        assert result["success"], result["message"]
        versions = [one["version"] for one in ann.all("backtestProgress")]
        assert versions == sorted(set(versions))
        assert ann.all("backtestProgress")[-1]["outcome"] == "completed"


async def test_a_run_that_loses_two_workers_ends_in_clear_words(tmp_path: Path) -> None:
    async with (
        ServerProcess(tmp_path / "data", CHATOPS_BACKTEST_WORKERS="1") as server,
        Caller(server.url, "room", "Ann") as ann,
    ):
        ack = await ann.ask("sendMessage", sessionId="room", content=LONG_RUN)
        await kill_worker(server, 1)
        await kill_worker(server, 2)
        result = await ann.result_of(ack["commandId"])
        assert not result["success"]
        job_id = result["data"]["backtestId"]
        assert result["message"] == (
            "momentum on AAPL, IBM, MSFT and 1 more was interrupted: its worker stopped 2 times,"
            f" so it is not tried again. Type /rerun {job_id} to run it anew."
        )
        final = ann.all("backtestProgress")[-1]
        assert (final["status"], final["outcome"]) == ("failed", "interrupted")
        assert (await ann.say("/failed_backtests"))["data"]["backtests"][0]["state"] == (
            "interrupted"
        )
        async with asyncio.timeout(60):
            assert (await ann.say(f"/rerun {job_id}"))["success"]

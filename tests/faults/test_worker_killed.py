"""A worker process killed in the middle of a run."""

import asyncio
from pathlib import Path

import psutil
import pytest

from tests.support.caller import Caller, Payload
from tests.support.server import ServerProcess

pytestmark = pytest.mark.timeout(120)

LONG_RUN = "/run_backtest momentum AAPL,IBM,MSFT,GOOG --fresh"


async def kill_worker_at(ann: Caller, server: ServerProcess, attempt: int) -> None:
    """Wait until the job of the newest command runs for the ``attempt``-th time; kill it."""

    def runs(_: Payload) -> bool:
        phases = [one["phase"] for one in ann.all("backtestProgress")]
        starts = [
            phase
            for before, phase in zip(["queued", *phases], phases, strict=False)
            if before == "queued" and phase != "queued"
        ]
        return len(starts) >= attempt and phases[-1] == "running"

    await ann.hears("backtestProgress", runs)
    (worker,) = psutil.Process(server.pid).children()
    worker.kill()


async def test_a_run_whose_worker_is_killed_is_run_once_more(tmp_path: Path) -> None:
    async with (
        ServerProcess(tmp_path / "data", CHATOPS_BACKTEST_WORKERS="1") as server,
        Caller(server.url, "room", "Ann") as ann,
    ):
        ack = await ann.ask("sendMessage", sessionId="room", content=LONG_RUN)
        await kill_worker_at(ann, server, 1)
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
        await kill_worker_at(ann, server, 1)
        await kill_worker_at(ann, server, 2)
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

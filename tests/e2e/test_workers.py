"""``chatops worker``: servers that run nothing themselves, and processes that work by ticket."""

import asyncio
import json
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psutil
import pytest
from redis import Redis

from tests.support.caller import Caller
from tests.support.fleet import Fleet, fleet
from tests.support.log import check_numbers, stored_log
from tests.support.program import Program
from tests.support.waiting import until

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.timeout(240),
]

SLOW_RUN = "/run_backtest momentum AAPL,IBM,MSFT,GOOG --fresh"


def worker(cluster: Fleet, folder: Path, slots: int = 1) -> Program:
    command = [sys.executable, "-m", "chatops", "worker", "--slots", str(slots)]
    return Program(
        command,
        CHATOPS_DATA_DIR=str(folder),
        CHATOPS_LOG_FORMAT="json",
        **cluster.environment(),
    )


@asynccontextmanager
async def callers(cluster: Fleet) -> AsyncIterator[list[Caller]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(Caller(url, "desk", name))
            for url, name in zip(cluster.urls, ("Ann", "Ben"), strict=True)
        ]


def started_by(program: Program) -> list[str]:
    lines = [json.loads(line) for line in program.err if line.startswith("{")]
    return [line["job"] for line in lines if line["event"] == "job_started"]


async def test_jobs_of_two_servers_are_run_by_workers_of_which_one_is_killed_and_one_goes(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, nodes=2, CHATOPS_QUEUE="celery") as cluster:
        for node in cluster.nodes:
            assert psutil.Process(node.pid).children() == []  # servers run nothing
        async with (
            callers(cluster) as (ann, ben),
            worker(cluster, tmp_path) as killed,
            worker(cluster, tmp_path) as going,
        ):
            commands = []
            for number in range(6):
                caller = (ann, ben)[number % 2]
                ack = await caller.ask(
                    "sendMessage",
                    sessionId="desk",
                    content=f"/run_backtest sma_crossover AAPL short_window={5 + number} --fresh",
                )
                commands.append(ack["commandId"])
            compare = "/compare_strategies macd momentum symbols=IBM"
            ack = await ben.ask("sendMessage", sessionId="desk", content=compare)
            commands.append(ack["commandId"])
            await until(lambda: len(started_by(killed)) >= 1, 60, "the first worker works")
            killed.interrupt(signal.SIGKILL)
            await until(lambda: len(started_by(going)) >= 2, 60, "the second works")
            going.interrupt(signal.SIGTERM)
            before = time.monotonic()
            ended = await going.ended(within_s=10)
            assert ended.code == 0, ended.err
            assert time.monotonic() - before < 8
            async with worker(cluster, tmp_path, slots=2) as last:
                for caller in (ann, ben):
                    for command in commands:
                        result = await caller.result_of(command)
                        assert result["success"], result["message"]
                assert "Traceback" not in "\n".join(last.err + going.err + killed.err)
            log = await stored_log(cluster.urls[0], "desk")
        check_numbers(log)
        results = Counter(e["commandId"] for e in log if e["type"] == "commandResult")
        assert results == Counter(commands)
        assert "Traceback" not in cluster.logs()


async def test_a_run_on_a_worker_is_seen_and_stopped_from_any_server(tmp_path: Path) -> None:
    async with (
        fleet(tmp_path, nodes=2, CHATOPS_QUEUE="celery") as cluster,
        callers(cluster) as (ann, ben),
        worker(cluster, tmp_path) as program,
    ):
        await program.says("runs backtests, 1 at once")
        await program.says("worker_ready")
        ack = await ann.ask("sendMessage", sessionId="desk", content=SLOW_RUN)
        await until(lambda: bool(started_by(program)), 30, "it runs")
        job_id = started_by(program)[0]
        await ben.say(f"/cancel {job_id}")
        before = time.monotonic()
        for caller in (ann, ben):
            result = await caller.result_of(ack["commandId"])
            assert "was cancelled by Ben." in result["message"]
            last = caller.all("backtestProgress")[-1]
            assert (last["outcome"], last["phase"]) == ("cancelled", "done")
            versions = [one["version"] for one in caller.all("backtestProgress")]
            assert versions == sorted(set(versions))
        assert time.monotonic() - before < 3


async def test_backtests_go_on_without_redis_and_by_ticket_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with (
        fleet(tmp_path, nodes=2, CHATOPS_QUEUE="celery") as cluster,
        callers(cluster) as (ann, ben),
        worker(cluster, tmp_path) as program,
    ):
        await program.says("worker_ready")
        assert (await ann.say(SLOW_RUN))["success"]
        cluster.redis.kill()
        async with asyncio.timeout(60):
            assert (await ben.say(SLOW_RUN))["success"]
        cluster.redis.restart()
        async with asyncio.timeout(60):
            assert (await ann.say(SLOW_RUN))["success"]
        with Redis(port=cluster.redis.port) as connection:
            keys = [key.decode() for key in connection.keys("*")]
        assert all(key.startswith("chatops:") for key in keys), keys
        program.interrupt(signal.SIGTERM)
        done = await program.ended(within_s=10)
        assert done.code == 0
        assert "taker_does_not_end" not in done.err


@pytest.mark.parametrize("arguments", [("worker",), ("serve", "--port", "0")])
async def test_without_a_shared_store_and_bus_it_says_what_to_set(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    command = [sys.executable, "-m", "chatops", *arguments]
    async with Program(command, CHATOPS_DATA_DIR=str(tmp_path), CHATOPS_QUEUE="celery") as program:
        done = await program.ended()
    assert done.code == 1
    assert re.search("Set REDIS_URL and MONGODB_URI", done.err)
    assert "Traceback" not in done.err

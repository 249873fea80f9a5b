"""Jobs on several nodes and workers, which are killed, paused and told to go in mid-run."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chatops.backtests.market.importer import import_files
from tests.support.caller import Caller
from tests.support.fleet import Fleet, fleet
from tests.support.log import check_numbers, stored_log
from tests.support.server import ServerProcess, WorkerProcess
from tests.support.waiting import until

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.timeout(240),
]

SESSION = "desk"
HOURS = 80_000
LONG_RUN = "/run_backtest sma_crossover HOURLY timeframe=1h --fresh"
"""Takes several seconds, so that there is time to do something to it."""
LEASE_S = 10.0

QUEUES = ["pool", "celery"]


def write_prices(folder: Path) -> Path:
    """Import many years of made-up hours; return the folder of prices."""
    chance, close, lines = random.Random(1), 100.0, ["time,open,high,low,close,volume"]
    start = datetime(2000, 1, 1, tzinfo=UTC)
    for hour in range(HOURS):
        before, close = close, close * (1.0 + chance.gauss(0.0, 0.002))
        high, low = max(before, close), min(before, close)
        at = (start + timedelta(hours=hour)).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines.append(f"{at},{before:.4f},{high:.4f},{low:.4f},{close:.4f},1000")
    file = folder / "HOURLY.csv"
    file.write_text("\n".join(lines))
    import_files([file], folder / "market", symbol=None, timeframe=None, allow_jumps=False)
    return folder / "market"


@asynccontextmanager
async def cluster(folder: Path, queue: str) -> AsyncIterator[tuple[Fleet, list[ServerProcess]]]:
    """Run two nodes; yield them, and the processes that run jobs: themselves or two workers."""
    prices = str(write_prices(folder))
    async with fleet(folder, nodes=2, CHATOPS_QUEUE=queue, CHATOPS_MARKET_DATA=prices) as made:
        if queue == "pool":
            yield made, made.nodes
            return
        environment = {
            **made.environment(),
            "CHATOPS_QUEUE": queue,
            "CHATOPS_MARKET_DATA": prices,
            "CHATOPS_BACKTEST_WORKERS": "1",
        }
        workers: list[ServerProcess] = [
            WorkerProcess(folder / f"worker{number}", **environment) for number in range(2)
        ]
        try:
            await asyncio.gather(*(worker.start() for worker in workers))
            yield made, workers
            await asyncio.gather(*(worker.stop() for worker in workers))
        finally:
            await asyncio.gather(*(worker.kill() for worker in workers))


def runner_of(processes: list[ServerProcess], job_id: str) -> ServerProcess | None:
    """Return the process that started a job last."""
    starts = [
        (line["timestamp"], number)
        for number, process in enumerate(processes)
        for line in process.logged("job_started")
        if line["job"] == job_id
    ]
    return processes[max(starts)[1]] if starts else None


def starts_of(processes: list[ServerProcess], job_id: str) -> dict[int, datetime]:
    """Return when each attempt at a job was begun, wherever that was."""
    lines = [line for process in processes for line in process.logged("job_started")]
    found = {line["attempt"]: line["timestamp"] for line in lines if line["job"] == job_id}
    return {attempt: datetime.fromisoformat(at) for attempt, at in sorted(found.items())}


async def ask(caller: Caller, text: str = LONG_RUN) -> tuple[str, str]:
    """Ask for a run; return the ids of the command and the job once it is under way."""
    ack = await caller.ask("sendMessage", sessionId=SESSION, content=text)
    known = {p["backtestId"] for p in caller.all("backtestProgress")}
    news = await caller.hears("backtestProgress", lambda p: p["backtestId"] not in known)
    return ack["commandId"], news["backtestId"]


async def is_running(processes: list[ServerProcess], job_id: str) -> ServerProcess:
    """Wait until some process runs the job; return it."""
    await until(lambda: runner_of(processes, job_id) is not None, 60, "the job has started")
    found = runner_of(processes, job_id)
    assert found is not None
    return found


def finals(caller: Caller, job_id: str) -> list[dict[str, Any]]:
    """Return the final progress of a job as somebody heard it."""
    heard = caller.all("backtestProgress")
    return [p for p in heard if p["backtestId"] == job_id and p["status"] != "running"]


def check_progress(caller: Caller) -> None:
    """Assert that versions only grow for each job."""
    for job_id in {p["backtestId"] for p in caller.all("backtestProgress")}:
        versions = [
            p["version"] for p in caller.all("backtestProgress") if p["backtestId"] == job_id
        ]
        assert versions == sorted(set(versions)), job_id


@pytest.mark.parametrize("queue", ["celery", pytest.param("pool", marks=pytest.mark.long)])
async def test_both_nodes_see_the_run_and_its_one_result(tmp_path: Path, queue: str) -> None:
    async with (
        cluster(tmp_path, queue) as (made, _),
        Caller(made.urls[0], SESSION, "Ann") as ann,
        Caller(made.urls[1], SESSION, "Ben") as ben,
    ):
        command, job_id = await ask(ann)
        for caller in (ann, ben):
            result = await caller.result_of(command)
            assert result["success"], result["message"]
            assert len(finals(caller, job_id)) == 1
            events = [name for name, p in caller.heard if p.get("backtestId") == job_id]
            assert events[-1] == "backtestProgress"
            assert caller.heard.index(("backtestProgress", finals(caller, job_id)[0])) == (
                caller.heard.index(("commandResult", result)) - 1
            )
            check_progress(caller)
        # The same run, asked for on the other node, is done once.
        again = await ben.say(LONG_RUN.removesuffix(" --fresh"))
        assert again["data"]["reused"]
        assert again["data"]["backtestId"] == job_id


@pytest.mark.parametrize("queue", QUEUES)
async def test_a_run_is_cancelled_from_the_other_node_within_two_seconds(
    tmp_path: Path, queue: str
) -> None:
    async with (
        cluster(tmp_path, queue) as (made, processes),
        Caller(made.urls[0], SESSION, "Ann") as ann,
        Caller(made.urls[1], SESSION, "Ben") as ben,
    ):
        for _round in range(3):
            command, job_id = await ask(ann)
            await is_running(processes, job_id)
            begun = time.monotonic()
            await ben.say(f"/cancel {job_id}")
            result = await ann.result_of(command)
            assert time.monotonic() - begun < 2.0
            assert "cancelled by Ben" in result["message"]
            assert finals(ann, job_id)[0]["outcome"] == "cancelled"


@pytest.mark.parametrize(
    ("fault", "queue"),
    [
        ("killed", "celery"),
        ("paused", "pool"),
        ("told to stop", "celery"),
        *(
            pytest.param(*other, marks=pytest.mark.long)
            for other in (("killed", "pool"), ("paused", "celery"), ("told to stop", "pool"))
        ),
    ],
)
async def test_a_run_whose_runner_is_gone_is_ended_by_another(
    tmp_path: Path, queue: str, fault: str
) -> None:
    async with (
        cluster(tmp_path, queue) as (made, processes),
        Caller(made.urls[0], SESSION, "Ann") as ann,
        Caller(made.urls[1], SESSION, "Ben") as ben,
    ):
        command, job_id = await ask(ann)
        runner = await is_running(processes, job_id)
        survivor, witness = (
            (made.nodes[0], ann) if runner is made.nodes[1] else (made.nodes[1], ben)
        )
        begun = datetime.now(UTC)
        if fault == "killed":
            await runner.kill()
        elif fault == "paused":
            runner.pause()
        else:
            assert await runner.stop(within_s=8) == 0
        result = await witness.result_of(command)
        assert result["success"], result["message"]
        assert len(finals(witness, job_id)) == 1
        check_progress(witness)
        starts = starts_of(processes, job_id)
        if fault != "told to stop":
            assert list(starts) == [1, 2]
        elif 2 in starts:  # else it came to its end in the time that is given to what runs
            assert starts[2] - begun < timedelta(seconds=LEASE_S), "nobody waited for the lease"
        if fault == "paused":
            runner.resume()
            await asyncio.sleep(3)
        log = await stored_log(survivor.url, SESSION)
        check_numbers(log)
        ended = Counter(entry["commandId"] for entry in log if entry["type"] == "commandResult")
        assert ended == {command: 1}
        if fault != "paused":
            await runner.start()


@pytest.mark.parametrize("queue", ["pool", pytest.param("celery", marks=pytest.mark.long)])
async def test_many_runs_while_a_runner_dies_each_end_once(tmp_path: Path, queue: str) -> None:
    async with cluster(tmp_path, queue) as (made, processes):
        async with Caller(made.urls[0], SESSION, "Ann") as ann:
            commands = []
            for window in range(5, 17):
                text = f"/run_backtest sma_crossover AAPL short_window={window} long_window=60"
                ack = await ann.ask("sendMessage", sessionId=SESSION, content=text)
                commands.append(ack["commandId"])
            await until(lambda: bool(processes[1].logged("job_started")), 60, "both work")
            await processes[1].kill()
            results = [await ann.result_of(command) for command in commands]
            assert all(result["success"] for result in results)
            check_progress(ann)
        await processes[1].start()
        log = await stored_log(made.urls[1], SESSION)
        check_numbers(log)
        ended = Counter(entry["commandId"] for entry in log if entry["type"] == "commandResult")
        assert ended == Counter(commands)


async def test_tickets_lost_with_redis_are_sent_again(tmp_path: Path) -> None:
    async with (
        cluster(tmp_path, "celery") as (made, _),
        Caller(made.urls[0], SESSION, "Ann") as ann,
    ):
        await ann.say(LONG_RUN)
        made.redis.kill()
        ack = await ann.ask("sendMessage", sessionId=SESSION, content=LONG_RUN)
        await asyncio.sleep(3)
        made.redis.restart()
        result = await ann.result_of(ack["commandId"])
        assert result["success"], result["message"]

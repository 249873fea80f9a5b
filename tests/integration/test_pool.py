import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from structlog.testing import capture_logs

from chatops.backtests.ports import WorkerLostError
from chatops.backtests.work import Cancelled, Progress, Report, Task
from chatops.errors import InternalError, LimitExceededError, NotFoundError
from chatops.tasks import Supervisor
from chatops.workers.pool import ProcessPool

SUPPORT = Path(__file__).parents[1] / "support"
ENTRY = "worker_tasks:open_work"
DEADLINE_S = 30.0

OpenPool = Callable[..., Awaitable[ProcessPool]]


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    supervisor = Supervisor()
    yield supervisor
    await supervisor.close(0)


@pytest.fixture
def entry_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT), prepend=os.pathsep)


@pytest.fixture
async def open_pool(
    supervisor: Supervisor, tmp_path: Path, entry_on_path: None
) -> AsyncIterator[OpenPool]:
    pools = []

    async def open_one(**options: Any) -> ProcessPool:
        defaults: dict[str, Any] = {
            "slots": 1,
            "market_folder": tmp_path,
            "timeout_s": 60,
            "memory_mb": 512,
            "entry": ENTRY,
        }
        pool = ProcessPool(supervisor, **(defaults | options))
        pool.open()
        pools.append(pool)
        return pool

    yield open_one
    for pool in pools:
        await pool.close()
    assert worker_processes() == []


def worker_processes() -> list[psutil.Process]:
    """Return the children of the test that are workers; services of other tests are not."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            if "chatops.workers.child" in child.cmdline():
                found.append(child)
    return found


class Seen(list[Progress]):
    """Collects progress and tells when a phase has come."""

    def __init__(self) -> None:
        super().__init__()
        self._came = asyncio.Event()

    def __call__(self, progress: Progress) -> None:
        self.append(progress)
        self._came.set()

    async def first(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await self._came.wait()


def task(do: str, job_id: str = "bt_1", **spec: Any) -> Task:
    return Task(job_id, "backtest", {"do": do, **spec})


async def finish(work: Awaitable[Report]) -> Report:
    async with asyncio.timeout(DEADLINE_S):
        return await work


async def do(pool: ProcessPool, *what: Any, **spec: Any) -> Report:
    return await finish(pool.run(task(*what, **spec), lambda _progress: None))


async def pid_of_worker(pool: ProcessPool) -> int:
    return int((await do(pool, "echo")).summary["pid"])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - the condition is another process's
            await asyncio.sleep(0.005)


async def test_a_task_goes_over_and_its_report_comes_back_whole(open_pool: OpenPool) -> None:
    pool = await open_pool()
    order = Task(
        "cmp_1",
        "comparison",
        {"do": "echo", "name": "삼성전자"},
        inputs=[{"sharpe": None}, {"sharpe": 0.5}],
        files={"0/equity.csv": b"\x00\xff", "1/equity.csv": b""},
    )
    seen = Seen()
    report = await finish(pool.run(order, seen))
    assert report.files == order.files
    assert report.summary["kind"] == "comparison"
    assert report.summary["spec"] == order.spec
    assert report.summary["inputs"] == order.inputs
    assert seen == [
        Progress("loading", 0.0),
        Progress("running", 0.5, "half"),
        Progress("analyzing", 0.9),
    ]
    assert await pid_of_worker(pool) == report.summary["pid"]


async def test_of_much_progress_little_is_passed_on_in_order_and_every_phase(
    open_pool: OpenPool,
) -> None:
    pool = await open_pool()
    seen = Seen()
    began = time.monotonic()
    await finish(pool.run(task("count", steps=200_000), seen))
    took_s = time.monotonic() - began
    assert [progress.phase for progress in (seen[0], seen[1], seen[-1])] == [
        "loading",
        "running",
        "saving",
    ]
    assert [p.fraction for p in seen] == sorted(p.fraction for p in seen)
    assert len(seen) <= 3 + took_s / 0.05


async def test_a_report_of_forty_megabytes_arrives_whole(open_pool: OpenPool) -> None:
    pool = await open_pool()
    report = await do(pool, "bytes", size=40_000_000)
    assert report.files["big.bin"] == b"\x07" * 40_000_000


async def test_words_for_a_person_arrive_with_their_class(open_pool: OpenPool) -> None:
    pool = await open_pool()
    with pytest.raises(NotFoundError) as caught:
        await do(pool, "fail")
    assert caught.value.message == "There is no symbol `ZZZZ`."
    assert caught.value.hint == "Type /symbols to see which there are."


@pytest.mark.parametrize(("fault", "cause"), [("crash", "a secret of the"), ("nan", "compliant")])
async def test_a_fault_is_told_to_the_log_only_and_leaves_the_worker_at_work(
    open_pool: OpenPool, fault: str, cause: str
) -> None:
    pool = await open_pool()
    pid = await pid_of_worker(pool)
    with capture_logs() as lines, pytest.raises(InternalError) as caught:
        await do(pool, fault, "bt_17")
    assert "Traceback" not in str(caught.value)
    assert cause not in str(caught.value)
    (line,) = [line for line in lines if line["event"] == "task_crashed"]
    assert line["job_id"] == "bt_17"
    assert "Traceback" in line["cause"]
    assert cause in line["cause"]
    assert await pid_of_worker(pool) == pid


async def test_what_libraries_print_becomes_log_lines(open_pool: OpenPool) -> None:
    pool = await open_pool()
    with capture_logs() as lines:
        assert await do(pool, "noise") == Report({}, {})
        await pool.close()
    printed = [line["line"] for line in lines if line["event"] == "worker_output"]
    assert "a library that prints" in printed
    assert "left over from stdin: ''" in printed
    assert sum(line.count("x") for line in printed if line.strip("x,andoei C") == "") >= 100_000


async def test_cancel_stops_a_task_that_asks_and_keeps_its_worker(open_pool: OpenPool) -> None:
    pool = await open_pool()
    pid = await pid_of_worker(pool)
    seen = Seen()
    running = asyncio.gather(pool.run(task("polite"), seen))
    await seen.first()
    assert pool.cancel("bt_1")
    with pytest.raises(Cancelled):
        async with asyncio.timeout(DEADLINE_S):
            await running
    assert not pool.cancel("bt_1")
    assert await pid_of_worker(pool) == pid
    assert [worker._kill_timer for worker in pool._ready] == [None]


@pytest.mark.parametrize("trouble", ["deaf", "deaf in C"])
async def test_cancel_kills_a_task_that_never_asks_and_no_other(
    open_pool: OpenPool, trouble: str
) -> None:
    pool = await open_pool(slots=2)
    deaf, polite = Seen(), Seen()
    stuck = asyncio.gather(pool.run(task(trouble, "bt_stuck"), deaf), return_exceptions=True)
    neighbour = asyncio.gather(pool.run(task("polite", "bt_other"), polite), return_exceptions=True)
    await deaf.first()
    await polite.first()
    assert pool.cancel("bt_stuck")
    async with asyncio.timeout(DEADLINE_S):
        (outcome,) = await stuck
    assert isinstance(outcome, Cancelled)
    assert not neighbour.done()
    await do(pool, "echo", "bt_next")
    pool.cancel("bt_other")
    async with asyncio.timeout(DEADLINE_S):
        (outcome,) = await neighbour
    assert isinstance(outcome, Cancelled)


async def test_a_task_that_still_waits_for_a_worker_can_be_cancelled(open_pool: OpenPool) -> None:
    pool = await open_pool()
    seen = Seen()
    first = asyncio.gather(pool.run(task("polite", "bt_1"), seen), return_exceptions=True)
    await seen.first()
    second = asyncio.gather(do(pool, "echo", "bt_2"), return_exceptions=True)
    third = asyncio.gather(do(pool, "echo", "bt_3"))
    await asyncio.sleep(0)
    assert pool.cancel("bt_2")
    (outcome,) = await second
    assert isinstance(outcome, Cancelled)
    pool.cancel("bt_1")
    await first
    assert (await third)[0].summary["job"] == "bt_3"


async def test_who_stops_waiting_for_a_run_gets_away_at_once_and_the_worker_is_freed(
    open_pool: OpenPool,
) -> None:
    pool = await open_pool()
    pid = await pid_of_worker(pool)
    seen = Seen()
    running = asyncio.gather(pool.run(task("polite"), seen))
    await seen.first()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    count = len(seen)
    assert await pid_of_worker(pool) == pid
    assert len(seen) == count


async def test_a_listener_that_fails_ends_its_run_and_frees_the_worker(
    open_pool: OpenPool,
) -> None:
    pool = await open_pool()
    pid = await pid_of_worker(pool)

    def on_progress(_progress: Progress) -> None:
        raise LookupError("the listener's own fault")

    with pytest.raises(LookupError):
        await finish(pool.run(task("polite"), on_progress))
    assert await pid_of_worker(pool) == pid


async def test_who_stops_waiting_for_a_worker_leaves_the_worker_to_the_next(
    open_pool: OpenPool,
) -> None:
    pool = await open_pool()
    seen = Seen()

    async def first_cancels_second() -> None:
        with contextlib.suppress(Cancelled):
            await pool.run(task("polite", "bt_1"), seen)
        # The worker has been handed to the second, which has not had its turn yet.
        second.cancel()

    first = asyncio.gather(first_cancels_second())
    await seen.first()
    second = asyncio.gather(do(pool, "echo", "bt_2"))
    third = asyncio.gather(do(pool, "echo", "bt_3"))
    await asyncio.sleep(0)
    pool.cancel("bt_1")
    await first
    with pytest.raises(asyncio.CancelledError):
        await second
    assert (await third)[0].summary["job"] == "bt_3"


@pytest.mark.parametrize("trouble", ["polite", "deaf"])
async def test_a_task_over_its_time_is_stopped_and_told_why(
    open_pool: OpenPool, trouble: str
) -> None:
    pool = await open_pool(timeout_s=0.2)
    with pytest.raises(LimitExceededError, match=r"longer than the 0\.2 s") as caught:
        await do(pool, trouble)
    assert "CHATOPS_BACKTEST_TIMEOUT_S" in str(caught.value)
    await do(pool, "echo")


@pytest.mark.parametrize(
    ("death", "reason"),
    [
        ({}, "exit code 7"),
        ({"signal": "SIGKILL"}, "SIGKILL"),
        ({"signal": "SIGSEGV"}, "SIGSEGV"),
    ],
)
async def test_a_death_in_mid_task_is_told_and_the_next_task_runs(
    open_pool: OpenPool, death: dict[str, str], reason: str
) -> None:
    pool = await open_pool()
    pid = await pid_of_worker(pool)
    with pytest.raises(WorkerLostError) as caught:
        await do(pool, "die", **death)
    assert caught.value.reason == reason
    assert await pid_of_worker(pool) != pid


async def test_kill_minus_nine_from_outside_loses_one_task_and_no_other(
    open_pool: OpenPool,
) -> None:
    pool = await open_pool(slots=2)
    killed, other = Seen(), Seen()
    lost = asyncio.gather(pool.run(task("polite", "bt_1"), killed), return_exceptions=True)
    await killed.first()
    (victim,) = [worker for worker in pool._workers if worker.busy]
    kept = asyncio.gather(pool.run(task("polite", "bt_2"), other), return_exceptions=True)
    await other.first()
    os.kill(victim.pid, signal.SIGKILL)
    async with asyncio.timeout(DEADLINE_S):
        (outcome,) = await lost
    assert isinstance(outcome, WorkerLostError)
    assert not kept.done()
    assert await pid_of_worker(pool) != victim.pid
    assert pool.cancel("bt_2")
    await kept


async def test_a_worker_that_dies_idle_is_replaced_unnoticed(open_pool: OpenPool) -> None:
    pool = await open_pool()
    pid = await pid_of_worker(pool)
    os.kill(pid, signal.SIGKILL)
    await until(lambda: bool(pool._ready) and all(worker.pid != pid for worker in pool._ready))
    assert await pid_of_worker(pool) != pid


async def test_a_memory_hog_is_told_the_limit_and_harms_no_neighbour(open_pool: OpenPool) -> None:
    pool = await open_pool(slots=2, memory_mb=256)
    other = Seen()
    neighbour = asyncio.gather(pool.run(task("polite", "bt_2"), other), return_exceptions=True)
    await other.first()
    await until(lambda: len(pool._ready) == 2)
    (hog,) = [worker for worker in pool._ready if not worker.busy]
    with pytest.raises(LimitExceededError, match="256 MB of memory") as caught:
        await do(pool, "hog")
    assert hog.retired
    assert "CHATOPS_BACKTEST_MEMORY_MB" in str(caught.value)
    await do(pool, "echo", "bt_3")
    assert not neighbour.done()
    pool.cancel("bt_2")
    await neighbour


async def test_a_worker_is_replaced_after_its_share_of_tasks(open_pool: OpenPool) -> None:
    pool = await open_pool(tasks_per_worker=3)
    pids = [await pid_of_worker(pool) for _ in range(6)]
    assert len(set(pids[:3])) == len(set(pids[3:])) == 1
    assert pids[0] != pids[3]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
async def test_a_worker_that_keeps_much_memory_is_replaced(open_pool: OpenPool) -> None:
    pool = await open_pool(memory_mb=400)
    small = int((await do(pool, "leak", mb=20)).summary["pid"])
    large = int((await do(pool, "leak", mb=220)).summary["pid"])
    assert small == large
    assert await pid_of_worker(pool) != large


async def test_fifty_tasks_pass_through_two_slots_two_at_a_time(open_pool: OpenPool) -> None:
    pool = await open_pool(slots=2)
    assert pool.slots == 2
    await until(lambda: len(pool._ready) == 2)
    running = most = 0
    pids = set()

    async def one(number: int) -> Any:
        nonlocal running, most
        begun = False

        def on_progress(_progress: Progress) -> None:
            nonlocal running, most, begun
            running += not begun
            begun = True
            most = max(most, running)

        report = await pool.run(task("echo", f"bt_{number}"), on_progress)
        running -= 1
        pids.add(report.summary["pid"])
        return report.summary["job"]

    async with asyncio.timeout(DEADLINE_S):
        jobs = await asyncio.gather(*(one(number) for number in range(50)))
    assert jobs == [f"bt_{number}" for number in range(50)]
    assert most <= 2
    assert len(pids) == 2


async def test_workers_that_cannot_start_fail_the_run_in_clear_words_and_do_not_spin(
    open_pool: OpenPool,
) -> None:
    with capture_logs() as lines:
        began = time.monotonic()
        pool = await open_pool(entry="worker_tasks:open_broken")
        with pytest.raises(InternalError, match="worker process does not start"):
            await do(pool, "echo")
        with pytest.raises(InternalError, match="worker process does not start"):
            await do(pool, "echo")
        await until(lambda: sum(line["event"] == "worker_start_failed" for line in lines) == 4)
    assert time.monotonic() - began > 0.25 + 0.5 + 1
    assert any("not installed" in line.get("line", "") for line in lines)


async def test_workers_that_can_start_again_are_used_again(
    open_pool: OpenPool, tmp_path: Path
) -> None:
    pool = await open_pool(entry="worker_tasks:open_when_file_exists")
    with pytest.raises(InternalError):
        await do(pool, "echo")
    (tmp_path / "repaired").touch()
    await until(lambda: bool(pool._ready))
    os.kill(await pid_of_worker(pool), signal.SIGKILL)
    await until(lambda: not pool._ready)
    await do(pool, "echo")


async def test_closing_ends_every_process_whatever_it_is_doing(open_pool: OpenPool) -> None:
    pool = await open_pool(slots=3)
    troubles = ("polite", "deaf", "deaf in C")
    seen = [Seen() for _ in troubles]
    runs = [
        asyncio.gather(pool.run(task(trouble, trouble), progress), return_exceptions=True)
        for trouble, progress in zip(troubles, seen, strict=True)
    ]
    for progress in seen:
        await progress.first()
    runs.append(asyncio.gather(do(pool, "echo", "waiting"), return_exceptions=True))
    await asyncio.sleep(0)
    processes = worker_processes()
    assert len(processes) == 3
    async with asyncio.timeout(DEADLINE_S):
        await pool.close()
    assert not any(process.is_running() for process in processes)
    for run in runs:
        (outcome,) = await run
        assert isinstance(outcome, WorkerLostError)
    with pytest.raises(WorkerLostError):
        await do(pool, "echo")
    await pool.close()


async def test_idle_workers_end_by_themselves_when_the_pool_closes(open_pool: OpenPool) -> None:
    pool = await open_pool(slots=2)
    await until(lambda: len(pool._ready) == 2)
    workers = list(pool._ready)
    await pool.close()
    assert [worker._process.returncode for worker in workers] == [0, 0]


async def test_a_pool_closed_while_its_workers_start_leaves_none(open_pool: OpenPool) -> None:
    pool = await open_pool(slots=2)
    await until(lambda: len(pool._workers) == 2)
    async with asyncio.timeout(DEADLINE_S):
        await pool.close()
    assert worker_processes() == []


async def test_control_c_and_terminate_do_not_reach_a_task(open_pool: OpenPool) -> None:
    pool = await open_pool()
    pid = await pid_of_worker(pool)
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    assert await pid_of_worker(pool) == pid


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere C code may outlive the server")
def test_no_worker_outlives_a_killed_server(entry_on_path: None) -> None:
    with subprocess.Popen(
        [sys.executable, SUPPORT / "pool_server.py", ENTRY, "polite", "deaf", "deaf in C"],
        stdout=subprocess.PIPE,
    ) as server:
        try:
            assert server.stdout is not None
            workers = [psutil.Process(int(pid)) for pid in server.stdout.readline().split()]
            assert len(workers) == 3
        finally:
            server.kill()
        killed_at = time.monotonic()
    while any(worker.is_running() and worker.status() != "zombie" for worker in workers):
        assert time.monotonic() - killed_at < 5


SERVER_IMPORTS = """
import asyncio, sys
from pathlib import Path
from chatops import logs
from chatops.backtests.work import Task
from chatops.tasks import Supervisor
from chatops.workers.pool import ProcessPool

async def main():
    logs.configure("console", "warning")
    pool = ProcessPool(Supervisor(), slots=1, market_folder=Path(), timeout_s=60, memory_mb=1024,
                       entry="worker_tasks:open_work")
    pool.open()
    await pool.run(Task("bt_1", "backtest", {"do": "echo"}), lambda progress: None)
    await pool.close()

asyncio.run(main())
print(*sorted({"numpy", "pandas", "bt", "duckdb", "matplotlib", "talib"} & sys.modules.keys()))
"""


def test_the_server_loads_nothing_that_only_a_task_needs(entry_on_path: None) -> None:
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", SERVER_IMPORTS], capture_output=True, check=True
    )
    assert found.stdout.split() == []
    assert found.stderr == b""

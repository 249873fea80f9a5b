"""The server as its clients meet it: memory, start, first progress, and acks under load."""

import asyncio
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import program
from benchmarks.client import connected, timed_ms
from benchmarks.load import SENDERS, Load, acks, median, percentile
from benchmarks.program import running
from benchmarks.report import Goal, Row
from benchmarks.store import syncs_per_s

HEAVY = ("numpy", "pandas", "bt", "matplotlib", "duckdb", "talib", "scipy")
IDLE = 20
STARTS = 5
RUNS = 30
SETTLE_S = 1.0


def measure(folder: Path, rounds: int, seconds: float) -> list[Row]:
    """Measure everything; ``folder`` is on the disk that counts."""
    return [
        *_memory(folder),
        *_start(folder),
        *_jobs(folder),
        *_acks(folder, rounds, seconds),
    ]


def _memory(folder: Path) -> list[Row]:
    with running(program.SERVER, folder / "idle") as server:
        server.wait_for_workers()
        alone_mb = server.rss_mb()
        with_clients_mb = asyncio.run(_rss_with_clients(server))
        loaded = server.mapped(HEAVY)
    with running(program.HELLO, folder / "idle-hello") as hello:
        hello_mb = hello.rss_mb()
        hello_with_clients_mb = asyncio.run(_rss_with_clients(hello))
    goal = Goal("below", 120)
    bare = "bare aiohttp + python-socketio"
    names = f" ({', '.join(sorted(loaded))})" if loaded else ""
    return [
        Row("memory of the server process, workers warm", alone_mb, "MB", bare, hello_mb, goal),
        Row(
            f"memory with {IDLE} idle connections",
            with_clients_mb,
            "MB",
            bare,
            hello_with_clients_mb,
            goal,
        ),
        Row(
            f"numerical libraries in it{names}",
            len(loaded),
            f"of {len(HEAVY)}",
            goal=Goal("below", 1),
        ),
    ]


async def _rss_with_clients(server: program.Program) -> float:
    async with connected(server.url, IDLE, 1):
        await asyncio.sleep(SETTLE_S)
        return server.rss_mb()


def _start(folder: Path) -> list[Row]:
    took: dict[str, list[float]] = {"server": [], "hello": []}
    for number in range(STARTS):
        for name, arguments in (("server", program.SERVER), ("hello", program.HELLO)):
            with running(arguments, folder / f"start-{name}-{number}") as started:
                took[name].append(started.started_s)
    return [
        Row(
            f"start of the process to open port, median of {STARTS}",
            statistics.median(took["server"]),
            "s",
            "bare aiohttp + python-socketio",
            statistics.median(took["hello"]),
            Goal("below", 1.5),
        )
    ]


@dataclass(frozen=True, slots=True)
class _Run:
    """Milliseconds from the sending of a command.

    Attributes:
        message: An ordinary message to its ack, just before, for comparison.
        ack: To the ack of the command.
        first: To the first progress.
        final: To the final progress.
    """

    message: float
    ack: float
    first: float
    final: float


def _jobs(folder: Path) -> list[Row]:
    with running(program.SERVER, folder / "jobs") as server:
        server.wait_for_workers()
        runs = asyncio.run(_run_jobs(server.url))
    message = [run.message for run in runs]
    rows = []
    for name, waits, goal in (
        ("ack of /run_backtest", [run.ack for run in runs], None),
        ("first progress", [run.first for run in runs], Goal("below", 100)),
        ("final progress", [run.final for run in runs], None),
    ):
        for percent in (50, 95):
            rows.append(
                Row(
                    f"{name}, p{percent} of {RUNS} warm runs",
                    percentile(waits, percent),
                    "ms",
                    "ack of a message",
                    percentile(message, percent),
                    goal,
                )
            )
    return rows


async def _run_jobs(url: str) -> list[_Run]:
    warm = 4  # both workers have read the prices then
    async with connected(url, 1, 1) as (client,):
        runs = []
        for number in range(warm + RUNS):
            message_ms = await timed_ms(client, "room0", "How is it going?")
            # Another fee each time: an equal request would be answered from the one before.
            command = f"/run_backtest sma_crossover AAPL start=2005-01-01 fee=0.001{number:02d}"
            seen: dict[str, float] = {}
            sent = time.perf_counter()
            client.send("sendMessage", {"sessionId": "room0", "content": command})
            while not {"ack", "final", "result"} <= seen.keys():
                frame = await client.frame()
                seen.setdefault(_what(frame), (time.perf_counter() - sent) * 1000)
            seen.setdefault("first", seen["final"])
            runs.append(_Run(message_ms, seen["ack"], seen["first"], seen["final"]))
    return runs[warm:]


def _what(frame: str) -> str:
    """Return what a frame means to somebody who waits for a job."""
    if frame.startswith("43"):
        ack = json.loads(frame[frame.index("[") :])[0]
        if not ack["ok"]:
            raise RuntimeError(f"refused: {ack}")
        return "ack"
    event, payload = json.loads(frame[2:])
    if event == "backtestProgress":
        if payload["status"] == "running":
            return "first"
        if payload["outcome"] != "completed":
            raise RuntimeError(f"not a fresh run: {payload}")
        return "final"
    return "result" if event == "commandResult" else str(event)


def _acks(folder: Path, rounds: int, seconds: float) -> list[Row]:
    programs = {
        "server": program.SERVER,
        "one sync": program.ONE_SYNC,
        "hello": program.HELLO,
    }
    loads: dict[tuple[str, int], list[Load]] = {}
    syncs: list[float] = []
    for number in range(rounds):
        syncs.append(syncs_per_s(folder / f"syncs-{number}"))
        for sessions in (1, SENDERS):
            for name, arguments in programs.items():
                own = folder / f"acks-{name.replace(' ', '-')}-{sessions}-{number}"
                loads.setdefault((name, sessions), []).append(
                    acks(arguments, own, sessions, seconds)
                )
    rows = []
    for sessions in (SENDERS, 1):
        where = "a session each" if sessions > 1 else "one session"
        ours, single, hello = (median(loads[name, sessions]) for name in programs)
        what = f"{SENDERS} senders, {where}: "
        goal = Goal("at least", 5, "ratio") if sessions > 1 else None
        beside = "the same, one sync a message"
        bare = "bare python-socketio, not stored"
        rows += [
            Row(what + "durable acks", ours.per_s, "/s", beside, single.per_s, goal),
            Row(what + "durable acks", ours.per_s, "/s", bare, hello.per_s),
            Row(what + "ack p50", ours.p50_ms, "ms", beside, single.p50_ms),
            Row(what + "ack p99", ours.p99_ms, "ms", beside, single.p99_ms),
            Row(what + "server CPU for an ack", ours.cpu_ms, "ms", bare, hello.cpu_ms),
            Row(what + "load generator", ours.generator_busy, "cores"),
        ]
    rows.append(
        Row(
            f"{SENDERS} senders, a session each: durable acks",
            median(loads["server", SENDERS]).per_s,
            "/s",
            "write and sync in a bare loop",
            statistics.median(syncs),
        )
    )
    return rows

"""Many senders over real sockets, each waiting for its ack before it sends again."""

import asyncio
import sqlite3
import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks.client import Client, connected, timed_ms
from benchmarks.program import Program, running

SENDERS = 64
CONTENT = "How did the momentum strategy do on AAPL since 2005, fees included? "


@dataclass(frozen=True, slots=True)
class Load:
    """What so many senders got, or the median of several rounds of it.

    Attributes:
        per_s: Acks a second.
        p50_ms: Median time to the ack.
        p99_ms: Time that one ack of a hundred exceeds.
        cpu_ms: Processor time of the server's process for one ack.
        generator_busy: Share of one core that the senders took; near 1, they are the limit.
    """

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    generator_busy: float


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value that ``percent`` of the values do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def median(rounds: Sequence[Load]) -> Load:
    """Return the median of each figure."""
    return Load(
        *(
            statistics.median(getattr(one, name) for one in rounds)
            for name in Load.__dataclass_fields__
        )
    )


def acks(arguments: Sequence[str], folder: Path, sessions: int, seconds: float) -> Load:
    """Start the program, let the senders loose for ``seconds``, and check that nothing is lost.

    Raises:
        RuntimeError: An acked message is not in the store.
    """
    with running(arguments, folder) as program:
        if keeps := "hello" not in arguments[-1]:
            program.wait_for_workers()  # what they load must not be in the figures
        load, acked = uvloop.run(_load(program, sessions, seconds))
    if keeps and (kept := stored_in_sqlite(program.data_dir)) < acked:
        raise RuntimeError(f"{acked} messages were acked, {kept} are stored")
    return load


async def _load(program: Program, sessions: int, seconds: float) -> tuple[Load, int]:
    async with connected(program.url, SENDERS, sessions) as clients:
        await send_for(clients, sessions, 0.3)
        cpu_s, own_s, began = program.cpu_s(), time.process_time(), time.perf_counter()
        waits_ms = await send_for(clients, sessions, seconds)
        took_s = time.perf_counter() - began
        cpu_s, own_s = program.cpu_s() - cpu_s, time.process_time() - own_s
    count = len(waits_ms)
    return Load(
        per_s=count / took_s,
        p50_ms=statistics.median(waits_ms),
        p99_ms=percentile(waits_ms, 99),
        cpu_ms=cpu_s * 1000 / count,
        generator_busy=own_s / took_s,
    ), count


async def send_for(clients: Sequence[Client], sessions: int, seconds: float) -> list[float]:
    """Let the clients send for so many seconds; return how long each ack took, in milliseconds."""
    until = time.perf_counter() + seconds
    waits_ms: list[float] = []

    async def send(number: int, client: Client) -> None:
        while time.perf_counter() < until:
            waits_ms.append(await timed_ms(client, f"room{number % sessions}", CONTENT))

    async with asyncio.TaskGroup() as senders:
        for number, client in enumerate(clients):
            senders.create_task(send(number, client))
    return waits_ms


def stored_in_sqlite(data_dir: Path) -> int:
    """Return how many entries the store in a folder has."""
    (path,) = data_dir.glob("*.sqlite3")
    with closing(sqlite3.connect(path)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM entries").fetchone()
    return int(count)

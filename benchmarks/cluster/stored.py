"""Stored messages a second: 64 senders who each wait for their ack, on SQLite and on MongoDB.

On MongoDB also with several server processes on one port. All of it shares one machine, the
senders and the services too, so the processor time of each says what is in whose way.
"""

import shutil
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from benchmarks import program
from benchmarks.client import connected
from benchmarks.cluster.services import Services
from benchmarks.cpu import cpu_s, machine_cpu_s
from benchmarks.load import SENDERS, percentile, send_for, stored_in_sqlite
from benchmarks.program import Program, running
from benchmarks.realtime.measure import Outcome
from benchmarks.realtime.scenarios import Figures

EACH, ONE = "stored, a session each", "stored, one session"
NAMES = (EACH, ONE)

SQLITE = "SQLite"
PROCESSES = {1: "MongoDB", 2: "MongoDB, 2 processes", 4: "MongoDB, 4 processes"}
"""Server processes, and how that is called in the table."""

_WARM_S = 0.5


@dataclass(frozen=True, slots=True)
class Way:
    """One way to serve the senders.

    Attributes:
        name: As in the table.
        processes: How many server processes.
        stored: Counts the messages that are stored, once the server has ended.
        environment: What tells them their services.
        clustered: Whether they have a bus.
    """

    name: str
    processes: int
    stored: Callable[[Path], int]
    environment: Mapping[str, str] = field(default_factory=dict)
    clustered: bool = False


def measure(
    services: Services, folder: Path, rounds: int, seconds: float, say: Callable[[str], None]
) -> list[Outcome]:
    """Measure every way ``rounds`` times, the order of the ways turned by one each time."""
    outcomes = []
    for scenario, sessions in ((EACH, SENDERS), (ONE, 1)):
        outcome = Outcome(scenario)
        outcomes.append(outcome)
        for turn in range(rounds):
            ways = _ways(services, f"stored-{sessions}-{turn}")
            first = turn % len(ways)
            for way in (*ways[first:], *ways[:first]):
                own = folder / f"{scenario}-{way.name}-{turn}".replace(" ", "-")
                _once(way, own, sessions, seconds, services, outcome, say)
    return outcomes


def _ways(services: Services, database: str) -> list[Way]:
    ways = [Way(SQLITE, 1, stored_in_sqlite)]
    for processes, name in PROCESSES.items():
        own = f"{database}-{processes}"

        def stored(_folder: Path, own: str = own) -> int:
            with services.mongo.client() as client:
                return int(client[own]["entries"].count_documents({"kind": "message"}))

        ways.append(Way(name, processes, stored, services.environment(own), clustered=True))
    return ways


def _once(
    way: Way,
    folder: Path,
    sessions: int,
    seconds: float,
    services: Services,
    outcome: Outcome,
    say: Callable[[str], None],
) -> None:
    if way.name in outcome.failed:
        return
    try:
        found = _acks(way, folder, sessions, seconds, services)
    # Whatever one of many senders meets comes in a group.
    except (RuntimeError, OSError, ExceptionGroup) as error:
        outcome.failed[way.name] = _first(error)
        say(f"{outcome.scenario}, {way.name}: FAILED: {_first(error)}")
        return
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if name := way.environment.get("CHATOPS_CLUSTER_PREFIX"):
            services.mongo.drop(name)
    outcome.rounds.setdefault(way.name, []).append(found)
    figures = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
    say(f"{outcome.scenario}, {way.name}: {figures}")


def _first(error: Exception) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


def _acks(way: Way, folder: Path, sessions: int, seconds: float, services: Services) -> Figures:
    arguments = (*program.SERVER, "--workers", str(way.processes))
    with running(arguments, folder, way.environment) as server:
        server.wait_for_workers(max(2, way.processes))  # what they load must not be in the figures
        if way.clustered:
            server.wait_for_log('"bus_up"', way.processes)
        found, acked = uvloop.run(_load(server, sessions, seconds, services))
    if (kept := way.stored(server.data_dir)) < acked:
        raise RuntimeError(f"{acked} messages were acked, {kept} are stored")
    return found


async def _load(
    server: Program, sessions: int, seconds: float, services: Services
) -> tuple[Figures, int]:
    pids = _servers(server)

    def used() -> dict[str, float]:
        return {
            "servers": sum(map(cpu_s, pids)),
            **services.cpu_s(),
            "load": time.process_time(),
            "others": machine_cpu_s(),
        }

    async with connected(server.url, SENDERS, sessions) as clients:
        warm = await send_for(clients, sessions, _WARM_S)
        before, began = used(), time.perf_counter()
        waits_ms = await send_for(clients, sessions, seconds)
        took_s = time.perf_counter() - began
        spent = {name: after - before[name] for name, after in used().items()}
    spent["others"] -= sum(one for name, one in spent.items() if name != "others")
    return {
        "per_s": len(waits_ms) / took_s,
        "ack_p50_us": statistics.median(waits_ms) * 1000,
        "ack_p99_us": percentile(waits_ms, 99) * 1000,
        "servers_us": spent["servers"] / len(waits_ms) * 1e6,
        **{f"{name}_cores": one / took_s for name, one in spent.items()},
    }, len(warm) + len(waits_ms)


def _servers(server: Program) -> list[int]:
    """Return the processes that serve, without those that run backtests."""
    children = server.process.children()
    return [
        server.process.pid,
        *(child.pid for child in children if "serve" in child.cmdline()),
    ]

"""What the rounds come to, as rows with their targets."""

from collections.abc import Mapping, Sequence

from benchmarks.cluster.rooms import ACROSS, FANOUT, HEAL
from benchmarks.cluster.stored import EACH, ONE, PROCESSES, SQLITE
from benchmarks.load import SENDERS
from benchmarks.realtime import summary
from benchmarks.realtime.measure import Outcome
from benchmarks.realtime.summary import OURS, Target, Units
from benchmarks.report import Goal, Row

UNITS: Units = {
    "servers_us": ("CPU of the servers, each", "µs"),
    "mongod_us": ("CPU of mongod, each", "µs"),
    "redis_us": ("CPU of redis-server, each", "µs"),
    "load_us": ("CPU of the load, each", "µs"),
    "p50_us": ("latency p50", "µs"),
    "p99_us": ("latency p99", "µs"),
    "per_s": ("stored messages", "/s"),
    "ack_p50_us": ("ack p50", "µs"),
    "ack_p99_us": ("ack p99", "µs"),
    "servers_cores": ("servers", "cores"),
    "mongod_cores": ("mongod", "cores"),
    "redis_cores": ("redis-server", "cores"),
    "load_cores": ("load", "cores"),
    "others_cores": ("others on the machine", "cores"),
    "fast_servers_us": ("CPU of the servers, each, as fast as it goes", "µs"),
    "fast_mongod_us": ("CPU of mongod, each, as fast as it goes", "µs"),
    "fast_redis_us": ("CPU of redis-server, each, as fast as it goes", "µs"),
    "fast_load_us": ("CPU of the load, each, as fast as it goes", "µs"),
    "fast_wall_us": ("wall each, as fast as it goes", "µs"),
    "fast_others_cores": ("others on the machine, as fast as it goes", "cores"),
    "early_p50_s": ("median until the loss is noticed", "s"),
    "early_max_s": ("longest until the loss is noticed", "s"),
    "late_p50_s": ("median once it is noticed", "s"),
    "late_max_s": ("longest once it is noticed", "s"),
}
"""What each figure is, and its unit."""

_TARGETS = (
    Target(FANOUT, "fast_servers_us", "node", 0.65),
    # What a wake-up of the members' processes costs, and a store that is alone with each message.
    Target(FANOUT, "servers_us", "node", None),
    Target(FANOUT, "p50_us", "node", None),
    Target(FANOUT, "ack_p50_us", "node", None),
    Target(ACROSS, "p50_us", "node", None),
    Target(ACROSS, "p99_us", "node", None),
)

_HEALS: Mapping[str, tuple[str, float]] = {
    "early": ("until the loss is noticed", 3.0),
    "late": ("once it is noticed", 1.0),
}
"""Below how many seconds the longest must be: each node looks at the store every 2 s, and every
half second once it knows, give or take a fifth."""


def rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """Return our figures beside the targets, as far as they were measured."""
    by_name = {outcome.scenario: outcome for outcome in outcomes}
    found = summary.rows(outcomes, _TARGETS, UNITS)
    if (healing := by_name.get(HEAL)) is not None and healing.rounds:
        found += _healing(healing)
    for scenario, where in ((EACH, "a session each"), (ONE, "one session")):
        if (stored := by_name.get(scenario)) is not None:
            found += _stored(stored, f"{SENDERS} senders, {where}: ")
    return found


def _healing(outcome: Outcome) -> list[Row]:
    found = []
    for when, (words, limit_s) in _HEALS.items():
        middle = outcome.median(OURS, f"{when}_p50_s") or 0.0
        longest = max(row[f"{when}_max_s"] for row in outcome.rounds[OURS])
        what = f"bus lost, ack to receipt on the other node, {words}"
        found.append(Row(f"{what}: median", middle, "s"))
        found.append(Row(f"{what}: longest", longest, "s", goal=Goal("below", limit_s)))
    return found


def _stored(outcome: Outcome, what: str) -> list[Row]:
    single = PROCESSES[1]
    pairs = [(single, SQLITE), *((name, single) for name in list(PROCESSES.values())[1:])]
    found = []
    for figure in ("per_s", "ack_p50_us", "ack_p99_us", "servers_us"):
        words, unit = UNITS[figure]
        for name, beside in pairs:
            value, peer = outcome.median(name, figure), outcome.median(beside, figure)
            if value is not None and peer is not None:
                found.append(Row(f"{what}{words}, {name}", value, unit, beside, peer))
    return found

"""What the rounds come to: the targets, every figure beside the peers, and the chart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.realtime.measure import Outcome
from benchmarks.realtime.scenarios import SIZES
from benchmarks.report import Goal, Row

OURS = "chatops"

Units = Mapping[str, tuple[str, str]]

UNITS: Units = {
    "cpu_us": ("server CPU each", "µs"),
    "flood_cpu_us": ("server CPU each, as fast as it goes", "µs"),
    "wall_us": ("wall each, as fast as it goes", "µs"),
    "p50_us": ("latency p50", "µs"),
    "p99_us": ("latency p99", "µs"),
    "wall_s": ("wall of all", "s"),
    "kib": ("memory each", "KiB"),
    "per_s": ("acks", "/s"),
}
"""What each figure is, and its unit."""

_COLOURS = {
    "chatops": "#0b6e4f",
    "python-socketio": "#c8553d",
    "node": "#3d6cb9",
    "node+deflate": "#8fb0e0",
    "floor": "#777777",
}


@dataclass(frozen=True, slots=True)
class Target:
    """A figure of ours in multiples of a peer's in the same scenario; None: only to be shown."""

    scenario: str
    figure: str
    peer: str
    limit: float | None


TARGETS = (
    Target("deliver 500", "cpu_us", "floor", 1.25),
    Target("deliver 500", "cpu_us", "node", 0.65),
    Target("deliver 500", "cpu_us", "python-socketio", 0.17),
    Target("deliver 5000", "cpu_us", "node", 0.75),
    Target("stream fast", "flood_cpu_us", "floor", 1.0),
    Target("stream paced", "cpu_us", "floor", 1.0),
    Target("ack", "cpu_us", "node", 1.0),
    Target("ack one by one", "cpu_us", "node", 1.0),
    Target("connect 5000", "cpu_us", "node", 1.0),
    Target("idle", "kib", "node", 1.0),
    Target("deflate offered", "kib", "node", 0.5),
    Target("echo", "cpu_us", "chainlit", 0.1),
    Target("echo", "p50_us", "chainlit", 0.1),
    # A command is two stored entries and a program that runs; the echo app has nothing like it.
    Target("converse", "cpu_us", "chainlit", None),
    Target("converse", "p50_us", "chainlit", None),
)


def rows(
    outcomes: Sequence[Outcome], targets: Sequence[Target] = TARGETS, units: Units = UNITS
) -> list[Row]:
    """Return our figures beside the targets, as far as they were measured."""
    found = []
    for target in targets:
        for outcome in outcomes:
            if outcome.scenario == target.scenario or (
                target.scenario == "idle" and outcome.scenario.startswith("idle ")
            ):
                ours = outcome.median(OURS, target.figure)
                peer = outcome.median(target.peer, target.figure)
                if ours is not None and peer is not None:
                    what, unit = units[target.figure]
                    goal = Goal("below", target.limit, "ratio") if target.limit else None
                    text = f"{outcome.scenario}: {what}"
                    found.append(Row(text, ours, unit, target.peer, peer, goal))
    return found + _growth(outcomes)


def _growth(outcomes: Sequence[Outcome]) -> list[Row]:
    by_name = {outcome.scenario: outcome for outcome in outcomes}
    few, many = by_name.get("connect 500"), by_name.get("connect 5000")
    if few is None or many is None:
        return []
    at_few, at_many = few.median(OURS, "cpu_us"), many.median(OURS, "cpu_us")
    if at_few is None or at_many is None:
        return []
    goal = Goal("below", 1.05, "ratio")  # no more; a twentieth is what rounds differ by
    return [Row("connect 5000: server CPU each", at_many, "µs", "connect 500", at_few, goal)]


def figures(outcomes: Sequence[Outcome], units: Units = UNITS) -> str:
    """Return every figure of every peer as a Markdown table."""
    peers = list(dict.fromkeys(peer for one in outcomes for peer in (*one.rounds, *one.failed)))
    lines = [
        f"| scenario | figure | unit | {' | '.join(peers)} |",
        "|---|---|---|" + "--:|" * len(peers),
    ]
    for outcome in outcomes:
        for figure, (what, unit) in units.items():
            medians = [outcome.median(peer, figure) for peer in peers]
            if any(one is not None for one in medians):
                cells = " | ".join("" if one is None else _shown(one) for one in medians)
                lines.append(f"| {outcome.scenario} | {what} | {unit} | {cells} |")
        lines += [
            f"| {outcome.scenario} | failed: {peer} | | {why.splitlines()[0][:200]} |"
            for peer, why in outcome.failed.items()
        ]
    return "\n".join(lines)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def as_json(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return every round, unrounded."""
    return [
        {"scenario": one.scenario, "rounds": one.rounds, "failed": one.failed} for one in outcomes
    ]


def chart(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw CPU per delivery over the size of the room; write a PNG."""
    by_name = {outcome.scenario: outcome for outcome in outcomes}
    sizes = [members for members, rooms in SIZES if rooms == 1]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for peer, colour in _COLOURS.items():
        points = [
            (members, value)
            for members in sizes
            if (outcome := by_name.get(f"deliver {members}")) is not None
            and (value := outcome.median(peer, "cpu_us")) is not None
        ]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", color=colour, label=peer)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="members of the room",
        ylabel="server CPU per delivery, µs",
        title="What it costs to show one event to one member",
    )
    axes.set_xticks(sizes, [f"{members:,}" for members in sizes])
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)

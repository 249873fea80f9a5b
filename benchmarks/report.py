"""How every benchmark reports: rows of one table, and the machine they were measured on."""

import json
import platform
import sqlite3
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import psutil

LIBRARIES = ("chatops", "aiohttp", "python-socketio", "python-engineio", "pydantic", "uvloop")


@dataclass(frozen=True, slots=True)
class Goal:
    """What a row must reach.

    Attributes:
        at: Whether the figure must be below, or at least, the limit.
        limit: In the unit of the row, or a bare number for a ratio.
        of: Whether the value is meant or its ratio to what stands beside it.
    """

    at: Literal["below", "at least"]
    limit: float
    of: Literal["value", "ratio"] = "value"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        what: What was measured.
        value: The figure.
        unit: Its unit.
        beside: What it is compared with, measured in the same run.
        peer: The same figure of that, in the same unit.
        goal: What must be reached, if anything.
    """

    what: str
    value: float
    unit: str
    beside: str = ""
    peer: float | None = None
    goal: Goal | None = None

    @property
    def ratio(self) -> float | None:
        """The figure in multiples of what stands beside it."""
        return self.value / self.peer if self.peer else None

    @property
    def met(self) -> bool:
        """Whether the goal is reached; without a goal, it is."""
        if self.goal is None:
            return True
        figure = self.value if self.goal.of == "value" else self.ratio
        if figure is None:
            return False
        return figure < self.goal.limit if self.goal.at == "below" else figure >= self.goal.limit

    @property
    def goal_text(self) -> str:
        """The goal in words."""
        if self.goal is None:
            return ""
        unit = "×" if self.goal.of == "ratio" else self.unit
        return f"{self.goal.at} {_figure(self.goal.limit)} {unit}"


def _figure(value: float) -> str:
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| measured | | beside | | ratio | target | |", "|---|--:|---|--:|--:|---|---|"]
    for row in rows:
        peer = "" if row.peer is None else f"{_figure(row.peer)} {row.unit}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f} ×"
        met = "" if row.goal is None else "met" if row.met else "**missed**"
        value = f"{_figure(row.value)} {row.unit}"
        lines.append(
            f"| {row.what} | {value} | {row.beside} | {peer} | {ratio} | {row.goal_text} | {met} |"
        )
    return "\n".join(lines)


def machine() -> dict[str, str]:
    """Return what the figures depend on besides the code."""
    return {
        "cores": str(psutil.cpu_count()),
        "cpu": _cpu_model(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "load at start": f"{psutil.getloadavg()[0]:.1f}",
        "kernel": platform.release(),
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        **{name: metadata.version(name) for name in LIBRARIES},
    }


def _cpu_model() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def write_json(path: Path, rows: Sequence[Row], facts: dict[str, str]) -> None:
    """Write what the table shows, figures unrounded."""
    shown: list[dict[str, Any]] = [{**asdict(r), "ratio": r.ratio, "met": r.met} for r in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": facts, "rows": shown}, indent=2) + "\n")

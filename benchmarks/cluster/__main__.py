"""Measure several nodes as one: ``python -m benchmarks.cluster``."""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks import report
from benchmarks.cluster import rooms, stored, summary
from benchmarks.cluster.services import services
from benchmarks.realtime.measure import Outcome, measure, open_files
from benchmarks.realtime.programs import ROOT, ProgramError, install_node
from benchmarks.realtime.summary import as_json, figures

ALL = ("fan-out", "across", "healing", "stored")


def main() -> int:
    """Measure, print the tables, write JSON; return 1 if a target is missed."""
    chosen = _chosen()
    # An end by signal must end the programs and remove their folders as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    open_files()
    facts = report.machine()
    try:
        install_node(rooms.NODE_REDIS)
        with tempfile.TemporaryDirectory(dir=chosen.folder, prefix=".bench-") as scratch:
            outcomes = _measure(chosen, Path(scratch), facts)
    except KeyboardInterrupt:
        print("Stopped; nothing is left behind.", file=sys.stderr)
        return 130
    except ProgramError as error:
        print(error, file=sys.stderr)
        return 1
    return _report(chosen.json, outcomes, facts)


def _measure(chosen: argparse.Namespace, folder: Path, facts: dict[str, str]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    with services(folder) as shared:
        facts |= shared.versions()
        wanted = [
            one
            for one in rooms.scenarios(shared, quick=chosen.quick, per_s=chosen.per_s)
            if any(one.name.startswith(word) for word in chosen.only)
        ]
        outcomes += asyncio.run(measure(wanted, chosen.rounds, facts, _say))
        if "stored" in chosen.only:
            seconds = 0.5 if chosen.quick else chosen.seconds
            outcomes += stored.measure(shared, folder, chosen.rounds, seconds, _say)
    facts["load at end"] = report.machine()["load at start"]
    return outcomes


def _report(path: Path, outcomes: list[Outcome], facts: dict[str, str]) -> int:
    rows = summary.rows(outcomes)
    print(report.table(rows))
    for part in (rooms.NAMES, stored.NAMES):
        if of_part := [one for one in outcomes if one.scenario in part]:
            print("\n" + figures(of_part, summary.UNITS))
    print("\n" + "; ".join(f"{name} {value}" for name, value in facts.items()))
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = [{**asdict(row), "ratio": row.ratio, "met": row.met} for row in rows]
    whole = {"machine": facts, "rows": shown, "scenarios": as_json(outcomes)}
    path.write_text(json.dumps(whole, indent=2) + "\n")
    missed = [row for row in rows if not row.met]
    for row in missed:
        print(f"missed: {row.what} ({row.beside}): target {row.goal_text}", file=sys.stderr)
    return 1 if missed or any(one.failed for one in outcomes) else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _chosen() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=ALL, default=ALL)
    parser.add_argument("--rounds", type=int, default=3, help="interleaved; medians are shown")
    parser.add_argument("--per-s", type=float, default=50.0, help="messages in the paced room")
    parser.add_argument("--seconds", type=float, default=3.0, help="that 64 senders send")
    parser.add_argument("--quick", action="store_true", help="few messages")
    parser.add_argument("--folder", type=Path, default=ROOT, help="on the disk to measure")
    parser.add_argument(
        "--json", type=Path, default=ROOT / "benchmarks" / "results" / "cluster.json"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

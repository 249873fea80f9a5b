"""Measure the realtime face beside its peers: ``python -m benchmarks.realtime``."""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.realtime import summary
from benchmarks.realtime.chainlit import chainlit_peer
from benchmarks.realtime.measure import Outcome, measure, open_files
from benchmarks.realtime.programs import NODE_PEER, ROOT, Peer, ProgramError, install_node
from benchmarks.realtime.scenarios import all_scenarios

_FILES_BESIDE = 500
"""Open files of the server and of the load that are not connections."""


def main() -> int:
    """Measure, print the tables, write JSON and PNG; return 1 if a target is missed."""
    chosen = _chosen()
    # An end by signal must end the programs and remove their folders as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    idle = min(10_000, open_files() - _FILES_BESIDE)
    facts = report.machine()
    versions: dict[str, str] = {}
    try:
        install_node(NODE_PEER)
        chainlit = _chainlit(chosen.cache) if chosen.with_chainlit else None
        scenarios = [
            one
            for one in all_scenarios(quick=chosen.quick, idle=idle, chainlit=chainlit)
            if not chosen.only or any(one.name.startswith(word) for word in chosen.only)
        ]
        outcomes = asyncio.run(measure(scenarios, chosen.rounds, versions, _say))
    except KeyboardInterrupt:
        print("Stopped; nothing is left behind.", file=sys.stderr)
        return 130
    except ProgramError as error:
        print(error, file=sys.stderr)
        return 1
    return _report(chosen.json, outcomes, facts | versions)


def _report(path: Path, outcomes: list[Outcome], facts: dict[str, str]) -> int:
    rows = summary.rows(outcomes)
    print(report.table(rows), summary.figures(outcomes), sep="\n\n")
    print("\n" + "; ".join(f"{name} {value}" for name, value in facts.items()))
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {"machine": facts, "scenarios": summary.as_json(outcomes)}
    path.write_text(json.dumps(whole, indent=2) + "\n")
    if any(one.scenario.startswith("deliver") for one in outcomes):
        summary.chart(outcomes, path.with_suffix(".png"))
    missed = [row for row in rows if not row.met]
    for row in missed:
        print(f"missed: {row.what} ({row.beside}): target {row.goal_text}", file=sys.stderr)
    return 1 if missed or any(one.failed for one in outcomes) else 0


def _chainlit(cache: Path) -> Peer | None:
    try:
        return chainlit_peer(cache)
    except ProgramError as error:
        print(f"Left out: {error}", file=sys.stderr)
        return None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _chosen() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.realtime", description=__doc__)
    parser.add_argument("--only", nargs="*", help='what scenarios begin with: deliver "idle" ack')
    parser.add_argument("--rounds", type=int, default=3, help="interleaved; medians are shown")
    parser.add_argument("--quick", action="store_true", help="small rooms and few deliveries")
    parser.add_argument("--with-chainlit", action="store_true", help="installs it when needed")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path.home() / ".cache" / "chatops-bench",
        help="folder for Chainlit's environment",
    )
    parser.add_argument(
        "--json", type=Path, default=ROOT / "benchmarks" / "results" / "realtime.json"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

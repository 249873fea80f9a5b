"""Run the benchmarks: ``python -m benchmarks [--only store,server,assistant] [--json FILE]``."""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks import assistant, report, server, store

ALL = ("store", "server", "assistant")
ROOT = Path(__file__).parents[1]


def main() -> int:
    """Measure, print one table, write it as JSON; return 1 if a target is missed."""
    chosen = _chosen()
    # An end by signal must remove the folder and the programs as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    facts = report.machine()
    rows: list[report.Row] = []
    try:
        with tempfile.TemporaryDirectory(dir=chosen.folder, prefix=".bench-") as scratch:
            if "store" in chosen.only:
                rows += store.measure(Path(scratch), chosen.rounds)
            if "server" in chosen.only:
                rows += server.measure(Path(scratch), chosen.rounds, chosen.seconds)
            if "assistant" in chosen.only:
                rows += assistant.measure(Path(scratch), chosen.rounds)
    except KeyboardInterrupt:
        print("Stopped; nothing is left behind.", file=sys.stderr)
        return 130
    print(report.table(rows))
    print("\n" + "; ".join(f"{name} {value}" for name, value in facts.items()))
    report.write_json(chosen.json, rows, facts)
    missed = [row for row in rows if not row.met]
    for row in missed:
        print(f"missed: {row.what} ({row.beside}): target {row.goal_text}", file=sys.stderr)
    return 1 if missed else 0


def _chosen() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=_names, default=ALL, help="of: " + ",".join(ALL))
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/results/latest.json")
    parser.add_argument("--folder", type=Path, default=ROOT, help="on the disk to measure")
    parser.add_argument("--rounds", type=int, default=3, help="of everything under load")
    parser.add_argument("--seconds", type=float, default=2.0, help="that one load lasts")
    return parser.parse_args()


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := set(names) - set(ALL):
        raise argparse.ArgumentTypeError(f"no benchmark {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    sys.exit(main())

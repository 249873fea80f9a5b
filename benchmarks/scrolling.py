"""Frames a second while 5,000 messages scroll in Chromium: ``python -m benchmarks.scrolling``.

Each round scrolls for two seconds through a page with nothing on it, then through the session, so
that what the machine does beside shows in both. Nothing is asserted: a figure of a machine that
does other things says little.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
from itertools import pairwise
from pathlib import Path

from tests.support.browser import LIST
from tests.support.scrolling import MESSAGES, Scrolled, long_room, scrolled, scrolled_empty


def _line(name: str, seen: Scrolled, refresh_ms: float) -> str:
    gaps = [after - before for before, after in pairwise(seen.frames_ms)]
    dropped = sum(max(round(gap / refresh_ms) - 1, 0) for gap in gaps)
    return (
        f"{name:<14}{1000 / statistics.mean(gaps):>10.1f}{dropped:>10}{max(gaps):>12.1f}"
        f"{seen.blank:>8}"
    )


async def measure(rounds: int) -> None:
    """Measure and print."""
    print(f"{MESSAGES:,} messages, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        async with long_room(Path(folder)) as room:
            print(f"{'':<14}{'frames/s':>10}{'dropped':>10}{'longest ms':>12}{'blank':>8}")
            for _ in range(rounds):
                nothing = await scrolled_empty(room.empty)
                # What the screen does, from a page that has nothing to do.
                refresh_ms = statistics.median(b - a for a, b in pairwise(nothing.frames_ms))
                session = await scrolled(room.kim, LIST)
                print(_line("empty page", Scrolled(nothing.frames_ms, 0), refresh_ms))
                print(_line("session", session, refresh_ms), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks.scrolling", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    asyncio.run(measure(parser.parse_args().rounds))

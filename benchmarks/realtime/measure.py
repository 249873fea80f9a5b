"""Interleaved rounds: every peer once a round, the order of peers turned by one each time."""

import resource
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from benchmarks.realtime.programs import Peer, ProgramError, running
from benchmarks.realtime.scenarios import Figures, Scenario


@dataclass(slots=True)
class Outcome:
    """What the rounds of one scenario found.

    Attributes:
        scenario: Its name.
        rounds: Figures of each round, by peer.
        failed: Why a peer has no figures, by peer.
    """

    scenario: str
    rounds: dict[str, list[Figures]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def median(self, peer: str, figure: str) -> float | None:
        """Return the median over the rounds, or None if it was not measured."""
        found = [row[figure] for row in self.rounds.get(peer, ()) if figure in row]
        return statistics.median(found) if found else None


def open_files() -> int:
    """Raise the limit of open files as far as it goes, for us and our children; return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1_000_000


async def measure(
    scenarios: Iterable[Scenario],
    rounds: int,
    versions: dict[str, str],
    say: Callable[[str], None],
) -> list[Outcome]:
    """Measure every scenario ``rounds`` times with every peer; fill in their versions."""
    outcomes = []
    for scenario in scenarios:
        outcome = Outcome(scenario.name)
        outcomes.append(outcome)
        for turn in range(rounds):
            first = turn % len(scenario.peers)
            for peer in (*scenario.peers[first:], *scenario.peers[:first]):
                await _once(scenario, peer, outcome, versions, say)
    return outcomes


async def _once(
    scenario: Scenario,
    peer: Peer,
    outcome: Outcome,
    versions: dict[str, str],
    say: Callable[[str], None],
) -> None:
    if peer.name in outcome.failed:
        return
    began = time.monotonic()
    try:
        async with running(peer) as server:
            if peer.name not in versions:
                versions[peer.name] = (await server.order("about"))["about"]
            found = await scenario.run(server)
    except (ProgramError, OSError, ValueError) as error:
        outcome.failed[peer.name] = str(error)
        say(f"{scenario.name}, {peer.name}: FAILED: {error}")
        return
    outcome.rounds.setdefault(peer.name, []).append(found)
    figures = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
    say(f"{scenario.name}, {peer.name}: {figures}  ({time.monotonic() - began:.1f} s)")

"""Who is best, by a rule that anyone can check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chatops.backtests.analysis.metrics import Metrics

RANKED = (
    "total_return",
    "annual_return",
    "volatility",
    "sharpe_ratio",
    "sortino_ratio",
    "calmar_ratio",
    "max_drawdown",
    "var_95",
    "cvar_95",
    "win_rate",
    "profit_factor",
)
"""Metrics of which more, or of volatility less, is better; losses are negative numbers."""

SCORED = ("sharpe_ratio", "sortino_ratio", "calmar_ratio", "max_drawdown", "total_return")
"""Metrics whose mean rank is the score."""

_LESS_IS_BETTER = {"volatility"}


@dataclass(frozen=True, slots=True)
class Place:
    """A member's place.

    Attributes:
        rank: 1 is best; no two are equal.
        index: Which member, counted from 0.
        score: Mean rank over ``SCORED``, 1 at best.
    """

    rank: int
    index: int
    score: float


def rank_metrics(metrics: Sequence[Metrics]) -> list[dict[str, int]]:
    """Rank of each member in each of ``RANKED``: 1 = best, equals share a rank, None comes last."""
    ranks: list[dict[str, int]] = [{} for _ in metrics]
    for name in RANKED:
        values = [_goodness(name, each) for each in metrics]
        for index, value in enumerate(values):
            ranks[index][name] = 1 + sum(other > value for other in values)
    return ranks


def place(metrics: Sequence[Metrics], ranks: Sequence[Mapping[str, int]]) -> list[Place]:
    """Members from best to worst by mean rank over ``SCORED``.

    Equal scores are parted by the Sharpe ratio, then by the order in which they were asked for.
    """
    scores = [sum(rank[name] for name in SCORED) / len(SCORED) for rank in ranks]
    order = sorted(
        range(len(metrics)),
        key=lambda index: (scores[index], -_goodness("sharpe_ratio", metrics[index]), index),
    )
    return [Place(rank, index, scores[index]) for rank, index in enumerate(order, start=1)]


def _goodness(name: str, metrics: Metrics) -> float:
    value = metrics[name]
    if value is None:
        return float("-inf")
    return -value if name in _LESS_IS_BETTER else float(value)

"""How strategies did while the market rose, fell or went sideways.

The label of day t follows from the benchmark up to day t alone: ``bull`` if it rose by more than
5 % over the last quarter (63 days, 13 weekly bars), ``bear`` if it fell by more than 5 %,
``sideways`` in between; the first quarter has no label. A label is applied to the return from t to
t + 1, so nobody profits from knowing the day that made it.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chatops.backtests.analysis.metrics import sharpe_ratio, volatility

Floats = NDArray[np.float64]
Regime = Literal["bull", "bear", "sideways"]

REGIMES: tuple[Regime, ...] = ("bull", "bear", "sideways")
THRESHOLD = 0.05
MIN_DAYS = 20
"""With fewer days a figure a year would be noise: it is None."""

_UNLABELLED = -1


@dataclass(frozen=True, slots=True)
class RegimeFigures:
    """One strategy in one regime.

    Attributes:
        days: Returns that fall into the regime.
        share: Their part of all labelled returns, 0..1; None if there are none.
        annual_return: Compound return of those days, a fraction a year.
        volatility: Fraction a year.
        sharpe_ratio: Risk-free rate 0.
    """

    days: int
    share: float | None
    annual_return: float | None
    volatility: float | None
    sharpe_ratio: float | None


def lookback_of(periods_per_year: int) -> int:
    """A quarter of a year in bars: 63 of days, 13 of weeks."""
    return periods_per_year // 4


def label_regimes(benchmark: Floats, lookback: int) -> NDArray[np.int64]:
    """Index into ``REGIMES`` of each day, -1 in the first ``lookback`` days; shape (n,).

    Args:
        benchmark: Value of the market at each close, positive, shape (n,).
        lookback: Days over which its change is taken.
    """
    labels = np.full(len(benchmark), _UNLABELLED, dtype=np.int64)
    change = benchmark[lookback:] / benchmark[:-lookback] - 1.0
    labels[lookback:] = np.where(
        change > THRESHOLD,
        REGIMES.index("bull"),
        np.where(change < -THRESHOLD, REGIMES.index("bear"), REGIMES.index("sideways")),
    )
    return labels


def measure_regimes(
    returns: Floats, labels: NDArray[np.int64], periods_per_year: int
) -> dict[Regime, RegimeFigures]:
    """Figures of one strategy by regime.

    Args:
        returns: Return from day t to t + 1, shape (n - 1,).
        labels: Label of day t, shape (n,); that of the last day applies to nothing yet.
        periods_per_year: Days (or weeks) a year.
    """
    known = labels[:-1]
    labelled = int((known != _UNLABELLED).sum())
    return {
        name: _figures(returns[known == index], labelled, periods_per_year)
        for index, name in enumerate(REGIMES)
    }


def _figures(returns: Floats, labelled: int, periods_per_year: int) -> RegimeFigures:
    days = len(returns)
    share = days / labelled if labelled else None
    if days < MIN_DAYS:
        return RegimeFigures(days, share, None, None, None)
    growth = float(np.prod(1.0 + returns))
    try:
        annual: float | None = float(growth ** (periods_per_year / days)) - 1.0
    except OverflowError:
        annual = None
    return RegimeFigures(
        days=days,
        share=share,
        annual_return=annual if annual is not None and math.isfinite(annual) else None,
        volatility=volatility(returns, periods_per_year),
        sharpe_ratio=sharpe_ratio(returns, periods_per_year),
    )

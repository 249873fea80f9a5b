"""The figures of a run, from our own equity array only.

Notation: E[0..n-1] the equity at each close, r[t] = E[t] / E[t-1] - 1 the n - 1 simple returns a
bar, P bars a year, risk-free rate 0. Ratios and returns are fractions (0.1 = 10 %). A figure that
is not defined (no return, no losing bar, no closed trade) or not finite is None, never NaN or
infinity: those are not JSON.

Sharpe and Sortino ratio, maximum drawdown and historical VaR and CVaR are the textbook forms that
ffn and empyrical compute too; only the annual return differs from ffn, which counts calendar days.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Metrics = dict[str, float | int | None]

METRICS = (
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
    "trades",
    "exposure",
    "final_equity",
)
"""The words of the wire, in the order in which people read them."""

_ROUNDING = 1e-14
"""Below this a standard deviation of returns near 1 is rounding, not movement."""


@dataclass(frozen=True, slots=True)
class Drawdown:
    """Where the deepest fall lies, as indices of bars.

    Attributes:
        peak: Bar of the high before it.
        trough: Bar of its lowest point.
        recovery: First bar at or above that high again, or None.
    """

    peak: int
    trough: int
    recovery: int | None


def measure(equity: Floats, profits: Floats, exposure: float, periods_per_year: int) -> Metrics:
    """Compute every figure of ``METRICS``.

    Args:
        equity: Money at each close, shape (n,), n >= 1, the first positive.
        profits: Money each closed trade gained after both fees, shape (trades,).
        exposure: Mean part of the account's bars in the market, 0..1.
        periods_per_year: Bars a year, P.
    """
    r = returns(equity)
    annual = _defined(lambda: annual_return(equity, periods_per_year))
    depth = float(drawdowns(equity).min())
    return {
        "total_return": _defined(lambda: float(equity[-1] / equity[0]) - 1),
        "annual_return": annual,
        "volatility": _defined(lambda: volatility(r, periods_per_year)),
        "sharpe_ratio": _defined(lambda: sharpe_ratio(r, periods_per_year)),
        "sortino_ratio": _defined(lambda: sortino_ratio(r, periods_per_year)),
        "calmar_ratio": None if annual is None or depth == 0 else annual / -depth,
        "max_drawdown": depth,
        "var_95": _defined(lambda: value_at_risk(r)),
        "cvar_95": _defined(lambda: conditional_value_at_risk(r)),
        "win_rate": _defined(lambda: win_rate(profits)),
        "profit_factor": _defined(lambda: profit_factor(profits)),
        "trades": len(profits),
        "exposure": exposure,
        "final_equity": float(equity[-1]),
    }


def returns(equity: Floats) -> Floats:
    """Simple returns r a bar, shape (n - 1,); equity must stay positive but for its last value."""
    return equity[1:] / equity[:-1] - 1


def drawdowns(equity: Floats) -> Floats:
    """Fraction below the highest equity so far at each close, 0 or negative, shape (n,)."""
    return equity / np.maximum.accumulate(equity) - 1


def deepest_drawdown(equity: Floats) -> Drawdown | None:
    """Find the deepest fall, the first one of equals; None if the equity never fell."""
    depths = drawdowns(equity)
    trough = int(depths.argmin())
    if depths[trough] == 0:
        return None
    peak = int(equity[: trough + 1].argmax())
    recovered = np.flatnonzero(equity[trough:] >= equity[peak])
    return Drawdown(peak, trough, trough + int(recovered[0]) if len(recovered) else None)


def annual_return(equity: Floats, periods_per_year: int) -> float | None:
    """(E[n-1] / E[0]) ^ (P / (n - 1)) - 1."""
    if len(equity) < 2:
        return None
    return float(float(equity[-1] / equity[0]) ** (periods_per_year / (len(equity) - 1))) - 1


def volatility(r: Floats, periods_per_year: int) -> float | None:
    """std(r, ddof 1) * sqrt(P), a fraction a year."""
    if len(r) < 2:
        return None
    return float(r.std(ddof=1)) * math.sqrt(periods_per_year)


def sharpe_ratio(r: Floats, periods_per_year: int) -> float | None:
    """mean(r) / std(r, ddof 1) * sqrt(P)."""
    if len(r) < 2:
        return None
    deviation = float(r.std(ddof=1))
    if deviation < _ROUNDING:
        return None
    return float(r.mean()) / deviation * math.sqrt(periods_per_year)


def sortino_ratio(r: Floats, periods_per_year: int) -> float | None:
    """mean(r) / sqrt(mean(min(r, 0)^2)) * sqrt(P); all n - 1 returns count in the lower mean."""
    if len(r) == 0:
        return None
    downside = math.sqrt(float(np.square(np.minimum(r, 0)).mean()))
    if downside < _ROUNDING:
        return None
    return float(r.mean()) / downside * math.sqrt(periods_per_year)


def value_at_risk(r: Floats) -> float | None:
    """Historical 5 % quantile of r, linearly interpolated: a return a bar, negative for a loss."""
    return float(np.percentile(r, 5)) if len(r) else None


def conditional_value_at_risk(r: Floats) -> float | None:
    """Mean of the returns at or below the 5 % quantile, a return a bar."""
    if len(r) == 0:
        return None
    return float(r[r <= np.percentile(r, 5)].mean())


def win_rate(profits: Floats) -> float | None:
    """Part of the closed trades that gained money after both fees, 0..1."""
    return float((profits > 0).mean()) if len(profits) else None


def profit_factor(profits: Floats) -> float | None:
    """Money gained by the winning trades over money lost by the losing ones."""
    lost = -float(profits[profits < 0].sum())
    return float(profits[profits > 0].sum()) / lost if lost else None


def _defined(figure: Callable[[], float | None]) -> float | None:
    try:
        value = figure()
    except OverflowError:  # a large return of a few bars, carried on for a year
        return None
    return value if value is not None and math.isfinite(value) else None

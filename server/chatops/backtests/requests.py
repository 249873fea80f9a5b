"""What a run is asked to do, complete and checked: the part of a job that decides its result.

A request carries no person and no room; those belong to the job. Two equal requests on equal code
and data give equal results, which is what makes a run worth doing once.
"""

from datetime import date

from pydantic import BaseModel, ConfigDict, Field

PERIODS_PER_YEAR = {
    "1m": 252 * 390,
    "5m": 252 * 78,
    "15m": 252 * 26,
    "30m": 252 * 13,
    "1h": 252 * 7,
    "4h": 252 * 2,
    "1d": 252,
    "1w": 52,
}
"""Bars a year of an exchange with 252 days of 6.5 hours; the base of every annualised figure."""

TIMEFRAMES = tuple(PERIODS_PER_YEAR)


class BacktestRequest(BaseModel):
    """One strategy over one or more symbols.

    Attributes:
        strategy_id: Name of the preset or saved strategy that was asked for.
        strategy_type: Rule that makes the signals, a key of ``STRATEGY_TYPES``.
        strategy_version: Version of the saved strategy, 1 for a preset.
        params: Every parameter of the rule, defaults filled in.
        symbols: Upper case, unique, in the order asked for.
        timeframe: Bar length, a key of ``PERIODS_PER_YEAR``.
        start: First day on which a position may be held, or None for the first bar. Bars before
            it only warm the indicators.
        end: Last day, inclusive, or None for the last bar.
        cash: Money at the start, split equally over the symbols.
        fee: Fraction of the traded value that each side of a trade costs, 0.001 = 0.1 %.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy_id: str
    strategy_type: str
    strategy_version: int = 1
    params: dict[str, int | float]
    symbols: tuple[str, ...] = Field(min_length=1, max_length=50)
    timeframe: str = "1d"
    start: date | None = None
    end: date | None = None
    cash: float = Field(default=100_000.0, ge=1, le=1e12)
    fee: float = Field(default=0.001, ge=0, lt=1)


class ComparisonRequest(BaseModel):
    """A comparison of finished runs.

    Attributes:
        members: The runs that are compared, 2 to 5, in the order asked for.
        paths: Number of Monte Carlo paths.
        block: Length of a bootstrap block in bars; blocks keep clusters of volatility together.
        seed: Seed of the bootstrap's generator.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    members: tuple[BacktestRequest, ...] = Field(min_length=2, max_length=5)
    paths: int = Field(default=1000, ge=100, le=20_000)
    block: int = Field(default=20, ge=1, le=500)
    seed: int = 20_000

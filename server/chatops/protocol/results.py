"""The ``data`` of a command's result: a backtest, a comparison, or why there is neither.

These models document what workers compute; the server passes their JSON on without reading it.
"""

from typing import Any, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypeAliasType

from chatops.protocol.base import WireModel

Day = str
"""``2005-02-15``; with the time, ``2005-02-15T14:30:00Z``, where bars are shorter than a day."""


class SnakeModel(WireModel):
    """Figures keep the words that requests use, in snake_case."""

    model_config = ConfigDict(alias_generator=None)


class Metrics(SnakeModel):
    """Figures of one run. Ratios are fractions (0.1 is 10 %), losses negative; null: undefined."""

    total_return: float | None = Field(description="Gain by the end, part of the money at first.")
    annual_return: float | None = Field(description="Compound return a year.")
    volatility: float | None = Field(description="Standard deviation of returns, a year.")
    sharpe_ratio: float | None = Field(description="Risk-free rate 0, a year.")
    sortino_ratio: float | None = Field(description="As Sharpe, over downward deviation only.")
    calmar_ratio: float | None = Field(description="Annual return over deepest drawdown.")
    max_drawdown: float | None = Field(description="Deepest fall from a peak; 0 or negative.")
    var_95: float | None = Field(description="Return of a bar that 95 % of bars exceed.")
    cvar_95: float | None = Field(description="Mean return of the bars not above `var_95`.")
    win_rate: float | None = Field(description="Part of the closed trades that gained.")
    profit_factor: float | None = Field(description="Sum of gains over sum of losses.")
    trades: int = Field(description="Closed trades.")
    exposure: float | None = Field(description="Part of the time in the market.")
    final_equity: float | None = Field(description="Money at the end.")


class StrategyRef(WireModel):
    """The strategy as it ran."""

    id: str
    type: str
    version: int
    params: dict[str, Any]


class Drawdown(WireModel):
    """Dates of the deepest fall; `recovery` is null if it lasts to the end."""

    peak: Day
    trough: Day
    recovery: Day | None


class OpenPosition(WireModel):
    """A position that the last bar leaves open."""

    symbol: str
    entry_time: Day
    entry_price: float
    shares: float
    last_price: float
    value: float


class Provenance(WireModel):
    """What the fingerprint is made of; equal provenance gives equal results."""

    code: dict[str, str] = Field(description="SHA-256 of each file of code that took part.")
    data: dict[str, str] = Field(description="SHA-256 of each input.")
    engine: dict[str, str] = Field(description="Versions of the libraries.")
    settings: dict[str, Any] = Field(description="The request.")


class Links(WireModel):
    """Paths of downloads on this server."""

    own: str = Field(alias="self")
    chart: str
    report: str
    equity: str | None = None
    trades: str | None = None
    metrics: str | None = None


class Repeat(WireModel):
    """How a repeated run compares with the first."""

    backtest_id: str
    identical: bool
    differences: list[str] = Field(description="Sentences that name what changed.")


class JobData(WireModel):
    """What the results of all jobs have."""

    backtest_id: str
    provenance: Provenance
    links: Links
    fingerprint: str
    reused: bool = Field(description="It is the result of an identical earlier run.")
    rerun_of: Repeat | None = None


class BacktestData(JobData):
    """`data` of a completed `run_backtest`, and of `rerun` and `backtest` of one."""

    strategy: StrategyRef
    symbols: list[str]
    timeframe: str
    start: Day
    end: Day
    cash: float
    fee: float = Field(description="Fraction of the traded value, each side.")
    bars: int
    metrics: Metrics = Field(description="Of the equally weighted whole.")
    benchmark: Metrics = Field(description="Buy and hold of the same symbols.")
    by_symbol: dict[str, Metrics] | None = Field(None, description="With several symbols.")
    drawdown: Drawdown | None = Field(description="Null if the equity never fell.")
    points: list[tuple[int, float]] = Field(
        description="Equity curve, decimated: Unix time in seconds, money."
    )
    drawdown_points: list[tuple[int, float]] = Field(
        description="Drawdown curve, decimated: Unix time in seconds, fraction."
    )
    trade_count: int
    open_positions: list[OpenPosition]
    engine: str


class ComparedStrategy(WireModel):
    """One member of a comparison; `ranks` has its place by each metric that ranks."""

    strategy_id: str
    name: str
    symbols: list[str]
    metrics: Metrics
    ranks: dict[str, int | None]


class RankingRow(WireModel):
    """A place in the ranking; `score` is a mean of ranks, lower is better."""

    rank: int
    strategy_id: str
    name: str
    score: float | None


class Matrix(WireModel):
    """A square table; null where a figure is undefined."""

    labels: list[str]
    matrix: list[list[float | None]]


class Fan(WireModel):
    """Bands of simulated growth of 1: for each percentile one value a step."""

    steps: list[int]
    growth: dict[str, list[float]]


class SimulatedMember(WireModel):
    """What block bootstrap says of one member. Keys of percentiles are `"5"` to `"95"`."""

    strategy_id: str
    name: str
    probability_of_loss: float
    probability_of_drawdown20: float
    probability_of_drawdown30: float
    historic_drawdown: float
    probability_of_historic_drawdown: float
    terminal_return: dict[str, float | None]
    fan: Fan


class MonteCarlo(WireModel):
    """The simulation. `ahead`: part of paths on which the row ends above the column."""

    paths: int
    block: int
    seed: int
    bars: int
    members: list[SimulatedMember]
    ahead: Matrix


class RegimeFigures(SnakeModel):
    """Figures of the days of one regime; null where they are too few."""

    days: int
    share: float | None
    annual_return: float | None
    volatility: float | None
    sharpe_ratio: float | None


class MemberRegimes(WireModel):
    """One member by market regime."""

    strategy_id: str
    name: str
    regimes: dict[Literal["bull", "bear", "sideways"], RegimeFigures]


class Regimes(WireModel):
    """Performance by market regime, and the rule that tells one from the other."""

    rule: str
    lookback: int = Field(description="Bars.")
    threshold: float = Field(description="Fraction.")
    members: list[MemberRegimes]


class ComparisonData(JobData):
    """`data` of a completed `compare_strategies`, and of `rerun` and `backtest` of one."""

    strategies: list[ComparedStrategy]
    ranking: list[RankingRow]
    correlation: Matrix
    monte_carlo: MonteCarlo
    regimes: Regimes
    summary: str
    recommendation: str
    reasoning: str


class Failure(WireModel):
    """Why a command has no result; `code` as in `error`, or how the job ended."""

    code: str
    message: str
    hint: str | None


class FailureData(WireModel):
    """`data` of a result whose `success` is false."""

    error: Failure
    backtest_id: str | None = None


ResultData = TypeAliasType(
    "ResultData", BacktestData | ComparisonData | FailureData | dict[str, Any]
)
"""`data` of a result. Commands that are not listed have an object of their own."""

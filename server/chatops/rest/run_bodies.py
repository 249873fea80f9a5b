"""Bodies of the operations on backtests."""

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from chatops.protocol.base import SessionId
from chatops.protocol.results import (
    ComparedStrategy,
    Matrix,
    Metrics,
    MonteCarlo,
    RankingRow,
    Regimes,
)
from chatops.rest.bodies import Content, HttpModel

METRIC_NAMES = tuple(Metrics.model_fields)


def _known(name: str) -> str:
    if name not in METRIC_NAMES:
        raise ValueError(f"is none of {', '.join(METRIC_NAMES)}")
    return name


MetricName = Annotated[
    str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": list(METRIC_NAMES)})
]
"""The words that the wire has for figures."""


class CompareRequest(HttpModel):
    """Strategies, or ids of earlier backtests, to compare."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "strategy_ids": ["sma_crossover", "momentum"],
                    "metrics": ["sharpe_ratio", "max_drawdown"],
                    "natural_language_query": "Which one is calmer?",
                }
            ]
        }
    )

    strategy_ids: list[Annotated[str, StringConstraints(min_length=1, max_length=64)]] = Field(
        min_length=2, max_length=5
    )
    metrics: list[MetricName] = Field(
        default_factory=list, description="Those to show; empty: all. They change no rank."
    )
    natural_language_query: Content | None = None
    model_id: str | None = Field(None, description="Default: that of `narrative_report`.")
    symbols: list[str] = Field(default_factory=list, max_length=5)
    session_id: SessionId | None = Field(None, description="Where to run it; default: `http`.")


class ComparedFigures(ComparedStrategy):
    """One strategy of a comparison, with those metrics that were asked for."""

    metrics: dict[MetricName, float | None]  # type: ignore[assignment]  # a part of them


class Statistics(HttpModel):
    """Correlation, Monte Carlo and market regimes of a comparison."""

    correlation: Matrix
    monte_carlo: MonteCarlo
    regimes: Regimes


class Comparison(HttpModel):
    """A comparison in figures and words."""

    query: str
    strategies: list[ComparedFigures]
    ranking: list[RankingRow]
    statistics: Statistics
    summary: str = Field(min_length=50, max_length=500)
    recommendation: str = Field(min_length=50, max_length=500)
    reasoning: str = Field(min_length=50, max_length=1_000)
    worded_by: str | None = Field(description="The model; null: words made of the figures alone.")
    backtest_id: str
    session_id: str


Scalar = bool | int | float | str


class RunConfig(HttpModel):
    """What to run. Fields that are not named here are parameters of the strategy."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Scalar]

    config_type: str = Field(min_length=1, max_length=64, description="Preset or saved strategy.")
    symbols: list[str] = Field(default_factory=list, max_length=50)
    start: date | None = None
    end: date | None = None
    cash: float | None = None
    fee: float | None = None
    timeframe: str | None = None


class StrategyConfig(HttpModel):
    """A run with a name."""

    name: str = Field(min_length=1, max_length=120)
    description: str = Field("", max_length=1_000)
    config: RunConfig


class TriggerRequest(HttpModel):
    """A backtest to start."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "strategy_config": {
                        "name": "Fast cross",
                        "description": "Averages of 10 and 30 days.",
                        "config": {
                            "config_type": "sma_crossover",
                            "symbols": ["AAPL"],
                            "short_window": 10,
                            "long_window": 30,
                        },
                    },
                    "trigger_reason": "Monday review",
                    "generate_report": True,
                    "notify_on_completion": True,
                }
            ]
        }
    )

    strategy_config: StrategyConfig
    trigger_reason: str = Field("", max_length=1_000)
    generate_report: bool = Field(True, description="Whether you want `report_url`.")
    notify_on_completion: bool = Field(
        True, description="Kept with the command; the room is told in any case."
    )
    session_id: SessionId | None = Field(None, description="Where to run it; default: `http`.")


class Triggered(HttpModel):
    """A backtest that was started, or that has been run before."""

    backtest_id: str
    status: Literal["queued", "running", "completed", "failed", "cancelled", "interrupted"]
    estimated_duration_seconds: float | None = Field(
        description="Median of this server's newest runs; null before the first has ended."
    )
    report_url: str | None
    session_id: str


class NotYet(HttpModel):
    """A report that is not written yet."""

    backtest_id: str
    status: Literal["queued", "running"]
    phase: str
    progress: int = Field(ge=0, le=100, description="Percent.")
    hint: str

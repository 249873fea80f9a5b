"""Commands for the kernel's tests; the real ones are above the kernel and not its business."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Field, field_validator, model_validator

from chatops.access.identity import Person
from chatops.dispatch.registry import Registry
from chatops.dispatch.result import CommandResult, Outcome
from chatops.dispatch.spec import (
    NAMED_ONLY,
    OPEN,
    Candidate,
    CommandContext,
    CommandSpec,
    Parameters,
)

ANN = Person(id="name:ann", name="Ann")
CONTEXT = CommandContext(
    person=ANN,
    session_id="s1",
    command_id="c1",
    command="/echo",
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
)


class Speed(StrEnum):
    SLOW = "slow"
    FAST = "fast"


class RunParameters(Parameters):
    strategy: str = Field(
        description="What to run", validation_alias=AliasChoices("strategy", "strategy_id")
    )
    symbols: tuple[str, ...] = Field(("AAPL",), max_length=4, description="What to trade")
    start: date | None = Field(None, description="First day")
    fee: float = Field(0.001, ge=0, lt=1, description="Fraction of each side")
    timeframe: Literal["1h", "4h", "1d"] = "1d"
    fresh: bool = False
    params: dict[str, int | float] = Field(default_factory=dict, json_schema_extra=OPEN)


class ClosedParameters(Parameters):
    title: str = Field(max_length=20)
    count: int = Field(1, ge=1, le=10)
    speed: Speed = Speed.SLOW
    level: Literal[1, 2, 3] = Field(1, json_schema_extra=NAMED_ONLY)
    at: datetime | None = Field(None, json_schema_extra=NAMED_ONLY)
    limit: int | float | None = Field(None, json_schema_extra=NAMED_ONLY)
    size: Literal["all"] | Annotated[int, Field(ge=1)] = Field("all", json_schema_extra=NAMED_ONLY)

    @field_validator("title")
    @classmethod
    def no_swearing(cls, title: str) -> str:
        if title == "damn":
            raise ValueError("mind your words")
        return title

    @model_validator(mode="after")
    def not_both(self) -> Self:
        if self.count == 10 and self.level == 3:
            raise ValueError("count 10 and level 3 do not go together")
        return self


class CompareParameters(Parameters):
    strategies: tuple[str, ...] = Field(
        min_length=2, max_length=5, validation_alias=AliasChoices("strategies", "strategy_ids")
    )
    symbols: list[str] = Field(default_factory=list)
    seeds: tuple[int, ...] = Field((), json_schema_extra=NAMED_ONLY)


class NoParameters(Parameters):
    pass


async def echo(ctx: CommandContext, parameters: Parameters) -> Outcome:
    return CommandResult(message=f"{ctx.person.name}: {type(parameters).__name__}")


async def strategies(ctx: CommandContext, raw: Mapping[str, Any]) -> Sequence[Candidate]:
    return [Candidate("sma_crossover", "two averages"), Candidate("rsi"), Candidate("내 전략")]


async def symbols(ctx: CommandContext, raw: Mapping[str, Any]) -> Sequence[Candidate]:
    return [Candidate(name) for name in ("AAPL", "MSFT", "삼성전자", "GOOG")]


async def strategy_parameters(ctx: CommandContext, raw: Mapping[str, Any]) -> Sequence[Candidate]:
    if raw.get("strategy") != "sma_crossover":
        return []
    return [Candidate("short_window", "bars"), Candidate("long_window", "bars")]


RUN = CommandSpec(
    name="run_backtest",
    family="Backtests",
    summary="Run a strategy over prices",
    parameters=RunParameters,
    run=echo,
    example="/run_backtest sma_crossover AAPL start=2005-01-01",
    aliases=("rb", "백테스트"),
    completers={"strategy": strategies, "symbols": symbols},
    extra_names=strategy_parameters,
)
CLOSED = CommandSpec(
    name="rename",
    family="Sessions",
    summary="Give the session a title",
    parameters=ClosedParameters,
    run=echo,
    example='/rename "Q3 review"',
)
COMPARE = CommandSpec(
    name="compare_strategies",
    family="Backtests",
    summary="Compare two to five strategies",
    parameters=CompareParameters,
    run=echo,
    example="/compare_strategies sma_crossover rsi",
)
HELP = CommandSpec(
    name="help",
    family="General",
    summary="Show the commands",
    parameters=NoParameters,
    run=echo,
    example="/help",
    private=True,
)
REGISTRY = Registry((HELP, RUN, CLOSED, COMPARE))

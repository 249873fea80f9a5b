"""/compare_strategies."""

from collections.abc import Sequence
from typing import Any

from pydantic import AliasChoices, Field

from chatops.backtests.planning import Plan, Wish
from chatops.backtests.requests import BacktestRequest
from chatops.commands.backtests import RunRange
from chatops.commands.running import start_comparison
from chatops.commands.toolbox import Toolbox
from chatops.commands.values import Values
from chatops.dispatch.result import Deferred
from chatops.dispatch.spec import NAMED_ONLY, CommandContext, CommandSpec, Parameters
from chatops.errors import NotFoundError


class CompareWhat(Parameters):
    """Strategies, symbols and earlier runs to compare; first in help, as it is a base."""

    strategies: tuple[str, ...] = Field(
        min_length=1,
        max_length=5,
        description="Strategies, or ids of earlier backtests",
        validation_alias=AliasChoices("strategies", "strategy_ids", "strategyIds"),
    )
    symbols: tuple[str, ...] = Field(
        (),
        max_length=5,
        description="Each strategy runs on each of these",
        validation_alias=AliasChoices("symbols", "symbol"),
        json_schema_extra=NAMED_ONLY,
    )


class CompareStrategies(RunRange, CompareWhat):
    """A comparison."""

    paths: int = Field(
        1000, ge=100, le=20_000, description="Monte Carlo paths", json_schema_extra=NAMED_ONLY
    )
    block: int = Field(
        20, ge=1, le=500, description="Bars in a bootstrap block", json_schema_extra=NAMED_ONLY
    )
    seed: int = Field(
        20_000, ge=0, le=2**31, description="Seed of the bootstrap", json_schema_extra=NAMED_ONLY
    )


class Comparing:
    """The family of comparisons."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools
        self._values = Values(tools)

    def specs(self) -> Sequence[CommandSpec[Any]]:
        """Return its commands."""
        return [
            CommandSpec(
                name="compare_strategies",
                family="Backtests",
                summary="Compare 2 to 5 runs, their risk and their ranks",
                parameters=CompareStrategies,
                run=self.compare,
                check=self.plan,
                example="/compare_strategies sma_crossover momentum macd symbols=AAPL",
                aliases=("compare",),
                completers={
                    "strategies": self._values.strategies,
                    "symbols": self._values.symbols,
                },
            )
        ]

    async def plan(self, _ctx: CommandContext, given: CompareStrategies) -> tuple[list[Plan], Plan]:
        """Check every run and the comparison of them."""
        planner = self._tools.planner
        members: list[Plan] = []
        for word in given.strategies:
            if (earlier := await self._earlier(word)) is not None:
                members.append(await planner.plan_request(earlier))
                continue
            each: list[tuple[str, ...]] = [(symbol,) for symbol in given.symbols]
            for symbols in each or [()]:
                wish = Wish(
                    strategy=word,
                    symbols=symbols,
                    start=given.start,
                    end=given.end,
                    cash=given.cash,
                    fee=given.fee,
                    timeframe=given.timeframe,
                )
                members.append(await planner.plan(wish))
        whole = planner.plan_comparison(
            members, paths=given.paths, seed=given.seed, block=given.block
        )
        return members, whole

    async def compare(self, ctx: CommandContext, given: CompareStrategies) -> Deferred:
        """Start what is missing of the runs, then compare them."""
        members, whole = await self.plan(ctx, given)
        return await start_comparison(self._tools.jobs, ctx, members, whole, fresh=given.fresh)

    async def _earlier(self, word: str) -> BacktestRequest | None:
        """Return the request of an earlier backtest, if the word is the id of one."""
        if not word.startswith("bt_"):
            return None
        job = await self._tools.job_store.get(word)
        if job is None or job.kind != "backtest":
            raise NotFoundError(
                f'There is no backtest "{word[:64]}".', "Type /backtests to see those there are."
            )
        return BacktestRequest.model_validate(job.spec)

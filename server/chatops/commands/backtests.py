"""/run_backtest, /backtest, /backtests, /rerun, /symbols."""

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Any, Literal

from pydantic import AliasChoices, Field

from chatops.backtests.answers import METRICS, figure, job_text, result_data, table
from chatops.backtests.job import Job
from chatops.backtests.market.catalogue import DataSet
from chatops.backtests.planning import Plan, Wish, span
from chatops.backtests.ports import JobFilter
from chatops.backtests.requests import BacktestRequest, ComparisonRequest
from chatops.commands.running import start, start_comparison
from chatops.commands.toolbox import Toolbox
from chatops.commands.values import Values
from chatops.dispatch.result import CommandResult, Deferred
from chatops.dispatch.spec import NAMED_ONLY, OPEN, CommandContext, CommandSpec, Parameters
from chatops.errors import NotFoundError

Timeframe = Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"]


class RunRange(Parameters):
    """What every run may be given by name."""

    start: date | None = Field(
        None,
        description="First day of trading; earlier bars warm the indicators",
        json_schema_extra=NAMED_ONLY,
    )
    end: date | None = Field(None, description="Last day", json_schema_extra=NAMED_ONLY)
    cash: float = Field(
        100_000.0, ge=1, le=1e12, description="Money at the start", json_schema_extra=NAMED_ONLY
    )
    fee: float = Field(
        0.001,
        ge=0,
        lt=1,
        description="Part of the traded value each side costs; 0.001 is 0.1 %",
        json_schema_extra=NAMED_ONLY,
    )
    timeframe: Timeframe = Field("1d", description="Length of a bar", json_schema_extra=NAMED_ONLY)
    fresh: bool = Field(
        False, description="Run even if the same run is there", json_schema_extra=NAMED_ONLY
    )


class RunWhat(Parameters):
    """What to run; the base of what is given by position, so that it comes first in help."""

    strategy: str = Field(
        description="Preset or saved strategy",
        validation_alias=AliasChoices("strategy", "strategy_id", "strategyId"),
    )
    symbols: tuple[str, ...] = Field(
        (),
        description="Symbols; several share the money equally",
        validation_alias=AliasChoices("symbols", "symbol"),
    )


class RunBacktest(RunRange, RunWhat):
    """One run."""

    params: dict[str, str] = Field(
        default_factory=dict, description="Parameters of the strategy", json_schema_extra=OPEN
    )

    def wish(self) -> Wish:
        """Return it as the planner wants it."""
        return Wish(
            strategy=self.strategy,
            symbols=self.symbols,
            params=self.params,
            start=self.start,
            end=self.end,
            cash=self.cash,
            fee=self.fee,
            timeframe=self.timeframe,
        )


class OneJob(Parameters):
    """A job by its id."""

    id: str = Field(
        description="Id of a backtest or comparison",
        validation_alias=AliasChoices("id", "backtest_id", "backtestId"),
    )


class ListBacktests(Parameters):
    """Which runs to list."""

    strategy: str | None = Field(None, description="Only this strategy")
    symbol: str | None = Field(None, description="Only this symbol", json_schema_extra=NAMED_ONLY)
    sort: Literal[
        "newest",
        "total_return",
        "annual_return",
        "sharpe_ratio",
        "sortino_ratio",
        "calmar_ratio",
        "max_drawdown",
    ] = Field("newest", description="Best of this first", json_schema_extra=NAMED_ONLY)
    limit: int = Field(10, ge=1, le=100, description="How many", json_schema_extra=NAMED_ONLY)


class FindSymbols(Parameters):
    """Which symbols to list."""

    filter: str = Field("", description="Part of the symbol")


class Backtests:
    """The family of runs."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools
        self._values = Values(tools)

    def specs(self) -> Sequence[CommandSpec[Any]]:
        """Return its commands."""
        values = self._values
        family = "Backtests"
        return [
            CommandSpec(
                name="run_backtest",
                family=family,
                summary="Run a strategy on real prices",
                parameters=RunBacktest,
                run=self.run,
                check=self.plan,
                example="/run_backtest sma_crossover AAPL start=2005-01-01 fee=0.001",
                aliases=("run", "bt"),
                completers={"strategy": values.strategies, "symbols": values.symbols},
                extra_names=values.strategy_parameters,
            ),
            CommandSpec(
                name="backtest",
                family=family,
                summary="Show the result of a backtest or comparison again",
                parameters=OneJob,
                run=self.show,
                check=self.find,
                example="/backtest bt_0123456789ab",
                completers={"id": values.recent_jobs},
            ),
            CommandSpec(
                name="backtests",
                family=family,
                summary="List finished backtests with their figures",
                parameters=ListBacktests,
                run=self.list_runs,
                example="/backtests sort=sharpe_ratio",
                completers={"strategy": values.strategies, "symbol": values.symbols},
            ),
            CommandSpec(
                name="rerun",
                family=family,
                summary="Repeat a run and prove that it is the same, or say what differs",
                parameters=OneJob,
                run=self.rerun,
                check=self.replan,
                example="/rerun bt_0123456789ab",
                completers={"id": values.recent_jobs},
            ),
            CommandSpec(
                name="symbols",
                family=family,
                summary="List the symbols there are prices of",
                parameters=FindSymbols,
                run=self.symbols,
                check=self.matching,
                example="/symbols",
            ),
        ]

    async def plan(self, _ctx: CommandContext, given: RunBacktest) -> Plan:
        """Check what is asked for against strategies and prices."""
        return await self._tools.planner.plan(given.wish())

    async def run(self, ctx: CommandContext, given: RunBacktest) -> Deferred:
        """Start the run, or join an equal one."""
        plan = await self.plan(ctx, given)
        return await start(self._tools.jobs, ctx, plan, fresh=given.fresh)

    async def find(self, _ctx: CommandContext, given: OneJob) -> Job:
        """Return the job or say that there is none."""
        job = await self._tools.job_store.get(given.id)
        if job is None:
            raise NotFoundError(
                f'There is no backtest "{given.id[:64]}".',
                "Type /backtests to see those there are.",
            )
        return job

    async def show(self, ctx: CommandContext, given: OneJob) -> CommandResult:
        """Show a job's result, or where it stands."""
        job = await self.find(ctx, given)
        if job.state == "completed":
            return CommandResult(job_text(job), result_data(job))
        why = f": {job.failure.message}" if job.failure else "."
        text = f"{job.title} ({job.id}) is {job.state}{why}"
        return CommandResult(text, {"backtestId": job.id, "state": job.state, "phase": job.phase})

    async def list_runs(self, _ctx: CommandContext, given: ListBacktests) -> CommandResult:
        """List completed runs."""
        newest = given.sort == "newest"
        which = JobFilter(
            states=("completed",),
            kind="backtest",
            strategy=given.strategy,
            symbol=given.symbol.upper() if given.symbol else None,
            limit=given.limit if newest else 1000,
        )
        jobs = list(await self._tools.job_store.list_jobs(which))
        if not newest:
            jobs.sort(key=lambda job: _metric(job, given.sort), reverse=True)
        jobs = jobs[: given.limit]
        if not jobs:
            return CommandResult(
                "No backtest has been completed yet. Try /run_backtest sma_crossover AAPL.",
                {"backtests": []},
            )
        shown = ("total_return", "sharpe_ratio", "max_drawdown", "trades")
        rows = [["id", "run", "return", "Sharpe", "drawdown", "trades", "by"]]
        rows += [
            [
                job.id,
                job.title,
                *(figure(name, (job.summary or {})["metrics"].get(name)) for name in shown),
                job.requested_by.name,
            ]
            for job in jobs
        ]
        return CommandResult(table(rows), {"backtests": [_row(job) for job in jobs]})

    async def replan(self, ctx: CommandContext, given: OneJob) -> tuple[Job, list[Plan], Plan]:
        """Return the job, and its request checked against the code and data of now."""
        job = await self.find(ctx, given)
        planner = self._tools.planner
        if job.kind == "backtest":
            return job, [], await planner.plan_request(BacktestRequest.model_validate(job.spec))
        request = ComparisonRequest.model_validate(job.spec)
        members = [await planner.plan_request(member) for member in request.members]
        whole = planner.plan_comparison(
            members, paths=request.paths, seed=request.seed, block=request.block
        )
        return job, members, whole

    async def rerun(self, ctx: CommandContext, given: OneJob) -> Deferred:
        """Run it anew; the answer compares the two."""
        job, members, whole = await self.replan(ctx, given)
        if members:
            return await start_comparison(
                self._tools.jobs, ctx, members, whole, fresh=True, repeats=job.id
            )
        return await start(self._tools.jobs, ctx, whole, fresh=True, repeats=job.id)

    async def matching(self, _ctx: CommandContext, given: FindSymbols) -> list[DataSet]:
        """Return the usable data sets that are meant."""
        sets = await asyncio.to_thread(self._tools.catalogue.data_sets)
        wanted = given.filter.upper()
        usable = [one for one in sets if wanted in one.symbol and one.problem is None]
        if not usable:
            raise NotFoundError(
                f'There are no prices of a symbol with "{wanted[:64]}" in it.',
                "Type /symbols for all.",
            )
        return usable

    async def symbols(self, ctx: CommandContext, given: FindSymbols) -> CommandResult:
        """List data sets."""
        usable = await self.matching(ctx, given)
        rows = [["symbol", "bars", "from", "to", "source"]]
        data = []
        for one in usable:
            days = span(one)
            rows.append(
                [
                    one.symbol,
                    f"{one.rows:,} × {one.timeframe}",
                    str(days.first),
                    str(days.last),
                    one.source[:40],
                ]
            )
            data.append(
                {
                    "symbol": one.symbol,
                    "timeframe": one.timeframe,
                    "rows": one.rows,
                    "first": str(days.first),
                    "last": str(days.last),
                    "source": one.source,
                }
            )
        return CommandResult(table(rows), {"symbols": data})


def _metric(job: Job, name: str) -> float:
    value = (job.summary or {})["metrics"].get(name)
    return float("-inf") if value is None else float(value)


def _row(job: Job) -> dict[str, Any]:
    summary = job.summary or {}
    return {
        "backtestId": job.id,
        "strategy": summary["strategy"]["id"],
        "symbols": summary["symbols"],
        "start": summary["start"],
        "end": summary["end"],
        "metrics": {name: summary["metrics"].get(name) for name in METRICS},
        "requestedBy": job.requested_by.name,
    }

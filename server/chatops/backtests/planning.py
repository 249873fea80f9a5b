"""From what a person asks for to a job: names resolved, everything checked, fingerprint taken."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from chatops.access.identity import Person
from chatops.backtests.job import Asker, Job, JobKind
from chatops.backtests.market.catalogue import Catalogue, DataSet
from chatops.backtests.market.names import check_timeframe
from chatops.backtests.provenance import describe, describe_comparison, fingerprint
from chatops.backtests.ranges import Span, check_range
from chatops.backtests.requests import BacktestRequest, ComparisonRequest
from chatops.backtests.strategies.book import StrategyBook
from chatops.backtests.strategies.catalogue import check_params
from chatops.errors import BadParameterError
from chatops.protocol.base import new_id, utc_now

MAX_SYMBOLS = 50


@dataclass(frozen=True, slots=True)
class Wish:
    """A backtest as a person asks for it; None and empty mean the default.

    Attributes:
        strategy: Id of a preset or saved strategy.
        symbols: Symbols in any case.
        params: Parameters that differ from the strategy's.
        start: First day, or None for all of the data.
        end: Last day, inclusive, or None.
        cash: Money at the start.
        fee: Fraction of the traded value, each side.
        timeframe: Length of a bar.
    """

    strategy: str
    symbols: tuple[str, ...] = ()
    params: Mapping[str, object] | None = None
    start: date | None = None
    end: date | None = None
    cash: float = 100_000.0
    fee: float = 0.001
    timeframe: str = "1d"


@dataclass(frozen=True, slots=True)
class Plan:
    """A request that was found to be possible.

    Attributes:
        kind: What it makes of a job.
        request: Complete and checked.
        provenance: What the result will depend on.
        fingerprint: Of the provenance.
        title: One line for a person.
    """

    kind: JobKind
    request: BacktestRequest | ComparisonRequest
    provenance: dict[str, Any]
    fingerprint: str
    title: str

    def job(
        self,
        person: Person,
        session_id: str,
        askers: tuple[Asker, ...],
        depends_on: tuple[str, ...] = (),
    ) -> Job:
        """Return a new job that does it."""
        return Job(
            id=new_id("bt" if self.kind == "backtest" else "cmp"),
            kind=self.kind,
            title=self.title,
            fingerprint=self.fingerprint,
            provenance=self.provenance,
            spec=self.request.model_dump(mode="json"),
            requested_by=person,
            session_id=session_id,
            created_at=utc_now(),
            depends_on=depends_on,
            askers=askers,
        )


class Planner:
    """Checks wishes against the strategies and prices there are at this moment."""

    def __init__(
        self, book: StrategyBook, catalogue: Catalogue, default_symbols: Sequence[str]
    ) -> None:
        self._book = book
        self._catalogue = catalogue
        self._default_symbols = tuple(default_symbols)

    async def plan(self, wish: Wish) -> Plan:
        """Check a wish.

        Raises:
            NotFoundError: No such strategy, or no prices of a symbol.
            BadParameterError: A parameter, a date or a range is wrong.
        """
        strategy = await self._book.find(wish.strategy)
        symbols = tuple(dict.fromkeys(s.upper() for s in wish.symbols)) or self._default_symbols
        if len(symbols) > MAX_SYMBOLS:
            raise BadParameterError(
                f"{len(symbols)} symbols are too many.", f"Give at most {MAX_SYMBOLS}."
            )
        request = BacktestRequest(
            strategy_id=strategy.id,
            strategy_type=strategy.type,
            strategy_version=strategy.version,
            params=check_params(strategy.type, {**strategy.params, **(wish.params or {})}),
            symbols=symbols,
            timeframe=check_timeframe(wish.timeframe),
            start=wish.start,
            end=wish.end,
            cash=wish.cash,
            fee=wish.fee,
        )
        return await self.plan_request(request)

    async def plan_request(self, request: BacktestRequest) -> Plan:
        """Check a complete request, like that of an earlier run, against the present data."""
        sets = await asyncio.to_thread(self._data_sets, request)
        check_range(request.start, request.end, [span(one) for one in sets])
        provenance = describe(request, {one.symbol: one.content_hash for one in sets})
        return Plan(
            kind="backtest",
            request=request,
            provenance=provenance,
            fingerprint=fingerprint(provenance),
            title=f"{request.strategy_id} on {_listed(request.symbols)}",
        )

    def plan_comparison(
        self, members: Sequence[Plan], *, paths: int, seed: int, block: int
    ) -> Plan:
        """Return the comparison of planned runs.

        Raises:
            BadParameterError: Not 2 to 5, or two are the same run.
        """
        runs = [plan.request for plan in members if isinstance(plan.request, BacktestRequest)]
        if not 2 <= len(runs) <= 5:
            raise BadParameterError(
                f"A comparison needs 2 to 5 runs, not {len(runs)}.",
                "Example: /compare_strategies sma_crossover momentum symbols=AAPL",
            )
        if len({plan.fingerprint for plan in members}) < len(runs):
            raise BadParameterError(
                "Two of these runs are the same.", "Name each strategy and symbol once."
            )
        request = ComparisonRequest(members=tuple(runs), paths=paths, seed=seed, block=block)
        provenance = describe_comparison(request, [plan.fingerprint for plan in members])
        names = [f"{run.strategy_id} on {_listed(run.symbols)}" for run in runs]
        return Plan(
            kind="comparison",
            request=request,
            provenance=provenance,
            fingerprint=fingerprint(provenance),
            title=f"comparison of {', '.join(names)}",
        )

    def _data_sets(self, request: BacktestRequest) -> list[DataSet]:
        return [self._catalogue.find(symbol, request.timeframe) for symbol in request.symbols]


def span(data: DataSet) -> Span:
    """Return the days of a usable data set."""
    first, last = data.first or utc_now(), data.last or utc_now()
    return Span(data.symbol, data.timeframe, first.date(), last.date())


def _listed(symbols: Sequence[str]) -> str:
    shown = ", ".join(symbols[:3])
    return f"{shown} and {len(symbols) - 3} more" if len(symbols) > 3 else shown

"""What a worker does with a task: bars in, figures and files out.

Imported by workers only: it brings NumPy, TA-Lib, bt and Matplotlib with it.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

import numpy as np

from chatops.backtests.analysis.comparison import compare
from chatops.backtests.engine.bt_runner import BtRunner
from chatops.backtests.engine.indicators import TalibIndicators
from chatops.backtests.engine.runner import Simulation
from chatops.backtests.market.bars import Bars
from chatops.backtests.portfolio import Account, account_of
from chatops.backtests.provenance import describe_comparison, fingerprint
from chatops.backtests.ranges import Span, available, check_range
from chatops.backtests.requests import BacktestRequest, ComparisonRequest
from chatops.backtests.results import ANALYZING_FROM, build_report
from chatops.backtests.strategies import STRATEGY_TYPES, check_params
from chatops.backtests.work import (
    Cancelled,
    OnProgress,
    Phase,
    Progress,
    Report,
    ShouldCancel,
    Task,
)
from chatops.errors import BadParameterError

_RUNNING_FROM = 0.05


class Market(Protocol):
    """Where a worker gets prices."""

    def load(self, symbol: str, timeframe: str) -> Bars:
        """Load all bars of a symbol, checked: sorted, unique, finite, positive, adjusted.

        Raises:
            AppError: There are none, or they are broken; in words for a person.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Steps:
    """Reports progress as part of the whole job, and stops it when asked to."""

    on_progress: OnProgress
    should_cancel: ShouldCancel

    def reach(self, phase: Phase, fraction: float, message: str = "") -> None:
        if self.should_cancel():
            raise Cancelled
        self.on_progress(Progress(phase, fraction, message))


def execute(
    task: Task, market: Market, on_progress: OnProgress, should_cancel: ShouldCancel
) -> Report:
    """Do a task. Equal tasks on equal data give equal reports, byte for byte.

    Args:
        task: What to do.
        market: Where prices come from; a comparison needs none.
        on_progress: Told the progress of the whole task, never falling.
        should_cancel: Asked often whether to stop.

    Raises:
        AppError: The task cannot be done; in words for a person.
        Cancelled: ``should_cancel`` said so.
    """
    if task.kind == "comparison":
        return _compare(task, on_progress, should_cancel)
    request = BacktestRequest.model_validate(task.spec)
    steps = _Steps(on_progress, should_cancel)
    loaded = []
    for number, symbol in enumerate(request.symbols):
        steps.reach("loading", _RUNNING_FROM * number / len(request.symbols), symbol)
        loaded.append(market.load(symbol, request.timeframe))
    steps.reach("running", _RUNNING_FROM)
    check_range(request.start, request.end, [_span(bars) for bars in loaded])
    # All are prepared first, so that a symbol that cannot be run is told before any is.
    simulations = [_prepare(request, bars, request.cash / len(loaded)) for bars in loaded]
    accounts = [
        _simulate(simulation, number, len(simulations), steps)
        for number, simulation in enumerate(simulations)
    ]
    return build_report(request, loaded, accounts, steps.reach)


def _compare(task: Task, on_progress: OnProgress, should_cancel: ShouldCancel) -> Report:
    request = ComparisonRequest.model_validate(task.spec)
    names = [f"{index}/equity.csv" for index in range(len(request.members))]
    equity_files = [task.files.get(name, b"") for name in names]  # compare() names a missing one
    report = compare(request, task.inputs, equity_files, on_progress, should_cancel)
    members = [fingerprint(summary["provenance"]) for summary in task.inputs]
    summary = {**report.summary, "provenance": describe_comparison(request, members)}
    return Report(summary, report.files)


def _prepare(request: BacktestRequest, loaded: Bars, cash: float) -> Simulation:
    bars, first = _cut(request, loaded)
    rule = STRATEGY_TYPES[request.strategy_type]
    params = rule.parameters.model_validate(check_params(request.strategy_type, request.params))
    needed = rule.bars_needed(params) + 1  # one more, on which the first signal is filled
    if len(bars) < needed:
        raise BadParameterError(
            f"{request.strategy_id} needs at least {needed} bars of {bars.symbol} up to the end, "
            f"and there are {len(bars)}.",
            f"Choose shorter periods or a later end. {available([_span(loaded)])}",
        )
    wants_long = rule.wants_long(bars, params, TalibIndicators())
    return Simulation(bars, first, wants_long, cash, fee_rate=request.fee)


def _simulate(simulation: Simulation, number: int, count: int, steps: _Steps) -> Account:
    share = (ANALYZING_FROM - _RUNNING_FROM) / count

    def on_fraction(fraction: float) -> None:
        whole = _RUNNING_FROM + share * (number + fraction)
        steps.on_progress(Progress("running", whole, simulation.bars.symbol))

    return account_of(simulation, BtRunner().run(simulation, on_fraction, steps.should_cancel))


def _cut(request: BacktestRequest, bars: Bars) -> tuple[Bars, int]:
    """Cut bars after the end off and find the first tradable one; history before it stays."""
    start = np.datetime64(request.start) if request.start else bars.ts[0]
    after = np.datetime64(request.end) + 1 if request.end else bars.ts[-1] + 1
    first, stop = np.searchsorted(bars.ts, [start, after]).tolist()
    if stop - first < 2:
        raise BadParameterError(
            f"{bars.symbol} has {'only 1 bar' if stop > first else 'no bars'} in that range, "
            "and a backtest needs at least 2.",
            available([_span(bars)]),
        )
    # The hash stays that of the whole data set, which is what was loaded.
    return replace(
        bars,
        ts=bars.ts[:stop],
        open=bars.open[:stop],
        high=bars.high[:stop],
        low=bars.low[:stop],
        close=bars.close[:stop],
        volume=bars.volume[:stop],
    ), first


def _span(bars: Bars) -> Span:
    return Span(bars.symbol, bars.timeframe, _day(bars.ts[0]), _day(bars.ts[-1]))


def _day(time: np.datetime64) -> date:
    day: date = time.astype("datetime64[D]").item()
    return day

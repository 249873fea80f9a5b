"""The report of a run: figures, curves, chart and files made of its accounts."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from chatops.backtests.analysis.chart import draw_backtest
from chatops.backtests.analysis.decimate import decimate
from chatops.backtests.analysis.metrics import Metrics, deepest_drawdown, drawdowns, measure
from chatops.backtests.downloads import (
    equity_csv,
    json_file,
    position_values,
    time_texts,
    trade_values,
    trades_csv,
)
from chatops.backtests.engine.runner import Trade
from chatops.backtests.market.bars import Bars
from chatops.backtests.portfolio import Account, Curve, combine
from chatops.backtests.provenance import describe
from chatops.backtests.requests import PERIODS_PER_YEAR, BacktestRequest
from chatops.backtests.work import Phase, Report

ANALYZING_FROM = 0.85
"""Part of the whole job that is done when the report begins."""
_SAVING_FROM = 0.95
_POINTS = 800


class Reach(Protocol):
    """Told that a phase has come so far; ``fraction`` is of the whole job."""

    def __call__(self, phase: Phase, fraction: float, /) -> None:
        """Take note, or raise ``Cancelled``."""
        ...


def build_report(
    request: BacktestRequest, loaded: Sequence[Bars], accounts: Sequence[Account], reach: Reach
) -> Report:
    """Compute the figures, draw the chart and write the files.

    Args:
        request: What was asked for.
        loaded: All bars of each symbol, as loaded.
        accounts: What became of each symbol's share, in the same order.
        reach: Told each step; may raise ``Cancelled``.
    """
    reach("analyzing", ANALYZING_FROM)
    whole = combine(accounts)
    equity, fall = whole.strategy.equity, drawdowns(whole.strategy.equity)
    start, end = time_texts(whole.ts[[0, -1]], "1d")
    times_s = whole.ts.astype(np.int64)
    trades = [trade_values(trade, request.timeframe) for trade in whole.trades]
    held = [position_values(position, request.timeframe) for position in whole.open_positions]
    summary: dict[str, Any] = {
        "strategy": {
            "id": request.strategy_id,
            "type": request.strategy_type,
            "version": request.strategy_version,
            "params": dict(request.params),
        },
        "symbols": list(request.symbols),
        "timeframe": request.timeframe,
        "start": start,
        "end": end,
        "cash": request.cash,
        "fee": request.fee,
        "bars": len(whole.ts),
        "metrics": _metrics(whole.strategy, whole.trades, request.timeframe),
        "benchmark": _metrics(whole.benchmark, (), request.timeframe),
        "drawdown": _drawdown(whole, request.timeframe),
        "points": [list(point) for point in decimate(times_s, equity, _POINTS)],
        "drawdownPoints": [list(point) for point in decimate(times_s, fall, _POINTS)],
        "tradeCount": len(trades),
        "openPositions": held,
        "engine": whole.engine,
        "provenance": describe(request, {bars.symbol: bars.content_hash for bars in loaded}),
    }
    if len(accounts) > 1:
        summary["bySymbol"] = {
            bars.symbol: _metrics(account.strategy, account.trades, request.timeframe)
            for bars, account in zip(loaded, accounts, strict=True)
        }
    reach("analyzing", (ANALYZING_FROM + _SAVING_FROM) / 2)
    chart = draw_backtest(_title(summary), whole.ts, equity, whole.benchmark.equity, fall)
    reach("saving", _SAVING_FROM)
    files = {
        "equity.csv": equity_csv(whole, fall, request.timeframe),
        "trades.csv": trades_csv(trades),
        "trades.json": json_file({"trades": trades, "openPositions": held}),
        "result.json": json_file(summary),
        "chart.png": chart,
    }
    reach("saving", 1.0)
    return Report(summary, files)


def _metrics(curve: Curve, trades: Sequence[Trade], timeframe: str) -> Metrics:
    profits = np.array([trade.profit for trade in trades], dtype=np.float64)
    return measure(curve.equity, profits, curve.exposure, PERIODS_PER_YEAR[timeframe])


def _drawdown(account: Account, timeframe: str) -> dict[str, str | None] | None:
    """Dates of the deepest fall, or None if the equity never fell."""
    found = deepest_drawdown(account.strategy.equity)
    if found is None:
        return None
    bars = [found.peak, found.trough, found.recovery or 0]
    peak, trough, recovery = time_texts(account.ts[bars], timeframe)
    return {
        "peak": peak,
        "trough": trough,
        "recovery": None if found.recovery is None else recovery,
    }


def _title(summary: dict[str, Any]) -> str:
    symbols = summary["symbols"]
    shown = ", ".join(symbols[:5]) + (f" and {len(symbols) - 5} more" if symbols[5:] else "")
    return f"{summary['strategy']['id']} · {shown} · {summary['start']} – {summary['end']}"

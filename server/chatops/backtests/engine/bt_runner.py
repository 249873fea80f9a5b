"""The engine ``bt``: the only module that imports it.

``bt`` fills at the price of the row it stands on. It is therefore given two rows a bar, the open
and then the close: a signal at close t is acted upon at the open row of t + 1, and the equity is
read at the close rows. Its own defaults (whole shares, 1,000,000 of money, no fee) are all
overridden, and its own statistics, which begin before the first trade, are not read. Orders name a
number of shares: when given an amount of money, bt searches for the number until the bill is right
to 1e-8 of money, which no float reaches in an account of 100 million.
"""

import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import bt
import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # its stubs are a package of their own

from chatops.backtests.engine.runner import (
    RUIN,
    BacktestRunner,
    OnFraction,
    Outcome,
    Simulation,
)
from chatops.backtests.engine.trades import dealings
from chatops.backtests.work import Cancelled, ShouldCancel

_ASSET = "asset"
_CLOSE_AFTER = np.timedelta64(1, "s")  # bars are at least a minute long; any later second will do
_REPORTS = 100


class BtRunner:
    """Simulates with ``bt``; see ``runner`` for the rules of the account."""

    def run(
        self, simulation: Simulation, on_progress: OnFraction, should_cancel: ShouldCancel
    ) -> Outcome:
        """Simulate the account; see ``BacktestRunner``."""
        prices = _price_rows(simulation)
        trader = _Trader(simulation, len(prices), on_progress, should_cancel)
        fee_rate = simulation.fee_rate
        backtest = bt.Backtest(
            bt.Strategy("account", [trader], children=[bt.Security(_ASSET)]),
            prices,
            initial_capital=simulation.cash,
            commissions=lambda quantity, price: abs(quantity) * price * fee_rate,
            integer_positions=False,
            progress_bar=False,
        )
        with warnings.catch_warnings():
            # bt's own statistics, which nobody reads, take logarithms of a ruined account.
            warnings.simplefilter("ignore", RuntimeWarning)
            backtest.run()
        account = backtest.strategy
        # Row 0 is bt's own, a day before the data; then open, close, open, close, ...
        equity = account.values.to_numpy(dtype=np.float64)[2::2].copy()
        shares = account.positions[_ASSET].to_numpy(dtype=np.float64)[2::2]
        found = dealings(simulation, shares)
        return Outcome(
            ts=simulation.bars.ts[simulation.first :],
            equity=equity,
            position=shares > 0,
            trades=found.trades,
            open_position=found.open_position,
            engine=f"bt {version('bt')}",
        )


class _Trader(bt.Algo):  # type: ignore[misc]  # bt has no annotations, so its classes are Any
    """Called on every row: reports, cancels, and trades at the opens after a change of mind."""

    def __init__(
        self,
        simulation: Simulation,
        rows: int,
        on_progress: OnFraction,
        should_cancel: ShouldCancel,
    ) -> None:
        super().__init__()
        due = simulation.positions()
        changed = np.flatnonzero(due[1:] != due[:-1]) + 1
        self._orders = {2 * bar: bool(due[bar]) for bar in changed.tolist()}
        self._opens = simulation.bars.open[simulation.first :]
        self._fee_rate = simulation.fee_rate
        self._ruin = simulation.cash * RUIN
        self._rows = rows
        self._every = max(1, rows // _REPORTS)
        self._on_progress = on_progress
        self._should_cancel = should_cancel
        self._row = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Trader":
        # bt copies the strategy it is given; the callbacks may belong to pipes and events.
        return self

    def __call__(self, target: Any) -> bool:
        row = self._row
        self._row += 1
        if self._row % self._every == 0:
            if self._should_cancel():
                raise Cancelled
            self._on_progress(self._row / self._rows)
        if row in self._orders:
            target.transact(self._shares(target, row), child=_ASSET)
        return True

    def _shares(self, target: Any, row: int) -> float:
        """Shares to buy, negative to sell; 0 does nothing."""
        if not self._orders[row]:
            return -float(target.children[_ASSET].position)
        capital = float(target.capital)
        if capital < self._ruin:
            return 0.0
        return capital / (float(self._opens[row // 2]) * (1 + self._fee_rate))


def _price_rows(simulation: Simulation) -> pd.DataFrame:
    """Two rows a tradable bar: its open, then its close."""
    bars, first = simulation.bars, simulation.first
    opens = bars.ts[first:]
    index = np.column_stack((opens, opens + _CLOSE_AFTER)).ravel()
    prices = np.column_stack((bars.open[first:], bars.close[first:])).ravel()
    return pd.DataFrame({_ASSET: prices}, index=pd.DatetimeIndex(index))


if TYPE_CHECKING:
    _: type[BacktestRunner] = BtRunner

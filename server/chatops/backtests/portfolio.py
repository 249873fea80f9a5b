"""The accounts of a run, one a symbol, and the whole that they make."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chatops.backtests.engine.runner import OpenPosition, Outcome, Simulation, Trade
from chatops.backtests.engine.trades import buy_and_hold

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """Money and exposure over time.

    Attributes:
        equity: Money at each close, shape (n,).
        position: Part of the symbols that are held at each close, 0..1, shape (n,).
    """

    equity: Floats
    position: Floats

    @property
    def exposure(self) -> float:
        """Mean of ``position``."""
        return float(self.position.mean())


@dataclass(frozen=True, slots=True)
class Account:
    """The tradable bars of one symbol, or of all symbols together.

    Attributes:
        cash: Money at the start.
        ts: Opening time of each bar, ``datetime64[s]``, shape (n,).
        strategy: What the strategy made of the money.
        benchmark: What buy and hold with the same fee made of it.
        trades: Closed trades of the strategy, by time of exit.
        open_positions: What the strategy still holds.
        engine: Name and version of the engine.
    """

    cash: float
    ts: NDArray[np.datetime64]
    strategy: Curve
    benchmark: Curve
    trades: tuple[Trade, ...]
    open_positions: tuple[OpenPosition, ...]
    engine: str


def account_of(simulation: Simulation, outcome: Outcome) -> Account:
    """Put the outcome of a simulation beside buy and hold of the same bars."""
    equity, position = buy_and_hold(simulation)
    return Account(
        cash=simulation.cash,
        ts=outcome.ts,
        strategy=Curve(outcome.equity, outcome.position.astype(np.float64)),
        benchmark=Curve(equity, position.astype(np.float64)),
        trades=outcome.trades,
        open_positions=(outcome.open_position,) if outcome.open_position else (),
        engine=outcome.engine,
    )


def combine(accounts: Sequence[Account]) -> Account:
    """Add the accounts up over the union of their bars.

    Before its first bar an account is cash; at a bar it does not have it keeps its last value.
    One account is returned as it is.
    """
    if len(accounts) == 1:
        return accounts[0]
    ts = np.unique(np.concatenate([account.ts for account in accounts]))
    trades = sorted(
        (trade for account in accounts for trade in account.trades),
        key=lambda trade: (trade.exit_time, trade.entry_time, trade.symbol),
    )
    return Account(
        cash=sum(account.cash for account in accounts),
        ts=ts,
        strategy=_sum([(account, account.strategy) for account in accounts], ts),
        benchmark=_sum([(account, account.benchmark) for account in accounts], ts),
        trades=tuple(trades),
        open_positions=tuple(held for account in accounts for held in account.open_positions),
        engine=accounts[0].engine,
    )


def _sum(curves: Sequence[tuple[Account, Curve]], ts: NDArray[np.datetime64]) -> Curve:
    equity, position = np.zeros(len(ts)), np.zeros(len(ts))
    for account, curve in curves:
        last = np.searchsorted(account.ts, ts, side="right") - 1
        begun = last >= 0
        equity += np.where(begun, curve.equity[last], account.cash)
        position += np.where(begun, curve.position[last], 0.0)
    return Curve(equity, position / len(curves))

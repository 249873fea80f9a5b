"""The trades of an account, read off its positions and the shares it held."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chatops.backtests.engine.runner import OpenPosition, Simulation, Trade


@dataclass(frozen=True, slots=True)
class Dealings:
    """Closed trades in order, and what is still held."""

    trades: tuple[Trade, ...]
    open_position: OpenPosition | None


def dealings(simulation: Simulation, shares: NDArray[np.float64]) -> Dealings:
    """List the trades of a simulated account.

    Args:
        simulation: What was simulated.
        shares: Shares held at the close of each tradable bar, shape (n,).

    Returns:
        Closed trades, and the open position if the last close holds one.
    """
    bars, first = simulation.bars, simulation.first
    held = shares > 0
    changes = np.flatnonzero(np.diff(held.astype(np.int8), append=0)) + 1
    # The appended flat bar closes an open position at index n, which no bar has.
    trades: list[Trade] = []
    for entry, leave in zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True):
        entry_price = float(bars.open[first + entry])
        amount = float(shares[entry])
        if leave == len(held):
            last_price = float(bars.close[-1])
            still = OpenPosition(
                symbol=bars.symbol,
                entry_time=bars.ts[first + entry],
                entry_price=entry_price,
                shares=amount,
                last_price=last_price,
                value=amount * last_price,
            )
            return Dealings(tuple(trades), still)
        exit_price = float(bars.open[first + leave])
        spent = amount * entry_price * (1 + simulation.fee_rate)
        profit = amount * exit_price * (1 - simulation.fee_rate) - spent
        trades.append(
            Trade(
                symbol=bars.symbol,
                entry_time=bars.ts[first + entry],
                entry_price=entry_price,
                exit_time=bars.ts[first + leave],
                exit_price=exit_price,
                shares=amount,
                profit=profit,
                profit_fraction=profit / spent,
                bars=leave - entry,
            )
        )
    return Dealings(tuple(trades), None)


def buy_and_hold(simulation: Simulation) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Equity and position of an account that buys at the first fill and never sells.

    One purchase has a closed form, ``shares = cash / (open * (1 + fee))``, so the benchmark costs
    no second run of the engine. A run of one bar never buys.

    Returns:
        Money at each tradable close and whether shares are held, both of shape (n,).
    """
    close = simulation.bars.close[simulation.first :]
    position = np.ones(len(close), dtype=np.bool_)
    position[0] = False
    equity = np.full(len(close), simulation.cash)
    if len(close) > 1:
        price = float(simulation.bars.open[simulation.first + 1])
        equity[1:] = close[1:] * (simulation.cash / (price * (1 + simulation.fee_rate)))
    return equity, position

"""What a simulation is given and what it gives back, whatever engine does it.

The rules of the simulated account, the same for every engine:

- Long or flat, always all-in; fractional shares; the fee is a fraction of the traded value and is
  paid on both sides. A purchase spends all cash including its fee.
- A signal at the close of bar t is filled at the open of bar t + 1. A signal at the last close is
  never filled.
- Nothing before bar ``first`` counts. The close of ``first`` is the first signal that is heard and
  the open of ``first + 1`` the first fill, so the account is all cash at the close of ``first``,
  exactly as at the first bar of a run over the whole history. Earlier bars only warm indicators.
- An account that has lost all but ``RUIN`` of its cash buys no more. Fees bring it there after some
  ten thousand trades, and below that an engine would divide by zero.
- A position that is open at the end is marked at the last close; it is not a trade.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from chatops.backtests.market.bars import Bars
from chatops.backtests.work import ShouldCancel

RUIN = 1e-12
"""Part of the cash at the start below which an account is ruined."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """One account that trades one symbol.

    Attributes:
        bars: All bars, with the history before ``first``; at least one bar from ``first`` on.
        first: Index of the first tradable bar.
        wants_long: Signal at each close, shape (len(bars),).
        cash: Money at the start, positive.
        fee_rate: Fraction of the traded value, each side, 0 <= fee_rate < 1.
    """

    bars: Bars
    first: int
    wants_long: NDArray[np.bool_]
    cash: float
    fee_rate: float

    def positions(self) -> NDArray[np.bool_]:
        """Whether a position is due at each close of the tradable bars, shape (n,)."""
        heard = self.wants_long[self.first : -1]
        return np.concatenate((np.zeros(1, dtype=np.bool_), heard))


@dataclass(frozen=True, slots=True)
class Trade:
    """A position that was opened and closed.

    Attributes:
        symbol: What was traded.
        entry_time: Bar of the purchase, UTC, ``datetime64[s]``.
        entry_price: Money a share.
        exit_time: Bar of the sale.
        exit_price: Money a share.
        shares: Number of shares, fractional.
        profit: Money gained after both fees.
        profit_fraction: ``profit`` over the money spent, fee included.
        bars: Closes at which the position was held.
    """

    symbol: str
    entry_time: np.datetime64
    entry_price: float
    exit_time: np.datetime64
    exit_price: float
    shares: float
    profit: float
    profit_fraction: float
    bars: int


@dataclass(frozen=True, slots=True)
class OpenPosition:
    """A position still held at the last close.

    Attributes:
        symbol: What is held.
        entry_time: Bar of the purchase, UTC, ``datetime64[s]``.
        entry_price: Money a share.
        shares: Number of shares, fractional.
        last_price: The last close.
        value: ``shares * last_price``; no fee of a sale is taken off.
    """

    symbol: str
    entry_time: np.datetime64
    entry_price: float
    shares: float
    last_price: float
    value: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the account; arrays cover the n tradable bars only.

    Attributes:
        ts: Opening time of each bar, ``datetime64[s]``, shape (n,).
        equity: Money at each close, shape (n,); the first is the cash at the start.
        position: Whether shares are held at each close, shape (n,).
        trades: Closed trades in order.
        open_position: What is still held, or None.
        engine: Name and version, such as ``"bt 1.4.1"``.
    """

    ts: NDArray[np.datetime64]
    equity: NDArray[np.float64]
    position: NDArray[np.bool_]
    trades: tuple[Trade, ...]
    open_position: OpenPosition | None
    engine: str


class OnFraction(Protocol):
    """Told how much of a simulation is done, 0..1, growing, about a hundred times."""

    def __call__(self, fraction: float, /) -> None:
        """Take note; must return quickly."""
        ...


class BacktestRunner(Protocol):
    """An engine. Equal simulations give equal bytes."""

    def run(
        self, simulation: Simulation, on_progress: OnFraction, should_cancel: ShouldCancel
    ) -> Outcome:
        """Simulate the account.

        Raises:
            Cancelled: ``should_cancel`` said so; it is asked about a hundred times a run.
        """
        ...

"""Indicators on TA-Lib: the only module that imports it.

TA-Lib takes contiguous ``float64`` only, and one NaN in the input makes every later value NaN;
bars are finite, so the inputs here are too.
"""

from typing import TYPE_CHECKING

import numpy as np
import talib
from numpy.typing import NDArray

from chatops.backtests.strategies.base import Indicators

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_ROUNDING = 1e-12


class TalibIndicators:
    """The indicators that rules are given; see ``Indicators`` for what each means."""

    def always(self, values: Floats) -> Flags:
        """True at every bar."""
        return np.ones(len(values), dtype=np.bool_)

    def above(self, prices: Floats, others: Floats) -> Flags:
        """Where one price exceeds another by more than rounding, 1e-12 of it."""
        return prices - others > _ROUNDING * np.abs(others)

    def sma(self, values: Floats, period: int) -> Floats:
        """Simple moving average of the last ``period`` values."""
        return _floats(talib.SMA(_contiguous(values), timeperiod=period))

    def ema(self, values: Floats, period: int) -> Floats:
        """Exponential moving average, alpha 2 / (period + 1), seeded with the first SMA."""
        return _floats(talib.EMA(_contiguous(values), timeperiod=period))

    def rsi(self, values: Floats, period: int) -> Floats:
        """Wilder's relative strength index, 0..100; NaN while the values have never moved.

        Without any movement Wilder's ratio is 0 / 0. TA-Lib says 0 there, which a rule would take
        for "oversold".
        """
        rsi = _floats(talib.RSI(_contiguous(values), timeperiod=period))
        moved = np.logical_or.accumulate(values != values[0])
        return np.where(moved, rsi, np.nan)

    def macd(self, values: Floats, fast: int, slow: int, signal: int) -> tuple[Floats, Floats]:
        """MACD line and its signal line.

        TA-Lib starts the fast average where the slow one starts, so the first values differ from
        those of packages that start each at its own first bar.
        """
        line, average, _ = talib.MACD(
            _contiguous(values), fastperiod=fast, slowperiod=slow, signalperiod=signal
        )
        return _floats(line), _floats(average)

    def bollinger(
        self, values: Floats, period: int, num_std: float
    ) -> tuple[Floats, Floats, Floats]:
        """Lower, middle and upper band; population standard deviation (ddof 0)."""
        upper, middle, lower = talib.BBANDS(
            _contiguous(values), timeperiod=period, nbdevup=num_std, nbdevdn=num_std
        )
        return _floats(lower), _floats(middle), _floats(upper)

    def rate_of_change(self, values: Floats, period: int) -> Floats:
        """``values[t] / values[t - period] - 1``, a fraction."""
        return _floats(talib.ROCP(_contiguous(values), timeperiod=period))

    def hold(self, enter: Flags, leave: Flags) -> Flags:
        """True from each bar that enters until the next that leaves; ``leave`` wins a tie."""
        speaks = enter | leave
        # For each bar the index of the last bar that said anything; bar 0 before the first one.
        last = np.maximum.accumulate(np.where(speaks, np.arange(len(enter)), 0))
        return enter[last] & ~leave[last]


def _contiguous(values: Floats) -> Floats:
    return np.ascontiguousarray(values, dtype=np.float64)


def _floats(values: object) -> Floats:
    # TA-Lib has no annotations.
    return np.asarray(values, dtype=np.float64)


if TYPE_CHECKING:
    _: type[Indicators] = TalibIndicators

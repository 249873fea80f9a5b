"""Crossing of two simple moving averages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator
from typing_extensions import override

from chatops.backtests.strategies.base import Parameters, StrategyType

if TYPE_CHECKING:
    from chatops.backtests.market.bars import Bars
    from chatops.backtests.strategies.base import Flags, Indicators


class SmaCrossoverParameters(Parameters):
    """Lengths of the two averages."""

    short_window: int = Field(default=20, ge=2, le=500, description="Bars of the fast average.")
    long_window: int = Field(default=50, ge=3, le=1000, description="Bars of the slow average.")

    @model_validator(mode="after")
    def _short_below_long(self) -> Self:
        if self.short_window >= self.long_window:
            raise ValueError("short_window must be smaller than long_window")
        return self


class SmaCrossover(StrategyType[SmaCrossoverParameters]):
    """Long while the fast average of the closes is above the slow one."""

    name = "sma_crossover"
    title = "SMA crossover"
    summary = "Long while the short moving average is above the long one."
    parameters = SmaCrossoverParameters

    @override
    def wants_long(
        self, bars: Bars, params: SmaCrossoverParameters, indicators: Indicators
    ) -> Flags:
        fast = indicators.sma(bars.close, params.short_window)
        return indicators.above(fast, indicators.sma(bars.close, params.long_window))

    @override
    def bars_needed(self, params: SmaCrossoverParameters) -> int:
        return params.long_window

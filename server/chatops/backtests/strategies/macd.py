"""Crossing of the MACD line and its signal line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator
from typing_extensions import override

from chatops.backtests.strategies.base import Parameters, StrategyType

if TYPE_CHECKING:
    from chatops.backtests.market.bars import Bars
    from chatops.backtests.strategies.base import Flags, Indicators


class MacdParameters(Parameters):
    """Lengths of the three exponential averages."""

    fast_period: int = Field(default=12, ge=2, le=500, description="Bars of the fast average.")
    slow_period: int = Field(default=26, ge=3, le=1000, description="Bars of the slow average.")
    signal_period: int = Field(default=9, ge=2, le=500, description="Bars of the signal line.")

    @model_validator(mode="after")
    def _fast_below_slow(self) -> Self:
        if self.fast_period >= self.slow_period:
            raise ValueError("fast_period must be smaller than slow_period")
        return self


class Macd(StrategyType[MacdParameters]):
    """Long while the MACD line is above its signal line."""

    name = "macd"
    title = "MACD"
    summary = "Long while the MACD line is above its signal line."
    parameters = MacdParameters

    @override
    def wants_long(self, bars: Bars, params: MacdParameters, indicators: Indicators) -> Flags:
        line, signal = indicators.macd(
            bars.close, params.fast_period, params.slow_period, params.signal_period
        )
        return line > signal

    @override
    def bars_needed(self, params: MacdParameters) -> int:
        return params.slow_period + params.signal_period - 1

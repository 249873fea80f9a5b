"""Buying weakness and selling strength by Wilder's RSI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator
from typing_extensions import override

from chatops.backtests.strategies.base import Parameters, StrategyType

if TYPE_CHECKING:
    from chatops.backtests.market.bars import Bars
    from chatops.backtests.strategies.base import Flags, Indicators


class RsiMeanReversionParameters(Parameters):
    """Length of the index and its two thresholds."""

    rsi_period: int = Field(default=14, ge=2, le=250, description="Bars of the RSI.")
    oversold: float = Field(default=30.0, ge=1, le=99, description="Enters below this RSI.")
    overbought: float = Field(default=70.0, ge=1, le=99, description="Exits above this RSI.")

    @model_validator(mode="after")
    def _oversold_below_overbought(self) -> Self:
        if self.oversold >= self.overbought:
            raise ValueError("oversold must be smaller than overbought")
        return self


class RsiMeanReversion(StrategyType[RsiMeanReversionParameters]):
    """Long from an oversold close until an overbought one."""

    name = "rsi_mean_reversion"
    title = "RSI mean reversion"
    summary = "Enters when the RSI is oversold, exits when it is overbought."
    parameters = RsiMeanReversionParameters

    @override
    def wants_long(
        self, bars: Bars, params: RsiMeanReversionParameters, indicators: Indicators
    ) -> Flags:
        rsi = indicators.rsi(bars.close, params.rsi_period)
        return indicators.hold(rsi < params.oversold, rsi > params.overbought)

    @override
    def bars_needed(self, params: RsiMeanReversionParameters) -> int:
        return params.rsi_period + 1

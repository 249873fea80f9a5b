"""Mean reversion inside Bollinger bands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field
from typing_extensions import override

from chatops.backtests.strategies.base import Parameters, StrategyType

if TYPE_CHECKING:
    from chatops.backtests.market.bars import Bars
    from chatops.backtests.strategies.base import Flags, Indicators


class BollingerParameters(Parameters):
    """Length and width of the bands."""

    period: int = Field(default=20, ge=2, le=500, description="Bars of the middle band.")
    num_std: float = Field(
        default=2.0, ge=0.1, le=10, description="Width of the bands in standard deviations."
    )


class Bollinger(StrategyType[BollingerParameters]):
    """Long from a close below the lower band until one above the middle."""

    name = "bollinger"
    title = "Bollinger bands"
    summary = "Enters below the lower band, exits above the middle one."
    parameters = BollingerParameters

    @override
    def wants_long(self, bars: Bars, params: BollingerParameters, indicators: Indicators) -> Flags:
        lower, middle, _ = indicators.bollinger(bars.close, params.period, params.num_std)
        return indicators.hold(
            indicators.above(lower, bars.close), indicators.above(bars.close, middle)
        )

    @override
    def bars_needed(self, params: BollingerParameters) -> int:
        return params.period

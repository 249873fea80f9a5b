"""Time-series momentum: what rose goes on rising."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field
from typing_extensions import override

from chatops.backtests.strategies.base import Parameters, StrategyType

if TYPE_CHECKING:
    from chatops.backtests.market.bars import Bars
    from chatops.backtests.strategies.base import Flags, Indicators


class MomentumParameters(Parameters):
    """How far back the rule looks."""

    momentum_period: int = Field(
        default=126, ge=1, le=1000, description="Bars between the two closes compared."
    )


class Momentum(StrategyType[MomentumParameters]):
    """Long while the close is above the close ``momentum_period`` bars ago."""

    name = "momentum"
    title = "Momentum"
    summary = "Long while the price has risen over the momentum period."
    parameters = MomentumParameters

    @override
    def wants_long(self, bars: Bars, params: MomentumParameters, indicators: Indicators) -> Flags:
        return indicators.rate_of_change(bars.close, params.momentum_period) > 0

    @override
    def bars_needed(self, params: MomentumParameters) -> int:
        return params.momentum_period + 1

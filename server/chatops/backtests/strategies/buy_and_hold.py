"""Buy once and keep: the yardstick of every other strategy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from chatops.backtests.strategies.base import Parameters, StrategyType

if TYPE_CHECKING:
    from chatops.backtests.market.bars import Bars
    from chatops.backtests.strategies.base import Flags, Indicators


class BuyAndHoldParameters(Parameters):
    """No parameters."""


class BuyAndHold(StrategyType[BuyAndHoldParameters]):
    """Long at every close."""

    name = "buy_and_hold"
    title = "Buy and hold"
    summary = "Buys at the first chance and never sells."
    parameters = BuyAndHoldParameters

    @override
    def wants_long(self, bars: Bars, params: BuyAndHoldParameters, indicators: Indicators) -> Flags:
        return indicators.always(bars.close)

    @override
    def bars_needed(self, params: BuyAndHoldParameters) -> int:
        return 1

"""The strategy types: light to import, so the server knows names and ranges without NumPy."""

from chatops.backtests.strategies.base import (
    Indicators,
    ParameterInfo,
    Parameters,
    StrategyType,
)
from chatops.backtests.strategies.catalogue import STRATEGY_TYPES, check_params

__all__ = [
    "STRATEGY_TYPES",
    "Indicators",
    "ParameterInfo",
    "Parameters",
    "StrategyType",
    "check_params",
]

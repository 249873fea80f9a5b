"""Every strategy type by name, and the check of what a person gives as parameters."""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from chatops.backtests.strategies.base import ParameterInfo, StrategyType
from chatops.backtests.strategies.bollinger import Bollinger
from chatops.backtests.strategies.buy_and_hold import BuyAndHold
from chatops.backtests.strategies.macd import Macd
from chatops.backtests.strategies.momentum import Momentum
from chatops.backtests.strategies.rsi_mean_reversion import RsiMeanReversion
from chatops.backtests.strategies.sma_crossover import SmaCrossover
from chatops.errors import BadParameterError

STRATEGY_TYPES: Mapping[str, StrategyType[Any]] = MappingProxyType(
    {
        strategy_type.name: strategy_type
        for strategy_type in (
            BuyAndHold(),
            SmaCrossover(),
            RsiMeanReversion(),
            Momentum(),
            Macd(),
            Bollinger(),
        )
    }
)
"""The rules a strategy can be built on; the order is that of lists shown to people."""


def check_params(type_name: str, given: Mapping[str, object]) -> dict[str, int | float]:
    """Complete and check the parameters of a strategy type.

    Numbers may come as text. Whole-number parameters come back as ``int``, others as ``float``,
    so equal parameters are equal however they were written.

    Args:
        type_name: Key of ``STRATEGY_TYPES``.
        given: Parameters to change; the others keep their defaults.

    Returns:
        Every parameter of the type, in the order of its model.

    Raises:
        BadParameterError: Unknown type or parameter, not a number, or out of range; the first
            fault found, in one sentence.
    """
    strategy_type = STRATEGY_TYPES.get(type_name)
    if strategy_type is None:
        raise BadParameterError(
            f"There is no strategy type {_shown(type_name)}.",
            _did_you_mean(type_name, list(STRATEGY_TYPES), "Strategy types"),
        )
    infos = {info.name: info for info in strategy_type.parameter_infos()}
    for name, value in given.items():
        if name not in infos:
            raise BadParameterError(
                f"{type_name} has no parameter {_shown(name)}.",
                _did_you_mean(name, list(infos), "Its parameters"),
            )
        if isinstance(value, bool):  # pydantic would take True for 1
            raise _out_of_range(infos[name], value)
    try:
        checked = strategy_type.parameters.model_validate(dict(given))
    except ValidationError as error:
        raise _explained(error, infos, given) from error
    complete: dict[str, int | float] = checked.model_dump()
    return complete


def _explained(
    error: ValidationError, infos: Mapping[str, ParameterInfo], given: Mapping[str, object]
) -> BadParameterError:
    first = error.errors(include_url=False)[0]
    if first["loc"]:
        name = str(first["loc"][0])
        return _out_of_range(infos[name], given[name])
    # Only the models' own rules between two fields have no location; they raise ValueError.
    defaults = ", ".join(f"{info.name} {info.default:g}" for info in infos.values())
    return BadParameterError(f"{first['ctx']['error']}.", f"The defaults are {defaults}.")


def _out_of_range(info: ParameterInfo, value: object) -> BadParameterError:
    return BadParameterError(
        f"{info.name} must be {info.allowed}, not {_shown(value)}.",
        f"Its default is {info.default:g}.",
    )


def _did_you_mean(word: str, known: list[str], what: str) -> str:
    if not known:
        return "It has no parameters."
    lower = word.lower()
    close = [name for name in known if lower and name.startswith(lower)]
    close = close or get_close_matches(lower, known, n=1)
    listed = f"{what}: {', '.join(known)}."
    return f"Did you mean {close[0]}? {listed}" if close else listed


def _shown(value: object) -> str:
    """Repeat what was given, but never a page of it."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."

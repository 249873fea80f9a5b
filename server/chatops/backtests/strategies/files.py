"""Files of strategies: one, or several, in the form in which ``/strategies`` gives them."""

from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from chatops.access.identity import Person
from chatops.backtests.ports import SavedStrategy
from chatops.backtests.strategies.book import StrategyBook, preset
from chatops.backtests.strategies.catalogue import STRATEGY_TYPES
from chatops.errors import BadParameterError
from chatops.protocol.strictjson import StrictJsonError, loads

MAX_STRATEGIES = 100

_FORM = (
    'A strategy is {"name": "fast_cross", "type": "sma_crossover", "params": {"short_window": 10}, '
    '"description": ""}; several are {"strategies": [...]}.'
)


class _Listed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    name: str = Field(validation_alias=AliasChoices("name", "strategyId"))
    type: str
    params: dict[str, int | float] = Field(default_factory=dict)
    description: str = Field("", max_length=500)


def read_strategies(
    book: StrategyBook, person: Person, file: str, content: bytes
) -> list[SavedStrategy]:
    """Return what the file holds as strategies of the person, checked and not yet saved.

    Presets, which stand in every list, are left out.

    Raises:
        BadParameterError: One of them is wrong; the message names the file and which.
    """
    drafted: dict[str, SavedStrategy] = {}
    for number, row in enumerate(_rows(file, content), 1):
        where = f"{file}, strategy {number}"
        try:
            one = _Listed.model_validate(row)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            raise BadParameterError(f"{where}: {field}: {first['msg']}.", _FORM) from None
        if one.type not in STRATEGY_TYPES:
            raise BadParameterError(
                f"{where}: {one.type[:40]!r} is no rule.",
                f"Use one of {', '.join(STRATEGY_TYPES)}.",
            )
        if one.name in drafted:
            raise BadParameterError(
                f"{where}: {one.name} stands twice in the file.", "Leave one of them out."
            )
        if (
            one.name == one.type
            and {**preset(one.type).params, **one.params} == preset(one.type).params
        ):
            continue
        try:
            drafted[one.name] = book.draft(person, one.name, one.type, one.params, one.description)
        except BadParameterError as error:
            raise BadParameterError(f"{where}: {error.message}", error.hint) from None
    if not drafted:
        raise BadParameterError(f"{file} has no strategies but presets.", _FORM)
    return [*drafted.values()]


def _rows(file: str, content: bytes) -> list[Any]:
    try:
        whole = loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, StrictJsonError):
        raise BadParameterError(f"{file} is not JSON in UTF-8.", _FORM) from None
    if isinstance(whole, dict):
        several = whole.get("strategies")
        whole = several if isinstance(several, list) else [whole.get("strategy", whole)]
    if not isinstance(whole, list):
        raise BadParameterError(f"{file} has no strategies.", _FORM)
    if not 1 <= len(whole) <= MAX_STRATEGIES:
        raise BadParameterError(
            f"{file} has {len(whole):,} strategies.", f"Give 1 to {MAX_STRATEGIES}."
        )
    return whole

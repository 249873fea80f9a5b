"""What a command takes, read once from its parameter model: the base of binding, help, completion.

A parameter is one of four kinds. A *value* is a scalar. A *flag* is a boolean, given by name only.
A *list* holds scalars and, if positional, takes all positional words that are left, so it is the
last positional one. The *open* one is a ``dict`` of scalars that collects the names nobody claims.
"""

import types
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from chatops.dispatch.spec import Parameters
from chatops.dispatch.wording import is_name, key, one_of, plain, snake

POSITIONAL_KEY = "args"
"""The name under which a program gives positional words; no parameter may have it."""

_LISTS = (list, tuple, set, frozenset, Sequence)
_WORDS: dict[type, str] = {
    int: "whole number",
    float: "number",
    Decimal: "number",
    str: "text",
    bool: "true or false",
    date: "date",
    datetime: "date and time",
}


class Kind(StrEnum):
    """How a parameter takes words."""

    VALUE = "value"
    FLAG = "flag"
    LIST = "list"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a number, a date or a length; None where there is none."""

    gt: Any = None
    ge: Any = None
    lt: Any = None
    le: Any = None
    min_length: int | None = None
    max_length: int | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter.

    Attributes:
        name: Its field.
        aliases: Other names it answers to.
        kind: How it takes words.
        positional: Whether words without a name can reach it.
        required: Whether it must be given.
        default: What it is when not given.
        types: Scalar types of the value, or of a list's items.
        choices: The only values allowed, or empty.
        limits: Bounds of the value, or of a list's items.
        count: Bounds of the number of a list's items, as lengths.
        description: One or two sentences of help.
        examples: Values that make sense.
    """

    name: str
    aliases: tuple[str, ...]
    kind: Kind
    positional: bool
    required: bool
    default: Any
    types: tuple[type, ...]
    choices: tuple[Any, ...]
    limits: Limits
    count: Limits
    description: str
    examples: tuple[Any, ...]

    @property
    def type_words(self) -> str:
        """What one value is, for a person: ``whole number``, ``one of a, b``."""
        words = [_WORDS[t] for t in self.types]
        if "number" in words and "whole number" in words:
            words.remove("whole number")
        if self.choices:
            words.append(f"one of {one_of(self.choices)}")
        return " or ".join(dict.fromkeys(words))


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of a command in the order of their definition."""

    parameters: tuple[Parameter, ...]
    by_key: dict[str, Parameter]
    open: Parameter | None

    @property
    def positional(self) -> tuple[Parameter, ...]:
        """Those that words without a name reach, in order."""
        return tuple(p for p in self.parameters if p.positional)

    def find(self, name: str) -> Parameter | None:
        """Return the parameter of this name or alias, however it is spelled."""
        return self.by_key.get(key(name))

    def names(self) -> list[str]:
        """Every name and alias, for suggestions."""
        return [name for p in self.parameters for name in (p.name, *p.aliases)]


def signature_of(model: type[Parameters]) -> Signature:
    """Read a parameter model.

    Raises:
        TypeError: The model cannot be given as words: a nested type, a name used twice, two open
            parameters, or one called ``args``.
    """
    return _signature(model)


@cache
def _signature(model: type[Parameters]) -> Signature:
    parameters: list[Parameter] = []
    list_seen = False
    for name, info in model.model_fields.items():
        parameter = _read(model, name, info, after_list=list_seen)
        list_seen = list_seen or (parameter.positional and parameter.kind is Kind.LIST)
        parameters.append(parameter)
    by_key: dict[str, Parameter] = {}
    for parameter in parameters:
        for name in (parameter.name, *parameter.aliases):
            other = by_key.setdefault(key(name), parameter)
            if other is not parameter or not is_name(snake(name)) or name == POSITIONAL_KEY:
                raise TypeError(f"{model.__name__}: the name {name!r} cannot be used (twice)")
    opens = [p for p in parameters if p.kind is Kind.OPEN]
    if len(opens) > 1:
        raise TypeError(f"{model.__name__}: more than one open parameter")
    return Signature(tuple(parameters), by_key, opens[0] if opens else None)


def _read(model: type[Parameters], name: str, info: FieldInfo, *, after_list: bool) -> Parameter:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    scalars = _Scalars()
    count = Limits()
    members = _members(info.annotation)
    inner = members[0] if len(members) == 1 else info.annotation
    if extra.get("open"):
        kind = Kind.OPEN
        if get_origin(inner) is not dict:
            raise TypeError(f"{model.__name__}.{name}: an open parameter is a dict")
        scalars.read(get_args(inner)[1], [])
    elif get_origin(inner) in _LISTS:
        kind, count = Kind.LIST, _limits(info.metadata)
        scalars.read(get_args(inner)[0], [])
    else:
        scalars.read(info.annotation, info.metadata)
        kind = Kind.FLAG if scalars.types == [bool] and not scalars.choices else Kind.VALUE
    if not scalars.types and not scalars.choices:
        raise TypeError(f"{model.__name__}.{name}: {info.annotation} cannot be given as words")
    default = info.get_default(call_default_factory=False)
    by_position = kind in (Kind.VALUE, Kind.LIST) and not extra.get("named_only")
    return Parameter(
        name=name,
        aliases=_aliases(name, info),
        kind=kind,
        positional=by_position and not after_list,
        required=info.is_required(),
        default=None if default is PydanticUndefined else default,
        types=tuple(scalars.types),
        choices=tuple(scalars.choices),
        limits=_limits(scalars.metadata),
        count=count,
        description=info.description or "",
        examples=tuple(info.examples or ()),
    )


class _Scalars:
    """The scalar types, choices and constraints that an annotation is made of."""

    def __init__(self) -> None:
        self.types: list[type] = []
        self.choices: list[Any] = []
        self.metadata: list[Any] = []

    def read(self, annotation: Any, metadata: Sequence[Any]) -> None:
        """Take in one annotation; what is no scalar leaves nothing."""
        self.metadata.extend(metadata)
        for member in _members(annotation):
            if get_origin(member) is Annotated:
                inner, *more = get_args(member)
                for item in more:
                    self.metadata.extend(item.metadata if isinstance(item, FieldInfo) else [item])
                self.read(inner, [])
            elif get_origin(member) is Literal:
                self.choices.extend(get_args(member))
            elif isinstance(member, type) and issubclass(member, Enum):
                self.choices.extend(member)
            elif member in _WORDS:
                self.types.append(member)


def _members(annotation: Any) -> list[Any]:
    """Return the members of a union without None, or the annotation alone."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [arg for arg in get_args(annotation) if arg is not type(None)]
    return [annotation]


def _limits(metadata: Sequence[Any]) -> Limits:
    found: dict[str, Any] = {}
    for item in metadata:
        for name in Limits.__slots__:
            value = getattr(item, name, None)
            if value is not None:
                found[name] = value
    return Limits(**found)


def _aliases(name: str, info: FieldInfo) -> tuple[str, ...]:
    given = info.validation_alias
    choices = given.choices if isinstance(given, AliasChoices) else [given, info.alias]
    names = [choice for choice in choices if isinstance(choice, str)]
    return tuple(n for n in dict.fromkeys(names) if n != name)


def range_words(limits: Limits) -> str:
    """Return the bounds for a person, ``1 to 5`` or ``at least 0 and less than 1``, or nothing."""
    low = f"more than {plain(limits.gt)}" if limits.gt is not None else ""
    low = f"at least {plain(limits.ge)}" if limits.ge is not None else low
    high = f"less than {plain(limits.lt)}" if limits.lt is not None else ""
    high = f"at most {plain(limits.le)}" if limits.le is not None else high
    if limits.ge is not None and limits.le is not None:
        return f"{plain(limits.ge)} to {plain(limits.le)}"
    return " and ".join(word for word in (low, high) if word)

"""A validation error of pydantic in plain words."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from chatops.dispatch.signature import Kind, Parameter
from chatops.dispatch.wording import one_of, plain, shorten, shown

MAX_REASON = 240

_EXAMPLES = {"date": "2005-01-31", "date and time": "2005-01-31T16:00:00Z"}
_RULES: dict[str, str] = {
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "finite_number": "must be a finite number",
    "int_parsing_size": "has too many digits",
    "decimal_max_digits": "has more than {max_digits} digits",
    "decimal_max_places": "has more than {decimal_places} decimal places",
    "decimal_whole_digits": "has more than {whole_digits} digits before the point",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "date_past": "must be in the past",
    "date_future": "must be in the future",
    "datetime_past": "must be in the past",
    "datetime_future": "must be in the future",
}
_OWN_WORDS = ("value_error", "assertion_error")


def parameter_name(parameter: Parameter, error: ErrorDetails) -> str:
    """Return the name as the caller knows it: of an open parameter, the name within."""
    place = error["loc"]
    return str(place[1]) if parameter.kind is Kind.OPEN and len(place) > 1 else parameter.name


def explain(parameter: Parameter, errors: Sequence[ErrorDetails]) -> str:
    """Return one sentence about a parameter from the errors that pydantic found in it.

    Several errors mean that each member of a union said no; the one that says more than "wrong
    type" is the one that matters.
    """
    error = next((e for e in errors if e["type"] in _RULES or e["type"] in _OWN_WORDS), errors[0])
    name = shorten(parameter_name(parameter, error), 64)
    context: Mapping[str, Any] = error.get("ctx") or {}
    kind = error["type"]
    if kind in _OWN_WORDS:
        return sentence(f"{name}: {own_words(error)}")
    if kind in ("too_short", "too_long"):
        return _count(name, kind, context)
    rule = _RULES.get(kind)
    if rule is None:
        return f"{name}: {shown(error['input'])} is not valid; {_expected(parameter)}."
    # Pydantic names the bound it found broken in the context, under the name used above.
    words = rule.format_map({word: plain(value) for word, value in context.items()})
    return f"{name}: {shown(error['input'])} is not valid; it {words}."


def own_words(error: ErrorDetails) -> str:
    """Return what a validator of the model itself said."""
    reason = (error.get("ctx") or {}).get("error")
    return shorten(str(reason) if reason is not None else error["msg"], MAX_REASON)


def sentence(text: str) -> str:
    """Return ``text`` with a full stop at its end."""
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _expected(parameter: Parameter) -> str:
    if parameter.choices and not parameter.types:
        return f"use one of {one_of(parameter.choices)}"
    words = parameter.type_words
    if words in _EXAMPLES:
        return f"it must be a {words} such as {_EXAMPLES[words]}"
    if words in ("text", "true or false"):
        return f"it must be {words}"
    return f"it must be a {words}"


def _count(name: str, kind: str, context: Mapping[str, Any]) -> str:
    given = context.get("actual_length")
    if kind == "too_short":
        return f"{name}: at least {context.get('min_length')} are needed, {given} given."
    return f"{name}: at most {context.get('max_length')} are allowed, {given} given."

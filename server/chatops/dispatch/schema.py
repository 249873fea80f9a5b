"""What a model has to give for a command, as JSON schema: flat, and no larger than it must be.

Models pay for every byte of it in every call, so aliases, titles and defaults that say nothing
are left out.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from chatops.dispatch.signature import Kind, Limits, Parameter, signature_of
from chatops.dispatch.spec import CommandSpec
from chatops.dispatch.wording import plain

_TYPES: dict[type, dict[str, Any]] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    Decimal: {"type": "number"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
}
_BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "min_length": "minLength",
    "max_length": "maxLength",
}
_COUNTS = {"min_length": "minItems", "max_length": "maxItems"}


def tool_schema(spec: CommandSpec[Any]) -> dict[str, Any]:
    """Return the JSON schema of the values that the command takes by name."""
    parameters = signature_of(spec.parameters).parameters
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {one.name: _property(one) for one in parameters},
        "additionalProperties": False,
    }
    if required := [one.name for one in parameters if one.required]:
        schema["required"] = required
    return schema


def _property(parameter: Parameter) -> dict[str, Any]:
    value = _value(parameter)
    if parameter.kind is Kind.OPEN:
        value = {"type": "object"}
    elif parameter.kind is Kind.LIST:
        value = {"type": "array", "items": value, **_bounds(parameter.count, _COUNTS)}
    if parameter.description:
        value["description"] = parameter.description
    if parameter.default:
        value["default"] = _json(parameter.default)
    return value


def _value(parameter: Parameter) -> dict[str, Any]:
    """Return the schema of one value; bounds belong to all of its types."""
    options = [dict(_TYPES[one]) for one in parameter.types]
    if parameter.choices:
        choices = [_json(choice) for choice in parameter.choices]
        options.append({**_TYPES[type(choices[0])], "enum": choices})
    value = options[0] if len(options) == 1 else {"anyOf": options}
    return value | _bounds(parameter.limits, _BOUNDS)


def _bounds(limits: Limits, names: dict[str, str]) -> dict[str, Any]:
    found = {word: getattr(limits, name) for name, word in names.items()}
    return {word: _json(bound) for word, bound in found.items() if isinstance(bound, int | float)}


def _json(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_json(one) for one in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) in (int, float, str, bool) else plain(value)

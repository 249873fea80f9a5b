"""Help from the specification alone: nobody writes help by hand, so it is never out of date."""

from typing import Any

from pydantic import JsonValue

from chatops.dispatch.signature import Kind, Limits, Parameter, range_words, signature_of
from chatops.dispatch.spec import CommandSpec
from chatops.dispatch.wording import plain, shorten

MAX_LINE = 80


def usage_line(spec: CommandSpec[Any]) -> str:
    """Return ``/name <required> [optional] [items ...] [name=...] [--flag]``."""
    words = [_usage_word(p) for p in signature_of(spec.parameters).parameters]
    return " ".join([f"/{spec.name}", *words])


def _usage_word(parameter: Parameter) -> str:
    name = parameter.name
    if parameter.kind is Kind.OPEN:
        return "[name=value ...]"
    if parameter.kind is Kind.FLAG and not parameter.required:
        return f"[--{name}]"
    many = parameter.kind is Kind.LIST
    if parameter.positional:
        word = f"{name} ..." if many else name
        return f"<{word}>" if parameter.required else f"[{word}]"
    word = f"{name}=<{_short_type(parameter)}>"
    return word if parameter.required else f"[{word}]"


def _short_type(parameter: Parameter) -> str:
    one = "choice" if parameter.choices else parameter.type_words
    return f"{one},..." if parameter.kind is Kind.LIST else one


def one_line(spec: CommandSpec[Any]) -> str:
    """Return ``/name: summary`` in at most 80 characters."""
    return shorten(f"/{spec.name}: {spec.summary}", MAX_LINE)


def describe(spec: CommandSpec[Any]) -> str:
    """Return all about one command as Markdown, readable as plain text too."""
    parts = [f"**/{spec.name}**: {spec.summary}", f"Usage: `{usage_line(spec)}`"]
    rows = [_describe_parameter(p) for p in signature_of(spec.parameters).parameters]
    if rows:
        parts.append("\n".join(rows))
    if spec.aliases:
        parts.append("Also: " + ", ".join(f"`/{alias}`" for alias in spec.aliases))
    parts.append(f"Example: `{spec.example}`")
    return "\n\n".join(parts)


def _describe_parameter(parameter: Parameter) -> str:
    facts = [kind_words(parameter)]
    bounds = [_limit_words(parameter.limits, "character")]
    if parameter.kind is Kind.LIST:
        bounds.append(_limit_words(parameter.count, "item"))
    facts += [words for words in bounds if words]
    if parameter.required:
        facts.append("required")
    elif parameter.default is not None and plain(parameter.default):
        facts.append(f"default {plain(parameter.default)}")
    if parameter.aliases:
        facts.append("also " + ", ".join(f"`{alias}`" for alias in parameter.aliases))
    line = f"- `{parameter.name}` ({'; '.join(facts)})"
    return f"{line}: {parameter.description}" if parameter.description else line


def kind_words(parameter: Parameter) -> str:
    """Return what a parameter takes, for a person: ``list of text``, ``date, e.g. 2005-01-31``."""
    if parameter.kind is Kind.LIST:
        return f"list, each {parameter.type_words}"
    if parameter.kind is Kind.OPEN:
        return f"further name=value, each {parameter.type_words}"
    if parameter.type_words == "date":
        return "date, YYYY-MM-DD"
    return parameter.type_words


def _limit_words(limits: Limits, unit: str) -> str:
    lengths = range_words(Limits(ge=limits.min_length, le=limits.max_length))
    return f"{lengths} {unit}s" if lengths else range_words(limits)


def parameter_rows(spec: CommandSpec[Any]) -> list[dict[str, JsonValue]]:
    """Return one row a parameter for programs; values and bounds as they would be typed."""
    signature = signature_of(spec.parameters)
    order = [p.name for p in signature.positional]
    return [
        {
            "name": p.name,
            "aliases": list(p.aliases),
            "kind": p.kind.value,
            "type": p.type_words,
            "required": p.required,
            "position": order.index(p.name) + 1 if p.positional else None,
            "default": None if p.default is None else plain(p.default),
            "choices": [plain(choice) for choice in p.choices],
            "range": _limit_words(p.limits, "character"),
            "count": _limit_words(p.count, "item"),
            "description": p.description,
            "examples": [plain(example) for example in p.examples],
        }
        for p in signature.parameters
    ]

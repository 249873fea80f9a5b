"""Parameters of a command from its words or from a program's values: two forms, one path.

A program's values are turned into words first, every scalar into the text that a person would
type, and then bound like a typed line. So ``{"fee": 0.001}`` and ``fee=0.001`` cannot differ, and
each call has a text form that the room can read and repeat. A ``null`` is the same as not given.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, TypeVar

from pydantic import JsonValue, ValidationError
from pydantic_core import ErrorDetails

from chatops.dispatch.allotment import Allotment, allot, items, scalar_text
from chatops.dispatch.explain import explain, own_words, sentence
from chatops.dispatch.parser import QUOTES, ParsedCommand, Word, scan
from chatops.dispatch.signature import POSITIONAL_KEY, Kind, Parameter, Signature, signature_of
from chatops.dispatch.spec import CommandSpec, Parameters
from chatops.dispatch.usage import usage_line
from chatops.dispatch.wording import closest, is_name, nfc, plain, shorten, shown, snake
from chatops.errors import BadParameterError

P = TypeVar("P", bound=Parameters)

_BARE = re.compile(rf"[^\s{QUOTES}\[{{]\S*")
_NOT_IN_SINGLE = re.compile("['‘’‚‛＇\\\\]")
_SPECIAL = re.compile('["“”„‟＂\\\\]')
_DATE = re.compile(r"(\d{4})([-./]?)(\d{1,2})\2(\d{1,2})", re.ASCII)


def bind(spec: CommandSpec[P], parsed: ParsedCommand) -> P:
    """Return the parameters that a typed line gives.

    Raises:
        BadParameterError: One is unknown, missing, given twice or not valid.
    """
    return validate(spec, allot(signature_of(spec.parameters), parsed.words))


def bind_values(spec: CommandSpec[P], parameters: Mapping[str, JsonValue]) -> P:
    """Return the parameters that a program gives: named values, ``{"args": [...]}``, or both.

    Raises:
        BadParameterError: One is unknown, missing, given twice or not valid.
    """
    return validate(spec, allot_both(spec, (), parameters))


def to_text(spec: CommandSpec[Any], parameters: Mapping[str, JsonValue]) -> str:
    """Return the line a person would type for a program's values.

    Typed again, it binds to what :func:`bind_values` gives for the same values.

    Raises:
        BadParameterError: A value cannot be said in words, e.g. a nested object.
    """
    return render(spec, allot_both(spec, (), parameters))


def allot_both(
    spec: CommandSpec[Any], words: Sequence[Word], parameters: Mapping[str, JsonValue]
) -> Allotment:
    """Give words and a program's values their places; a named value replaces a typed one."""
    signature = signature_of(spec.parameters)
    args, named = _words_of(spec, signature, parameters)
    upper = allot(signature, named)
    return upper.over(allot(signature, (*words, *args), claimed=upper.fields))


def validate(spec: CommandSpec[P], given: Allotment) -> P:
    """Return the checked parameters.

    Raises:
        BadParameterError: A word found no place, or a value is not valid.
    """
    signature = signature_of(spec.parameters)
    _check_places(spec, signature, given)
    values: dict[str, Any] = {}
    for parameter in signature.parameters:
        texts = given.fields.get(parameter.name)
        if texts is None:
            continue
        typed = [_typed(spec, parameter, text) for text in texts]
        values[parameter.name] = typed if parameter.kind is Kind.LIST else typed[0]
    if signature.open and given.extra:
        values[signature.open.name] = dict(given.extra)
    try:
        return spec.parameters.model_validate(values)
    except ValidationError as error:
        raise _complaint(spec, signature, error.errors(include_url=False)) from None


def render(spec: CommandSpec[Any], given: Allotment) -> str:
    """Return the line that gives exactly these words: positional ones first, then names."""
    signature = signature_of(spec.parameters)
    out = [f"/{spec.name}"]
    by_name = dict(given.fields)
    for parameter in signature.positional:
        texts = by_name.get(parameter.name)
        if not texts or not _fit_as_words(parameter, texts):
            break
        out += [_quoted("", text) for text in texts]
        del by_name[parameter.name]
    out += [_quoted("", text) for text in given.surplus]
    for parameter in signature.parameters:
        texts = by_name.get(parameter.name)
        if texts is None:
            continue
        if parameter.kind is Kind.FLAG and texts == ["true"]:
            out.append(f"--{parameter.name}")
        elif parameter.kind is Kind.LIST:
            out.append(_quoted(f"{parameter.name}=", _list_text(texts)))
        else:
            out.append(_quoted(f"{parameter.name}=", texts[0]))
    out += [_quoted(f"{name}=", text) for name, text in given.extra.items()]
    return " ".join(out)


def quote(text: str) -> str:
    """Return ``text`` as one positional word, in quotes if it would not be one without."""
    return _quoted("", text)


def _quoted(head: str, text: str) -> str:
    if _BARE.fullmatch(text):
        words = scan(head + text).words
        read = [(word.name, word.value, word.loose) for word in words]
        if read == [(head.rstrip("=") or None, text, None)]:
            return head + text
    if '"' in text and not _NOT_IN_SINGLE.search(text):
        return f"{head}'{text}'"
    return head + '"' + _SPECIAL.sub(r"\\\g<0>", text) + '"'


def _fit_as_words(parameter: Parameter, texts: Sequence[str]) -> bool:
    return parameter.kind is not Kind.LIST or all(items(text) == [text] for text in texts)


def _list_text(texts: Sequence[str]) -> str:
    simple = ",".join(texts)
    if texts and items(simple) == list(texts):
        return simple
    array = json.dumps(list(texts), ensure_ascii=False)
    # An escape such as \n may meet a combining mark; then the ASCII form keeps them apart.
    return array if items(nfc(array)) == list(texts) else json.dumps(list(texts))


def _words_of(
    spec: CommandSpec[Any], signature: Signature, parameters: Mapping[str, JsonValue]
) -> tuple[list[Word], list[Word]]:
    """Return a program's values as positional and as named words."""
    args: list[Word] = []
    named: list[Word] = []
    for name, value in parameters.items():
        if name == POSITIONAL_KEY:
            given = value if isinstance(value, list) else [value]
            args += [Word(_value_text(spec, POSITIONAL_KEY, item, many=True)) for item in given]
        elif value is not None:
            named += _named_words(spec, signature, name, value)
    return args, named


def _named_words(
    spec: CommandSpec[Any], signature: Signature, name: str, value: JsonValue
) -> list[Word]:
    parameter = signature.find(name)
    if parameter is not None and parameter.kind is Kind.OPEN and isinstance(value, dict):
        inner = [(key, text) for key, text in value.items() if text is not None]
        return [_named_word(spec, signature, key, text) for key, text in inner]
    return [_named_word(spec, signature, name, value)]


def _named_word(spec: CommandSpec[Any], signature: Signature, name: str, value: JsonValue) -> Word:
    parameter = signature.find(name)
    if parameter is None and not is_name(snake(name)):
        raise _unknown(spec, signature, name)
    many = parameter is not None and parameter.kind is Kind.LIST
    text = _value_text(spec, name, value, many=many)
    return Word(text, parameter.name if parameter else snake(name))


def _value_text(spec: CommandSpec[Any], name: str, value: JsonValue, *, many: bool) -> str:
    text = scalar_text(value)
    if text is not None:
        return text
    if many and isinstance(value, list):
        texts = [scalar_text(item) for item in value]
        if None not in texts:
            return json.dumps([item for item in texts if item is not None])
    kind = "one value or a list of values" if many else "one value"
    raise BadParameterError(f"{shorten(name, 64)}: give {kind}.", _example(spec))


def _check_places(spec: CommandSpec[Any], signature: Signature, given: Allotment) -> None:
    if given.unknown:
        raise _unknown(spec, signature, given.unknown[0])
    if given.waiting:
        raise BadParameterError(f"{given.waiting[0].name}: its value is missing.", _example(spec))
    if given.repeated:
        name = shorten(given.repeated[0], 64)
        raise BadParameterError(f"{name}: given more than once.", _example(spec))
    if signature.open and signature.open.name in given.fields:
        name = signature.open.name
        raise BadParameterError(f"{name}: give each one as name=value.", _example(spec))
    if given.surplus:
        most = len(signature.positional)
        takes = f"at most {most} values without a name" if most else "no values without a name"
        raise BadParameterError(
            f"{shown(given.surplus[0])} is too much: /{spec.name} takes {takes}.",
            f"Put text with spaces in quotes. Usage: {usage_line(spec)}",
        )


def _typed(spec: CommandSpec[Any], parameter: Parameter, text: str) -> Any:
    """Return a text as what pydantic cannot guess: a choice in any case, a date without dashes."""
    for choice in parameter.choices:
        if plain(choice).lower() == text.lower():
            return choice
    if parameter.types == (date,):
        found = _DATE.fullmatch(text.strip())
        if found:
            return f"{found[1]}-{found[3]:0>2}-{found[4]:0>2}"
        # Pydantic would read a bare number as seconds since 1970.
        if re.fullmatch(r"[-+.\d\s]+", text):
            raise BadParameterError(
                f"{parameter.name}: {shown(text)} is not valid; "
                "it must be a date such as 2005-01-31.",
                _example(spec),
            )
    return text


def _complaint(
    spec: CommandSpec[Any], signature: Signature, errors: Sequence[ErrorDetails]
) -> BadParameterError:
    place = errors[0]["loc"]
    parameter = signature.find(str(place[0])) if place else None
    if parameter is None:
        return BadParameterError(sentence(own_words(errors[0])), _example(spec))
    if errors[0]["type"] == "missing":
        return BadParameterError(f"{parameter.name} is missing.", f"Usage: {usage_line(spec)}")
    same = [e for e in errors if e["loc"][:1] == place[:1]]
    near = closest(str(errors[0]["input"]), map(plain, parameter.choices))
    meant = f'Did you mean "{near}"? ' if near else ""
    return BadParameterError(explain(parameter, same), meant + _example(spec))


def _unknown(spec: CommandSpec[Any], signature: Signature, name: str) -> BadParameterError:
    near = closest(snake(name), signature.names())
    meant = f'Did you mean "{near}"? ' if near else ""
    return BadParameterError(
        f"Unknown parameter {shown(name)} of /{spec.name}.",
        f"{meant}Usage: {usage_line(spec)}",
    )


def _example(spec: CommandSpec[Any]) -> str:
    return f"Example: {spec.example}"

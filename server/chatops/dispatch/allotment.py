"""Words to parameters: which word belongs to which parameter, before any value is judged.

The rules, for text and for programs alike:

- A name claims its parameter. A positional word goes to the first positional parameter that no
  name has claimed; a list takes all that are left.
- ``--flag`` of a boolean takes no word. Of anything else it takes the next positional word, of a
  list all positional words up to the next name.
- ``name:value`` whose name is no parameter's is a positional word, so ``10:30`` or
  ``NASDAQ:AAPL`` stay whole; only where an open parameter collects unknown names is it a pair.
- A list is ``a,b``, or the words one by one, or the name repeated, or a JSON array.
"""

import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from chatops.dispatch.parser import QUOTES, Word
from chatops.dispatch.signature import Kind, Parameter, Signature
from chatops.dispatch.wording import nfc, plain

_COMMA = re.compile("[,，、]")


@dataclass(slots=True)
class Allotment:
    """Texts by parameter, and what found no place.

    Attributes:
        fields: Texts by field name; one for a value or flag, any number for a list.
        extra: Texts by name, collected by the open parameter.
        unknown: Names that are no parameter's.
        repeated: Names of parameters that were given more than once.
        surplus: Positional words that found no parameter.
        waiting: Parameters named by ``--name`` whose value is missing.
    """

    fields: dict[str, list[str]] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    surplus: list[str] = field(default_factory=list)
    waiting: list[Parameter] = field(default_factory=list)

    def over(self, other: "Allotment") -> "Allotment":
        """Return both; where both give a parameter, this one's word counts."""
        return Allotment(
            other.fields | self.fields,
            other.extra | self.extra,
            other.unknown + self.unknown,
            other.repeated + self.repeated,
            other.surplus + self.surplus,
            other.waiting + self.waiting,
        )


def allot(signature: Signature, words: Iterable[Word], claimed: Collection[str] = ()) -> Allotment:
    """Give every word its place. Never raises: the caller decides what a misplaced word means.

    Args:
        signature: What the command takes.
        words: What was given, in order.
        claimed: Fields that have their value already; positional words pass them by.
    """
    done = Allotment()
    args: list[str] = []
    open_flag: Word | None = None
    for word in words:
        name, value = _resolve(signature, word)
        parameter = signature.find(name) if name else None
        if open_flag and name is None and value is not None:
            open_flag = _feed_flag(signature, done, open_flag, value)
            continue
        _close_flag(signature, done, open_flag)
        open_flag = None
        if name is None:
            args.append(value or "")
        elif value is not None:
            _put(signature, done, parameter, name, value)
        elif parameter and parameter.kind is Kind.FLAG:
            _put(signature, done, parameter, name, "true")
        else:
            open_flag = word
    _close_flag(signature, done, open_flag)
    _place(signature, done, args, claimed)
    return done


def _resolve(signature: Signature, word: Word) -> tuple[str | None, str | None]:
    """Return the name and the value of a word, now that the parameters are known."""
    known = word.name and (signature.find(word.name) or signature.open)
    return (None, word.loose) if word.loose is not None and not known else (word.name, word.value)


def _feed_flag(signature: Signature, done: Allotment, flag: Word, value: str) -> Word | None:
    """Give ``--name`` its word; return the flag again if it takes more."""
    name = flag.name or ""
    parameter = signature.find(name)
    if parameter and parameter.kind is Kind.LIST:
        _put(signature, done, parameter, name, value)
        return Word(value, name)
    _put(signature, done, parameter, name, value)
    return None


def _close_flag(signature: Signature, done: Allotment, flag: Word | None) -> None:
    if flag is None or flag.value is not None or flag.name is None:
        return
    parameter = signature.find(flag.name)
    if parameter is None or parameter.kind is Kind.OPEN:
        _put(signature, done, parameter, flag.name, "true")
    else:
        done.waiting.append(parameter)


def _put(
    signature: Signature, done: Allotment, parameter: Parameter | None, name: str, value: str
) -> None:
    if parameter is None:
        if signature.open is None:
            done.unknown.append(name)
        elif name in done.extra:
            done.repeated.append(name)
        else:
            done.extra[name] = value
    elif parameter.kind is Kind.LIST:
        done.fields.setdefault(parameter.name, []).extend(items(value))
    elif parameter.name in done.fields:
        done.repeated.append(parameter.name)
    else:
        done.fields[parameter.name] = [value]


def _place(
    signature: Signature, done: Allotment, args: Sequence[str], claimed: Collection[str]
) -> None:
    left = list(args)
    for parameter in signature.positional:
        if not left:
            return
        if parameter.name in done.fields or parameter.name in claimed:
            continue
        if parameter.kind is Kind.LIST:
            done.fields[parameter.name] = [item for text in left for item in items(text)]
            return
        done.fields[parameter.name] = [left.pop(0)]
    done.surplus = left


def items(text: str) -> list[str]:
    """Return the items of a list given as one text: ``a,b`` or a JSON array of scalars."""
    if text.lstrip().startswith("["):
        try:
            array = json.loads(text)
        except (ValueError, RecursionError):
            array = None
        if isinstance(array, list):
            texts = [scalar_text(item) for item in array]
            if None not in texts:
                return [item for item in texts if item is not None]
    parts = (part.strip().strip(QUOTES) for part in _COMMA.split(text))
    return [part for part in parts if part]


def scalar_text(value: JsonValue) -> str | None:
    """Return a JSON scalar as it would be typed, or None if it is not one."""
    if isinstance(value, str):
        return nfc(value)
    if isinstance(value, (bool, int, float)):
        return plain(value)
    return None

"""JSON as the wire allows it: what another client's parser or the store chokes on is refused.

Refused when read: NaN and infinities (also as ``1e999``), integers beyond 64 bits, a name twice in
one object, nesting deeper than 16, lone surrogates. Python's own parser lets all of these through.
"""

import json
from collections.abc import Sequence
from typing import Any, NoReturn

import orjson

MAX_DEPTH = 16

_INT64 = 2**63

# A time that somebody forgot to write as the wire does must not pass as one.
_ONLY_JSON = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


class StrictJsonError(ValueError):
    """The text is not JSON of the wire; the message says what is wrong, for a person."""


def _constant(word: str) -> NoReturn:
    raise StrictJsonError(f"{word} is not a JSON number; send null or leave the field out.")


def _float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise StrictJsonError("A number is too large.")
    return value


def _int(digits: str) -> int:
    if len(digits) > 20 or not -_INT64 <= (value := int(digits)) < _INT64:
        raise StrictJsonError("An integer is larger than 64 bits.")
    return value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise StrictJsonError("An object has the same name twice.")
    return found


_decoder = json.JSONDecoder(
    parse_constant=_constant, parse_float=_float, parse_int=_int, object_pairs_hook=_object
)


def loads(text: str, **_options: Any) -> Any:
    """Return the value of ``text``.

    Raises:
        StrictJsonError: It is not JSON, or not the JSON of the wire.
    """
    value = _unchanged(text)
    if value is None:
        value = _decoded(text)
    # Most frames cannot be deep, which a count tells at the speed of C.
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value)
    return value


def _decoded(text: str) -> Any:
    try:
        value = _decoder.decode(text)
    except RecursionError:
        raise StrictJsonError(f"It is nested deeper than {MAX_DEPTH} levels.") from None
    except json.JSONDecodeError as error:
        raise StrictJsonError(f"It is not JSON (character {error.pos + 1}).") from None
    if "\\u" in text:
        _check_text(value)
    return value


def _unchanged(text: str) -> Any:
    """Return the value of what orjson reads and writes again the same, else None.

    It would not write a second name, a NaN or an infinity, and refuses the other things itself, so
    the compact text that JavaScript sends needs no slower reader.
    """
    try:
        value = orjson.loads(text)
        same = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER) == text.encode()
    except (ValueError, TypeError):
        return None
    return value if same else None


def encode(value: Any) -> bytes:
    """Return ``value`` as compact JSON in UTF-8; NaN and infinities become null, "undefined".

    Raises:
        TypeError: It holds something that is no JSON value, or half of a surrogate pair.
    """
    return orjson.dumps(value, option=_ONLY_JSON)


def dumps(value: Any, **_options: Any) -> str:
    """Return the text of :func:`encode`."""
    return encode(value).decode()


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    if any(isinstance(node, dict | list) for node in level):
        raise StrictJsonError(f"It is nested deeper than {MAX_DEPTH} levels.")


def _check_text(value: Any) -> None:
    # Writing the value again as UTF-8 is the cheapest walk over every string in it.
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise StrictJsonError("A text holds half of a surrogate pair.") from None

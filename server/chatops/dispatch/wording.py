"""Words for a person: names as they are compared, values as they are echoed, the nearest name."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import date
from difflib import get_close_matches
from enum import Enum
from typing import Any

MAX_SHOWN = 40

DASHES = "-‐‑‒–—―−－﹣"
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_DASH = re.compile(f"[{DASHES}]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_NAME = re.compile(r"[^\W\d]\w*")


def nfc(text: str) -> str:
    """Return ``text`` with composed characters, so that equal Korean words are equal strings."""
    return unicodedata.normalize("NFC", text)


def snake(name: str) -> str:
    """Return the canonical form of a name: ``Run-Backtest`` and ``runBacktest`` are one."""
    return nfc(_DASH.sub("_", _CAMEL.sub("_", nfc(name))).lower())


def key(name: str) -> str:
    """Return what two spellings of one name have in common: no case, no ``-``, no ``_``."""
    return snake(name).replace("_", "")


def is_name(text: str) -> bool:
    """Whether ``text`` in canonical form can stand before ``=`` in a command."""
    return bool(_NAME.fullmatch(text)) and text.isidentifier()


def plain(value: object) -> str:
    """Return a default, limit or choice as it would be typed: ``1`` for 1.0, ISO dates."""
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, tuple, set, frozenset)):
        return ",".join(plain(item) for item in value)
    return str(value)


def shorten(text: str, limit: int) -> str:
    """Return ``text`` on one line, printable, at most ``limit`` characters."""
    # Cut before the costly part: the text is a stranger's and may be long.
    line = "".join(c if c.isprintable() else " " for c in text[: limit * 4])
    line = re.sub(r"\s+", " ", line).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def shown(value: object) -> str:
    """Return a value that was given, safe to echo: numbers bare, all else in quotes."""
    text = shorten(plain(value), MAX_SHOWN)
    return text if _NUMBER.fullmatch(text) else f'"{text}"'


def closest(word: str, options: Iterable[str]) -> str | None:
    """Return the option that ``word`` was most likely meant to be, or None."""
    names = {option.lower(): option for option in options}
    typed = word.lower()[:64]
    near = get_close_matches(typed, names, n=1, cutoff=0.6)
    if near:
        return names[near[0]]
    if len(typed) >= 2:
        return next((names[name] for name in names if name.startswith(typed)), None)
    return None


def one_of(choices: Iterable[Any], limit: int = 12) -> str:
    """Return ``a, b, c``; with more than ``limit`` the rest is an ellipsis."""
    words = [plain(choice) for choice in choices]
    return ", ".join(words[:limit]) + (", …" if len(words) > limit else "")

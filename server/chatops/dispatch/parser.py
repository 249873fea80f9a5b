"""The text form of a command: characters to words, without knowing any command.

A word is positional (``AAPL``), a pair (``fee=0.001``, ``fee:0.001``, ``--fee=0.001``) or a bare
``--fee``, whose meaning depends on the parameter and is left to the binding, like the meaning of
``name:value`` when no parameter has that name.

Forgiven, because phones and word processors do it: typographic quotes and dashes (``—fee`` is
``--fee``, ``2024–01–31`` is a date), full-width ``／ ＝ ：`` and spaces. A quote opens only where a
word or a value begins and closes only where the word ends, so ``don't`` needs none. Inside quotes
a backslash takes away the meaning of a quote or of a backslash. A word in quotes is always
positional: ``"NASDAQ:AAPL"``.
"""

import json
import re
from dataclasses import dataclass

from chatops.dispatch.wording import DASHES, is_name, nfc, shorten, snake
from chatops.errors import BadParameterError, UnknownCommandError

_SLASHES = ("/", "／")
_DOUBLE = '"“”„‟＂'
_SINGLE = "'‘’‚‛＇"
_CLOSERS = (
    dict.fromkeys(_DOUBLE, _DOUBLE)
    | dict.fromkeys(_SINGLE, _SINGLE)
    | {"«": "»", "»": "«", "「": "」", "『": "』"}
)
QUOTES = "".join(_CLOSERS) + "」』"

_HEAD = re.compile(
    rf"(?P<dashes>[{DASHES}]*)(?P<name>[^\W\d][{DASHES}\w]*)(?P<mark>[=＝]|[:：](?![/\\])|(?=\s|\Z))"
)
_DASH_BEFORE_DIGIT = re.compile(rf"[{DASHES}](?=\d)")
_SPACE = re.compile(r"\s")
_JSON = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command.

    Attributes:
        value: What it says; None for a bare ``--name``.
        name: The parameter it names in canonical form, or None if it is positional.
        loose: For ``name:value`` the whole word, in case no parameter has that name.
        start: Index of its first character.
        value_start: Index at which its value begins, quote included.
    """

    value: str | None
    name: str | None = None
    loose: str | None = None
    start: int = 0
    value_start: int = 0


@dataclass(frozen=True, slots=True)
class ParsedCommand:
    """A command line taken apart.

    Attributes:
        name: Name of the command in canonical form, e.g. ``run_backtest``.
        words: Its words in the order given. (Order and repeats matter to the binding.)
        text: The trimmed line.
    """

    name: str
    words: tuple[Word, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Scan:
    """The words of an unfinished line, for completion.

    Attributes:
        words: All of them, the last one as far as it goes.
        open_quote: Index of a quote that is never closed, or None.
    """

    words: tuple[Word, ...]
    open_quote: int | None


def is_command(content: str) -> bool:
    """Whether a message is a command: it begins with one slash, not with two."""
    return content[:1] in _SLASHES and content[1:2] not in _SLASHES


def literal(content: str) -> str:
    """Return the text a message stands for: ``//text`` says ``/text``."""
    escaped = content[:1] in _SLASHES and content[1:2] in _SLASHES
    return content[1:] if escaped else content


def parse(text: str) -> ParsedCommand:
    """Take a command line apart; the slash may be missing.

    Raises:
        UnknownCommandError: There is no name.
        BadParameterError: A quote is never closed.
    """
    line = text.strip()
    begin = name_start(line)
    end = _word_end(line, begin)
    if begin == end:
        raise UnknownCommandError(
            "There is no command after the slash.", "Type /help for all commands."
        )
    found = scan(line, end)
    if found.open_quote is not None:
        at = found.open_quote
        raise BadParameterError(
            f"The quote that opens at character {at + 1}, {shorten(line[at:], 24)}, "
            "is never closed.",
            f"End it with {_CLOSERS[line[at]][0]} and a space, or leave it out.",
        )
    return ParsedCommand(snake(line[begin:end]), found.words, line)


def name_start(line: str) -> int:
    """Return the index at which the command's name begins."""
    return 1 if line[:1] in _SLASHES else 0


def scan(text: str, start: int = 0) -> Scan:
    """Split ``text`` from ``start`` on into words. Work is linear in its length."""
    words: list[Word] = []
    # A text of brackets would be decoded again from each of them: one failure ends the attempts.
    try_json = True
    at = start
    while (at := _skip_space(text, at)) < len(text):
        head = _HEAD.match(text, at)
        begin, name = at, None
        if head and is_name(snake(head["name"])) and (head["dashes"] or head["mark"]):
            begin, name = head.end(), snake(head["name"])
        if head and name and not head["mark"]:
            words.append(Word(None, name, None, at, begin))
            at = begin
            continue
        first = text[begin : begin + 1]
        if first in _CLOSERS:
            value, end = _read_quoted(text, begin)
            words.append(Word(nfc(value), name, None, at, begin))
            if end is None:
                return Scan(tuple(words), begin)
            at = end
            continue
        end = _word_end(text, begin)
        if try_json and first in ("[", "{"):
            json_end = _json_end(text, begin)
            try_json = json_end is not None
            end = json_end or end
        words.append(_bare_word(text, at, begin, end, head if name else None))
        at = end
    return Scan(tuple(words), None)


def _bare_word(text: str, start: int, begin: int, end: int, head: re.Match[str] | None) -> Word:
    whole = nfc(_DASH_BEFORE_DIGIT.sub("-", text[start:end]))
    if head is None:
        return Word(whole, None, None, start, start)
    value = nfc(_DASH_BEFORE_DIGIT.sub("-", text[begin:end]))
    colon = head["mark"] in ":：" and not head["dashes"]
    if colon and not value:
        return Word(whole, None, None, start, start)
    return Word(value, snake(head["name"]), whole if colon else None, start, begin)


def _read_quoted(text: str, at: int) -> tuple[str, int | None]:
    """Return what stands in the quotes that open at ``at``, and where the word ends, if it does."""
    closers = _CLOSERS[text[at]]
    out: list[str] = []
    i = at + 1
    while i < len(text):
        char = text[i]
        following = text[i + 1 : i + 2]
        if char == "\\" and following and (following in closers or following == "\\"):
            out.append(following)
            i += 2
            continue
        if char in closers and (not following or following.isspace()):
            return "".join(out), i + 1
        out.append(char)
        i += 1
    return "".join(out), None


def _json_end(text: str, at: int) -> int | None:
    """Return where a JSON array or object that fills a word ends, or None."""
    try:
        _, end = _JSON.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None
    return end if end == len(text) or text[end].isspace() else None


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _word_end(text: str, at: int) -> int:
    space = _SPACE.search(text, at)
    return space.start() if space else len(text)

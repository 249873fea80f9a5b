"""Figures of runs in an answer: filled in by the server, or checked where the model typed them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import structlog

from chatops.assistant.numerals import (
    LEFT,
    NUMBER,
    RIGHT,
    Numeral,
    ends_word,
    is_figure,
    is_name,
    metrics_in,
    numeral,
    numerals,
)
from chatops.assistant.results import CURVES, MISSING, find, is_part, leaves, words
from chatops.dispatch.wording import snake
from chatops.protocol.events import Figure

log = structlog.get_logger(__name__)

INSTRUCTION = """\
Figures: results of tools show each figure with its reference, such as {{r1.sharpe_ratio}} or
{{r2.macd.total_return}}. Write the reference, never the figure: the server puts the figure in its
place, with its sign and unit. Any number of a result can be referred to by its path in it. Do not
calculate with figures, and do not recall them. A figure that you type yourself and that no result
bears out is shown as unverified."""

UNKNOWN = "[unknown figure]"
UNVERIFIED = " (unverified)"

_NEXT = re.compile(r"[\d{]")
_REFERENCE = re.compile(
    r"(?:\{{2,4}([^{}\n]{0,160})\}{2,4}|\{(r\d+\.[^{}\n]{1,160})\})(?: ?[%％])?"
)
_BROKEN = re.compile(r"\{{2,}(?: ?[A-Za-z0-9_.]+)?\}{0,4}")
_LONGEST = 180
_FINE = 0.001
_NONE: frozenset[str] = frozenset()
_TOTAL_OR_ANNUAL = frozenset({"total", "annual"})
_AFTER = 6
_NO_RESULT = re.compile(r"\d[\d.,]*")


@dataclass(frozen=True, slots=True)
class Known:
    """A number that is true.

    Attributes:
        value: Without its sign; a part of one as such, not in percent.
        sign: -1, 0 or 1; None: either may be written.
        part: It may be written in percent.
        whole: It may count trades or bars.
        metrics: What it is a figure of; None: of whatever somebody says.
    """

    value: float
    sign: int | None
    part: bool
    whole: bool
    metrics: frozenset[str] | None


class Figures:
    """What is known to be true in one turn: results, and what people said."""

    def __init__(self) -> None:
        self._results: dict[str, Mapping[str, Any]] = {}
        self._known: set[Known] = set()
        self._counts: set[float] = set()

    def add_result(self, handle: str, data: Mapping[str, Any]) -> None:
        """Let figures of the result be referred to by the handle, and count as known."""
        self._results[handle.lower()] = data
        for path, value in leaves(data):
            if isinstance(value, str):
                self.add_text(value, said=False)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                named = metrics_in(" ".join(map(snake, path)).replace("_", " "))
                sign, part = (value > 0) - (value < 0), is_part(path)
                # Models see figures as people do, rounded, and may round them once more.
                for exact in {abs(value), round(abs(value), 4 if part else 2)}:
                    whole = isinstance(value, int)
                    self._known.add(Known(float(exact), sign, part, whole, named))
        self._count(data)

    def add_text(self, text: str, *, said: bool = True) -> None:
        """Let the numbers of the text count as known, each with any sign if it has none.

        What a person ``said`` bears out a figure of any kind, if it does not say of which; other
        text does not.
        """
        for one, _, _ in numerals(text):
            value = one.magnitude / 100 if one.percent else one.magnitude
            named = one.metrics or (None if said else _NONE)
            self._known.add(Known(value, one.sign or None, one.percent, one.whole, named))

    def fill(self, reference: str) -> str | None:
        """Return the figure as people write it, or None if there is none of this name."""
        handle, _, path = reference.strip().partition(".")
        data = self._results.get(handle.lower())
        value = MISSING if data is None or not path else find(data, path)
        return None if value is MISSING else words(value, path.split("."))

    def supports(self, one: Numeral) -> bool:
        """Whether the number is one that is known, at the precision it was written with."""
        counted = one.whole and not one.count and not one.metrics and one.magnitude in self._counts
        return counted or any(_bears_out(known, one) for known in self._known)

    def writer(self) -> "FigureWriter":
        """Return what an answer goes through on its way to the room."""
        return FigureWriter(self)

    def _count(self, node: Any) -> None:
        """Let the lengths of lists, and of the time a run covers, count as known."""
        if isinstance(node, list):
            self._counts.add(float(len(node)))
            for child in node:
                self._count(child)
        elif isinstance(node, Mapping):
            years = _days(node) / 365.25
            spans = [years * unit for unit in (1, 12, 365.25) if years]
            self._known |= {
                Known(span, 1, part=False, whole=False, metrics=_NONE) for span in spans
            }
            for name, child in node.items():
                if name not in CURVES:
                    self._count(child)


class FigureWriter:
    """Puts figures into a text that comes in pieces; the same, however it is cut into pieces.

    Attributes:
        figures: Those that were shown so far.
    """

    def __init__(self, figures: Figures) -> None:
        self.figures: list[Figure] = []
        self._known = figures
        self._text = ""
        self._at = 0

    def feed(self, piece: str) -> str:
        """Take more of the text; return what may be shown now."""
        self._text += piece
        return self._advance(last=False)

    def close(self) -> str:
        """Return the rest. What is fed after it stands by itself."""
        return self._advance(last=True)

    def _advance(self, *, last: bool) -> str:
        shown: list[str] = []
        while (found := _NEXT.search(self._text, self._at)) is not None:
            shown.append(self._text[self._at : found.start()])
            self._at = found.start()
            try:
                done = self._brace(last=last) if found[0] == "{" else self._number(last=last)
            except Exception:  # whatever it is, the answer has to arrive
                log.exception("figure_failed")
                done = self._unknown()
            if done is None:
                break
            shown.append(done[1])
            self._at = done[0]
        else:
            shown.append(self._text[self._at :])
            self._at = len(self._text)
        forgotten = max(self._at - LEFT, 0)
        self._text, self._at = self._text[forgotten:], self._at - forgotten
        return "".join(shown)

    def _brace(self, *, last: bool) -> tuple[int, str] | None:
        """Return where what begins here ends and what is shown for it; None: not known yet."""
        text, at, left = self._text, self._at, len(self._text) - self._at
        if left > 1 and text[at + 1] not in "{r":
            return at + 1, "{"  # of code
        found = _REFERENCE.match(text, at)
        if found and (last or len(text) >= found.end() + _AFTER):
            reference = (found[1] or found[2] or "").strip()
            filled = self._known.fill(reference)
            self._note(UNKNOWN if filled is None else filled, reference, filled is not None)
            unit = "" if filled is None or filled.endswith("%") else found[0].rpartition("}")[2]
            return found.end(), (UNKNOWN if filled is None else filled) + unit
        if not last and left < _LONGEST:
            return None
        return self._unknown() if text.startswith("{{", at) else (at + 1, "{")

    def _number(self, *, last: bool) -> tuple[int, str] | None:
        text, at = self._text, self._at
        found = NUMBER.match(text, at)
        assert found is not None  # noqa: S101 - a digit stands here
        left, right = text[max(at - LEFT, 0) : at], text[found.end() : found.end() + RIGHT]
        if not last and len(right) < RIGHT and not ends_word(left, right):
            return None
        if is_name(left, found[0], right):
            return found.end(), found[0]
        one = numeral(left, found, right)
        end = at + len(one.text)
        if not is_figure(one, left, right):
            return end, one.text
        verified = self._known.supports(one)
        self._note(one.text, None, verified)
        marked = verified or text.startswith(UNVERIFIED, end)
        return end, one.text + ("" if marked else UNVERIFIED)

    def _unknown(self) -> tuple[int, str]:
        """Return a mark in the place of what cannot be a figure."""
        if broken := _BROKEN.match(self._text, self._at):
            self._note(UNKNOWN, broken[0].strip("{} "), verified=False)
            return broken.end(), UNKNOWN
        digits = _NO_RESULT.match(self._text, self._at)
        end = digits.end() if digits else self._at + 1
        return end, self._text[self._at : end] + UNVERIFIED

    def _note(self, text: str, reference: str | None, verified: bool) -> None:
        self.figures.append(Figure(text=text, ref=reference, verified=verified))


def _bears_out(known: Known, one: Numeral) -> bool:
    if one.sign and known.sign is not None and one.sign * known.sign < 0:
        return False
    if (
        one.metrics
        and known.metrics is not None
        and (
            one.metrics.isdisjoint(known.metrics) or one.metrics | known.metrics >= _TOTAL_OR_ANNUAL
        )
    ):
        return False
    if one.count and not known.whole:
        return False
    if one.percent:
        return known.part and _equal(known.value * 100, one)
    if not known.part:
        return _equal(known.value, one)
    # "12.3" in a column of percent; and 0.123, as a part of one
    fine = one.half < _FINE and _equal(known.value, one)
    return fine or (not one.whole and _equal(known.value * 100, one))


def _equal(value: float, one: Numeral) -> bool:
    return abs(value - one.magnitude) <= one.half * (1 + 1e-9) + 1e-12 * value


def _days(data: Mapping[str, Any]) -> int:
    """Return how many days a run covers, 0 if this is none."""
    try:
        first, last = (date.fromisoformat(str(data[name])[:10]) for name in ("start", "end"))
    except (KeyError, ValueError):
        return 0
    return (last - first).days

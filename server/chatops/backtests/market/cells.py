"""Turns the cells of a price table into times and numbers."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatops.backtests.market.tables import Cells

_EPOCH = re.compile(r"\d{9,19}")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
_MISSING = {"", "-", "na", "n/a", "nan", "null", "none", "."}
_DATES = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%d-%b-%Y",
    "%b %d, %Y",
)
_FORMATS = tuple(date + clock for date in _DATES for clock in ("", " %H:%M", " %H:%M:%S"))


class BadCell(Exception):  # noqa: N818 - says what was found; the importer makes the error of it
    """A cell that cannot be understood.

    Attributes:
        row: Its row, counted from 0.
        sentence: What is wrong, without a final period.
        remedy: What to do, one sentence.
    """

    def __init__(self, row: int, sentence: str, remedy: str) -> None:
        super().__init__(sentence)
        self.row = row
        self.sentence = sentence
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Times:
    """The same instants twice, ``datetime64[s]``, shape (n,).

    Attributes:
        utc: In UTC; a time that names no zone is taken as UTC.
        local: As written. The day of a daily bar is this one's, for midnight in Seoul is the day
            before in UTC.
    """

    utc: NDArray[np.datetime64]
    local: NDArray[np.datetime64]


def parse_times(cells: Cells) -> Times:
    """Times from ISO 8601, seconds to nanoseconds since 1970, or a usual form of date.

    A form that is not ISO must fit every cell. Dates that may be read as both day/month and
    month/day in the whole column are refused.

    Raises:
        BadCell: A cell is no time, or could be two.
    """
    if isinstance(cells, np.ndarray) and cells.dtype.kind != "O":
        times = _array_times(cells)
        return Times(times, times)
    texts = _texts(cells)
    if texts and _EPOCH.fullmatch(texts[0]):
        return _epoch_times(texts)
    try:
        moments = [datetime.fromisoformat(text) for text in texts]
    except ValueError:
        moments = _parse_by_format(texts)
    return Times(
        np.array([_seconds(moment) for moment in moments], dtype="datetime64[s]"),
        np.array([_seconds(moment.replace(tzinfo=None)) for moment in moments], "datetime64[s]"),
    )


def parse_numbers(cells: Cells, name: str) -> NDArray[np.float64]:
    """Numbers, NaN for empty cells; ``1,234.5`` is understood, a decimal comma is not.

    Raises:
        BadCell: A cell is no number.
    """
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "iufb":
        return np.asarray(np.ma.filled(cells.astype(np.float64), np.nan))
    texts = _texts(cells)
    try:
        return np.array(texts, dtype=np.float64)
    except ValueError:
        return np.array(
            [_number(row, text, name) for row, text in enumerate(texts)], dtype=np.float64
        )


def _number(row: int, text: str, name: str) -> float:
    if text.lower() in _MISSING:
        return float("nan")
    try:
        return float(text.replace(",", "") if _THOUSANDS.fullmatch(text) else text)
    except ValueError:
        raise BadCell(
            row,
            f"the {name} {text[:40]!r} is not a number",
            "Write numbers with a decimal point.",
        ) from None


def _texts(cells: Cells) -> list[str]:
    values = np.ma.filled(cells, "") if isinstance(cells, np.ndarray) else cells
    return [str(value).strip() for value in values]


def _array_times(cells: NDArray[Any]) -> NDArray[np.datetime64]:
    if np.ma.is_masked(cells):
        row = int(np.ma.getmaskarray(cells).argmax())
        raise BadCell(row, "the time is missing", "Remove or mend the row.")
    values = np.asarray(cells)
    if values.dtype.kind == "M":
        return values.astype("datetime64[s]")
    if values.dtype.kind in "iu":
        return _from_epoch(values.astype(np.int64))
    raise BadCell(0, "the time is neither a time nor a date", "Write times as YYYY-MM-DD HH:MM:SS.")


def _epoch_times(texts: list[str]) -> Times:
    for row, text in enumerate(texts):
        if not _EPOCH.fullmatch(text):
            raise _not_a_time(row, text)
    times = _from_epoch(np.array(texts, dtype=np.int64))
    return Times(times, times)


def _from_epoch(numbers: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """Seconds, or milli-, micro- or nanoseconds, told apart by the size of the largest."""
    largest = int(np.abs(numbers).max(initial=0))
    divisor = next((d for d in (1, 10**3, 10**6) if largest // d < 10**11), 10**9)
    return (numbers // divisor).astype("datetime64[s]")


def _parse_by_format(texts: list[str]) -> list[datetime]:
    fitting: list[list[datetime]] = []
    furthest = 0
    for form in _FORMATS:
        moments = _fit(texts, form)
        furthest = max(furthest, len(moments))
        if len(moments) == len(texts):
            fitting.append(moments)
    if not fitting:
        raise _not_a_time(_first_bad(texts, furthest), texts[_first_bad(texts, furthest)])
    for row, (one, other) in enumerate(zip(fitting[0], fitting[-1], strict=True)):
        if one != other:
            raise BadCell(
                row,
                f"{texts[row]!r} may be month/day or day/month",
                "Write dates as YYYY-MM-DD.",
            )
    return fitting[0]


def _fit(texts: list[str], form: str) -> list[datetime]:
    """The texts as times up to the first that does not fit."""
    moments = []
    for text in texts:
        try:
            moments.append(datetime.strptime(text, form))  # noqa: DTZ007 - no zone: taken as UTC
        except ValueError:
            break
    return moments


def _first_bad(texts: list[str], furthest: int) -> int:
    """Row of the first text that is no time, in ISO 8601 or in the form that fits longest."""
    for row, text in enumerate(texts):
        try:
            datetime.fromisoformat(text)
        except ValueError:
            return max(row, furthest)
    return furthest


def _not_a_time(row: int, text: str) -> BadCell:
    if text.lower() in _MISSING:
        return BadCell(row, "the time is missing", "Remove or mend the row.")
    return BadCell(
        row, f"{text[:40]!r} is not a time", "Write times as YYYY-MM-DD or YYYY-MM-DD HH:MM:SS."
    )


def _seconds(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(aware.timestamp() // 1)

"""Whether a range of days fits the data there is; the same words for server and worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from chatops.errors import BadParameterError

_OVERHANG = timedelta(days=7)
"""How far a range may reach beyond the data: markets close for weekends and holidays."""


@dataclass(frozen=True, slots=True)
class Span:
    """Days for which there are prices of a symbol, both inclusive."""

    symbol: str
    timeframe: str
    first: date
    last: date


def check_range(start: date | None, end: date | None, spans: Sequence[Span]) -> None:
    """Refuse a range that is reversed or reaches beyond all of the data.

    Raises:
        BadParameterError: It is; the hint says which days there are.
    """
    if start and end and start > end:
        raise BadParameterError(
            f"The start {start} is after the end {end}.", f"Swap them. {available(spans)}"
        )
    earliest = min(span.first for span in spans)
    latest = max(span.last for span in spans)
    for name, day in (("start", start), ("end", end)):
        if day and not earliest - _OVERHANG <= day <= latest + _OVERHANG:
            raise BadParameterError(f"The {name} {day} is outside the data.", available(spans))


def available(spans: Sequence[Span]) -> str:
    """Say for which days there are prices, of five symbols at most."""
    return " ".join(
        f"{span.symbol} has {span.timeframe} bars from {span.first} to {span.last}."
        for span in spans[:5]
    )

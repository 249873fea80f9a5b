"""What bars must fulfil before a backtest may use them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chatops.backtests.market.bars import PRICE_COLUMNS, Bars

# Adjusted prices of most sources are rounded: the high may miss the close by a last digit.
_ROUNDING = 1e-6
# A fall of 75 % or a rise of 300 % from one close to the next is nearly always a split that the
# prices do not know of, and so is a ratio within 4 % of 2 or 3.
_SPLIT_CLOSENESS = 0.04


@dataclass(frozen=True, slots=True)
class Problem:
    """The first thing that is wrong with some bars.

    Attributes:
        index: Which bar, counted from 0.
        sentence: What is wrong, without a final period; continues "<file>, <bar>: ...".
        remedy: What to do about it, one sentence.
    """

    index: int
    sentence: str
    remedy: str


def find_problem(bars: Bars, *, jumps_allowed: bool) -> Problem | None:
    """The first reason for which ``bars`` cannot be used, or None.

    Checked in this order: at least two bars, no time twice, ascending, prices finite and above 0,
    high and low around open and close (1e-6 of slack for rounding), volume 0 or more, and, unless
    ``jumps_allowed``, no jump between two closes that looks like a split nobody adjusted for.
    """
    if len(bars) < 2:
        return Problem(0, "there are fewer than 2 bars", "Give a file with at least 2 rows.")
    return (
        _time_problem(bars)
        or _price_problem(bars)
        or _volume_problem(bars)
        or (None if jumps_allowed else _jump_problem(bars))
    )


def _first(mask: NDArray[np.bool_]) -> int | None:
    return int(mask.argmax()) if mask.any() else None


def _time_problem(bars: Bars) -> Problem | None:
    steps = np.diff(bars.ts).astype(np.int64)
    if (at := _first(steps == 0)) is not None:
        return Problem(
            at + 1, "this time is there twice", "Remove one of the rows, or give one symbol a file."
        )
    if (at := _first(steps < 0)) is not None:
        return Problem(at + 1, "this time is before the one above it", "Sort the rows by time.")
    return None


def _price_problem(bars: Bars) -> Problem | None:
    for name in PRICE_COLUMNS:
        values = getattr(bars, name)
        # Also true of NaN, which compares as false with everything.
        if (at := _first(~(np.isfinite(values) & (values > 0)))) is not None:
            shown = "missing" if np.isnan(values[at]) else f"{values[at]:g}"
            return Problem(
                at,
                f"the {name} is {shown}",
                "Every price must be a number above 0: remove or mend the row.",
            )
    top = np.maximum(bars.open, bars.close)
    if (at := _first(bars.high < top * (1 - _ROUNDING))) is not None:
        return Problem(
            at,
            f"the high {bars.high[at]:g} is below the open or the close ({top[at]:g})",
            "Mend the row, or check that the columns are not mixed up.",
        )
    bottom = np.minimum(bars.open, bars.close)
    if (at := _first(bars.low > bottom * (1 + _ROUNDING))) is not None:
        return Problem(
            at,
            f"the low {bars.low[at]:g} is above the open or the close ({bottom[at]:g})",
            "Mend the row, or check that the columns are not mixed up.",
        )
    return None


def _volume_problem(bars: Bars) -> Problem | None:
    if (at := _first(~(np.isfinite(bars.volume) & (bars.volume >= 0)))) is not None:
        return Problem(
            at, f"the volume is {bars.volume[at]:g}", "A volume must be 0 or more: mend the row."
        )
    return None


def _jump_problem(bars: Bars) -> Problem | None:
    ratio = bars.close[1:] / bars.close[:-1]
    size = np.maximum(ratio, 1 / ratio)
    whole = np.round(size)
    suspicious = (whole >= 2) & ((np.abs(size / whole - 1) <= _SPLIT_CLOSENESS) | (size >= 4))
    if (at := _first(suspicious)) is None:
        return None
    way = "rises to" if ratio[at] > 1 else "falls to 1 /"
    return Problem(
        at + 1,
        f"the close {way} {size[at]:.3g}{' times' if ratio[at] > 1 else ' of'} the one before,"
        " which looks like a split that the prices are not adjusted for",
        "Give prices with an adjusted close, or allow jumps if this one is real.",
    )

"""Prices as a source has them, and how they become bars: sorted, adjusted, checked."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chatops.backtests.market.bars import Bars
from chatops.backtests.market.cells import Times
from chatops.backtests.market.checks import find_problem
from chatops.errors import BadParameterError

ADJUSTED = (
    "open, high and low times adjusted close / close, close = adjusted close,"
    " volume divided by the same factor"
)
NOT_ADJUSTED = "as in the source, which has no adjusted close"

_SECONDS = {
    "1m": 60,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1h": 3600,
    "4h": 14_400,
    "1d": 86_400,
    "1w": 604_800,
}
_DATED = ("1d", "1w")


@dataclass(frozen=True, slots=True)
class RawPrices:
    """Prices as a source has them, before adjusting and checking; every array has shape (n,).

    Attributes:
        label: What messages call the source.
        symbol: Ticker.
        times: Times of the bars.
        open: First price.
        high: Highest price.
        low: Lowest price.
        close: Last price.
        volume: Traded units.
        adj_close: Close adjusted for splits and dividends, or None.
        lines: Line of the source that each bar stands on.
    """

    label: str
    symbol: str
    times: Times
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    adj_close: NDArray[np.float64] | None
    lines: NDArray[np.int64]


def make_bars(
    raw: RawPrices, timeframe: str | None, *, allow_jumps: bool
) -> tuple[Bars, list[str]]:
    """Bars that passed every check, sorted and adjusted, and what was done to them.

    Raises:
        BadParameterError: They do not pass.
    """
    notes: list[str] = []
    if bool((np.diff(raw.times.utc).astype(np.int64) < 0).any()):
        raw = take_rows(raw, np.argsort(raw.times.utc, kind="stable"))
        notes.append("The rows were sorted by time.")
    timeframe = _timeframe(raw, timeframe)
    days = raw.times.local.astype("datetime64[D]").astype("datetime64[s]")
    bars = Bars(
        raw.symbol,
        timeframe,
        ts=days if timeframe in _DATED else raw.times.utc,
        open=raw.open,
        high=raw.high,
        low=raw.low,
        close=raw.close,
        volume=np.nan_to_num(raw.volume, nan=0.0, posinf=np.inf, neginf=-np.inf),
    )
    if missing := int(np.isnan(raw.volume).sum()):
        notes.append(f"The volume is missing in {missing} rows and counts as 0.")
    problem = find_problem(bars, jumps_allowed=allow_jumps or raw.adj_close is not None)
    if problem:
        raise refusal(raw, problem.index, problem.sentence, problem.remedy)
    if raw.adj_close is None:
        return bars, notes
    return _adjusted(raw, bars, raw.adj_close), [*notes, ADJUSTED]


def _adjusted(raw: RawPrices, bars: Bars, adj_close: NDArray[np.float64]) -> Bars:
    wrong = ~(np.isfinite(adj_close) & (adj_close > 0))
    if wrong.any():
        at = int(wrong.argmax())
        raise refusal(
            raw,
            at,
            "the adjusted close is missing or not above 0",
            "Mend the row, or remove the column if the prices are adjusted already.",
        )
    factor = adj_close / bars.close
    opens = bars.open * factor
    # close * factor may miss the adjusted close by a last digit; high and low must not.
    return replace(
        bars,
        open=opens,
        high=np.maximum(bars.high * factor, np.maximum(opens, adj_close)),
        low=np.minimum(bars.low * factor, np.minimum(opens, adj_close)),
        close=adj_close,
        volume=bars.volume / factor,
        content_hash="",
    )


def _timeframe(raw: RawPrices, wanted: str | None) -> str:
    """The wanted timeframe if the spacing of the bars does not speak against it, or the spacing's.

    The spacing is the lower median of the steps, so that nights and weekends do not count.
    """
    steps = np.diff(raw.times.utc).astype(np.int64)
    if not len(steps):
        raise refusal(raw, 0, "there are fewer than 2 bars", "Give a file with at least 2 rows.")
    spacing = int(np.sort(steps)[(len(steps) - 1) // 2])
    inferred = next(
        (name for name, seconds in _SECONDS.items() if abs(spacing - seconds) <= seconds * 0.1),
        None,
    )
    if wanted is not None and inferred not in (None, wanted):
        raise BadParameterError(
            f"The bars of {raw.label} are {inferred} apart, not {wanted}.",
            f"Leave the timeframe out, or give {inferred}.",
        )
    if wanted is None and inferred is None:
        raise BadParameterError(
            f"The bars of {raw.label} are {spacing} seconds apart, which is no known timeframe.",
            f"Give the timeframe, one of {', '.join(_SECONDS)}.",
        )
    return wanted or str(inferred)


def take_rows(raw: RawPrices, rows: NDArray[np.intp]) -> RawPrices:
    """These rows only, in the order of ``rows``."""
    return replace(
        raw,
        times=Times(raw.times.utc[rows], raw.times.local[rows]),
        open=raw.open[rows],
        high=raw.high[rows],
        low=raw.low[rows],
        close=raw.close[rows],
        volume=raw.volume[rows],
        adj_close=None if raw.adj_close is None else raw.adj_close[rows],
        lines=raw.lines[rows],
    )


def refusal(raw: RawPrices, index: int, sentence: str, remedy: str) -> BadParameterError:
    """The error that names the source, the line and the day of a bar."""
    day = f"{raw.times.local[index]}".removesuffix("T00:00:00").replace("T", " ")
    return BadParameterError(f"{raw.label}, line {raw.lines[index]} ({day}): {sentence}.", remedy)

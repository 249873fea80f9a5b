"""The bars of one symbol: the only form in which prices reach a strategy, an engine or a chart."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

PRICE_COLUMNS = ("open", "high", "low", "close")
"""The four prices of a bar, in the order in which they are stored and hashed."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of one symbol, adjusted for splits and dividends; every array has shape (n,).

    Attributes:
        symbol: Upper-case ticker.
        timeframe: Length of a bar, a key of ``PERIODS_PER_YEAR``.
        ts: Opening time of each bar in UTC, ``datetime64[s]``, ascending and unique. A daily bar
            is a date and stands at midnight UTC.
        open: First price.
        high: Highest price.
        low: Lowest price.
        close: Last price.
        volume: Traded units, 0 where none were.
        content_hash: SHA-256 of the bars, see ``hash_bars``. Computed here when it is not given.
    """

    symbol: str
    timeframe: str
    ts: NDArray[np.datetime64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    content_hash: str = ""

    def __post_init__(self) -> None:
        if not self.content_hash:
            object.__setattr__(self, "content_hash", hash_bars(self))

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def first_time(self) -> datetime:
        """Opening time of the first bar, UTC."""
        return datetime.fromtimestamp(int(self.ts[0].astype(np.int64)), UTC)

    @property
    def last_time(self) -> datetime:
        """Opening time of the last bar, UTC."""
        return datetime.fromtimestamp(int(self.ts[-1].astype(np.int64)), UTC)


def hash_bars(bars: Bars) -> str:
    """SHA-256 in hex over time, prices and volume; not over symbol, timeframe or file format.

    Each column is hashed as contiguous little-endian 8-byte values (seconds since 1970 as int64,
    then open, high, low, close, volume as float64), so the hash is the same on every machine and
    however the file was compressed.
    """
    digest = hashlib.sha256()
    digest.update(bars.ts.astype("datetime64[s]").astype("<i8").tobytes())
    for name in (*PRICE_COLUMNS, "volume"):
        # + 0.0 turns -0.0 into 0.0: equal bars must not differ by the sign of a zero.
        digest.update((np.asarray(getattr(bars, name)) + 0.0).astype("<f8").tobytes())
    return digest.hexdigest()

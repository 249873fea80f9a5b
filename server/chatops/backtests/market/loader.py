"""Bars for workers, with the ones used lately kept in memory."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from chatops.backtests.market.bars import Bars
from chatops.backtests.market.catalogue import Catalogue
from chatops.backtests.market.files import read_bars
from chatops.backtests.market.names import BUNDLED_FOLDER

_BYTES_A_BAR = 48

_Key = tuple[Path, int, int]


@dataclass(frozen=True, slots=True)
class LoadedBars:
    """One entry of the cache; first and last are times of bars in UTC."""

    symbol: str
    timeframe: str
    rows: int
    first: datetime
    last: datetime
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CacheStatus:
    """What the cache holds and how often it helped.

    Attributes:
        hits: Loads that were answered from memory.
        misses: Loads that read a file.
        size_bytes: Memory of all bars held.
        entries: The bars held, least recently used first.
    """

    hits: int
    misses: int
    size_bytes: int
    entries: tuple[LoadedBars, ...]

    @property
    def hit_rate(self) -> float | None:
        """Share of loads answered from memory, None before the first load."""
        loads = self.hits + self.misses
        return self.hits / loads if loads else None


class MarketData:
    """Loads bars and keeps those used last, up to a number of bytes.

    A file that changed is read anew: entries belong to a path with its time and size. For one
    thread.
    """

    def __init__(
        self,
        user_folder: Path,
        bundled_folder: Path = BUNDLED_FOLDER,
        *,
        capacity_bytes: int = 200_000_000,
    ) -> None:
        self._catalogue = Catalogue(user_folder, bundled_folder)
        self._capacity_bytes = capacity_bytes
        self._held: OrderedDict[_Key, Bars] = OrderedDict()
        self._hits = 0
        self._misses = 0

    def load(self, symbol: str, timeframe: str) -> Bars:
        """The bars, checked and with their hash computed from them; the arrays are read-only.

        Raises:
            BadParameterError: Symbol or timeframe is malformed, or the file is broken.
            NotFoundError: There are no such prices.
            StoreUnavailableError: The file cannot be read.
        """
        entry = self._catalogue.find(symbol, timeframe)
        key = (entry.path, entry.modified_ns, entry.size_bytes)
        if held := self._held.get(key):
            self._hits += 1
            self._held.move_to_end(key)
            return held
        self._misses += 1
        bars = read_bars(entry.path, symbol, timeframe)
        self._drop(entry.path)
        self._held[key] = bars
        self._shrink()
        return bars

    def status(self) -> CacheStatus:
        """What is held now."""
        entries = tuple(
            LoadedBars(
                symbol=bars.symbol,
                timeframe=bars.timeframe,
                rows=len(bars),
                first=bars.first_time,
                last=bars.last_time,
                size_bytes=len(bars) * _BYTES_A_BAR,
            )
            for bars in self._held.values()
        )
        return CacheStatus(
            self._hits, self._misses, sum(entry.size_bytes for entry in entries), entries
        )

    def _drop(self, path: Path) -> None:
        """Forgets older contents of the same file, which nobody will ask for again."""
        for key in [key for key in self._held if key[0] == path]:
            del self._held[key]

    def _shrink(self) -> None:
        """Keeps the newest entry whatever its size, and of the others what fits."""
        while len(self._held) > 1 and self._size_bytes() > self._capacity_bytes:
            self._held.popitem(last=False)

    def _size_bytes(self) -> int:
        return sum(len(bars) * _BYTES_A_BAR for bars in self._held.values())

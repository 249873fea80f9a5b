"""Which prices there are: the files of the user's folder, then those that came with the package.

The server process uses this at every command that names a symbol. It must start without NumPy and
DuckDB, so ``market.files``, which needs both, is imported by the first look into a file.
"""

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock

from chatops.backtests.market.names import (
    BUNDLED_FOLDER,
    SUFFIX,
    bars_path,
    check_symbol,
    is_symbol,
    split_stem,
)
from chatops.errors import AppError, BadParameterError, NotFoundError, StoreUnavailableError


@dataclass(frozen=True, slots=True)
class DataSet:
    """One file of bars.

    Attributes:
        symbol: Ticker; for a file whose name is none, the name.
        timeframe: Length of a bar; empty if the name of the file does not tell.
        path: The file.
        size_bytes: Its size.
        modified_ns: When it was last written, nanoseconds since 1970.
        bundled: Whether it came with the package.
        rows: Number of bars, 0 if broken.
        first: Time of the first bar in UTC, None if broken.
        last: Time of the last bar in UTC, None if broken.
        content_hash: SHA-256 of the bars, empty if broken.
        source: Where the bars came from.
        problem: Why the file cannot be used, a sentence or two, or None.
    """

    symbol: str
    timeframe: str
    path: Path
    size_bytes: int
    modified_ns: int
    bundled: bool
    rows: int = 0
    first: datetime | None = None
    last: datetime | None = None
    content_hash: str = ""
    source: str = ""
    problem: str | None = None


class Catalogue:
    """The data sets of the user's folder and of the package.

    Every method looks at the files as they are now; what was learnt of a file is kept until its
    time or size changes. All methods block on the disk: call them in a thread. Safe to use from
    several threads.
    """

    def __init__(self, user_folder: Path, bundled_folder: Path = BUNDLED_FOLDER) -> None:
        self._folders = (user_folder, bundled_folder)
        self._known: dict[Path, DataSet] = {}
        self._lock = Lock()

    def data_sets(self) -> list[DataSet]:
        """All data sets, broken ones too, ordered by symbol and timeframe.

        Raises:
            StoreUnavailableError: A folder exists and cannot be listed.
        """
        paths: dict[str, Path] = {}
        for folder in self._folders:
            for path in _files_of(folder):
                paths.setdefault(path.name, path)
        found = [entry for path in paths.values() if (entry := self._look(path)) is not None]
        with self._lock:
            keep = set(paths.values())
            self._known = {path: entry for path, entry in self._known.items() if path in keep}
        return sorted(found, key=lambda entry: (entry.symbol, entry.timeframe))

    def find(self, symbol: str, timeframe: str) -> DataSet:
        """The data set of a symbol and timeframe; the user's file before the package's.

        Raises:
            BadParameterError: The symbol or timeframe is malformed, or its file is broken.
            NotFoundError: There is none; the hint tells what there is instead.
        """
        for folder in self._folders:
            entry = self._look(bars_path(folder, symbol, timeframe))
            if entry is None:
                continue
            if entry.problem is not None:
                raise BadParameterError(
                    f"The prices of {symbol} {timeframe} are broken.", entry.problem
                )
            return entry
        raise self._not_found(symbol, timeframe)

    def content_hash(self, symbol: str, timeframe: str) -> str:
        """SHA-256 of the bars, as in ``Bars.content_hash``; raises what ``find`` raises."""
        return self.find(symbol, timeframe).content_hash

    def timeframes(self, symbol: str) -> list[str]:
        """The timeframes for which usable prices of the symbol exist, shortest name first.

        Raises:
            BadParameterError: The symbol is malformed.
        """
        check_symbol(symbol)
        return [
            entry.timeframe
            for entry in self.data_sets()
            if entry.symbol == symbol and entry.problem is None
        ]

    def _not_found(self, symbol: str, timeframe: str) -> NotFoundError:
        usable = [entry for entry in self.data_sets() if entry.problem is None]
        existing = [entry.timeframe for entry in usable if entry.symbol == symbol]
        if existing:
            return NotFoundError(
                f"There are no {timeframe} prices of {symbol}.",
                f"There are {_listed(existing)} prices of it.",
            )
        symbols = sorted({entry.symbol for entry in usable})
        near = difflib.get_close_matches(symbol, symbols, n=3, cutoff=0.5)
        hint = f"Did you mean {_listed(near, 'or')}?" if near else "`/symbols` lists what there is."
        return NotFoundError(f"There are no prices of {symbol}.", hint)

    def _look(self, path: Path) -> DataSet | None:
        """What is known of the file as it is now, or None if there is no such file."""
        try:
            state = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as failure:
            raise StoreUnavailableError(
                f"{path.name} cannot be read.", "Check the folder of market data."
            ) from failure
        known = self._known.get(path)
        if known and (known.modified_ns, known.size_bytes) == (state.st_mtime_ns, state.st_size):
            return known
        entry = self._inspect(path, state)
        with self._lock:
            self._known[path] = entry
        return entry

    def _inspect(self, path: Path, state: os.stat_result) -> DataSet:
        # Here, not above: the server must start without loading NumPy and DuckDB.
        from chatops.backtests.market.files import inspect_file

        symbol, timeframe = split_stem(path.name.removesuffix(SUFFIX))
        bundled = path.parent == self._folders[1]
        size, modified = state.st_size, state.st_mtime_ns
        if (
            timeframe is None
            or not is_symbol(symbol)
            or path.name != f"{symbol}.{timeframe}{SUFFIX}"
        ):
            problem = (
                f"{path.name} is not named SYMBOL.timeframe{SUFFIX} with the symbol in capitals,"
                " for example AAPL.1d.parquet. Rename it."
            )
            return DataSet(symbol, timeframe or "", path, size, modified, bundled, problem=problem)
        try:
            facts = inspect_file(path, symbol, timeframe)
        except AppError as failure:
            return DataSet(symbol, timeframe, path, size, modified, bundled, problem=str(failure))
        return DataSet(
            symbol=symbol,
            timeframe=timeframe,
            path=path,
            size_bytes=size,
            modified_ns=modified,
            bundled=bundled,
            rows=facts.rows,
            first=facts.first,
            last=facts.last,
            content_hash=facts.content_hash,
            source=facts.source,
        )


def _files_of(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [
                folder / entry.name
                for entry in entries
                if entry.name.endswith(SUFFIX) and not entry.name.startswith(".")
            ]
    except FileNotFoundError:
        return []
    except OSError as failure:
        raise StoreUnavailableError(
            "The folder of market data cannot be read.", "Check that it is a readable folder."
        ) from failure


def _listed(words: Sequence[str], conjunction: str = "and") -> str:
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])} {conjunction} {words[-1]}"

"""Brings prices in from CSV and Parquet files: read, adjust, check, and only then write."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chatops.backtests.market.bars import PRICE_COLUMNS, Bars
from chatops.backtests.market.cells import BadCell, Times, parse_numbers, parse_times
from chatops.backtests.market.files import Origin, write_bars
from chatops.backtests.market.names import check_symbol, check_timeframe, is_symbol, split_stem
from chatops.backtests.market.raw_prices import (
    ADJUSTED,
    NOT_ADJUSTED,
    RawPrices,
    make_bars,
    refusal,
    take_rows,
)
from chatops.backtests.market.tables import CSV_ENDINGS, Cells, Table, read_table
from chatops.errors import BadParameterError


@dataclass(frozen=True, slots=True)
class Imported:
    """One data set that was brought in.

    Attributes:
        symbol: Ticker.
        timeframe: Length of a bar.
        rows: Number of bars.
        first: Time of the first bar in UTC.
        last: Time of the last bar in UTC.
        content_hash: SHA-256 of the bars.
        path: The file written.
        notes: What was done to the prices on the way, a sentence each.
    """

    symbol: str
    timeframe: str
    rows: int
    first: datetime
    last: datetime
    content_hash: str
    path: Path
    notes: tuple[str, ...] = field(default=())


def import_files(
    paths: Sequence[Path],
    folder: Path,
    *,
    symbol: str | None = None,
    timeframe: str | None = None,
    allow_jumps: bool = False,
    origin: Origin | None = None,
) -> list[Imported]:
    """Reads and checks all files, then writes their bars; a data set that exists is replaced.

    Nothing is written unless every file passes. The symbol is that of the symbol column, of the
    option or of the file's name (``AAPL.csv``, ``AAPL.1d.csv``); a file with several symbols gives
    one data set each. Rows in another order than time are sorted. With a column of adjusted
    closes, k = adjusted close / close multiplies all prices and divides the volume.

    Args:
        paths: CSV or Parquet files.
        folder: Folder of market data; made if it does not exist.
        symbol: The symbol, or which one of a file with several.
        timeframe: Length of a bar; otherwise taken from the spacing of the rows.
        allow_jumps: Accept jumps that look like splits.
        origin: Note to keep with the prices, less its ``adjusted``; without it the file's name.

    Raises:
        BadParameterError: A file does not pass; the message names file, line and day.
        StoreUnavailableError: A file cannot be read, or the folder not be written.
    """
    ready = read_files(paths, symbol=symbol, timeframe=timeframe, allow_jumps=allow_jumps)
    return [one.write(folder, origin) for one in ready]


@dataclass(frozen=True, slots=True)
class Ready:
    """Bars of a file that passed.

    Attributes:
        file: Name of the file.
        bars: Its prices of one symbol.
        notes: What was done to them on the way, a sentence each.
    """

    file: str
    bars: Bars
    notes: list[str]

    def write(self, folder: Path, origin: Origin | None = None) -> Imported:
        """Write them, in the place of those that are there; raises as :func:`import_files`."""
        adjusted = ADJUSTED if ADJUSTED in self.notes else NOT_ADJUSTED
        note = replace(origin or Origin(self.file), adjusted=adjusted)
        return _imported(self.bars, write_bars(self.bars, folder, note), self.notes)


def read_files(
    paths: Sequence[Path],
    *,
    symbol: str | None = None,
    timeframe: str | None = None,
    allow_jumps: bool = False,
) -> list[Ready]:
    """Reads and checks what :func:`import_files` would write, and raises what it raises."""
    if symbol is not None:
        check_symbol(symbol)
    if timeframe is not None:
        check_timeframe(timeframe)
    ready: dict[tuple[str, str], Ready] = {}
    for path in paths:
        for raw in _split(read_table(path), path, symbol):
            named = split_stem(_stem(path))[1]
            bars, notes = make_bars(raw, timeframe or named, allow_jumps=allow_jumps)
            key = (bars.symbol, bars.timeframe)
            if key in ready:
                raise BadParameterError(
                    f"{path.name} and {ready[key].file} both hold {key[0]} {key[1]}.",
                    "Import only one of them.",
                )
            ready[key] = Ready(path.name, bars, notes)
    return [*ready.values()]


def _split(table: Table, path: Path, wanted: str | None) -> Iterable[RawPrices]:
    """The prices of each symbol in a table."""
    _require(table)
    whole = RawPrices(
        label=table.name,
        symbol="",
        times=_parsed_times(table),
        open=_numbers(table, "open"),
        high=_numbers(table, "high"),
        low=_numbers(table, "low"),
        close=_numbers(table, "close"),
        volume=_numbers(table, "volume")
        if "volume" in table.columns
        else np.full(len(table.lines), np.nan),
        adj_close=_numbers(table, "adj_close") if "adj_close" in table.columns else None,
        lines=table.lines,
    )
    if "symbol" not in table.columns:
        return [replace(whole, symbol=wanted or _symbol_of_name(path))]
    owners = np.array([str(cell).strip().upper() for cell in table.columns["symbol"]])
    names = sorted(set(owners.tolist()))
    if wanted is not None and len(names) == 1:
        return [replace(whole, symbol=wanted)]
    if wanted is not None:
        if wanted not in names:
            raise BadParameterError(
                f"{table.name} has no rows of {wanted}.",
                f"It has {', '.join(names[:10])}{' and others' if len(names) > 10 else ''}.",
            )
        names = [wanted]
    for name in names:
        if not is_symbol(name):
            at = int((owners == name).argmax())
            raise refusal(
                whole, at, f"{name[:40]!r} is not a symbol", "Mend the symbol column, or remove it."
            )
    return [
        replace(take_rows(whole, np.flatnonzero(owners == name)), symbol=name) for name in names
    ]


def _require(table: Table) -> None:
    missing = [name for name in PRICE_COLUMNS if name not in table.columns]
    if "date" not in table.columns and "time" not in table.columns:
        missing.insert(0, "date")
    if missing:
        raise BadParameterError(
            f"{table.name} has no column {' and no '.join(missing)}.",
            "The first line must name the columns: date, open, high, low, close, and if there are"
            " any, adj close and volume.",
        )
    if not len(table.lines):
        raise BadParameterError(f"{table.name} has no rows.", "Give a file with at least 2 rows.")


def _parsed_times(table: Table) -> Times:
    date, time = table.columns.get("date"), table.columns.get("time")
    cells: Cells = table.columns["date" if time is None else "time"]
    if isinstance(date, list) and isinstance(time, list) and ":" in time[0][:3]:
        cells = [f"{day.strip()} {clock.strip()}" for day, clock in zip(date, time, strict=True)]
    try:
        return parse_times(cells)
    except BadCell as bad:
        raise BadParameterError(
            f"{table.name}, line {table.lines[bad.row]}: {bad.sentence}.", bad.remedy
        ) from None


def _numbers(table: Table, name: str) -> NDArray[np.float64]:
    try:
        return parse_numbers(table.columns[name], name)
    except BadCell as bad:
        raise BadParameterError(
            f"{table.name}, line {table.lines[bad.row]}: {bad.sentence}.", bad.remedy
        ) from None


def _stem(path: Path) -> str:
    for ending in (*CSV_ENDINGS[::-1], ".parquet"):
        if path.name.lower().endswith(ending):
            return path.name[: -len(ending)]
    return path.stem


def _symbol_of_name(path: Path) -> str:
    symbol = split_stem(_stem(path))[0]
    if not is_symbol(symbol):
        raise BadParameterError(
            f"The name of {path.name} is not a symbol, and the file has no symbol column.",
            "Give the symbol as an option, or name the file after it, like AAPL.csv.",
        )
    return symbol


def _imported(bars: Bars, path: Path, notes: Sequence[str]) -> Imported:
    return Imported(
        symbol=bars.symbol,
        timeframe=bars.timeframe,
        rows=len(bars),
        first=bars.first_time,
        last=bars.last_time,
        content_hash=bars.content_hash,
        path=path,
        notes=tuple(notes),
    )

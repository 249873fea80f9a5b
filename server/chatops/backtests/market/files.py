"""Files of bars: one Parquet a symbol and timeframe, read and written through DuckDB.

Only Parquet files are shared between processes. A DuckDB database file would lock out every
other process, so DuckDB works in memory and reads the files where they are.
"""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import numpy as np
from numpy.typing import NDArray

from chatops.backtests.market.bars import PRICE_COLUMNS, Bars
from chatops.backtests.market.checks import find_problem
from chatops.backtests.market.names import bars_path, check_symbol, check_timeframe
from chatops.errors import AppError, BadParameterError, StoreUnavailableError

COLUMNS = ("ts", *PRICE_COLUMNS, "volume")

_REIMPORT = "Bring the prices in again with `chatops import`, or remove the file."
# One symbol's bars are small: more threads cost start-up time and memory and win nothing.
_DUCKDB_SETTINGS: dict[str, Any] = {
    "threads": 2,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    # It would keep bytes of a file that has been replaced meanwhile.
    "enable_external_file_cache": False,
}
# One replacement costs one more attempt; only a writer that never rests exhausts them.
_ATTEMPTS = 100
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where bars come from; kept inside their file.

    Attributes:
        source: File or service they were taken from.
        licence: What is known of the terms of the data.
        adjusted: How the prices were adjusted.
        imported_at: ISO 8601 in UTC.
    """

    source: str
    licence: str = "not stated"
    adjusted: str = "not stated"
    imported_at: str = ""

    def __post_init__(self) -> None:
        if not self.imported_at:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            object.__setattr__(self, "imported_at", now)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file of bars says of itself; first and last are times of bars in UTC."""

    rows: int
    first: datetime
    last: datetime
    content_hash: str
    source: str


def write_bars(bars: Bars, folder: Path, origin: Origin) -> Path:
    """Writes the file of these bars, or replaces it, in one step.

    A reader sees the old file or the new one, whenever the power fails. Interrupted, it may leave
    a hidden file ``.*.tmp`` behind, which nobody reads.

    Raises:
        StoreUnavailableError: The folder cannot be written.
    """
    target = bars_path(folder, bars.symbol, bars.timeframe)
    temporary = folder / f".{target.name}.{secrets.token_hex(8)}.tmp"
    notes = {
        **asdict(origin),
        "content_hash": bars.content_hash,
        "symbol": bars.symbol,
        "timeframe": bars.timeframe,
    }
    listed = ", ".join(f"{key}: {_quote(value)}" for key, value in notes.items())
    columns = {name: getattr(bars, name) for name in COLUMNS}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        cursor = _connection().cursor()
        cursor.register("columns_to_write", columns)
        # COPY takes no parameters; path and notes are quoted by _quote.
        cursor.execute(
            f"COPY (FROM columns_to_write) TO {_quote(str(temporary))}"
            f" (FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{listed}}})"
        )
        cursor.close()
        _sync(temporary)
        os.replace(temporary, target)
        _sync(folder)
    except (OSError, duckdb.Error) as failure:
        with suppress(OSError):
            temporary.unlink()
        raise StoreUnavailableError(
            f"The prices of {bars.symbol} could not be written.",
            "Check that the folder of market data exists, is writable and has space.",
        ) from failure
    return target


def read_bars(path: Path, symbol: str, timeframe: str) -> Bars:
    """The bars of a file, checked; the arrays are read-only, for they are shared.

    The hash is computed from the bars and compared with the one in the file. A file without our
    notes, dropped in by hand, passes the checks of an import instead.

    Raises:
        BadParameterError: The file is not a file of bars, or a check failed.
        StoreUnavailableError: The file cannot be read.
    """
    return _unchanged(path, lambda: _read(path, symbol, timeframe))


def inspect_file(path: Path, symbol: str, timeframe: str) -> FileFacts:
    """What the file holds. One with our notes is not read as a whole, any other is, and checked.

    Raises:
        BadParameterError: The file is not a file of bars, or a check failed.
        StoreUnavailableError: The file cannot be read.
    """

    def inspect() -> FileFacts:
        notes = _notes(path)
        if "content_hash" not in notes:
            bars = _read(path, symbol, timeframe)
            return FileFacts(
                len(bars),
                bars.first_time,
                bars.last_time,
                bars.content_hash,
                "file put there by hand",
            )
        ends = _columns(path, "count(*) AS rows, min(ts) AS first, max(ts) AS last")
        return FileFacts(
            int(ends["rows"][0]),
            _datetime(_times(path, ends["first"])[0]),
            _datetime(_times(path, ends["last"])[0]),
            notes["content_hash"],
            notes.get("source", "not stated"),
        )

    return _unchanged(path, inspect)


def parquet_columns(path: Path) -> dict[str, NDArray[Any]]:
    """All columns of any Parquet file, missing values masked.

    Raises:
        BadParameterError: It is not a Parquet file.
        StoreUnavailableError: The file cannot be read.
    """
    return _columns(path, "*")


def parquet_rows(path: Path) -> int:
    """How many rows any Parquet file says that it has; raises as :func:`parquet_columns`."""
    return int(_columns(path, "num_rows", "parquet_file_metadata")["num_rows"].sum())


def _read(path: Path, symbol: str, timeframe: str) -> Bars:
    check_symbol(symbol)
    check_timeframe(timeframe)
    notes = _notes(path)
    columns = _columns(path, "*")
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise BadParameterError(
            f"{path.name} has no column {' and no '.join(missing)}.",
            f"A file of bars has the columns {', '.join(COLUMNS)}; `chatops import` makes one.",
        )
    bars = Bars(
        symbol,
        timeframe,
        ts=_times(path, columns["ts"]),
        open=_floats(path, "open", columns),
        high=_floats(path, "high", columns),
        low=_floats(path, "low", columns),
        close=_floats(path, "close", columns),
        volume=_floats(path, "volume", columns),
    )
    if notes.get("content_hash", bars.content_hash) != bars.content_hash:
        raise BadParameterError(f"{path.name} is damaged: its bars are not its own.", _REIMPORT)
    if problem := find_problem(bars, jumps_allowed="content_hash" in notes):
        when = f" ({bars.ts[problem.index]})" if len(bars) else ""
        raise BadParameterError(
            f"{path.name}, bar {problem.index + 1}{when}: {problem.sentence}.", problem.remedy
        )
    return bars


def _times(path: Path, values: NDArray[Any]) -> NDArray[np.datetime64]:
    if values.dtype.kind != "M" or np.ma.is_masked(values):
        raise BadParameterError(f"{path.name} has a ts that is not a time.", _REIMPORT)
    return _frozen(np.asarray(values).astype("datetime64[s]"))


def _floats(path: Path, name: str, columns: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    values = columns[name]
    if values.dtype.kind not in "iuf":
        raise BadParameterError(f"{path.name} has no number in the column {name}.", _REIMPORT)
    return _frozen(np.ma.filled(values.astype(np.float64), np.nan))


def _frozen(values: NDArray[Any]) -> NDArray[Any]:
    values.flags.writeable = False
    return values


def _datetime(value: np.datetime64) -> datetime:
    return datetime.fromtimestamp(int(value.astype(np.int64)), UTC)


def _unchanged(path: Path, read: Callable[[], _T]) -> _T:
    """What ``read`` returns, from a file that was not replaced while it was being read.

    DuckDB opens a path more than once during a query, so it could see the head of one file and
    the body of the next.
    """
    for _ in range(_ATTEMPTS):
        before = _identity(path)
        try:
            result = read()
        except AppError:
            if _identity(path) == before:
                raise
            continue
        if _identity(path) == before:
            return result
    raise StoreUnavailableError(
        f"{path.name} is being replaced again and again.", "Try again in a moment."
    )


def _identity(path: Path) -> tuple[int, int, int]:
    try:
        state = path.stat()
    except OSError as failure:
        raise StoreUnavailableError(
            f"{path.name} cannot be read.", "Check the folder of market data."
        ) from failure
    return state.st_ino, state.st_mtime_ns, state.st_size


def _notes(path: Path) -> dict[str, str]:
    rows = _columns(path, "key, value", "parquet_kv_metadata")
    pairs = zip(rows["key"].tolist(), rows["value"].tolist(), strict=True)
    return {bytes(key).decode(): bytes(value).decode("utf-8", "replace") for key, value in pairs}


def _columns(path: Path, what: str, function: str = "read_parquet") -> dict[str, NDArray[Any]]:
    cursor = _connection().cursor()
    try:
        # Only constants of this module are put into the text; the path is a parameter.
        query = f"SELECT {what} FROM {function}(?)"  # noqa: S608 - see the line above
        columns: dict[str, NDArray[Any]] = cursor.execute(query, [_literal(path)]).fetchnumpy()
    except duckdb.IOException as failure:
        raise StoreUnavailableError(
            f"{path.name} cannot be read.", "Check that the file exists and is readable."
        ) from failure
    except duckdb.Error as failure:
        raise BadParameterError(f"{path.name} is not a readable Parquet file.", _REIMPORT) from (
            failure
        )
    finally:
        cursor.close()
    return columns


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    """The one connection of this process; each use takes a cursor of it, as threads must."""
    return duckdb.connect(":memory:", config=_DUCKDB_SETTINGS)


def _literal(path: Path) -> str:
    """The path with DuckDB's wildcards escaped, so that it means this file only."""
    return "".join(f"[{letter}]" if letter in "[*?" else letter for letter in str(path))


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _sync(path: Path) -> None:
    """Makes a file, or the names in a folder, survive a power failure."""
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":
        return  # Windows keeps a folder's names itself and opens no folder.
    handle = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

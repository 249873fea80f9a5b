"""Reads a table of prices, CSV or Parquet, as it is; nothing is judged but its form."""

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatops.backtests.market.files import parquet_columns
from chatops.errors import BadParameterError, StoreUnavailableError

Cells = list[str] | NDArray[Any]

CSV_ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz")

# What a column's name may be, in lower case with letters and digits only.
_NAMES = {
    "date": ("date", "day", "tradedate", "날짜", "일자", "거래일"),
    "time": ("time", "timestamp", "datetime", "ts", "opentime", "시각", "시간", "일시"),
    "symbol": ("symbol", "ticker", "code", "종목", "종목코드"),
    "open": ("open", "openprice", "시가"),
    "high": ("high", "highprice", "고가"),
    "low": ("low", "lowprice", "저가"),
    "close": ("close", "closeprice", "last", "종가"),
    "adj_close": ("adjclose", "adjustedclose", "closeadj", "closeadjusted", "수정종가"),
    "volume": ("volume", "vol", "거래량"),
}
_MEANING = {name: column for column, names in _NAMES.items() for name in names}
# Korean brokers and the Korean Excel write CP949.
_ENCODINGS = ("utf-8-sig", "cp949")


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a file that mean something to us.

    Attributes:
        name: The file's name, for messages.
        columns: Cells by meaning (a key of ``_NAMES``); text from CSV, arrays from Parquet.
        lines: Line of the file, or number of the row in a Parquet file, of each row.
    """

    name: str
    columns: dict[str, Cells]
    lines: NDArray[np.int64]


def read_table(path: Path) -> Table:
    """The table in a CSV file (comma, semicolon or tab; UTF-8 or CP949; also gzipped) or Parquet.

    Columns are found by name, whatever their case, spaces and order; unknown ones are left out.

    Raises:
        BadParameterError: The file is of no known form, or two columns mean the same.
        StoreUnavailableError: The file cannot be read.
    """
    ending = path.name.lower()
    if ending.endswith(".parquet"):
        found = parquet_columns(path)
        rows = len(next(iter(found.values())))
        columns: list[Cells] = list(found.values())
        return Table(path.name, _named(path, list(found), columns), np.arange(1, rows + 1))
    if not ending.endswith(CSV_ENDINGS):
        raise BadParameterError(
            f"{path.name} is neither CSV nor Parquet.",
            f"Give a file that ends in {', '.join(CSV_ENDINGS)} or .parquet.",
        )
    header, rows_of_text, lines = _read_csv(path)
    cells: list[Cells] = [list(column) for column in zip(*rows_of_text, strict=True)]
    cells = cells or [[] for _ in header]
    return Table(path.name, _named(path, header, cells), np.array(lines, dtype=np.int64))


def _named(path: Path, header: list[str], cells: list[Cells]) -> dict[str, Cells]:
    columns: dict[str, Cells] = {}
    for title, column in zip(header, cells, strict=True):
        meaning = _MEANING.get("".join(letter for letter in title.lower() if letter.isalnum()))
        if meaning is None:
            continue
        if meaning in columns:
            raise BadParameterError(
                f"{path.name} has two columns for {meaning}, the second is {title!r}.",
                "Remove one of them.",
            )
        columns[meaning] = column
    return columns


def _read_csv(path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    text = _decode(path)
    first_line = text.partition("\n")[0]
    separator = max(",;\t", key=first_line.count)
    reader = csv.reader(text.splitlines(), delimiter=separator, skipinitialspace=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    header: list[str] = []
    for row in reader:
        if not any(row):
            continue
        if not header:
            header = row
            continue
        if len(row) != len(header):
            raise BadParameterError(
                f"{path.name}, line {reader.line_num}: {len(row)} fields instead of {len(header)}.",
                "Mend the line, or write the file again with a header and equal rows.",
            )
        rows.append(row)
        lines.append(reader.line_num)
    return header, rows, lines


def _decode(path: Path) -> str:
    try:
        raw = path.read_bytes()
        if path.name.lower().endswith(".gz"):
            raw = gzip.decompress(raw)
    except gzip.BadGzipFile as failure:
        raise BadParameterError(
            f"{path.name} is not gzipped.", "Rename it to end in .csv."
        ) from failure
    except (OSError, EOFError) as failure:
        raise StoreUnavailableError(
            f"{path.name} cannot be read.", "Check that the file exists and is readable."
        ) from failure
    for encoding in _ENCODINGS:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadParameterError(f"{path.name} is not a text file.", "Write it as CSV in UTF-8.")

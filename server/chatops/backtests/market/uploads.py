"""Prices that somebody sent: bounded, and never in the place of others without leave."""

import gzip
import zlib
from pathlib import Path
from typing import Any

from chatops.backtests.market.catalogue import Catalogue
from chatops.backtests.market.files import parquet_rows
from chatops.backtests.market.importer import Ready, read_files
from chatops.errors import BadParameterError, ConflictError, NotFoundError
from chatops.protocol.base import rfc3339

MAX_ROWS = 2_000_000
"""Of a Parquet file, in which a few bytes can stand for any number; 20 years of minutes."""

MAX_UNPACKED_BYTES = 256 << 20
"""Of a gzipped file."""

_PART_BYTES = 1 << 20
_TOLD = 10


def import_upload(
    path: Path,
    folder: Path,
    *,
    symbol: str | None,
    timeframe: str | None,
    allow_jumps: bool,
    replace: bool,
) -> list[dict[str, Any]]:
    """Import one file as ``importer.import_files`` does; a repeat writes nothing.

    Returns:
        For each data set symbol, timeframe, bars, first and last (RFC 3339), notes, and state:
        ``new``, ``replaced`` or ``unchanged``.

    Raises:
        BadParameterError: The file does not pass, or holds more than one import may.
        ConflictError: There are other prices of a symbol, and ``replace`` is not set.
        StoreUnavailableError: The folder cannot be read or written.
    """
    _check_size(path)
    ready = read_files([path], symbol=symbol, timeframe=timeframe, allow_jumps=allow_jumps)
    catalogue = Catalogue(folder)
    states = [_state(one, catalogue) for one in ready]
    others = [one for one, state in zip(ready, states, strict=True) if state == "replaced"]
    if others and not replace:
        raise _conflict(others, catalogue)
    for one, state in zip(ready, states, strict=True):
        if state != "unchanged":
            one.write(folder)
    return [
        {
            "symbol": one.bars.symbol,
            "timeframe": one.bars.timeframe,
            "bars": len(one.bars),
            "first": rfc3339(one.bars.first_time),
            "last": rfc3339(one.bars.last_time),
            "notes": one.notes,
            "state": state,
        }
        for one, state in zip(ready, states, strict=True)
    ]


def _state(one: Ready, catalogue: Catalogue) -> str:
    try:
        known = catalogue.content_hash(one.bars.symbol, one.bars.timeframe)
    except NotFoundError:
        return "new"
    except BadParameterError:
        return "replaced"  # a broken file
    return "unchanged" if known == one.bars.content_hash else "replaced"


def _conflict(others: list[Ready], catalogue: Catalogue) -> ConflictError:
    names = [f"{one.bars.symbol} {one.bars.timeframe}" for one in others[:_TOLD]]
    more = f" and {len(others) - _TOLD} others" if len(others) > _TOLD else ""
    first = next(
        one
        for one in catalogue.data_sets()
        if (one.symbol, one.timeframe) == (others[0].bars.symbol, others[0].bars.timeframe)
    )
    whose = "they came with chatops" if first.bundled else f"they are from {first.source[:80]}"
    return ConflictError(
        f"There are other prices of {', '.join(names)}{more} already ({whose}).",
        "Import with leave to replace them, or name the file after another symbol.",
    )


def _check_size(path: Path) -> None:
    ending = path.name.lower()
    if ending.endswith(".parquet") and (rows := parquet_rows(path)) > MAX_ROWS:
        raise _too_much(path, f"{rows:,} rows, and {MAX_ROWS:,} can be imported at once")
    if ending.endswith(".gz"):
        size = 0
        try:
            with gzip.open(path) as file:
                while part := file.read(_PART_BYTES):
                    size += len(part)
                    if size > MAX_UNPACKED_BYTES:
                        most = f"{MAX_UNPACKED_BYTES >> 20} MiB"
                        raise _too_much(path, f"more than {most} of text when it is unpacked")
        except (gzip.BadGzipFile, EOFError, zlib.error) as failure:
            raise BadParameterError(
                f"{path.name} is not a whole gzipped file.", "Make it again, or send it unpacked."
            ) from failure


def _too_much(path: Path, what: str) -> BadParameterError:
    return BadParameterError(f"{path.name} has {what}.", "Split it into smaller files.")

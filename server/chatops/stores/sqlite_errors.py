"""What a person is told when SQLite fails. The driver's own words go to the log alone."""

import sqlite3
from typing import Literal

from chatops.errors import StoreUnavailableError

_PRIMARY = 0xFF
"""SQLite's extended result codes keep the primary code in the low byte."""

_NOT_OURS = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})

_ENVIRONMENT = _NOT_OURS | {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code, or -1 where Python's module raised by itself."""
    code: int = getattr(error, "sqlite_errorcode", -1)
    return code & _PRIMARY if code >= 0 else -1


def is_environment(error: BaseException) -> bool:
    """Whether disk, file or lock failed, and not what one operation asked for."""
    return isinstance(error, sqlite3.Error) and primary_code(error) in _ENVIRONMENT


def unavailable(
    error: BaseException, doing: Literal["save", "read"] = "save"
) -> StoreUnavailableError:
    """Return what a person is told of ``error``: a fixed sentence and what to do."""
    code = primary_code(error) if isinstance(error, sqlite3.Error) else -1
    if code == sqlite3.SQLITE_FULL:
        return StoreUnavailableError(
            "The store could not save this because the disk is full.",
            "Free some space on the disk of the data folder, then try again.",
        )
    if code == sqlite3.SQLITE_READONLY:
        return StoreUnavailableError(
            "The store could not save this because the data folder is read-only.",
            "Make the data folder writable for the server, then try again.",
        )
    if code in _NOT_OURS:
        return StoreUnavailableError(
            "The store's database file is damaged.",
            "Stop the server, restore the data folder from a backup, and start again.",
        )
    return StoreUnavailableError(
        f"The store could not {doing} this.",
        "Try again in a moment; if it goes on, the server's log has the cause.",
    )

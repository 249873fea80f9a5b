"""The data folder and the SQLite file in it, looked at without disturbing a running server."""

import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from chatops.findings import Finding, failed, ok, warning
from chatops.stores.sqlite_folder import LOCK_NAME
from chatops.stores.sqlite_schema import FILE_NAME, MIGRATIONS, connect_reader

if sys.platform != "win32":
    import fcntl

CHECK = "data folder"
DATABASE = "sqlite"

_LITTLE_BYTES = 1 << 30
_TOO_LITTLE_BYTES = 64 << 20


def check_folder(folder: Path) -> list[Finding]:
    """Return whether the folder can be used, has room, and who uses it. Creates nothing lasting."""
    there = folder
    while not there.exists() and there.parent != there:
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
        free = shutil.disk_usage(there).free
    except OSError as error:
        return [
            failed(
                CHECK,
                f"{folder} cannot be written ({error.strerror})",
                "Give this user the right to write there, or set CHATOPS_DATA_DIR to another.",
            )
        ]
    room = f"{free / 1e9:.1f} GB free"
    if there != folder:
        found = ok(CHECK, f"{folder} will be made, {room}")
    elif _in_use(folder):
        found = ok(CHECK, f"{folder}, {room}, used by a running server")
    else:
        found = ok(CHECK, f"{folder}, {room}")
    if free < _TOO_LITTLE_BYTES:
        return [failed(CHECK, found.found, "Free some space on its disk.")]
    if free < _LITTLE_BYTES:
        return [warning(CHECK, found.found, "Free some space on its disk.")]
    return [found]


def _in_use(folder: Path) -> bool:
    """Return whether a server holds the folder.

    The lock is asked for together with others, and let go at once: only a server that starts in
    the same microseconds could mistake this for another server.
    """
    if sys.platform == "win32":
        return False
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def check_sqlite(folder: Path) -> Finding:
    """Return whether the file can be read and which schema it has. Reads only, waits for nobody."""
    path = folder / FILE_NAME
    if not path.exists():
        return ok(DATABASE, f"{path} will be made at the first start")
    try:
        with closing(connect_reader(path)) as connection:
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
            newest = 0
            if version:
                query = "SELECT coalesce(max(number), 0) FROM entries"
                newest = connection.execute(query).fetchone()[0]
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            return failed(DATABASE, f"{path} cannot be opened", "Check the rights of this user.")
        return failed(
            DATABASE,
            f"{path} is not a chatops database, or is damaged",
            "Move the file away or restore it from a backup.",
        )
    found = f"{path}, schema {version}, newest entry {newest:,}, {path.stat().st_size / 1e6:.1f} MB"
    if version > len(MIGRATIONS):
        return failed(
            DATABASE,
            f"{found}: written by a newer version of chatops, this one knows {len(MIGRATIONS)}",
            "Start the newer version, or set CHATOPS_DATA_DIR to another folder.",
        )
    if version < len(MIGRATIONS):
        return ok(DATABASE, f"{found}; the next start brings it to schema {len(MIGRATIONS)}")
    return ok(DATABASE, found)

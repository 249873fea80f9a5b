"""The data folder: made when missing, and used by one server at a time."""

import errno
import os
import sys
from pathlib import Path

import structlog

from chatops.errors import StoreUnavailableError

if sys.platform != "win32":
    import fcntl

log = structlog.get_logger(__name__)

LOCK_NAME = ".lock"


def claim(folder: Path) -> int:
    """Make the folder (for the owner alone) and lock it; return the descriptor of the lock.

    The lock ends with the descriptor, so also when the process is killed. Windows has no such
    lock; there two servers on one folder are kept apart by SQLite's own locks only.

    Raises:
        StoreUnavailableError: The folder cannot be made or written, or another server uses it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        log.error("data_folder_failed", folder=str(folder), error=str(error))
        raise _cannot_use(folder, error) from error
    try:
        _lock(descriptor)
    except OSError as error:
        os.close(descriptor)
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            log.error("data_folder_failed", folder=str(folder), error=str(error))
            raise _cannot_use(folder, error) from error
        raise StoreUnavailableError(
            f"Another chatops server uses the data folder {folder}.",
            "Stop that server, or choose another data folder (CHATOPS_DATA_DIR).",
        ) from error
    return descriptor


def release(descriptor: int) -> None:
    """Let another server use the folder."""
    os.close(descriptor)


def _lock(descriptor: int) -> None:
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _cannot_use(folder: Path, error: OSError) -> StoreUnavailableError:
    reasons = {
        errno.ENOSPC: ("because the disk is full", "Free some space on its disk"),
        errno.EROFS: ("because its disk is read-only", "Make its disk writable"),
    }
    why, remedy = reasons.get(error.errno or 0, ("", "Give the server the right to write there"))
    return StoreUnavailableError(
        f"The data folder {folder} cannot be made or written{' ' + why if why else ''}.",
        f"{remedy}, or choose another data folder (CHATOPS_DATA_DIR).",
    )

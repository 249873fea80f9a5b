"""Disks for tests: small ones in mount namespaces of their own, and full ones."""

import errno
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def in_own_namespace(folder: Path, mount: str) -> list[str]:
    """Return the start of a command that runs the rest where ``mount`` was done."""
    if shutil.which("unshare") is None:
        pytest.skip("needs Linux with unshare")
    folder.mkdir()
    prefix = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
    if subprocess.run([*prefix, mount, str(folder)], check=False, capture_output=True).returncode:
        pytest.skip("this system does not let the test mount anything")
    return [*prefix, f'{mount}; exec "$@"', str(folder)]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[tuple[list[str], Path]]:
    """Mount a disk that outlives who uses it, until the block ends.

    Gives the start of a command that sees it at ``folder``, and the path at which all others do.
    """
    command = in_own_namespace(folder, f'mount -t tmpfs -o size={size} tmpfs "$0"; mkdir "$0/db"')
    with subprocess.Popen([*command, "sleep", "infinity"]) as holder:
        try:
            place = Path(f"/proc/{holder.pid}/root{folder}")
            deadline = time.monotonic() + 10
            while not (place / "db").exists():
                assert time.monotonic() < deadline
                time.sleep(0.01)
            enter = ["nsenter", "--target", str(holder.pid), "--user", "--mount"]
            yield [*enter, "--preserve-credentials"], place
        finally:
            holder.kill()


def fill_the_disk(ballast: Path) -> None:
    """Write the file until no byte is left."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

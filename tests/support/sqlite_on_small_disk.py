"""Run as a process on a disk of 2 MB: fill it, append until it fails, make room, go on.

Usage: ``python sqlite_on_small_disk.py FOLDER``; prints what was seen as JSON.
"""

import asyncio
import errno
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from chatops.access.identity import SYSTEM
from chatops.errors import StoreUnavailableError
from chatops.sessions.model import NewEntry, Session
from chatops.stores.sqlite import SqliteStore


def fill_the_disk(ballast: Path, room_bytes: int) -> None:
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        file.truncate(file.tell() - room_bytes)


async def send_until_full(store: SqliteStore) -> tuple[list[str], dict[str, str]]:
    acked: list[str] = []
    refused: dict[str, str] = {}
    for burst in range(1000):
        keys = [f"{burst}-{sender}" for sender in range(16)]
        results = await asyncio.gather(
            *(
                store.sessions.append("room", NewEntry("message", SYSTEM, {"c": key * 50}, key))
                for key in keys
            ),
            return_exceptions=True,
        )
        for key, result in zip(keys, results, strict=True):
            if isinstance(result, StoreUnavailableError):
                refused[key] = str(result)
            elif isinstance(result, BaseException):
                raise result
            else:
                acked.append(key)
        if refused:
            break
    return acked, refused


async def main(folder: Path) -> None:
    store = SqliteStore(folder / "data")
    await store.open()
    await store.sessions.create_session(Session("room", "epoch", "Room", SYSTEM, datetime.now(UTC)))
    fill_the_disk(folder / "ballast", room_bytes=200_000)
    acked, refused = await send_until_full(store)
    readable = len(await store.sessions.read("room", 0, 100_000))
    (folder / "ballast").unlink()
    duplicates = 0
    for key in refused:
        again = await store.sessions.append("room", NewEntry("message", SYSTEM, {"c": key}, key))
        duplicates += again.duplicate
    await store.ping()
    await store.close()
    await store.open()
    entries = await store.sessions.read("room", 0, 100_000)
    await store.close()
    seen = {
        "acked": len(acked),
        "refused": sorted(set(refused.values())),
        "readable_while_full": readable,
        "refused_but_stored": duplicates,
        "contiguous": [entry.seq for entry in entries] == list(range(1, len(entries) + 1)),
        "stored": len(entries),
        "expected": len(acked) + len(refused),
    }
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

"""Run as a process: 64 senders append for ever and print what was acked, until it is killed.

Usage: ``python sqlite_sender.py FOLDER PREFIX``; a line is ``session seq key``.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from chatops.access.identity import SYSTEM
from chatops.errors import AppError
from chatops.sessions.model import NewEntry, Session
from chatops.stores.sqlite import SqliteStore

SENDERS = 64
SESSIONS = 3


async def send(store: SqliteStore, sender: int, prefix: str) -> None:
    session_id = f"room{sender % SESSIONS}"
    count = 0
    while True:
        count += 1
        key = f"{prefix}-{sender}-{count}"
        done = await store.sessions.append(
            session_id, NewEntry("message", SYSTEM, {"content": f"{key} " * 5}, key)
        )
        # One write call a line: what was printed cannot be lost in a buffer by the kill.
        os.write(1, f"{session_id} {done.entry.seq} {key}\n".encode())


async def main(folder: Path, prefix: str) -> None:
    store = SqliteStore(folder)
    await store.open()
    for number in range(SESSIONS):
        session_id = f"room{number}"
        await store.sessions.create_session(
            Session(session_id, "epoch", "Room", SYSTEM, datetime.now(UTC))
        )
    await asyncio.gather(*(send(store, sender, prefix) for sender in range(SENDERS)))


if __name__ == "__main__":
    try:
        asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
    except AppError as error:
        sys.exit(str(error))

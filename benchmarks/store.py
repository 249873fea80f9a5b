"""Durable acks a second of the embedded store with many senders.

Three ways to keep the same entry on the same disk, in interleaved rounds:

``group``  the store as it is: senders that wait share one transaction and one sync
``each``   the store with one entry a transaction, so one sync for each message
``floor``  a bare loop over ``sqlite3``: one insert, one commit, nothing else

Run ``python benchmarks/store.py``; ends with 1 if ``group`` is less than 5 times ``each``.
"""

import argparse
import asyncio
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from chatops.access.identity import Person
from chatops.sessions.model import NewEntry, Session
from chatops.stores.sqlite import SqliteStore
from chatops.stores.sqlite_schema import connect_writer
from chatops.stores.sqlite_values import to_json
from chatops.stores.sqlite_writer import BATCH_LIMIT

GOAL = 5.0
CONTENT = "How did the momentum strategy do on AAPL since 2005, fees included? "


def payload(key: str) -> dict[str, object]:
    """Return a message as the wire has it, about 300 bytes."""
    return {
        "id": f"msg_{key}",
        "sessionId": "room",
        "role": "user",
        "content": CONTENT,
        "timestamp": "2026-03-01T12:30:15.123Z",
        "author": {"id": "client:0123456789abcdef", "name": "Ann"},
        "clientMessageId": key,
    }


async def with_store(
    folder: Path, senders: int, messages: int, batch_limit: int
) -> dict[str, float]:
    """Return acks a second, entries a commit and the median ack in milliseconds."""
    store = SqliteStore(folder, batch_limit=batch_limit)
    await store.open()
    owner = Person("client:owner", "Owner")
    await store.sessions.create_session(Session("room", "e", "Room", owner, datetime.now(UTC)))
    acks_ms: list[float] = []

    async def send(sender: int) -> None:
        author = Person(f"client:{sender}", f"P{sender}")
        for index in range(messages // senders):
            key = f"{sender}-{index}"
            sent = time.perf_counter()
            await store.sessions.append("room", NewEntry("message", author, payload(key), key))
            acks_ms.append((time.perf_counter() - sent) * 1000)

    if (writer := store.database.writer) is None:
        raise RuntimeError("the store is open, so it has a writer")
    commits = writer.commits
    began = time.perf_counter()
    await asyncio.gather(*(send(sender) for sender in range(senders)))
    took_s = time.perf_counter() - began
    commits = writer.commits - commits
    await store.close()
    return {
        "per_s": len(acks_ms) / took_s,
        "per_commit": len(acks_ms) / commits,
        "ack_ms": statistics.median(acks_ms),
    }


def bare(folder: Path, messages: int) -> dict[str, float]:
    """Return the same figures of one insert and one commit after another."""
    folder.mkdir()
    with closing(connect_writer(folder / "bare.sqlite3")) as connection:
        connection.execute("CREATE TABLE log (seq INTEGER PRIMARY KEY, payload TEXT)")
        began = time.perf_counter()
        for index in range(messages):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "INSERT INTO log (payload) VALUES (?)", (to_json(payload(f"{index}")),)
            )
            connection.execute("COMMIT")
        took_s = time.perf_counter() - began
    return {"per_s": messages / took_s, "per_commit": 1.0, "ack_ms": took_s * 1000 / messages}


def main() -> int:
    """Measure, print a table and one line of JSON, and say whether the goal is met."""
    parser = argparse.ArgumentParser(description="Durable acks a second of the embedded store.")
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk to measure")
    parser.add_argument("--senders", type=int, default=64)
    parser.add_argument("--messages", type=int, default=6400, help="a round; each, floor: a tenth")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    few = chosen.messages // 10
    rounds: dict[str, list[dict[str, float]]] = {"group": [], "each": [], "floor": []}
    with tempfile.TemporaryDirectory(dir=chosen.folder, prefix=".bench-store-") as scratch:
        for number in range(chosen.rounds):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            for name, messages, limit in (
                ("group", chosen.messages, BATCH_LIMIT),
                ("each", few, 1),
            ):
                rounds[name].append(
                    asyncio.run(with_store(folder / name, chosen.senders, messages, limit))
                )
            rounds["floor"].append(bare(folder / "floor", few))
    median = {
        name: {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        for name, rows in rounds.items()
    }
    ratio = median["group"]["per_s"] / median["each"]["per_s"]
    print(
        f"SQLite {sqlite3.sqlite_version}, {chosen.senders} senders, {chosen.rounds} rounds, median"
    )
    print(f"{'':8}{'acks/s':>10}{'entries/commit':>16}{'ack ms':>10}")
    for name, row in median.items():
        print(f"{name:8}{row['per_s']:10.0f}{row['per_commit']:16.1f}{row['ack_ms']:10.2f}")
    print(f"group / each = {ratio:.1f} (goal {GOAL:.0f})")
    print(json.dumps({"benchmark": "store", "ratio": round(ratio, 2), "median": median}))
    return 0 if ratio >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())

"""Durable acks a second of the embedded store with many senders.

Four ways to keep the same entry on the same disk, in interleaved rounds:

``group``  the store as it is: senders that wait share one transaction and one sync
``each``   the store with one entry a transaction, so one sync for each message
``floor``  a bare loop over ``sqlite3``: one insert, one commit, nothing else
``sync``   a bare loop over a file: one write, one sync
"""

import asyncio
import os
import statistics
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.report import Goal, Row
from chatops.access.identity import Person
from chatops.sessions.model import NewEntry, Session
from chatops.stores.sqlite import SqliteStore
from chatops.stores.sqlite_schema import connect_writer
from chatops.stores.sqlite_writer import BATCH_LIMIT
from chatops.stores.values import to_json

SENDERS = 64
MESSAGES = 6400
"""In a round of ``group``; the others, which are slower, get a tenth."""

CONTENT = "How did the momentum strategy do on AAPL since 2005, fees included? "


def measure(folder: Path, rounds: int) -> list[Row]:
    """Measure everything; ``folder`` is on the disk that counts."""
    few = MESSAGES // 10
    found: dict[str, list[dict[str, float]]] = {"group": [], "each": [], "floor": [], "sync": []}
    for number in range(rounds):
        scratch = folder / f"store-{number}"
        for name, messages, limit in (("group", MESSAGES, BATCH_LIMIT), ("each", few, 1)):
            found[name].append(asyncio.run(with_store(scratch / name, messages, limit)))
        found["floor"].append({"per_s": bare(scratch / "floor", few)})
        found["sync"].append({"per_s": syncs_per_s(scratch / "sync")})
    median = {
        name: {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        for name, rows in found.items()
    }
    group, each = median["group"], median["each"]
    what = f"store alone, {SENDERS} senders: "
    goal = Goal("at least", 5, "ratio")
    floor, sync = median["floor"]["per_s"], median["sync"]["per_s"]
    beside = "one sync a message"
    return [
        Row(what + "durable appends", group["per_s"], "/s", beside, each["per_s"], goal),
        Row(what + "durable appends", group["per_s"], "/s", "bare sqlite3 loop", floor),
        Row(what + "durable appends", group["per_s"], "/s", "bare write-and-sync loop", sync),
        Row(what + "append p50", group["ack_ms"], "ms", beside, each["ack_ms"]),
        Row(what + "entries a sync", group["per_commit"], "", beside, each["per_commit"]),
    ]


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


async def with_store(folder: Path, messages: int, batch_limit: int) -> dict[str, float]:
    """Return acks a second, entries a commit and the median ack in milliseconds."""
    store = SqliteStore(folder, batch_limit=batch_limit)
    await store.open()
    owner = Person("client:owner", "Owner")
    await store.sessions.create_session(Session("room", "e", "Room", owner, datetime.now(UTC)))
    acks_ms: list[float] = []

    async def send(sender: int) -> None:
        author = Person(f"client:{sender}", f"P{sender}")
        for index in range(messages // SENDERS):
            key = f"{sender}-{index}"
            sent = time.perf_counter()
            await store.sessions.append("room", NewEntry("message", author, payload(key), key))
            acks_ms.append((time.perf_counter() - sent) * 1000)

    if (writer := store.database.writer) is None:
        raise RuntimeError("the store is open, so it has a writer")
    commits = writer.commits
    began = time.perf_counter()
    await asyncio.gather(*(send(sender) for sender in range(SENDERS)))
    took_s = time.perf_counter() - began
    commits = writer.commits - commits
    await store.close()
    return {
        "per_s": len(acks_ms) / took_s,
        "per_commit": len(acks_ms) / commits,
        "ack_ms": statistics.median(acks_ms),
    }


def bare(folder: Path, messages: int) -> float:
    """Return how many inserts a second can be committed one after another."""
    folder.mkdir(parents=True)
    with closing(connect_writer(folder / "bare.sqlite3")) as connection:
        connection.execute("CREATE TABLE log (seq INTEGER PRIMARY KEY, payload TEXT)")
        began = time.perf_counter()
        for index in range(messages):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "INSERT INTO log (payload) VALUES (?)", (to_json(payload(f"{index}")),)
            )
            connection.execute("COMMIT")
        return messages / (time.perf_counter() - began)


def syncs_per_s(folder: Path, count: int = 500) -> float:
    """Return how many writes of 400 bytes a second the disk takes with a sync after each."""
    folder.mkdir(parents=True)
    with (folder / "syncs").open("wb", buffering=0) as file:
        began = time.perf_counter()
        for _ in range(count):
            file.write(b"x" * 400)
            os.fdatasync(file.fileno())
        return count / (time.perf_counter() - began)

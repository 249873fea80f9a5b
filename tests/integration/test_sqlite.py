"""What only the SQLite store can be asked: group commit, kill -9, and writes that fail.

``kill -9`` shows that nothing acked is in the process alone; that it is on the disk, and not in
the system's memory, is SQLite's word for ``synchronous = FULL``, which is checked here as set.
"""

import asyncio
import json
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatops.access.identity import SYSTEM
from chatops.errors import NotFoundError, StoreUnavailableError
from chatops.sessions.model import Appended, NewEntry, Session, SessionChange
from chatops.stores.sqlite import SqliteStore
from chatops.stores.sqlite_writer import BATCH_LIMIT, GroupWriter

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "data")
    await opened.open()
    await opened.sessions.create_session(
        Session("room", "epoch", "Room", SYSTEM, datetime.now(UTC))
    )
    yield opened
    await opened.close()


async def append(store: SqliteStore, key: str, session_id: str = "room") -> Appended:
    return await store.sessions.append(
        session_id, NewEntry("message", SYSTEM, {"content": f"{key} " * 20}, key)
    )


async def pragma(store: SqliteStore, text: str) -> None:
    await store.database.write(lambda connection: connection.execute(f"PRAGMA {text}").fetchall())


async def stored_keys(store: SqliteStore, session_id: str = "room") -> list[str]:
    """Return the keys, by the contents, in the order of the numbers, which must be 1, 2, 3, ..."""
    rows = await store.database.read(
        lambda connection: connection.execute(
            "SELECT seq, payload FROM entries WHERE session_id = ? ORDER BY seq", (session_id,)
        ).fetchall()
    )
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    return [json.loads(row["payload"])["content"].split()[0] for row in rows]


def writer_of(store: SqliteStore) -> GroupWriter:
    assert store.database.writer is not None
    return store.database.writer


class Hold:
    """An operation that keeps the writer busy until :meth:`release`."""

    def __init__(self, store: SqliteStore) -> None:
        self._entered = threading.Event()
        self._go = threading.Event()
        self._done = writer_of(store).submit(self._wait)

    def _wait(self, _connection: sqlite3.Connection) -> None:
        self._entered.set()
        self._go.wait(30)

    async def entered(self) -> None:
        assert await asyncio.to_thread(self._entered.wait, 30)

    async def release(self) -> None:
        self._go.set()
        await self._done


@pytest.mark.parametrize(("senders", "commits"), [(64, 1), (BATCH_LIMIT + 88, 2)])
async def test_all_who_wait_share_one_commit(
    store: SqliteStore, senders: int, commits: int
) -> None:
    hold = Hold(store)
    await hold.entered()
    waiting = asyncio.gather(*(append(store, f"k{index}") for index in range(senders)))
    await asyncio.sleep(0)
    before = writer_of(store).commits
    await hold.release()
    done = await waiting
    assert writer_of(store).commits == before + 1 + commits
    assert [appended.entry.seq for appended in done] == list(range(1, senders + 1))


async def test_all_who_wait_share_a_few_statements(store: SqliteStore) -> None:
    said: list[str] = []
    hold = Hold(store)
    await hold.entered()
    tracing = store.database.write(lambda connection: connection.set_trace_callback(said.append))
    waiting = asyncio.gather(*(append(store, f"k{index}") for index in range(85)))
    await asyncio.sleep(0)
    await hold.release()
    await tracing
    done = await waiting
    assert [appended.entry.seq for appended in done] == list(range(1, 86))
    inserts = sum("INSERT INTO entries" in statement for statement in said)
    assert inserts == 4  # of 64, 16, 4 and 1 rows
    assert len(said) == inserts + len(("heads", "touch", "commit"))


async def test_what_waits_together_may_repeat_itself_and_change_its_session(
    store: SqliteStore,
) -> None:
    other = Session("other", "e", "Other", SYSTEM, datetime.now(UTC))
    await store.sessions.create_session(other)
    before = await append(store, "before")
    asking = NewEntry("message", SYSTEM, {"id": "msg_1", "content": "asks"}, "asks", asks=True)
    answer = NewEntry(
        "message", SYSTEM, {"id": "msg_2", "content": "answer"}, "answer", answers="msg_1"
    )
    hold = Hold(store)
    await hold.entered()
    waiting = asyncio.gather(
        append(store, "a"),
        append(store, "a", "other"),
        store.sessions.append("room", asking),
        store.sessions.append("room", answer, change=SessionChange(title="Named")),
        append(store, "b"),
    )
    await asyncio.sleep(0)
    await hold.release()
    assert [one.entry.seq for one in await waiting] == [2, 1, 3, 4, 5]
    hold = Hold(store)
    await hold.entered()
    waiting = asyncio.gather(
        append(store, "c"),
        append(store, "before"),
        append(store, "d"),
        append(store, "d"),
        append(store, "b", "other"),
    )
    await asyncio.sleep(0)
    await hold.release()
    c, repeated, d, again, b = await waiting
    assert (c.entry.seq, d.entry.seq, b.entry.seq) == (6, 7, 2)
    assert repeated == Appended(before.entry, duplicate=True)
    assert again == Appended(d.entry, duplicate=True)
    room = await store.sessions.get_session("room")
    assert room is not None
    assert (room.title, room.last_seq) == ("Named", 7)
    assert not await store.sessions.open_questions()
    assert await stored_keys(store) == ["before", "a", "asks", "answer", "b", "c", "d"]
    assert await stored_keys(store, "other") == ["a", "b"]


async def test_free_running_senders_share_commits(store: SqliteStore) -> None:
    writer = writer_of(store)
    commits, operations = writer.commits, writer.operations

    async def send(sender: int) -> None:
        for index in range(10):
            await append(store, f"{sender}-{index}")

    await asyncio.gather(*(send(sender) for sender in range(64)))
    assert writer.operations - operations == 640
    assert writer.commits - commits <= 640 / 8


async def test_a_failing_operation_is_undone_alone(store: SqliteStore) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE sessions SET title = 'half'")
        raise LookupError("mine")

    hold = Hold(store)
    await hold.entered()
    work = asyncio.gather(
        append(store, "a"),
        store.database.write(half),
        append(store, "b", "nowhere"),
        store.database.write(lambda connection: connection.execute("NOT SQL").rowcount),
        append(store, "c"),
        return_exceptions=True,
    )
    await asyncio.sleep(0)
    await hold.release()
    results = await work
    assert [type(each) for each in results] == [
        Appended,
        LookupError,
        NotFoundError,
        sqlite3.OperationalError,
        Appended,
    ]
    assert await stored_keys(store) == ["a", "c"]
    session = await store.sessions.get_session("room")
    assert session is not None
    assert session.title == "Room"


async def test_a_cancelled_sender_does_not_break_the_batch(store: SqliteStore) -> None:
    hold = Hold(store)
    await hold.entered()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(append(store, f"k{index}")) for index in range(9)]
        await asyncio.sleep(0)
        tasks[4].cancel()
        await hold.release()
    assert [task.cancelled() for task in tasks] == [index == 4 for index in range(9)]
    assert await stored_keys(store) == [f"k{index}" for index in range(9)]


async def test_every_commit_reaches_the_disk(store: SqliteStore) -> None:
    def settings(connection: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    full = 2
    assert await store.database.write(settings) == ["wal", full, 1]


async def test_readers_cannot_write(store: SqliteStore) -> None:
    with pytest.raises(StoreUnavailableError):
        await store.database.read(
            lambda connection: connection.execute("DELETE FROM sessions").rowcount
        )
    assert await store.sessions.get_session("room") is not None


async def test_closing_commits_what_is_pending(store: SqliteStore) -> None:
    hold = Hold(store)
    await hold.entered()
    waiting = asyncio.gather(*(append(store, f"k{index}") for index in range(100)))
    await asyncio.sleep(0)
    await asyncio.gather(hold.release(), store.close())
    await waiting
    await store.close()
    with pytest.raises(StoreUnavailableError, match="closed"):
        await append(store, "late")
    with pytest.raises(StoreUnavailableError, match="closed"):
        await store.sessions.get_session("room")
    with pytest.raises(StoreUnavailableError, match="closed"):
        await store.ping()
    await store.open()
    assert len(await stored_keys(store)) == 100


def test_making_a_store_does_no_work(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "data")
    assert not list(tmp_path.iterdir())


def send_until_killed(folder: Path, prefix: str, lines: int) -> list[tuple[str, int, str]]:
    """Kill a sending process after that many acks; return (session, seq, key) of all it saw."""
    with subprocess.Popen(
        [sys.executable, SUPPORT / "sqlite_sender.py", folder, prefix],
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        acked = [child.stdout.readline() for _ in range(lines)]
        child.send_signal(signal.SIGKILL)
        acked += child.stdout.readlines()
    return [
        (session_id, int(seq), key) for session_id, seq, key in (line.split() for line in acked)
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_kill_9_loses_nothing_that_was_acked(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    store = SqliteStore(tmp_path / "data")
    acked: list[tuple[str, int, str]] = []
    for turn in range(3):
        acked += await asyncio.to_thread(
            send_until_killed, store.database.folder, f"r{turn}", rng.randint(50, 3000)
        )
        await store.open()
        for session_id in ("room0", "room1", "room2"):
            keys = await stored_keys(store, session_id)
            assert len(set(keys)) == len(keys)
            session = await store.sessions.get_session(session_id)
            assert session is not None
            assert session.last_seq == len(keys)
            assert [(seq, key) for where, seq, key in acked if where == session_id] == [
                (seq, keys[seq - 1]) for where, seq, _ in acked if where == session_id
            ]
        await store.close()
    assert len(acked) >= 150


async def test_a_full_disk_refuses_and_works_again_when_there_is_room(store: SqliteStore) -> None:
    await append(store, "first")
    await pragma(store, "max_page_count = 1")  # SQLite takes the present size instead
    acked, refused = ["first"], []
    for burst in range(20):
        keys = [f"{burst}-{index}" for index in range(32)]
        results = await asyncio.gather(
            *(append(store, key) for key in keys), return_exceptions=True
        )
        for key, result in zip(keys, results, strict=True):
            if isinstance(result, Appended):
                acked.append(key)
            else:
                assert isinstance(result, StoreUnavailableError)
                assert "disk is full" in result.message
                assert result.hint
                refused.append(key)
    assert refused
    assert await stored_keys(store) == acked
    await pragma(store, "max_page_count = 1000000")
    again = [await append(store, key) for key in refused]
    assert not any(appended.duplicate for appended in again)
    assert await stored_keys(store) == acked + refused
    await store.ping()


async def test_a_store_that_became_read_only_says_so(store: SqliteStore) -> None:
    await pragma(store, "query_only = ON")
    with pytest.raises(StoreUnavailableError, match="read-only") as refused:
        await append(store, "a")
    assert "readonly" not in str(refused.value)  # the driver's word
    with pytest.raises(StoreUnavailableError, match="read-only"):
        await store.ping()
    assert await store.sessions.get_session("room") is not None
    assert store.database._connection is not None  # its BEGIN fails too, so not by a write
    store.database._connection.execute("PRAGMA query_only = OFF")
    await append(store, "a")
    await store.ping()
    assert await stored_keys(store) == ["a"]


async def test_a_locked_database_refuses_and_works_again(store: SqliteStore) -> None:
    await pragma(store, "busy_timeout = 0")
    with closing(sqlite3.connect(store.database.path, isolation_level=None)) as intruder:
        intruder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="could not save"):
            await append(store, "a")
        intruder.execute("ROLLBACK")
    assert not (await append(store, "a")).duplicate

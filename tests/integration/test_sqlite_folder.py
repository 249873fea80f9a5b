"""The SQLite store and its surroundings: disk, folder, lock, file and schema."""

import asyncio
import json
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from chatops.access.identity import Person
from chatops.assistant.usage import UsageFilter
from chatops.errors import StoreUnavailableError
from chatops.sessions.model import NewEntry
from chatops.stores.sqlite import SqliteStore
from chatops.stores.sqlite_schema import FILE_NAME, MIGRATIONS, migrate
from chatops.stores.values import key_digest

SUPPORT = Path(__file__).parents[1] / "support"


def in_own_namespace(folder: Path, mount: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script of ``support/`` after ``mount``, which only that process can see."""
    if shutil.which("unshare") is None:
        pytest.skip("needs Linux with unshare")
    folder.mkdir(exist_ok=True)
    prefix = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
    if subprocess.run([*prefix, mount, folder], check=False, capture_output=True).returncode:
        pytest.skip("this system does not let the test mount anything")
    return subprocess.run(
        [*prefix, f'{mount}; exec "$@"', folder, sys.executable, SUPPORT / script, folder, "x"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_disk_that_is_really_full_refuses_and_works_again(tmp_path: Path) -> None:
    done = in_own_namespace(
        tmp_path / "small", 'mount -t tmpfs -o size=2m tmpfs "$0"', "sqlite_on_small_disk.py"
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])  # the log comes before it
    assert seen["acked"] > 0
    assert all("disk is full" in message for message in seen["refused"])
    assert seen["refused"]
    assert seen["readable_while_full"] == seen["acked"]
    assert seen["refused_but_stored"] == 0
    assert seen["contiguous"]
    assert seen["stored"] == seen["expected"]


def test_a_read_only_folder_is_refused_at_the_start(tmp_path: Path) -> None:
    done = in_own_namespace(
        tmp_path / "fixed",
        'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"',
        "sqlite_sender.py",
    )
    assert done.returncode == 1
    assert "cannot be made or written because its disk is read-only" in done.stderr
    assert "CHATOPS_DATA_DIR" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(StoreUnavailableError, match="cannot be made or written"):
        await SqliteStore(tmp_path / "data").open()


async def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a" / "data")
    await store.open()
    await store.close()
    assert stat.S_IMODE((tmp_path / "a" / "data").stat().st_mode) == 0o700


@pytest.mark.parametrize("where", [0, 100], ids=["header", "schema"])
async def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, where: int) -> None:
    store = SqliteStore(tmp_path / "data")
    await store.open()
    await store.close()
    damaged = bytearray(store.database.path.read_bytes())
    damaged[where : where + 400] = b"\xa5" * 400
    store.database.path.write_bytes(damaged)
    for _ in range(2):  # the second refusal shows that the first left no lock behind
        with pytest.raises(StoreUnavailableError, match="is not a chatops database") as refused:
            await store.open()
        assert refused.value.hint is not None
    assert store.database.path.read_bytes() == damaged


async def test_a_second_server_on_the_folder_is_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "data")
    await store.open()
    with pytest.raises(StoreUnavailableError, match="Another chatops server uses"):
        await SqliteStore(store.database.folder).open()
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        SUPPORT / "sqlite_sender.py",
        store.database.folder,
        "x",
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await child.communicate()
    assert child.returncode == 1
    assert b"Another chatops server uses the data folder" in said
    assert b"Traceback" not in said
    await store.ping()
    await store.close()


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "data")
    await store.open()
    await store.close()
    with closing(sqlite3.connect(store.database.path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreUnavailableError, match="newer version") as refused:
        await store.open()
    assert refused.value.hint is not None
    with closing(sqlite3.connect(store.database.path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == 99


async def test_a_folder_of_before_the_language_models_is_brought_up_to_date(
    tmp_path: Path,
) -> None:
    path = tmp_path / FILE_NAME
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, path, MIGRATIONS[:2])
        connection.execute("INSERT INTO strategies (id, version, record) VALUES ('old', 1, '{}')")
    store = SqliteStore(tmp_path)
    await store.open()
    assert await store.usage.totals("day", UsageFilter()) == []
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT id FROM strategies").fetchall() == [("old",)]


async def test_a_session_of_before_the_assistant_has_it_always(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, path, MIGRATIONS[:3])
        connection.execute(
            "INSERT INTO sessions (id, epoch, title, owner_id, owner_name, created_at, touched_us,"
            " last_seq) VALUES ('old', 'e', 'Old', 'a', 'A', '2026-01-01T00:00:00+00:00', 1, 1)"
        )
        connection.execute(
            "INSERT INTO entries (session_id, seq, kind, author_id, payload)"
            " VALUES ('old', 1, 'message', 'a', '{}')"
        )
    store = SqliteStore(tmp_path)
    await store.open()
    session = await store.sessions.get_session("old")
    assert session is not None
    assert (session.assistant, session.last_seq) == ("always", 1)
    assert list(await store.sessions.open_questions()) == []
    await store.close()


ROOMS = ("room-12253", "room-21444")
"""Their keys begin with the same four bytes."""

OLD = [(1, "a", "k"), (2, "b", "k"), (3, "a", None), (4, "a", None)]


def an_older_file(path: Path) -> None:
    """Make a file of the version that still kept keys as they came."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, path, MIGRATIONS[:5])
        for room in ROOMS:
            connection.execute(
                "INSERT INTO sessions (id, epoch, title, owner_id, owner_name, created_at,"
                " touched_us, last_seq) VALUES (?, 'e', '', 'a', 'A', '2026-01-01T00:00:00+00:00',"
                " 1, 4)",
                (room,),
            )
            connection.executemany(
                "INSERT INTO entries (session_id, seq, kind, author_id, key, payload)"
                " VALUES (?, ?, 'message', ?, ?, '{}')",
                ((room, seq, author, key) for seq, author, key in OLD),
            )


async def repeats_are_repeats(store: SqliteStore) -> None:
    for room in ROOMS:
        for author, seq in (("a", 1), ("b", 2), ("c", 5)):
            entry = NewEntry("message", Person(author, author), {"id": "msg_1"}, "k")
            done = await store.sessions.append(room, entry)
            assert (done.entry.session_id, done.entry.seq) == (room, seq)
            assert done.duplicate == (seq < 5)
            assert await store.sessions.find(room, author, "k") == done.entry


async def test_a_repeat_of_what_an_older_version_stored_is_a_repeat(tmp_path: Path) -> None:
    an_older_file(tmp_path / FILE_NAME)
    store = SqliteStore(tmp_path)
    await store.open()
    await repeats_are_repeats(store)
    await store.close()


KILLED_WHILE_IT_MIGRATES = """
import os, signal, sys
from pathlib import Path
from chatops.stores import sqlite_schema, values

calls = []

def key_digest(*texts):
    calls.append(texts)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return values.key_digest(*texts)

sqlite_schema.key_digest = key_digest
sqlite_schema.open_database(Path(sys.argv[1]))
"""


def killed_while_it_migrates(path: Path) -> None:
    child = subprocess.run([sys.executable, "-c", KILLED_WHILE_IT_MIGRATES, path], check=False)
    assert child.returncode == -signal.SIGKILL


async def test_a_kill_amid_a_migration_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    an_older_file(path)
    for _ in range(2):
        killed_while_it_migrates(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (5,)
        keys = connection.execute("SELECT DISTINCT key FROM entries WHERE key IS NOT NULL")
        assert keys.fetchall() == [("k",)]
    store = SqliteStore(tmp_path)
    await store.open()
    await repeats_are_repeats(store)
    await store.close()


def test_keys_in_databases_are_found_by_every_version() -> None:
    digests = [key_digest(room, "name:kim", "client:1").hex() for room in ROOMS]
    assert digests == ["18d2d49177e385b580326de1594db33c", "18d2d49186dafb1d7d4b8a5ce5664737"]


def test_migrations_run_forward_once_and_a_failing_one_is_undone(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    second = "CREATE TABLE extra (id INTEGER); INSERT INTO extra VALUES (1)"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, path)
        migrate(connection, path, (*MIGRATIONS, second))
        migrate(connection, path, (*MIGRATIONS, second))
        with pytest.raises(sqlite3.OperationalError):
            migrate(connection, path, (*MIGRATIONS, second, "DELETE FROM extra; NOT SQL"))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS) + 1
        assert connection.execute("SELECT count(*) FROM extra").fetchone()[0] == 1

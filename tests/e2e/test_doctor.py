"""``chatops doctor`` as an operator runs it: what it says, and its exit code."""

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from chatops.backtests.market.names import BUNDLED_FOLDER
from chatops.findings import ok
from chatops.stores.sqlite_schema import FILE_NAME, MIGRATIONS
from chatops.workers.broker import broker_settings
from chatops.workers.celery_checkup import check_celery
from tests.support.program import Ended, Program
from tests.support.server import ServerProcess
from tests.support.services import mongod, redis_server

DOCTOR = [sys.executable, "-m", "chatops", "doctor"]
SECRET = "pw-that-nobody-sees"  # noqa: S105 - made up


async def doctor(folder: Path, *arguments: str, **environment: str) -> Ended:
    given = {"CHATOPS_DATA_DIR": str(folder), "CHATOPS_PORT": "0", **environment}
    async with Program([*DOCTOR, *arguments], **given) as program:
        return await program.ended()


async def rows(folder: Path, **environment: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Run it with ``--json``; return its exit code and its findings by check, settings apart."""
    done = await doctor(folder, "--json", **environment)
    told = json.loads(done.out)
    assert told["ok"] == (done.code == 0)
    return done.code, {one["check"]: one for one in told["checks"]}


async def test_a_fresh_installation_is_sound_and_nothing_is_made(tmp_path: Path) -> None:
    data = tmp_path / "data"
    done = await doctor(data)
    assert done.code == 0, done
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["ok"] * 10
    assert lines[-1] == "10 checks, nothing to do"
    assert "ready in" in done.out
    assert done.err == ""
    assert not data.exists()


async def test_beside_a_running_server_it_disturbs_nothing(server: ServerProcess) -> None:
    port = server.url.rpartition(":")[2]
    code, found = await rows(server.data_dir, CHATOPS_PORT=port)
    assert code == 0
    assert found["port"]["found"] == f"a chatops server on 127.0.0.1:{port} is up and ready"
    assert "used by a running server" in found["data folder"]["found"]
    assert f"schema {len(MIGRATIONS)}" in found["sqlite"]["found"]
    await server.stop()
    await server.start()  # nothing of the doctor holds the folder


async def test_what_is_broken_is_named_with_what_to_do(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "market").mkdir(parents=True)
    with closing(sqlite3.connect(data / FILE_NAME)) as connection:
        connection.execute("CREATE TABLE entries (number INTEGER)")
        connection.execute("PRAGMA user_version = 99")
    (data / "market" / "BAD.1d.parquet").write_bytes(b"not a table")
    shutil.copy(BUNDLED_FOLDER / "AAPL.1d.parquet", data / "market" / "OWN.1d.parquet")
    async with Program([sys.executable, "-c", _LISTENER]) as other:
        await other.says("port ")
        port = other.out[0].split()[1]
        code, found = await rows(data, CHATOPS_PORT=port)
    assert code == 1
    assert found["sqlite"]["state"] == "failed"
    assert "newer version" in found["sqlite"]["found"]
    assert found["prices"]["state"] == "warning"
    assert "BAD.1d.parquet" in found["prices"]["found"]
    assert found["port"]["state"] == "failed"
    assert "taken by another program" in found["port"]["found"]
    assert all(one["advice"] for one in found.values() if one["state"] != "ok")


_LISTENER = """
import http.server
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
print("port", server.server_port, flush=True)
server.serve_forever()
"""


async def test_several_faults_at_once_are_all_said(tmp_path: Path) -> None:
    done = await doctor(
        tmp_path / "data",
        CHATOPS_WORKERS="2",
        CHATOPS_CORS_ORIGINS="*",
        CHATOPS_HOST="203.0.113.1",
        CHATOPS_PORT="8500",
    )
    assert done.code == 1
    assert "failed   settings        CHATOPS_WORKERS is 2" in done.out
    assert "warning  settings        CHATOPS_CORS_ORIGINS is *" in done.out
    assert "failed   port            203.0.113.1 is no address of this machine" in done.out
    assert done.out.splitlines()[-1] == "12 checks: 2 failed, 2 warnings"
    assert "Traceback" not in done.out + done.err


async def test_settings_that_cannot_be_read_are_named_one_by_one(tmp_path: Path) -> None:
    done = await doctor(tmp_path, CHATOPS_PORT="99999", CHATOPS_MESSAGE_RATE="fast")
    assert done.code == 1
    assert [line.split(":")[0] for line in done.out.splitlines()] == [
        "failed   settings        CHATOPS_PORT",
        "failed   settings        CHATOPS_MESSAGE_RATE",
    ]


async def test_settings_that_cannot_be_read_are_json_too(tmp_path: Path) -> None:
    code, found = await rows(tmp_path, CHATOPS_PORT="99999")
    assert code == 1
    assert list(found) == ["settings"]
    assert "CHATOPS_PORT" in found["settings"]["found"]


async def test_servers_that_are_away_are_named_and_passwords_are_not(tmp_path: Path) -> None:
    done = await doctor(
        tmp_path / "data",
        MONGODB_URI=f"mongodb://kim:{SECRET}@127.0.0.1:1/chatops?replicaSet=rs0",
        REDIS_URL=f"redis://:{SECRET}@127.0.0.1:1/0",
        CHATOPS_QUEUE="celery",
    )
    assert done.code == 1
    for words in (
        "failed   mongodb         mongodb://127.0.0.1:1/chatops does not answer",
        "failed   redis           redis://127.0.0.1:1/0 does not answer",
        "failed   celery          the broker cannot be reached",
    ):
        assert words in done.out
    assert "sqlite" not in done.out
    assert SECRET not in done.out + done.err
    assert "Traceback" not in done.err


async def test_a_cluster_is_measured_from_end_to_end(tmp_path: Path) -> None:
    with mongod(tmp_path / "mongo") as mongo, redis_server(tmp_path / "redis") as redis:
        where = {
            "MONGODB_URI": mongo.uri("chatops"),
            "REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
            "CHATOPS_WORKERS": "2",
        }
        code, found = await rows(tmp_path / "data", **where)
        assert code == 0, found
        assert "majority" in found["mongodb write"]["found"]
        assert "on a subscription of our own" in found["redis publish"]["found"]
        assert "celery" not in found
        code, found = await rows(tmp_path / "data", **where, CHATOPS_QUEUE="celery")
        assert code == 1
        assert "no worker answers" in found["celery"]["found"]
        assert "worker process" not in found


async def test_workers_are_counted_by_name_and_take_no_orders_from_redis(tmp_path: Path) -> None:
    with mongod(tmp_path / "mongo") as mongo, redis_server(tmp_path / "redis") as redis:
        url = f"redis://127.0.0.1:{redis.port}/0"
        where = {
            "MONGODB_URI": mongo.uri("chatops"),
            "REDIS_URL": url,
            "CHATOPS_QUEUE": "celery",
            "CHATOPS_DATA_DIR": str(tmp_path / "data"),
            "CHATOPS_BACKTEST_WORKERS": "1",
        }
        worker = [sys.executable, "-m", "chatops", "worker"]
        async with Program(worker, **where) as one, Program(worker, **where) as two:
            await one.says("runs backtests")
            await two.says("runs backtests")
            found = ok("celery", "")
            async with asyncio.timeout(60):
                while not found.found.startswith("2 workers answer"):
                    found = await asyncio.to_thread(check_celery, url, "chatops")
            assert all(f"chatops-{program.pid}@" in found.found for program in (one, two))

            with Celery("stranger", set_as_current=False, fixups=[]) as stranger:
                stranger.conf.update(broker_settings(url, "chatops"))
                await asyncio.to_thread(stranger.control.shutdown)
            code, rest = await rows(tmp_path / "data", **where)
            assert code == 0, rest
            assert rest["celery"]["found"].startswith("2 workers answer")
            assert "2 servers live" in rest["mongodb schema"]["found"]


def test_too_few_open_files_for_the_wished_connections_are_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", 'ulimit -n 512; exec "$@"', "sh", *DOCTOR, "--connections", "5000"],
        env={"CHATOPS_DATA_DIR": str(tmp_path), "CHATOPS_PORT": "0", "PATH": "/usr/bin:/bin"}
        | _python_path(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0
    assert "warning  open files      512, too few for 5,000 connections" in done.stdout
    assert "LimitNOFILE=5200" in done.stdout
    assert "root has to raise it" in done.stdout


def test_a_read_only_data_folder_is_a_failure(tmp_path: Path) -> None:
    mount = 'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"'
    prefix = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
    if shutil.which("unshare") is None or (
        subprocess.run([*prefix, mount, tmp_path], check=False, capture_output=True).returncode
    ):
        pytest.skip("this system does not let the test mount anything")
    done = subprocess.run(
        [*prefix, f'{mount}; exec "$@"', tmp_path, *DOCTOR],
        env={"CHATOPS_DATA_DIR": str(tmp_path), "CHATOPS_PORT": "0", "PATH": "/usr/bin:/bin"}
        | _python_path(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert f"failed   data folder     {tmp_path} cannot be written (Read-only file" in done.stdout


def test_a_library_that_is_missing_or_too_old_is_named() -> None:
    code = (
        "from importlib import metadata\n"
        "metadata.requires = lambda _name: ['numpy>=999', 'no-such-thing>=1', 'aiohttp>=3',"
        " \"other; extra == 'x'\"]\n"
        "from chatops.doctor.installed import check_libraries\n"
        "print(check_libraries().found)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "numpy is " in done.stdout
    assert "needed is >=999; no-such-thing is missing" in done.stdout
    assert "other" not in done.stdout


def _python_path() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(path for path in sys.path if path)}

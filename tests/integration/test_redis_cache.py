"""Answers kept in a real Redis: whatever happens to it, nobody waits and nothing false is said."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from chatops.cluster import redis_cache
from chatops.cluster.redis_cache import PATIENCE_S, RedisCache
from chatops.cluster.seal import Sealer, Word
from tests.support.services import Service, redis_server

KEY = b"k" * 32
HOUR_S = 3600.0

Opener = Callable[..., RedisCache]


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Service]:
    with redis_server(tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def opener(redis: Service) -> AsyncIterator[Opener]:
    opened = []

    def open_cache(key: bytes = KEY, prefix: str = "t", login: str = "") -> RedisCache:
        cache = RedisCache(f"redis://{login}127.0.0.1:{redis.port}/0", prefix)
        cache.open(key)
        opened.append(cache)
        return cache

    yield open_cache
    for cache in opened:
        await cache.close()
        await cache.close()


async def timed(cache: RedisCache, key: str) -> tuple[str | None, float]:
    began_s = time.monotonic()
    found = await cache.get(key)
    return found, time.monotonic() - began_s


async def test_nodes_of_one_cluster_share_answers_and_strangers_do_not(opener: Opener) -> None:
    one, other = opener(), opener()
    await one.put("a", "So it is.", HOUR_S)
    assert await other.get("a") == "So it is."
    assert await opener(prefix="u").get("a") is None
    assert await opener(key=b"z" * 32).get("a") is None


async def test_what_no_node_has_put_there_is_not_believed(redis: Service, opener: Opener) -> None:
    cache = opener()
    await cache.put("other", "Of another question.", HOUR_S)
    async with Redis.from_url(f"redis://127.0.0.1:{redis.port}/0") as client:
        moved = await client.get("t:answer:other")
        assert isinstance(moved, bytes)
        hint = Sealer(KEY).seal(Word("answer", "one", "a"), b"forged")
        for planted in (b"", b"forged", moved, hint, b"x" * 20_000_000):
            await client.set("t:answer:a", planted)
            found, took_s = await timed(cache, "a")
            assert found is None
            assert took_s < 1
        assert 0 < await client.pttl("t:answer:other") <= HOUR_S * 1000
        assert b"Of another question." in moved
        assert Sealer(KEY).open(moved) is None


async def test_while_redis_is_dead_answers_are_kept_here_and_nobody_waits(
    redis: Service,
    opener: Opener,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(redis_cache, "REST_S", 0.3)
    one, other = opener(), opener()
    await one.put("before", "Known.", HOUR_S)
    redis.kill()
    for number in range(20):
        key = f"k{number}"
        began_s = time.monotonic()
        await one.put(key, "Here.", HOUR_S)
        assert await one.get(key) == "Here."
        assert time.monotonic() - began_s < 10 * PATIENCE_S
    assert await one.get("before") == "Known."
    assert await other.get("before") is None
    await asyncio.to_thread(redis.restart)
    await asyncio.sleep(0.4)
    assert await one.get("k3") == "Here."
    await one.put("after", "Shared.", HOUR_S)
    assert await other.get("after") == "Shared."
    said = capsys.readouterr().out
    assert said.count("answer_cache_away") == said.count("answer_cache_back") == 2


async def test_a_paused_redis_costs_one_short_wait(redis: Service, opener: Opener) -> None:
    cache = opener()
    await cache.put("a", "So it is.", HOUR_S)
    redis.pause()
    try:
        asked = await asyncio.gather(*(timed(cache, "a") for _ in range(50)))
        assert {found for found, _ in asked} == {"So it is."}
        assert max(took_s for _, took_s in asked) < 10 * PATIENCE_S, "they wait after each other"
        found, took_s = await timed(cache, "a")
        assert (found, took_s < PATIENCE_S) == ("So it is.", True)
    finally:
        redis.resume()


async def test_an_answer_that_comes_late_is_not_taken_for_anothers(
    redis: Service, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_cache, "REST_S", 0.0)
    cache, reader = opener(), opener()
    for number in range(20):
        await cache.put(f"k{number}", f"{number}", HOUR_S)
    redis.pause()
    await asyncio.gather(*(reader.get(f"k{number}") for number in range(20)))
    redis.resume()
    for number in reversed(range(20)):
        assert await reader.get(f"k{number}") == f"{number}"


async def test_a_redis_that_does_not_let_us_in_is_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with redis_server(tmp_path / "locked", "--requirepass", "s3cret-canary") as server:
        cache = RedisCache(f"redis://:wr0ng-canary@127.0.0.1:{server.port}/0", "t")
        cache.open(KEY)
        await cache.put("a", "Here.", HOUR_S)
        assert await cache.get("a") == "Here."
        await cache.close()
    said = capsys.readouterr().out
    assert said.count("answer_cache_away") == 1
    assert "canary" not in said


async def test_a_cache_that_is_not_open_yet_works_alone(opener: Opener, redis: Service) -> None:
    await opener().put("a", "Of the cluster.", HOUR_S)
    early = RedisCache(f"redis://127.0.0.1:{redis.port}/0", "t")
    assert await early.get("a") is None
    early.open(KEY)
    assert await early.get("a") == "Of the cluster."
    await early.close()

"""Every sentence of ``AnswerCache``, in the process and over a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from chatops.assistant.ports import AnswerCache
from chatops.cluster.cache import LONGEST_ANSWER, MOST_ANSWERS, MemoryCache
from chatops.cluster.redis_cache import RedisCache
from tests.support.services import Service, redis_server

HOUR_S = 3600.0


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnswerCache]:
    if request.param == "memory":
        yield MemoryCache()
        return
    server: Service = request.getfixturevalue("redis")
    opened = RedisCache(f"redis://127.0.0.1:{server.port}/0", tmp_path.name)
    opened.open(b"k" * 32)
    yield opened
    await opened.close()


async def test_what_was_put_is_found_under_its_key_and_no_other(cache: AnswerCache) -> None:
    assert await cache.get("a") is None
    await cache.put("a", "one\n\0 안녕 🚀", HOUR_S)
    await cache.put("b", "", HOUR_S)
    assert await cache.get("a") == "one\n\0 안녕 🚀"
    assert await cache.get("b") == ""
    assert await cache.get("A") is None


async def test_the_newest_value_of_a_key_is_found(cache: AnswerCache) -> None:
    await cache.put("a", "one", HOUR_S)
    await cache.put("a", "two", HOUR_S)
    assert await cache.get("a") == "two"


async def test_a_value_is_forgotten_when_its_time_is_over(cache: AnswerCache) -> None:
    await cache.put("short", "one", 0.1)
    await cache.put("long", "two", HOUR_S)
    await cache.put("none", "three", 0.0)
    await asyncio.sleep(0.15)
    assert await cache.get("short") is None
    assert await cache.get("long") == "two"
    assert await cache.get("none") is None


async def test_a_very_long_value_is_not_kept(cache: AnswerCache) -> None:
    await cache.put("a", "🚀" * LONGEST_ANSWER, HOUR_S)
    assert await cache.get("a") == "🚀" * LONGEST_ANSWER
    await cache.put("b", "x" * (LONGEST_ANSWER + 1), HOUR_S)
    assert await cache.get("b") is None


async def test_what_was_not_asked_for_longest_goes_first_from_memory() -> None:
    cache = MemoryCache()
    for number in range(MOST_ANSWERS):
        await cache.put(f"{number}", "x", HOUR_S)
    assert await cache.get("0") == "x"
    await cache.put("one more", "x", HOUR_S)
    assert await cache.get("0") == "x"
    assert await cache.get("1") is None
    assert await cache.get("one more") == "x"

"""Every sentence of ``FloorStore``; its leases take a second here."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest

from chatops.access.identity import Person
from chatops.assistant.ports import Floor, FloorStore, Saying
from chatops.sessions.model import Session
from chatops.sessions.ports import SessionStore
from tests.contracts.conftest import LEASE_S, OpenStore

ANN = Person("client:ann", "Ann")
BEN = Person("client:ben", "김벤")
STEP = {"command": "/strategies", "arguments": {"$set": {"a.b": None}}, "durationMs": 3}
SAYING = Saying("msg_1", "msg_2", "So far", {"model": "gpt-4o", "steps": [STEP]})
NEXT = Saying("msg_3", "msg_4", "")

T = TypeVar("T")


@pytest.fixture(autouse=True)
async def room(sessions: SessionStore) -> None:
    await make(sessions, "room")


async def make(sessions: SessionStore, name: str) -> None:
    await sessions.create_session(Session(name, "e", name, ANN, datetime.now(UTC)))


async def take(floors: FloorStore, session_id: str = "room") -> int:
    fence = await floors.take(session_id)
    assert fence is not None
    return fence


async def begin(floors: FloorStore, saying: Saying = SAYING) -> int:
    """Take the floor and answer something; return the fence."""
    fence = await take(floors)
    assert await floors.keep("room", fence, saying) == Floor("room", fence, saying)
    return fence


async def soon(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is something."""
    deadline = time.monotonic() + 10 * LEASE_S
    while not (found := await ask()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    return found


async def test_a_floor_is_taken_by_one_and_by_the_next_when_it_was_given_back(
    floors: FloorStore,
) -> None:
    assert await floors.saying("room") is None
    first = await take(floors)
    assert await floors.saying("room") == Floor("room", first)
    assert await floors.take("room") is None
    await floors.give_back("room", first)
    assert await floors.saying("room") is None
    assert await floors.take("room") == first + 1


async def test_of_20_takers_one_gets_it_each_time(floors: FloorStore) -> None:
    last = 0
    for _ in range(5):
        taken = await asyncio.gather(*(floors.take("room") for _ in range(20)))
        (fence,) = [one for one in taken if one is not None]
        assert fence == last + 1
        await floors.give_back("room", fence)
        last = fence


async def test_each_session_has_a_floor_of_its_own(
    floors: FloorStore, sessions: SessionStore
) -> None:
    await make(sessions, "other")
    fence = await begin(floors)
    other = await take(floors, "other")
    await floors.give_back("other", other)
    assert await floors.saying("room") == Floor("room", fence, SAYING)
    assert await floors.saying("other") is None


async def test_a_session_that_does_not_exist_has_no_floor(floors: FloorStore) -> None:
    assert await floors.take("nowhere") is None
    assert await floors.saying("nowhere") is None
    assert await floors.keep("nowhere", 1, SAYING) is None
    assert await floors.stop("nowhere", ANN) is False
    assert await floors.seize("nowhere", 1) is None
    await floors.give_back("nowhere", 1)
    assert list(await floors.lapsed()) == []


async def test_what_is_said_is_kept_whatever_it_is(floors: FloorStore) -> None:
    fence = await take(floors)
    for text in ("", "$turn $$NOW {'$x': 1} \0 \\ ' \" 안녕 🚀", "한글 0123456789 🚀 " * 7_000):
        saying = Saying("$msg", "msg.2", text)
        assert await floors.keep("room", fence, saying) == Floor("room", fence, saying)
        assert await floors.saying("room") == Floor("room", fence, saying)
    assert len(text) > 100_000
    await floors.give_back("room", fence)
    assert await floors.saying("room") is None
    again = await take(floors)
    assert await floors.saying("room") == Floor("room", again)


async def test_without_the_fence_nothing_is_changed(floors: FloorStore) -> None:
    old = await take(floors)
    await floors.give_back("room", old)
    assert await floors.keep("room", old, SAYING) is None
    assert await floors.saying("room") is None
    fence = await begin(floors)
    for wrong in (old, fence + 1, 0):
        assert await floors.keep("room", wrong, NEXT) is None
        await floors.give_back("room", wrong)
        assert await floors.seize("room", wrong) is None
    assert await floors.saying("room") == Floor("room", fence, SAYING)


async def test_nothing_is_stopped_where_nothing_is_said(floors: FloorStore) -> None:
    assert await floors.stop("room", ANN) is False
    fence = await take(floors)
    assert await floors.stop("room", ANN) is False
    assert await floors.saying("room") == Floor("room", fence)
    await floors.keep("room", fence, SAYING)
    await floors.give_back("room", fence)
    assert await floors.stop("room", ANN) is False
    await begin(floors)
    floor = await floors.saying("room")
    assert floor is not None
    assert floor.stopped_by is None


async def test_who_stops_first_is_kept_until_another_turn_begins(floors: FloorStore) -> None:
    fence = await begin(floors)
    assert await floors.stop("room", BEN) is True
    assert await floors.stop("room", ANN) is True
    more = Saying(SAYING.turn, SAYING.message_id, "So far and further")
    stopped = Floor("room", fence, more, BEN)
    assert await floors.keep("room", fence, more) == stopped
    assert await floors.keep("room", fence, more) == stopped
    assert await floors.saying("room") == stopped
    assert await floors.keep("room", fence, NEXT) == Floor("room", fence, NEXT)
    assert await floors.keep("room", fence, SAYING) == Floor("room", fence, SAYING)


async def test_a_stop_is_not_of_who_has_the_floor_next(floors: FloorStore) -> None:
    fence = await begin(floors)
    await floors.stop("room", BEN)
    await floors.give_back("room", fence)
    await begin(floors)


async def test_a_stop_may_be_of_one_answer_alone(floors: FloorStore) -> None:
    fence = await begin(floors)
    assert await floors.stop("room", ANN, "msg_9") is False
    assert await floors.stop("room", ANN, SAYING.turn) is False
    assert await floors.saying("room") == Floor("room", fence, SAYING)
    assert await floors.stop("room", ANN, SAYING.message_id) is True
    assert await floors.saying("room") == Floor("room", fence, SAYING, ANN)


async def test_a_stop_beside_the_holders_word_is_never_lost(floors: FloorStore) -> None:
    fence = await begin(floors)
    people = [Person(f"client:{number}", f"P{number}") for number in range(10)]
    said = [Saying(SAYING.turn, SAYING.message_id, "x" * number) for number in range(10)]
    stops = [floors.stop("room", one) for one in people]
    keeps = [floors.keep("room", fence, one) for one in said]
    done = await asyncio.gather(*(one for pair in zip(stops, keeps, strict=True) for one in pair))
    assert all(done)
    floor = await floors.keep("room", fence, SAYING)
    assert floor is not None
    assert floor.stopped_by in people


async def test_a_holder_who_keeps_the_floor_has_it_longer_than_a_lease(
    floors: FloorStore,
) -> None:
    fence = await begin(floors)
    until_s = time.monotonic() + 1.5 * LEASE_S
    while time.monotonic() < until_s:
        assert await floors.keep("room", fence, SAYING) is not None
        assert list(await floors.lapsed()) == []
        assert await floors.seize("room", fence) is None
        assert await floors.take("room") is None
        await asyncio.sleep(LEASE_S / 10)
    await floors.give_back("room", fence)
    await asyncio.sleep(1.2 * LEASE_S)
    assert list(await floors.lapsed()) == []


async def test_a_lapsed_floor_is_nobodys_and_is_seized_by_one_as_it_is(
    floors: FloorStore,
) -> None:
    fence = await begin(floors)
    await floors.stop("room", BEN)
    assert list(await soon(floors.lapsed)) == [Floor("room", fence, SAYING, BEN)]
    assert await floors.saying("room") is None
    assert await floors.take("room") is None
    assert await floors.stop("room", ANN) is False
    assert await floors.seize("room", fence - 1) is None
    seized = await asyncio.gather(*(floors.seize("room", fence) for _ in range(20)))
    assert [one for one in seized if one is not None] == [fence + 1]
    assert list(await floors.lapsed()) == []
    assert await floors.saying("room") == Floor("room", fence + 1, SAYING, BEN)
    assert await floors.keep("room", fence, NEXT) is None
    await floors.give_back("room", fence)
    assert await floors.saying("room") == Floor("room", fence + 1, SAYING, BEN)
    await floors.give_back("room", fence + 1)
    assert await floors.take("room") == fence + 2


async def test_a_holder_who_was_late_goes_on_unless_another_has_seized_it(
    floors: FloorStore,
) -> None:
    fence = await begin(floors)
    await soon(floors.lapsed)
    assert await floors.keep("room", fence, SAYING) == Floor("room", fence, SAYING)
    assert list(await floors.lapsed()) == []
    assert await floors.seize("room", fence) is None
    await soon(floors.lapsed)
    await floors.give_back("room", fence)
    assert list(await floors.lapsed()) == []
    assert await floors.take("room") == fence + 1


async def test_a_floor_outlives_the_server_that_held_it_and_has_lapsed_then(
    floors: FloorStore, sessions: SessionStore, successor: OpenStore
) -> None:
    await make(sessions, "other")
    fence = await begin(floors)
    free = await take(floors, "other")
    await floors.give_back("other", free)
    floors = (await successor()).floors
    assert list(await soon(floors.lapsed)) == [Floor("room", fence, SAYING)]
    assert await floors.saying("room") is None
    assert await floors.take("room") is None
    assert await floors.seize("room", fence) == fence + 1
    assert await floors.take("other") == free + 1


async def test_a_floor_goes_with_its_session(floors: FloorStore, sessions: SessionStore) -> None:
    fence = await begin(floors)
    assert list(await sessions.expire(datetime.now(UTC) + timedelta(days=1))) == ["room"]
    assert await floors.saying("room") is None
    assert await floors.keep("room", fence, SAYING) is None
    assert await floors.stop("room", ANN) is False
    assert await floors.take("room") is None
    await floors.give_back("room", fence)
    await make(sessions, "room")
    assert await floors.saying("room") is None
    await begin(floors)


async def test_a_lapsed_floor_goes_with_its_session(
    floors: FloorStore, sessions: SessionStore
) -> None:
    fence = await begin(floors)
    await soon(floors.lapsed)
    await sessions.expire(datetime.now(UTC) + timedelta(days=1))
    assert list(await floors.lapsed()) == []
    assert await floors.seize("room", fence) is None

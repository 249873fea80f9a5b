"""The order of one connection's events: which may be in hand together, and which wait."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatops.access.identity import Person
from chatops.errors import StoreUnavailableError
from chatops.logs import _about
from chatops.realtime.connection import INBOX, Connection, Turn
from chatops.realtime.serving import Rest, Serving
from chatops.tasks import Supervisor
from tests.support.waiting import until


class Door:
    """Serves events by their names, and writes down what it was asked and what it answered."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.answered: list[tuple[int | None, Any]] = []
        self.facts: list[int] = []
        self.store = asyncio.Event()

    def handle(self, turn: Turn) -> Rest | None:
        if turn.name.startswith("at once"):
            self.begun.append(turn.name)
            turn.reply({"ok": True})
            return None
        return self._say(turn)

    async def _say(self, turn: Turn) -> None:
        self.begun.append(turn.name)
        self.facts.append(len(_about.get()))
        if self.may_overlap(turn):
            turn.pass_on()
        await self.store.wait()
        if turn.name.endswith("refused"):
            raise StoreUnavailableError("The store is away.", "Try again.")
        turn.reply({"ok": True})

    def may_overlap(self, turn: Turn) -> bool:
        return turn.name.startswith("message")

    def gone(self, connection: Connection) -> None:
        pass

    def ack(self, _connection: Connection, ack_id: int | None, ack: dict[str, Any]) -> None:
        self.answered.append((ack_id, ack["ok"]))

    def whisper(self, connection_id: str, event: str, payload: dict[str, Any]) -> None:
        pass


@pytest.fixture
async def door() -> Door:
    return Door()


@pytest.fixture
async def serving(door: Door) -> AsyncIterator[Serving]:
    supervisor = Supervisor()
    serving = Serving(supervisor, door, None)
    serving.handler = door
    yield serving
    door.store.set()
    await supervisor.close(1.0)


@pytest.fixture
def connection() -> Connection:
    return Connection("c", "e", Person("name:kim", "Kim"), None)


def take(serving: Serving, connection: Connection, *names: str) -> None:
    for number, name in enumerate(names):
        serving.take(Turn(serving, connection, name, None, number))


async def test_messages_wait_for_the_store_together_and_are_answered_in_their_order(
    door: Door, serving: Serving, connection: Connection
) -> None:
    names = [f"message {number}" for number in range(5)]
    take(serving, connection, *names)
    await until(lambda: door.begun == names, 5, "all begin")
    door.store.set()
    await until(lambda: len(door.answered) == 5, 5, "all are answered")
    assert door.answered == [(number, True) for number in range(5)]
    await until(lambda: not connection.busy, 5, "nothing is left in hand")


@pytest.mark.parametrize("after", ["at once", "a command"])
async def test_what_is_no_message_waits_for_the_messages_before_it(
    door: Door, serving: Serving, connection: Connection, after: str
) -> None:
    take(serving, connection, "message", after, "message too")
    await until(lambda: door.begun == ["message"], 5, "the message begins")
    for _ in range(20):
        await asyncio.sleep(0)
    assert door.begun == ["message"]
    door.store.set()
    await until(lambda: len(door.answered) == 3, 5, "all are answered")
    assert door.begun == ["message", after, "message too"]


async def test_one_that_comes_alone_after_a_message_waits_for_it_too(
    door: Door, serving: Serving, connection: Connection
) -> None:
    take(serving, connection, "message")
    await until(lambda: connection.behind != [], 5, "it has passed its turn on")
    take(serving, connection, "at once")
    assert door.begun == ["message"]
    door.store.set()
    await until(lambda: door.begun == ["message", "at once"], 5, "it is served")


async def test_a_refused_message_does_not_take_others_with_it(
    door: Door, serving: Serving, connection: Connection
) -> None:
    take(serving, connection, "message 0", "message refused", "message 2")
    door.store.set()
    await until(lambda: len(door.answered) == 3, 5, "all are answered")
    assert door.answered == [(0, True), (1, False), (2, True)]


async def test_the_log_says_of_a_message_nothing_of_those_before_it(
    door: Door, serving: Serving, connection: Connection
) -> None:
    take(serving, connection, *(f"message {number}" for number in range(10)))
    await until(lambda: len(door.begun) == 10, 5, "all begin")
    assert door.facts == [1] * 10


async def test_no_more_messages_are_in_hand_than_may_wait(
    door: Door, serving: Serving, connection: Connection
) -> None:
    take(serving, connection, *(f"message {number}" for number in range(INBOX + 10)))
    await until(lambda: len(door.begun) == INBOX + 1, 5, "as many as may begin")
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(door.begun) == INBOX + 1
    assert len(connection.inbox) == 9
    door.store.set()
    await until(lambda: len(door.answered) == INBOX + 10, 5, "all are answered")

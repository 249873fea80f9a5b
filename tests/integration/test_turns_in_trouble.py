"""Turns while the store, the clock or the server are not as they should be: one end, paid once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chatops.access.identity import Person
from chatops.assistant import turns
from chatops.assistant.ports import Floor, FloorStore, Saying
from chatops.errors import StoreUnavailableError
from chatops.sessions.entries import user_message
from chatops.stores.sqlite_floors import SqliteFloorStore
from tests.support.assisted import answer, ask, room
from tests.support.provider import Provider, Say, running_provider

LONG = " ".join(f"word{number}" for number in range(900))


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with running_provider() as it:
        yield it


class Flaky:
    """Floors of a store that does some things and not others."""

    def __init__(self, real: FloorStore) -> None:
        self.keeps = True
        self._real = real

    async def take(self, session_id: str) -> int | None:
        return await self._real.take(session_id)

    async def keep(self, session_id: str, fence: int, saying: Saying) -> Floor | None:
        if not self.keeps:
            raise StoreUnavailableError("The store is away.", "Wait.")
        return await self._real.keep(session_id, fence, saying)

    async def give_back(self, session_id: str, fence: int) -> None:
        await self._real.give_back(session_id, fence)

    async def stop(self, session_id: str, person: Person, message_id: str | None = None) -> bool:
        return await self._real.stop(session_id, person, message_id)

    async def saying(self, session_id: str) -> Floor | None:
        return await self._real.saying(session_id)

    async def lapsed(self) -> Sequence[Floor]:
        return await self._real.lapsed()

    async def seize(self, session_id: str, fence: int) -> int | None:
        return await self._real.seize(session_id, fence)


if TYPE_CHECKING:
    _: type[FloorStore] = Flaky


async def test_an_answer_whose_floor_was_lost_is_ended_and_not_asked_for_again(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "FLOOR_LEASE_S", 0.5)  # what the node goes by, not the store
    provider.answers.append(Say(LONG, pause_s=0.02))
    async with room(tmp_path, provider, "Ann") as (node, (ann,)):
        flaky = Flaky(node.store.floors)
        node.turns._floors = flaky
        question = await ask(ann, "Tell me all")
        await ann.hears("messageDelta", lambda one: one["index"] == 3)
        flaky.keeps = False
        await provider.until("gone")
        flaky.keeps = True
        said = await answer(ann, question)
        assert said["metadata"]["outcome"] == "interrupted"
        assert {one["messageId"] for one in ann.all("messageDelta")} == {said["id"]}
        assert len(provider.written) == 1


async def test_a_node_that_was_late_goes_on_with_its_answer(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LOOK_EVERY_S", 0.05)
    provider.answers.append(Say("a few words and some more", pause_s=0.3))
    async with room(tmp_path, provider, "Ann") as (node, (ann,)):
        floors = node.store.floors
        assert isinstance(floors, SqliteFloorStore)
        node.turns._floors = SqliteFloorStore(floors._database, lease_s=0.1)
        said = await answer(ann, await ask(ann, "Tell me"))
        assert said["metadata"]["outcome"] == "completed"
        assert said["content"] == "a few words and some more"


async def test_questions_wait_as_long_as_those_before_them_take(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "TOO_OLD", timedelta(seconds=0.5))
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        provider.answers.append(Say("a few words and some more", pause_s=0.2))
        asked = [await ask(ann, f"question {number}") for number in range(3)]
        for question in asked:
            assert (await answer(ann, question))["metadata"]["outcome"] == "completed"


async def test_a_question_that_was_old_when_the_server_began_is_ended(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "TOO_OLD", timedelta(0))
    provider.answers.append(Say(LONG, pause_s=0.02))
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        await ask(ann, "Tell me all")
        await ann.hears("messageDelta", lambda one: one["index"] == 1)
        waiting = await ask(ann, "And then?")
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        assert (await answer(ann, waiting))["metadata"]["outcome"] == "interrupted"
        await answer(ann, await ask(ann, "And now?"))
        assert len(provider.written) == 2


async def test_a_server_without_a_key_ends_what_one_with_a_key_began(
    tmp_path: Path, provider: Provider
) -> None:
    async with room(tmp_path, provider, "Ann") as (node, _):
        fence = await node.store.floors.take("room")
        assert fence is not None
        entry = user_message("room", Person("name:ann", "Ann"), "And?", key=None, asks=True)
        question = str((await node.sessions.append("room", entry)).entry.payload["id"])
        await node.store.floors.keep("room", fence, Saying(question, "msg_1", "It is"))
    async with room(tmp_path, provider, "Ann", openai_api_key=None) as (_, (ann,)):
        said = await answer(ann, question)
        assert (said["id"], said["metadata"]["outcome"]) == ("msg_1", "interrupted")
        assert said["content"].startswith("It is\n\n*")
        assert not provider.requests


async def test_a_stop_right_after_the_question_stops_its_answer(
    tmp_path: Path, provider: Provider
) -> None:
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        for number in range(5):
            provider.answers.append(Say(LONG, pause_s=0.02))
            question, ack = await asyncio.gather(
                ask(ann, f"question {number}"), ann.ask("stopGeneration", sessionId="room")
            )
            assert ack["stopped"]
            assert (await answer(ann, question))["metadata"]["outcome"] == "stopped"

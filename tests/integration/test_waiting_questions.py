"""How many questions of one person may wait in a room."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.assisted import answer, ask, replies_to, room
from tests.support.caller import Caller
from tests.support.http import api_of
from tests.support.provider import Provider, Say, running_provider

LONG = Say(" ".join(f"word{number}" for number in range(900)), pause_s=0.02)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with running_provider() as it:
        yield it


async def say(person: Caller, text: str, key: str) -> str:
    ack = await person.ask("sendMessage", sessionId="room", content=text, clientMessageId=key)
    return str(ack["message"]["id"])


async def test_what_has_no_place_stays_a_message_and_its_author_is_told(
    tmp_path: Path, provider: Provider
) -> None:
    provider.answers.append(LONG)
    async with room(tmp_path, provider, "Ann", "Ben", assistant_waiting=2) as (_, (ann, ben)):
        first = await ask(ann, "Tell me all")
        second = await say(ann, "And then?", "k2")
        third = await say(ann, "And after that?", "k3")
        told = await ann.hears("error", lambda _: True)
        assert (told["code"], told["sessionId"]) == ("queue_full", "room")
        assert "clientMessageId" not in told  # or clients take it for a refusal in the ack
        assert told["message"].startswith("2 of your questions wait")
        assert told["hint"]
        await ben.hears("message", lambda one: one["id"] == third)
        assert await say(ann, "And then?", "k2") == second
        assert await say(ann, "And after that?", "k3") == third
        assert (await ann.refusal("/ask And now?"))["code"] == "queue_full"
        other = await ask(ben, "And what about me?")

        async with api_of(ann.url) as api:
            path = "/api/v1/chatops-advanced/session/room/chat"
            refused = await api.post(path, {"question": "Now?"}, user_id="Ann")
            assert (refused.status, refused.error["code"]) == (503, "queue_full")

        assert (await ann.ask("stopGeneration", sessionId="room"))["stopped"]
        for question in (first, second, other):
            await answer(ben, question)
        again = await ask(ann, "Is there room now?")
        await answer(ben, again)
        replies = [reply for one in ben.all("message") if (reply := replies_to(one))]
        assert replies == [first, second, other, again]
        assert len([one for one in ann.all("error") if one["code"] == "queue_full"]) == 2
        assert not ben.all("error")


async def test_there_may_be_no_bound(tmp_path: Path, provider: Provider) -> None:
    provider.answers.append(LONG)
    async with room(tmp_path, provider, "Ann", assistant_waiting=0) as (_, (ann,)):
        asked = [await ask(ann, f"question {number}") for number in range(12)]
        assert (await ann.ask("stopGeneration", sessionId="room"))["stopped"]
        for question in asked:
            await answer(ann, question)
        assert not ann.all("error")

"""Turns in a room: a whole server, a provider on a socket, people who speak at once."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chatops.assistant.usage import UsageFilter
from tests.support.assisted import answer, ask, replies_to, room
from tests.support.caller import Caller
from tests.support.provider import Provider, Say, quota, running_provider

LONG = " ".join(f"word{number}" for number in range(400))


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with running_provider() as it:
        yield it


async def test_an_answer_is_streamed_and_then_stored_as_a_whole(
    tmp_path: Path, provider: Provider
) -> None:
    provider.answers.append(Say(LONG, pause_s=0.001))
    async with room(tmp_path, provider, "Ann", "Ben") as (_, (ann, ben)):
        question = await ask(ann, "Which strategy gained most?")
        said = await answer(ben, question)
        pieces = [one for one in ben.all("messageDelta") if one["messageId"] == said["id"]]
        assert "".join(one["delta"] for one in pieces) == said["content"] == LONG
        assert [one["index"] for one in pieces] == list(range(len(pieces)))
        assert {one["replyTo"] for one in pieces} == {question}
        assert len(pieces) > 3
        assert said["role"] == "assistant"
        assert said["author"] == {"id": "assistant", "name": "assistant"}
        assert said["metadata"] == {
            "replyTo": question,
            "outcome": "completed",
            "model": "gpt-4o",
        }


async def test_pieces_come_at_most_twenty_times_a_second(
    tmp_path: Path, provider: Provider
) -> None:
    provider.answers.append(Say(LONG, pause_s=0.005))
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        began = time.monotonic()
        await answer(ann, await ask(ann, "Tell me all"))
        assert len(ann.all("messageDelta")) <= (time.monotonic() - began) * 20 + 2


@pytest.mark.parametrize("rounds", [20, pytest.param(100, marks=pytest.mark.long)])
async def test_five_people_at_once_get_one_answer_each_in_order(
    tmp_path: Path, provider: Provider, rounds: int
) -> None:
    names = ["Ann", "Ben", "Cho", "Dee", "Eun"]
    async with room(tmp_path, provider, *names) as (node, people):
        for round_ in range(rounds):
            asked = await asyncio.gather(
                *(ask(person, f"{person.session} {round_}?") for person in people)
            )
            for question in asked:
                await answer(people[0], question)
        messages = people[0].all("message")
        questions = [one["id"] for one in messages if one["role"] == "user"]
        answered = [replies_to(one) for one in messages if one["role"] == "assistant"]
        assert answered == questions
        assert len(answered) == 5 * rounds
        total = (await node.store.usage.totals("session", UsageFilter()))[0]
        assert total.cost_usd == provider.cost_usd
        assert total.calls == provider.answered == 2 * 5 * rounds


async def test_speakers_are_named_and_what_was_said_before_is_told(
    tmp_path: Path, provider: Provider
) -> None:
    async with room(tmp_path, provider, "Ann", "벤") as (_, (ann, ben)):
        await answer(ann, await ask(ann, "What is a Sharpe ratio?"))
        await ann.say("/run_backtest buy_and_hold AAPL start=2012-01-03 end=2012-06-29")
        await answer(ben, await ask(ben, "그리고 변동성은?"))
        told = provider.requests[-1]["messages"]
        assert told[0]["role"] == "system"
        assert "AAPL" in told[0]["content"]
        assert [one["content"] for one in told if one["role"] == "user"] == [
            "Ann: What is a Sharpe ratio?",
            "Ann: /run_backtest buy_and_hold AAPL start=2012-01-03 end=2012-06-29",
            "벤: 그리고 변동성은?",
        ]
        assert any("Result of /run_backtest" in one["content"] for one in told)
        assert told[-1]["role"] == "user"
        assert provider.requests[-1]["temperature"] == 0.7
        assert provider.requests[-1]["max_tokens"] == 1000


async def test_no_more_than_ten_turns_are_told(tmp_path: Path, provider: Provider) -> None:
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        for number in range(13):
            await answer(ann, await ask(ann, f"question {number}"))
        told = [one["content"] for one in provider.requests[-1]["messages"]]
        assert [one for one in told if one.startswith("Ann: ")] == [
            f"Ann: question {number}" for number in range(2, 13)
        ]


@pytest.mark.parametrize("how", ["event", "command"])
async def test_stop_ends_it_within_a_second_and_keeps_what_was_said(
    tmp_path: Path, provider: Provider, how: str
) -> None:
    provider.answers.append(Say(LONG, pause_s=0.02))
    async with room(tmp_path, provider, "Ann", "Ben") as (_, (ann, ben)):
        question = await ask(ann, "Tell me all")
        await ann.hears("messageDelta", lambda one: one["index"] == 2)
        began = time.monotonic()
        if how == "event":
            assert (await ben.ask("stopGeneration", sessionId="room"))["stopped"]
        else:
            assert (await ben.say("/stop"))["data"] == {"stopped": True}
        said = await answer(ann, question)
        assert time.monotonic() - began < 1
        assert said["metadata"]["outcome"] == "stopped"
        assert said["metadata"]["stoppedBy"]["name"] == "Ben"
        text = "".join(one["delta"] for one in ann.all("messageDelta"))
        assert said["content"] == f"{text.strip()}\n\n*Stopped by Ben.*"
        assert LONG.startswith(text.strip())
        await provider.until("gone")
        assert not (await ben.ask("stopGeneration", sessionId="room"))["stopped"]


async def test_only_the_answer_that_is_meant_is_stopped(tmp_path: Path, provider: Provider) -> None:
    provider.answers.append(Say("a few words and more", pause_s=0.1))
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        question = await ask(ann, "Tell me")
        await ann.hears("messageDelta", lambda _: True)
        other = await ann.ask("stopGeneration", sessionId="room", messageId="msg_of_another")
        assert not other["stopped"]
        assert (await answer(ann, question))["metadata"]["outcome"] == "completed"


async def test_who_joins_in_the_middle_sees_what_was_said(
    tmp_path: Path, provider: Provider
) -> None:
    provider.answers.append(Say(LONG, pause_s=0.02))
    async with room(tmp_path, provider, "Ann") as (node, (ann,)):
        question = await ask(ann, "Tell me all")
        await ann.hears("messageDelta", lambda one: one["index"] == 5)
        url = ann.url
        async with Caller(url, "room", "Late") as late:
            (stream,) = late.joined["streams"]
            await late.hears("messageDelta", lambda one: one["index"] > stream["index"] + 2)
            assert (await late.ask("stopGeneration", sessionId="room"))["stopped"]
            said = await answer(late, question)
            later = [one for one in late.all("messageDelta") if one["index"] > stream["index"]]
            assert stream["replyTo"] == question
            text = stream["content"] + "".join(one["delta"] for one in later)
            assert said["content"] == f"{text.strip()}\n\n*Stopped by Late.*"
            assert LONG.startswith(text.strip())
            assert [one["index"] for one in later] == list(
                range(stream["index"] + 1, stream["index"] + 1 + len(later))
            )
        async with Caller(url, "room", "Later") as later_still:
            assert later_still.joined["streams"] == []
        assert node.turns.available


async def test_modes(tmp_path: Path, provider: Provider) -> None:
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        assert ann.joined["session"]["assistant"] == "always"
        assert (await ann.say("/assistant addressed"))["data"] == {"mode": "addressed"}
        await ask(ann, "Ben, look at this: mail@assistant.example")
        addressed = await ask(ann, "@Assistant, what do you say?")
        await answer(ann, addressed)
        await ask(ann, "Ask @assistants, or me@assistant")
        await answer(ann, await ask(ann, "@assistant야, 뭐라고?"))
        result = await ann.say("/ask what's \"this?")
        assert result["data"]["answer"] == "The momentum strategy gained most ."
        assert result["command"] == "/ask what's \"this?"
        assert provider.requests[-1]["messages"][-1]["content"] == "Ann: what's \"this?"
        await ann.say("/assistant off")
        await ask(ann, "@assistant, and now?")
        refused = await ann.refusal("/ask and now?")
        assert refused["code"] == "assistant_off"
        assert len(provider.written) == 3
        async with Caller(ann.url, "room", "Ben") as ben:
            assert ben.joined["session"]["assistant"] == "off"
            await ben.say("/assistant always")
        await answer(ann, await ask(ann, "And now?"))


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ('/ask Is fee=0.1 "right?', {}),
        ("ask", {"question": ["Is fee=0.1", '"right?']}),
    ],
)
async def test_a_program_asks_in_the_words_that_it_gives(
    tmp_path: Path, provider: Provider, command: str, given: dict[str, Any]
) -> None:
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        result = await ann.execute(command, **given)
        assert result["command"] == '/ask Is fee=0.1 "right?'
        assert provider.requests[-1]["messages"][-1]["content"] == 'Ann: Is fee=0.1 "right?'


async def test_a_new_session_has_the_mode_of_the_settings(
    tmp_path: Path, provider: Provider
) -> None:
    async with room(tmp_path, provider, "Ann", assistant_mode="addressed") as (_, (ann,)):
        assert ann.joined["session"]["assistant"] == "addressed"


async def test_without_a_key_the_room_is_told_once_and_all_else_works(
    tmp_path: Path, provider: Provider
) -> None:
    async with room(tmp_path, provider, "Ann", "Ben", openai_api_key=None) as (_, (ann, ben)):
        assert ann.joined["session"]["assistant"] == "off"
        await ask(ann, "Hello?")
        await ask(ben, "Hello?")
        told = await ben.hears("error", lambda _: True)
        assert told["code"] == "assistant_off"
        assert "OPENAI_API_KEY" in told["hint"]
        assert (await ann.say("/status"))["success"]
        assert (await ann.refusal("/ask Hello?"))["code"] == "assistant_off"
        assert len(ben.all("error")) == 1
        assert not provider.requests


async def test_over_budget_no_request_is_made_and_the_room_sees_why(
    tmp_path: Path, provider: Provider
) -> None:
    async with room(tmp_path, provider, "Ann", budget_person_usd="0.000001") as (_, (ann,)):
        said = await answer(ann, await ask(ann, "What now?"))
        assert said["metadata"]["outcome"] == "failed"
        assert said["metadata"]["error"]["code"] == "budget_used"
        assert not provider.requests


async def test_a_failure_is_told_to_the_room_and_ends_the_turn(
    tmp_path: Path, provider: Provider
) -> None:
    provider.answers.append(quota())
    async with room(tmp_path, provider, "Ann", "Ben") as (_, (ann, ben)):
        said = await answer(ben, await ask(ann, "What now?"))
        assert said["metadata"]["error"]["code"] == "upstream_failed"
        assert "no credit" in said["content"]
        (error,) = ben.all("error")
        assert error["code"] == "upstream_failed"
        assert error["sessionId"] == "room"
        await answer(ann, await ask(ann, "And now?"))


async def test_a_broken_answer_keeps_what_was_said(tmp_path: Path, provider: Provider) -> None:
    provider.answers.append(Say("The momentum strategy", then="reset"))
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        said = await answer(ann, await ask(ann, "What now?"))
        assert said["content"].startswith("The momentum strategy\n\n*")
        assert said["metadata"]["outcome"] == "failed"


async def test_the_same_prompt_is_answered_once_an_hour(tmp_path: Path, provider: Provider) -> None:
    async with room(tmp_path, provider, "Ann") as (node, (ann,)):
        first = await answer(ann, await ask(ann, "What is a Sharpe ratio?"))
        async with Caller(ann.url, "other", "Ann") as elsewhere:
            again = await answer(elsewhere, await ask(elsewhere, "What is a Sharpe ratio?"))
            assert again["content"] == first["content"]
            assert again["metadata"]["cached"]
            assert len(provider.written) == 1
            await answer(elsewhere, await ask(elsewhere, "What is a Sharpe ratio?"))
            assert len(provider.written) == 2  # the prompt has become another
        used = await node.store.usage.totals("model", UsageFilter())
        assert {one.key: one.calls for one in used} == {"gpt-4o": 2, "gpt-4o-mini": 2}


async def test_a_repeated_message_is_answered_once(tmp_path: Path, provider: Provider) -> None:
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        asked = {"sessionId": "room", "content": "Once?", "clientMessageId": "one"}
        acks = await asyncio.gather(*(ann.ask("sendMessage", **asked) for _ in range(5)))
        question = acks[0]["message"]["id"]
        await answer(ann, question)
        await ann.ask("sendMessage", **asked)
        await answer(ann, await ask(ann, "And another?"))
        assert len(provider.written) == 2


async def test_a_server_that_goes_away_in_mid_answer_says_so(
    tmp_path: Path, provider: Provider
) -> None:
    provider.answers.append(Say(LONG, pause_s=0.02))
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        question = await ask(ann, "Tell me all")
        await ann.hears("messageDelta", lambda one: one["index"] == 1)
        waiting = await ask(ann, "And then?")
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        await answer(ann, waiting)
        entries = (await ann.ask("joinSession", sessionId="room", afterSeq=0))["entries"]
        (ended,) = [one for one in entries if replies_to(one) == question]
        assert ended["metadata"]["outcome"] == "interrupted"
        assert ended["content"].startswith("word0 word1")
        assert "Ask again" in ended["content"]


async def test_what_a_client_says_of_the_server_is_not_believed(
    tmp_path: Path, provider: Provider
) -> None:
    forged = {"replyTo": "msg_1", "assistantMode": "off", "ask": {"model": "o1-preview"}, "x": 1}
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        ack = await ann.ask("sendMessage", sessionId="room", content="Hi", metadata=forged)
        assert ack["message"]["metadata"] == {"x": 1}
        said = await answer(ann, ack["message"]["id"])
        assert said["metadata"]["model"] == "gpt-4o"

"""Answers of the assistant on several nodes, which are killed, paused and told to go."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.assisted import answer, ask, replies_to
from tests.support.caller import Caller
from tests.support.fleet import Fleet, fleet
from tests.support.log import check_numbers, stored_log
from tests.support.provider import KEY, Asked, Provider, Say, running_provider
from tests.support.server import ServerProcess
from tests.support.waiting import until

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.timeout(240),
]

SESSION = "desk"
LONG = " ".join(f"word{number}" for number in range(2_000))
SLOW = Say(" ".join(LONG.split()[:900]), pause_s=0.02)
LOOK = Say("", tools=(Asked("call_1", "symbols", "{}"),))


@asynccontextmanager
async def cluster(folder: Path, nodes: int = 2) -> AsyncIterator[tuple[Fleet, Provider]]:
    """Run nodes and the provider that they ask."""
    async with running_provider() as provider:
        settings = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": provider.url}
        async with fleet(folder, nodes=nodes, **settings) as made:
            yield made, provider


def text_of(person: Caller, question: str) -> str:
    """Return what somebody saw of an answer piece by piece."""
    pieces = [one for one in person.all("messageDelta") if one["replyTo"] == question]
    return "".join(one["delta"] for one in pieces)


async def one_answer_each(url: str) -> list[dict[str, Any]]:
    """Return the answers of the log; each question has one, in the order they were asked."""
    log = await stored_log(url, SESSION)
    check_numbers(log)
    asked = [one["id"] for one in log if one.get("role") == "user"]
    answers = [one for one in log if one.get("role") == "assistant"]
    assert [replies_to(one) for one in answers] == asked
    return answers


async def test_both_nodes_see_the_same_answer_and_either_stops_it(tmp_path: Path) -> None:
    async with (
        cluster(tmp_path) as (made, provider),
        Caller(made.urls[0], SESSION, "Ann") as ann,
        Caller(made.urls[1], SESSION, "Ben") as ben,
    ):
        question = await ask(ann, "What now?")
        whole = await answer(ben, question)
        assert whole["content"] == (await answer(ann, question))["content"]
        assert text_of(ann, question) == text_of(ben, question) == whole["content"]

        provider.answers.append(SLOW)
        question = await ask(ann, "Tell me all")
        await ben.hears("messageDelta", lambda one: one["replyTo"] == question)
        began = time.monotonic()
        assert (await ben.ask("stopGeneration", sessionId=SESSION))["stopped"]
        stopped = await answer(ben, question)
        assert time.monotonic() - began < 1.0
        assert stopped["metadata"]["stoppedBy"]["name"] == "Ben"
        assert stopped["content"].startswith(text_of(ben, question).strip())
        await one_answer_each(made.urls[1])


async def test_who_joins_on_another_node_in_mid_answer_sees_all_of_it(tmp_path: Path) -> None:
    async with (
        cluster(tmp_path) as (made, provider),
        Caller(made.urls[0], SESSION, "Ann") as ann,
    ):
        provider.answers.append(SLOW)
        question = await ask(ann, "Tell me all")
        await ann.hears("messageDelta", lambda one: one["index"] == 8)
        async with Caller(made.urls[1], SESSION, "Ben") as ben:
            await ben.hears("messageDelta", lambda one: one["index"] > 20)
            assert (await ben.ask("stopGeneration", sessionId=SESSION))["stopped"]
            whole = await answer(ben, question)
            before = "".join(one["content"] for one in ben.joined["streams"])
            seen = (before + text_of(ben, question)).strip()
            assert seen.startswith("word0 word1 word2")
            assert whole["content"].startswith(seen)


async def test_questions_on_all_nodes_get_one_answer_each_in_order(tmp_path: Path) -> None:
    async with (
        cluster(tmp_path, nodes=3) as (made, provider),
        Caller(made.urls[0], SESSION, "Ann") as ann,
        Caller(made.urls[1], SESSION, "Ben") as ben,
        Caller(made.urls[2], SESSION, "Cho") as cho,
    ):
        asked: list[str] = []
        for number in range(10):
            people = (ann, ben, cho)
            asked += await asyncio.gather(*(ask(one, f"question {number}") for one in people))
        for question in asked:
            await answer(ann, question)
        answers = []
        for url in made.urls:
            answers.append(await one_answer_each(url))
        assert answers[0] == answers[1] == answers[2]
        assert len(provider.written) == 30


async def test_what_waits_on_one_node_takes_its_place_on_another(tmp_path: Path) -> None:
    async with (
        cluster(tmp_path) as (made, provider),
        Caller(made.urls[0], SESSION, "Ann") as here,
        Caller(made.urls[1], SESSION, "Ann") as there,
    ):
        provider.answers.append(SLOW)
        for number in range(5):
            await ask(here, f"question {number}")
            await ask(there, f"question {number}")
        last = await ask(there, "And one more?")
        assert (await there.hears("error", lambda _: True))["code"] == "queue_full"
        await here.hears("message", lambda one: one["id"] == last)
        assert not here.all("error")


@pytest.mark.parametrize("how", ["kill", "pause", pytest.param("stop", marks=pytest.mark.long)])
async def test_a_node_that_goes_in_mid_answer_leaves_one_end(tmp_path: Path, how: str) -> None:
    async with cluster(tmp_path) as (made, provider):
        provider.answers += [LOOK, SLOW]
        async with Caller(made.urls[1], SESSION, "Ben") as ben:
            async with Caller(made.urls[0], SESSION, "Ann") as ann:
                question = await ask(ann, "Tell me all")
                await ben.hears("messageDelta", lambda one: one["index"] >= 20)
                waiting = await ask(ann, "And then?")
                await _go(made.nodes[0], how)
            ended = await answer(ben, question)
            assert ended["metadata"]["outcome"] == "interrupted"
            assert ended["content"].startswith("word0 word1 word2")
            assert [one["command"] for one in ended["metadata"]["steps"]] == ["/symbols"]
            assert (await answer(ben, waiting))["metadata"]["outcome"] == "completed"
            if how == "pause":
                made.nodes[0].resume()
                await until(lambda: provider.gone > 0, 30, "the one that was away has let go")
            elif how == "stop":
                await made.nodes[0].start()
            last = await ask(ben, "Is all well?")
            assert (await answer(ben, last))["metadata"]["outcome"] == "completed"
            await one_answer_each(made.urls[1])
        if how == "kill":
            await made.nodes[0].start()


async def test_a_server_alone_that_is_killed_ends_its_turn_when_it_is_back(tmp_path: Path) -> None:
    async with running_provider() as provider:
        settings = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": provider.url}
        async with ServerProcess(tmp_path / "data", **settings) as server:
            provider.answers += [LOOK, SLOW]
            async with Caller(server.url, SESSION, "Ann") as ann:
                question = await ask(ann, "Tell me all")
                await ann.hears("messageDelta", lambda one: one["index"] >= 20)
                waiting = await ask(ann, "And then?")
                await server.kill()
            await server.start()
            async with Caller(server.url, SESSION, "Ann") as ann:
                await answer(ann, waiting)
                await answer(ann, await ask(ann, "Is all well?"))
                ended, then, _ = await one_answer_each(server.url)
                assert replies_to(ended) == question
                assert ended["metadata"]["outcome"] == "interrupted"
                assert ended["content"].startswith("word0 word1 word2")
                assert [one["command"] for one in ended["metadata"]["steps"]] == ["/symbols"]
                assert replies_to(then) == waiting


async def _go(node: ServerProcess, how: str) -> None:
    if how == "kill":
        await node.kill()
    elif how == "pause":
        node.pause()
    else:
        assert await node.stop() == 0


async def test_an_answer_waits_for_a_store_that_is_away(tmp_path: Path) -> None:
    async with (
        cluster(tmp_path, nodes=1) as (made, provider),
        Caller(made.urls[0], SESSION, "Ann") as ann,
    ):
        provider.answers.append(Say("a few words more", pause_s=0.3))
        question = await ask(ann, "What now?")
        await ann.hears("messageDelta", lambda one: one["replyTo"] == question)
        made.mongo.pause()
        await asyncio.sleep(3)
        made.mongo.resume()
        said = await answer(ann, question)
        assert said["content"].startswith("a few words more")
        await answer(ann, await ask(ann, "And now?"))
        await one_answer_each(made.urls[0])

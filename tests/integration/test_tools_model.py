"""A cheap model that chooses the tools of a turn, and the default one that writes the answer."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatops.access.identity import Person
from chatops.assistant.answering import READY, ROUNDS
from chatops.assistant.asking import AskOptions
from chatops.assistant.usage import UsageFilter
from tests.support.assisted import answer, ask, room
from tests.support.provider import Asked, Provider, Say, running_provider

LOOK = Say("", tools=(Asked("call_1", "symbols", "{}"),))

ONE_MODEL = (
    '[policies.chatops_advanced]\nallowed_tiers = ["STANDARD"]\n'
    'default_model = "gpt-4o"\nrequired_capabilities = ["CHAT", "FUNCTION_CALLING"]\n'
)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with running_provider() as it:
        yield it


def models(provider: Provider) -> list[str]:
    return [one["model"] for one in provider.requests]


async def test_one_model_chooses_and_the_default_one_writes(
    tmp_path: Path, provider: Provider
) -> None:
    look = Say("I shall look .", tools=LOOK.tools)
    provider.answers += [look, Say("There is {{r1.nothing}} and AAPL .")]
    async with room(tmp_path, provider, "Ann") as (node, (ann,)):
        said = await answer(ann, await ask(ann, "Which symbols are there?"))
        used = await node.store.usage.totals("model", UsageFilter(service="chatops_advanced"))
    assert said["content"] == "There is [unknown figure] and AAPL ."
    assert said["metadata"]["model"] == "gpt-4o"
    assert [one["command"] for one in said["metadata"]["steps"]] == ["/symbols"]
    pieces = [one["delta"] for one in ann.all("messageDelta")]
    assert "".join(pieces) == said["content"]
    assert models(provider) == ["gpt-4o-mini", "gpt-4o-mini", "gpt-4o"]
    choose, again, write = provider.requests
    for asked in (choose, again):
        assert asked["tool_choice"] == "required"
        assert [one["function"]["name"] for one in asked["tools"]][-2:] == ["read_result", "answer"]
    assert {"tools", "tool_choice"}.isdisjoint(write)
    assert write["messages"][1:] == again["messages"][1:]
    assert write["messages"][-1]["role"] == "tool"
    assert write["messages"][-2]["content"] is None
    assert write["messages"][0]["content"].startswith(choose["messages"][0]["content"])
    assert "nothing more can be run" in write["messages"][0]["content"]
    assert {one.key: one.calls for one in used} == {"gpt-4o": 1, "gpt-4o-mini": 2}
    assert sum(one.cost_usd for one in used) == provider.cost_usd
    assert all(one.estimated == 0 for one in used)


async def test_what_is_asked_for_beside_the_answer_is_run_and_looked_at(
    tmp_path: Path, provider: Provider
) -> None:
    both = Say("", tools=(*LOOK.tools, Asked("call_2", READY.name, "{}")))
    provider.answers += [both, Say("AAPL .")]
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        said = await answer(ann, await ask(ann, "Which symbols are there?"))
    assert [one["command"] for one in said["metadata"]["steps"]] == ["/symbols"]
    assert models(provider) == ["gpt-4o-mini", "gpt-4o-mini", "gpt-4o"]
    (called,) = provider.requests[-1]["messages"][-2]["tool_calls"]
    assert called["function"]["name"] == "symbols"


async def test_who_chooses_without_end_is_ended(tmp_path: Path, provider: Provider) -> None:
    provider.answers += [LOOK] * ROUNDS
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        said = await answer(ann, await ask(ann, "Which symbols are there?"))
    assert said["content"] == Say().text
    assert len(said["metadata"]["steps"]) == ROUNDS
    assert models(provider) == ["gpt-4o-mini"] * ROUNDS + ["gpt-4o"]


async def test_one_that_speaks_where_it_should_choose_is_not_heard(
    tmp_path: Path, provider: Provider
) -> None:
    provider.obeys = False
    provider.answers += [Say("I would say so ."), Say("It is so .")]
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        said = await answer(ann, await ask(ann, "Is it so?"))
    assert said["content"] == "It is so ."
    assert "would" not in json.dumps([ann.all("messageDelta"), provider.requests[-1]["messages"]])


async def test_stopped_while_it_chooses_nothing_is_written(
    tmp_path: Path, provider: Provider
) -> None:
    provider.answers.append(Say("", tools=LOOK.tools, silent_s=30))
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        question = await ask(ann, "Which symbols are there?")
        await provider.until("asked")
        assert (await ann.ask("stopGeneration", sessionId="room"))["stopped"]
        said = await answer(ann, question)
    assert said["content"] == "*Stopped by Ann.*"
    assert models(provider) == ["gpt-4o-mini"]


async def test_the_budget_is_looked_at_before_each_of_the_two(
    tmp_path: Path, provider: Provider
) -> None:
    """A thousand tokens of gpt-4o cost a cent; of gpt-4o-mini, with the tools, a fifth of one."""
    async with room(tmp_path, provider, "Ann", budget_person_usd="0.008") as (_, (ann,)):
        said = await answer(ann, await ask(ann, "What now?"))
    assert said["metadata"]["error"]["code"] == "budget_used"
    assert models(provider) == ["gpt-4o-mini"]


@pytest.mark.parametrize("why", ["the file", "the request"])
async def test_one_model_does_it_all_where_that_is_chosen(
    tmp_path: Path, provider: Provider, why: str
) -> None:
    look = Say("I shall look .", tools=LOOK.tools)
    provider.answers += [look, Say("There is AAPL .")]
    path = tmp_path / "models.toml"
    path.write_text(ONE_MODEL if why == "the file" else "")
    async with room(tmp_path, provider, "Ann", models_file=path) as (node, (ann,)):
        if why == "the file":
            said = await answer(ann, await ask(ann, "Which symbols are there?"))
        else:
            posted = await node.chat.post(
                "room",
                Person("name:ann", "Ann"),
                "Which symbols are there?",
                whisper=lambda *_: None,
                ask=AskOptions(model_id="gpt-4o"),
            )
            assert posted.message is not None
            said = await answer(ann, posted.message["id"])
    assert said["content"] == "I shall look .\n\nThere is AAPL ."
    assert models(provider) == ["gpt-4o", "gpt-4o"]
    assert all("tool_choice" not in one for one in provider.requests)
    names = [one["function"]["name"] for one in provider.requests[-1]["tools"]]
    assert READY.name not in names

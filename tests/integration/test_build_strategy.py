"""/build_strategy: a whole server, and a provider that answers well, badly, or not at all."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.assisted import room
from tests.support.provider import Provider, Say, running_provider

GOOD = {
    "name": "quick_cross",
    "type": "sma_crossover",
    "params": {"short_window": 10, "long_window": 30},
    "description": "Long while the 10 day average is above the 30 day one.",
    "problem": None,
}
ASKED = '/build_strategy Long while sma(10) > sma(30), e.g. "fast=10"'


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with running_provider() as it:
        yield it


def saying(**changes: object) -> Say:
    return Say(json.dumps({**GOOD, **changes}, separators=(",", ":")))


async def test_what_is_described_is_saved_and_runs(tmp_path: Path, provider: Provider) -> None:
    provider.answers.append(saying())
    async with room(tmp_path, provider, "Ann") as (node, (ann,)):
        built = (await ann.say(ASKED))["data"]["strategy"]
        assert built["strategyId"] == "quick_cross"
        assert built["params"] == {"short_window": 10, "long_window": 30}
        assert built["owner"] == "Ann"
        (request,) = provider.requests
        assert request["model"] == "gpt-4o-mini"
        assert request["messages"][1]["content"] == ASKED.removeprefix("/build_strategy ")
        assert "sma_crossover" in request["messages"][0]["content"]
        assert (await ann.say("/run_backtest quick_cross AAPL start=2012-01-03"))["success"]
        assert (await node.store.strategies.get_strategy("quick_cross")) is not None


@pytest.mark.parametrize(
    "mistake",
    [
        saying(type="rsi"),
        saying(params={"short_window": 50, "long_window": 30}),
        saying(params={"window": 50}),
        saying(params={"short_window": "ten"}),
        saying(name="no name"),
        saying(name="macd"),
        Say("I would buy low and sell high."),
        Say("[]"),
    ],
)
async def test_a_mistake_is_told_to_the_model_which_tries_again(
    tmp_path: Path, provider: Provider, mistake: Say
) -> None:
    provider.answers += [mistake, saying()]
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        assert (await ann.say(ASKED))["success"]
        told = provider.requests[1]["messages"]
        assert told[-2]["content"] == " ".join(mistake.text.split())
        assert told[-1]["content"].startswith("That is not valid: ")


async def test_a_model_that_never_gives_anything_valid_is_given_up(
    tmp_path: Path, provider: Provider
) -> None:
    provider.answers += [Say("No.")] * 9
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        result = await ann.say(ASKED)
        assert not result["success"]
        assert result["data"]["error"]["code"] == "upstream_failed"
        assert len(provider.requests) == 3


async def test_what_no_rule_does_is_said(tmp_path: Path, provider: Provider) -> None:
    provider.answers.append(saying(problem="No rule trades options."))
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        result = await ann.say(ASKED)
        assert result["data"]["error"]["message"] == "No rule trades options."


async def test_without_a_model_it_is_refused(tmp_path: Path, provider: Provider) -> None:
    async with room(tmp_path, provider, "Ann", openai_api_key=None) as (_, (ann,)):
        assert (await ann.refusal(ASKED))["code"] == "assistant_off"

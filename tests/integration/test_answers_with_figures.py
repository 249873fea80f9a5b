"""A model that runs a backtest for its answer, refers to figures, and makes others up."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatops.backtests.answers import figure
from tests.support.assisted import answer, ask, room
from tests.support.provider import Asked, Provider, Say, running_provider


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with running_provider() as it:
        yield it


async def test_the_room_sees_the_run_its_true_figures_and_a_mark_at_the_others(
    tmp_path: Path, provider: Provider
) -> None:
    arguments = json.dumps({"strategy": "sma_crossover", "symbols": ["AAPL"]})
    provider.answers += [
        Say("Let me see .", tools=(Asked("call_1", "run_backtest", arguments),)),
        Say("Sharpe ratio {{r1.sharpe_ratio}} , return {{r1.total_return}} , trades : 777 ."),
    ]
    async with room(tmp_path, provider, "Ann", "Ben") as (_, (ann, ben)):
        said = await answer(ben, await ask(ann, "How good is sma_crossover on AAPL?"))
        result = await ben.hears("commandResult", lambda _: True)
        pieces = [one for one in ben.all("messageDelta") if one["messageId"] == said["id"]]
    metrics = result["data"]["metrics"]
    sharpe, gain = (figure(name, metrics[name]) for name in ("sharpe_ratio", "total_return"))
    assert said["content"] == (
        f"Sharpe ratio {sharpe} , return {gain} , trades : 777 (unverified) ."
    )
    assert "".join(one["delta"] for one in pieces) == said["content"]
    (step,) = said["metadata"]["steps"]
    assert (step["command"], step["success"]) == ("/run_backtest sma_crossover AAPL", True)
    assert step["arguments"] == json.loads(arguments)
    assert said["metadata"]["figures"] == [
        {"text": sharpe, "ref": "r1.sharpe_ratio", "verified": True},
        {"text": gain, "ref": "r1.total_return", "verified": True},
        {"text": "777", "verified": False},
    ]
    assert result["requestedBy"]["name"] == "Ann"
    assert result["command"] == step["command"]
    told = provider.requests[-1]["messages"][-1]
    assert told["role"] == "tool"
    assert json.loads(told["content"])["figures"]["{{r1.sharpe_ratio}}"] == sharpe

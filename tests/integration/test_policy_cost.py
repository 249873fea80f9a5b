"""What the default policies cost beside the same calls on gpt-4o, as /usage shows it."""

import json
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from chatops.assistant.catalogue import BUILT_IN
from chatops.assistant.messages import Tokens
from tests.support.assisted import answer, ask, room
from tests.support.provider import Asked, Provider, Say, running_provider

ROUNDS = 5

STRATEGY = Say(
    json.dumps(
        {
            "name": "cross",
            "type": "sma_crossover",
            "params": {"short_window": 10, "long_window": 30},
            "description": "Long while the 10 day average is above the 30 day one.",
            "problem": None,
        }
    )
)
WORDS = Say(
    json.dumps(
        {
            "summary": "Both strategies were long for most of the time and rose with the market. "
            * 2,
            "recommendation": "Take the one that fell less, and look at it again after a fall. "
            * 2,
            "reasoning": "The ranks come from the median of the paths, and their spread is wide. "
            * 4,
        }
    )
)
TALK = Say("It rose with the market and fell less than holding did , as the result shows . " * 4)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with running_provider() as it:
        it.counts_bytes = True
        yield it


async def test_the_default_policies_beside_all_calls_on_gpt_4o(
    tmp_path: Path, provider: Provider, record_property: Callable[[str, object], None]
) -> None:
    """One of each service's work in turn: a strategy, a question with a tool, a comparison."""
    async with room(tmp_path, provider, "Ann") as (_, (ann,)), aiohttp.ClientSession() as http:
        for number in range(ROUNDS):
            name = f"cross_{number}"
            provider.answers.append(Say(STRATEGY.text.replace('"cross"', f'"{name}"')))
            assert (await ann.say("/build_strategy Long above the average of 30 days"))["success"]
            run = json.dumps({"strategy": name, "symbols": ["AAPL"]})
            provider.answers += [Say("", tools=(Asked("call_1", "run_backtest", run),)), TALK]
            said = await answer(ann, await ask(ann, f"How did {name} do on AAPL?"))
            assert said["metadata"]["steps"][0]["success"]
            provider.answers.append(WORDS)
            async with http.post(
                f"{ann.url}/api/v1/chatops-advanced/strategies/compare",
                json={"strategy_ids": [name, "macd"], "metrics": ["sharpe_ratio"]},
            ) as compared:
                assert (await compared.json())["worded_by"] == "gpt-4o"
        usage = (await ann.say("/usage by=service"))["data"]
    assert Decimal(usage["total"]["costUsd"]) == provider.cost_usd
    tokens = Tokens(usage["total"]["inputTokens"], usage["total"]["outputTokens"], 0)
    on_gpt_4o = BUILT_IN["gpt-4o"].cost_usd(tokens)
    record_property("less than on gpt-4o alone", f"{1 - provider.cost_usd / on_gpt_4o:.1%}")
    assert provider.cost_usd < on_gpt_4o
    cheap = [row for row in usage["rows"] if row["key"] == "strategy_builder"]
    assert Decimal(cheap[0]["costUsd"]) * 16 < Decimal(cheap[0]["dearestUsd"])

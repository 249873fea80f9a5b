"""What the default policies cost beside the same work on gpt-4o alone, as /usage shows it."""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.assisted import answer, ask, room
from tests.support.caller import Caller
from tests.support.provider import Asked, Provider, Say, running_provider

ROUNDS = 2

ON_GPT_4O = """
[policies.strategy_builder]
allowed_tiers = ["STANDARD"]
default_model = "gpt-4o"

[policies.chatops_advanced]
allowed_tiers = ["STANDARD"]
default_model = "gpt-4o"
required_capabilities = ["CHAT", "FUNCTION_CALLING"]
"""
"""One model for everything, which chooses its tools itself: the usual loop of rounds."""

STRATEGY = {
    "name": "cross",
    "type": "sma_crossover",
    "params": {"short_window": 10, "long_window": 30},
    "description": "Long while the 10 day average is above the 30 day one.",
    "problem": None,
}
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
FOUND = Say(
    "It returned {{r1.total_return}} at a Sharpe ratio of {{r1.sharpe_ratio}} , and fell by "
    "{{r1.max_drawdown}} at worst . It rose with the market and lost less in the long falls , "
    "because it was out for most of them ; it came back late after each , which cost it some of "
    "the gain . I would look at the fee next , for it trades often ."
)
TALK = Say(
    "The Sharpe ratio is the mean return beyond the risk-free rate over its deviation . It does "
    "not care for the order of returns , so two strategies with the same ratio may have fallen "
    "very differently ; the drawdown tells you that . Look at both before you choose ."
)


def run(number: int, strategy: str, *symbols: str) -> Asked:
    arguments = json.dumps({"strategy": strategy, "symbols": symbols})
    return Asked(f"call_{number}", "run_backtest", arguments)


def questions(strategy: str) -> Iterator[tuple[str, list[Say]]]:
    """Yield what is asked in a round of work, and what the models say to it, tools first."""
    listed = Say("", tools=(Asked("call_0", "strategies", "{}"),))
    mine = Say("", tools=(run(1, strategy, "AAPL"),))
    yield f"How did {strategy} do on Apple?", [mine, FOUND]
    yield "And what does that ratio leave out?", [TALK]
    yield "How is buying and holding IBM?", [Say("", tools=(run(1, "buy_and_hold", "IBM"),)), FOUND]
    pair = (run(1, "macd", "MSFT"), run(2, "momentum", "MSFT"))
    yield "Is MACD or momentum better on Microsoft?", [Say("", tools=pair), FOUND]
    yield "Which would you take in a calm year?", [TALK]
    yield (
        "Which of ours suits Microsoft, and how did it do?",
        [
            listed,
            Say("", tools=(run(1, "rsi_mean_reversion", "MSFT"),)),
            FOUND,
        ],
    )
    yield "Thanks. What should we look at tomorrow?", [TALK]


async def work(
    ann: Caller, provider: Provider, http: aiohttp.ClientSession
) -> tuple[list[str], dict[str, Any]]:
    """Do a mix of work; return the answers, and what /usage shows of it."""
    said = []
    for number in range(ROUNDS):
        name = f"cross_{number}"
        provider.answers.append(Say(json.dumps({**STRATEGY, "name": name})))
        assert (await ann.say("/build_strategy Long above the average of 30 days"))["success"]
        for question, answers in questions(name):
            provider.answers += answers
            told = await answer(ann, await ask(ann, question))
            assert all(step["success"] for step in told["metadata"].get("steps", ()))
            assert len(told["metadata"].get("steps", ())) == sum(len(one.tools) for one in answers)
            said.append(told["content"])
        provider.answers.append(WORDS)
        async with http.post(
            f"{ann.url}/api/v1/chatops-advanced/strategies/compare",
            json={"strategy_ids": [name, "macd"], "metrics": ["sharpe_ratio"]},
        ) as compared:
            assert (await compared.json())["worded_by"] == "gpt-4o"
    assert not provider.answers
    return said, (await ann.say("/usage by=model"))["data"]


async def test_the_default_policies_beside_the_same_work_on_gpt_4o(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Eighteen pieces of work, twice through whole servers: it costs at least 30 % less."""
    models_file = tmp_path / "models.toml"
    models_file.write_text(ON_GPT_4O)
    said, costs, calls = [], [], []
    async with aiohttp.ClientSession() as http:
        for folder, file in (("alone", models_file), ("default", None)):
            async with (
                running_provider() as provider,
                room(tmp_path / folder, provider, "Ann", models_file=file) as (_, (ann,)),
            ):
                provider.counts_bytes = True
                answers, usage = await work(ann, provider, http)
                assert Decimal(usage["total"]["costUsd"]) == provider.cost_usd
                assert usage["total"]["estimated"] == 0
                said.append(answers)
                costs.append(provider.cost_usd)
                calls.append({row["key"]: row["calls"] for row in usage["rows"]})
    assert said[0] == said[1]
    less = 1 - costs[1] / costs[0]
    record_property("less than on gpt-4o alone", f"{less:.1%} (${costs[1]}, ${costs[0]})")
    record_property("calls", calls)
    assert set(calls[0]) == {"gpt-4o"}
    assert less >= Decimal("0.3")

"""Backtests and comparisons over HTTP: the jobs of the commands, on the bundled prices."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chatops.bootstrap import Node
from tests.support.caller import Caller
from tests.support.http import Api, Told, api_of
from tests.support.inprocess import running_node
from tests.support.provider import KEY, Provider, Say, quota, running_provider

pytestmark = pytest.mark.asyncio(loop_scope="module")

COMPARE = "/api/v1/chatops-advanced/strategies/compare"
TRIGGER = "/api/v1/chatops-advanced/backtest/trigger"
WISH = {
    "strategy_ids": ["sma_crossover", "momentum"],
    "metrics": ["sharpe_ratio", "max_drawdown"],
    "natural_language_query": "Which one is calmer?",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[Provider]:
    async with running_provider() as it:
        yield it


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    tmp_path_factory: pytest.TempPathFactory, provider: Provider
) -> AsyncIterator[tuple[Node, str]]:
    async with running_node(
        tmp_path_factory.mktemp("backtests"),
        openai_api_key=KEY,
        openai_base_url=provider.url,
        assistant_retries=0,
        backtest_workers=2,
    ) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def api(server: tuple[Node, str]) -> AsyncIterator[Api]:
    async with api_of(server[1]) as it:
        yield it


def wish(reason: str = "", **config: Any) -> dict[str, Any]:
    return {
        "strategy_config": {
            "name": "Fast cross",
            "description": "Averages of 10 and 30 days.",
            "config": {"config_type": "sma_crossover", **config},
        },
        "trigger_reason": reason,
        "generate_report": True,
        "notify_on_completion": True,
    }


async def report(api: Api, url: str) -> Told:
    """Ask for the report until it is there; what comes before must say that it is not yet."""
    async with asyncio.timeout(60):
        while (told := await api.get(url)).status == 202:
            assert told.body["status"] in ("queued", "running")
            await asyncio.sleep(0.1)
    return told


def words(*figures: str) -> dict[str, str]:
    """Return words of a model about figures."""
    told = f"The first is calmer than the second: {', '.join(figures)}. That may be chance alone."
    return dict.fromkeys(("summary", "recommendation", "reasoning"), told)


# ---------------------------------------------------------------------------- triggering


async def test_a_triggered_backtest_is_the_command_of_the_room(
    server: tuple[Node, str], api: Api
) -> None:
    async with Caller(server[1], "desk", "Ann") as ann:
        body = wish("Monday review", symbols=["AAPL"], short_window=10, long_window=30)
        body["session_id"] = "desk"
        told = await api.post(TRIGGER, body, user_id="Kim")
        assert told.status == 200
        started = told.body
        assert started["session_id"] == "desk"
        assert started["report_url"] == f"/api/v1/backtests/{started['backtest_id']}/report"
        said = await ann.hears("message", lambda one: one["content"].startswith("/run_backtest"))
        assert said["author"] == {"id": "name:kim", "name": "Kim"}
        assert said["metadata"]["trigger"] == {
            "name": "Fast cross",
            "description": "Averages of 10 and 30 days.",
            "reason": "Monday review",
            "notify": True,
        }
        result = await ann.result_of(said["metadata"]["commandId"])
        assert result["success"]
        assert result["data"]["backtestId"] == started["backtest_id"]
        assert result["data"]["strategy"]["params"] == {"short_window": 10, "long_window": 30}
        # The same line, typed, is the same job.
        typed = await ann.say(said["content"])
        assert typed["data"]["reused"]
        assert typed["data"]["backtestId"] == started["backtest_id"]
    told = await report(api, started["report_url"])
    assert told.status == 200
    assert told.text.startswith("**sma_crossover")
    assert f"/api/v1/backtests/{started['backtest_id']}/chart.png" in told.text
    state = (await api.get(f"/api/v1/backtests/{started['backtest_id']}")).body
    assert state["state"] == "completed"
    chart = await api.get(f"/api/v1/backtests/{started['backtest_id']}/equity.csv")
    assert chart.text.startswith("time,")


async def test_the_estimate_is_of_this_machines_own_runs(
    server: tuple[Node, str], api: Api
) -> None:
    first = (await api.post(TRIGGER, wish(short_window=7, long_window=21))).body
    assert first["session_id"] == "http"
    await report(api, first["report_url"])
    took = list(await server[0].store.jobs.durations_s("backtest", 20))
    second = wish(short_window=8, long_window=21)
    second["generate_report"] = False
    told = (await api.post(TRIGGER, second)).body
    assert told["report_url"] is None
    assert told["status"] in ("queued", "running", "completed")
    assert min(took) * 0.5 < told["estimated_duration_seconds"] < max(took) * 2
    again = (await api.post(TRIGGER, wish(short_window=7, long_window=21))).body
    assert (again["backtest_id"], again["status"]) == (first["backtest_id"], "completed")


@pytest.mark.parametrize(
    ("config", "status", "word"),
    [
        ({"config_type": "sma_crosover"}, 404, "sma_crossover"),
        ({"short_window": 10_000}, 400, "short_window"),
        ({"nonsense": 1}, 400, "nonsense"),
        ({"symbols": ["NOSUCH"]}, 404, "NOSUCH"),
        ({"start": "2030-01-01"}, 400, "2030-01-01"),
        ({"short_window": {"a": 1}}, 422, "short_window"),
        ({"start": "Monday"}, 422, "start"),
    ],
)
async def test_what_cannot_run_is_refused_and_the_room_sees_nothing(
    api: Api, config: dict[str, Any], status: int, word: str
) -> None:
    told = await api.post(TRIGGER, wish(**config))
    assert told.status == status, told.text
    assert word in told.text


async def test_a_report_that_will_not_come_says_so(server: tuple[Node, str], api: Api) -> None:
    assert (await api.get("/api/v1/backtests/bt_none/report")).status == 404
    async with Caller(server[1], "desk", "Ann") as ann:
        before = {now.job.id for now in server[0].jobs.standing()}
        slow = [
            (await api.post(TRIGGER, wish(short_window=number, long_window=200))).body
            for number in range(20, 26)
        ]
        last = slow[-1]["backtest_id"]
        assert last not in before
        assert slow[-1]["status"] == "queued"
        waiting = await api.get(slow[-1]["report_url"])
        assert waiting.status == 202
        assert waiting.body["hint"]
        await ann.say(f"/cancel {last}")
        told = await report(api, slow[-1]["report_url"])
        assert told.status == 404
        assert "cancelled by Ann" in told.error["message"]


# ---------------------------------------------------------------------------- comparing


async def compared(api: Api, **more: Any) -> dict[str, Any]:
    told = await api.post(COMPARE, {**WISH, **more}, user_id="Kim")
    assert told.status == 200, told.text
    found: dict[str, Any] = told.body
    return found


async def test_a_comparison_has_the_figures_of_the_command_and_words_of_the_model(
    server: tuple[Node, str], api: Api, provider: Provider
) -> None:
    async with Caller(server[1], "compare", "Ann") as ann:
        result = (await ann.say("/compare_strategies sma_crossover momentum"))["data"]
        figures = [f"{one['metrics']['sharpe_ratio']:.2f}" for one in result["strategies"]]
        drawdowns = [f"{-one['metrics']['max_drawdown']:.1%}" for one in result["strategies"]]
        said = words(*figures, *drawdowns)
        provider.answers.append(Say(json.dumps(said)))
        told = await compared(api, session_id="compare")
        command = await ann.hears(
            "message", lambda one: one["author"]["name"] == "Kim" and "/compare" in one["content"]
        )
        assert (await ann.result_of(command["metadata"]["commandId"]))["data"]["reused"]
    assert told["query"] == "Which one is calmer?"
    assert {name: told[name] for name in said} == said
    assert told["worded_by"] == "gpt-4o"
    assert told["backtest_id"] == result["backtestId"]
    for ours, theirs in zip(told["strategies"], result["strategies"], strict=True):
        assert ours["strategy_id"] == theirs["strategyId"]
        assert ours["ranks"] == theirs["ranks"]
        assert ours["metrics"] == {name: theirs["metrics"][name] for name in WISH["metrics"]}
    places = [(one["rank"], one["strategyId"], one["score"]) for one in result["ranking"]]
    ranks = [(one["rank"], one["strategy_id"], one["score"]) for one in told["ranking"]]
    assert ranks == places
    statistics = told["statistics"]
    assert statistics["correlation"] == result["correlation"]
    assert statistics["monte_carlo"]["seed"] == result["monteCarlo"]["seed"]
    asked = provider.requests[-1]
    assert asked["model"] == "gpt-4o"
    assert "Which one is calmer?" in asked["messages"][1]["content"]
    totals = (await api.get("/api/v1/usage", by="service", session_id="compare")).body
    assert [one["key"] for one in totals["rows"]] == ["narrative_report"]


@pytest.mark.parametrize(
    "answer",
    [
        quota(),
        Say("I would rather not ."),
        Say(json.dumps(words("0.123456"))),
        Say(json.dumps({**words("calm"), "summary": "Too short."})),
        Say(json.dumps({"summary": "x" * 100})),
    ],
    ids=["quota", "no json", "altered figure", "short", "parts missing"],
)
async def test_words_that_cannot_be_believed_give_way_to_the_figures(
    api: Api, provider: Provider, answer: Any
) -> None:
    provider.answers.append(answer)
    told = await compared(api)
    assert told["worded_by"] is None
    assert "ranks first of 2" in told["summary"]
    assert "Past results are no promise" in told["recommendation"]
    assert told["session_id"] == "http"


async def test_a_model_that_is_not_allowed_runs_nothing(api: Api, provider: Provider) -> None:
    before = len(provider.requests)
    told = await api.post(COMPARE, {**WISH, "model_id": "gpt-4o-mini"})
    assert (told.status, told.error["code"]) == (400, "model_not_allowed")
    assert "narrative_report" in told.error["message"]
    assert len(provider.requests) == before


async def test_a_comparison_may_fail_in_its_own_words(api: Api) -> None:
    told = await api.post(COMPARE, {"strategy_ids": ["sma_crossover", "nothing"]})
    assert told.status == 404
    assert "nothing" in told.error["message"]
    told = await api.post(COMPARE, {**WISH, "session_id": "nowhere"})
    assert told.status == 404
    for wrong in ({"strategy_ids": ["x"] * 6}, {"metrics": ["mood"]}):
        assert (await api.post(COMPARE, {**WISH, **wrong})).status == 422


async def test_without_a_model_the_figures_speak(tmp_path: Path) -> None:
    async with running_node(tmp_path) as (_, url), api_of(url) as api:
        told = await compared(api, metrics=[], natural_language_query=None)
        assert told["query"] == "Compare sma_crossover and momentum."
        assert told["worded_by"] is None
        assert len(told["strategies"][0]["metrics"]) == 14
        assert 50 <= len(told["reasoning"]) <= 1_000

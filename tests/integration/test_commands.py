"""Every command, typed and sent as values, on a real server with the bundled prices."""

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from chatops.backtests.market.importer import import_files
from chatops.bootstrap import Node
from chatops.dispatch.parser import parse
from chatops.dispatch.registry import Registry
from chatops.dispatch.spec import CommandSpec
from tests.support.caller import Caller
from tests.support.inprocess import running_node

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = [
    "help",
    "ask",
    "stop",
    "assistant",
    "build_strategy",
    "strategies",
    "strategy",
    "symbols",
    "run_backtest",
    "compare_strategies",
    "backtests",
    "backtest",
    "cancel",
    "rerun",
    "jobs",
    "status",
    "cache_status",
    "failed_backtests",
    "history",
    "export",
    "whoami",
    "members",
    "rename",
    "usage",
    "models",
]
RUN = "/run_backtest sma_crossover AAPL start=2011-01-03 end=2012-12-31"

_numbers = count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Node, str]]:
    async with running_node(tmp_path_factory.mktemp("commands"), backtest_workers=2) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def mina(server: tuple[Node, str]) -> AsyncIterator[Caller]:
    async with Caller(server[1], f"room_{next(_numbers)}", "민아") as caller:
        yield caller


@pytest_asyncio.fixture(loop_scope="module")
async def ben(server: tuple[Node, str], mina: Caller) -> AsyncIterator[Caller]:
    async with Caller(server[1], mina.session, "Ben") as caller:
        yield caller


def registry_of(node: Node) -> Registry:
    return node.chat._dispatcher._registry


def specs_of(node: Node) -> list[CommandSpec[Any]]:
    return [spec for family in registry_of(node).specs().values() for spec in family]


async def fetch(server: tuple[Node, str], path: str) -> bytes:
    async with aiohttp.ClientSession() as http, http.get(server[1] + path) as response:
        assert response.status == 200, await response.text()
        return await response.read()


async def test_every_command_is_there_with_a_short_summary_and_an_example_that_binds(
    server: tuple[Node, str],
) -> None:
    specs = specs_of(server[0])
    assert sorted(spec.name for spec in specs) == sorted(NAMES)
    for spec in specs:
        assert len(spec.summary) <= 80
        assert not spec.summary.endswith(".")
        call = server[0].chat._dispatcher.resolve_text(spec.example)
        assert call.spec is spec
        assert parse(spec.example).name in (spec.name, *spec.aliases)


async def test_every_example_that_needs_no_id_runs(server: tuple[Node, str], mina: Caller) -> None:
    for spec in specs_of(server[0]):
        if spec.free_text is not None:  # which a model is needed for
            assert (await mina.refusal(spec.example))["code"] == "assistant_off"
        elif "bt_" not in spec.example and spec.name != "cancel":
            result = await mina.say(spec.example)
            assert result["success"], (spec.example, result["message"])
            assert (result["command"], result["requestedBy"]["name"]) == (spec.example, "민아")


async def test_help_lists_every_command_and_explains_each(mina: Caller, ben: Caller) -> None:
    everything = (await mina.say("/help"))["message"]
    for name in NAMES:
        assert f"`/{name}: " in everything
        explained = (await mina.execute("help", command=name))["message"]
        assert "Usage: " in explained
        assert "Example: " in explained
    usage = (await mina.execute("/help", command="run-backtest"))["data"]["usage"]
    assert usage.startswith("/run_backtest <strategy> [symbols ...]")
    assert ben.heard == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("/run_backtst", "/run_backtest"),
        ("/stratgies", "/strategies"),
        ("/run_backtest sma_crosover AAPL", "sma_crossover"),
        ("/run_backtest sma_crossover APPL", "AAPL"),
        ("/run_backtest sma_crossover AAPL short_windw=3", "short_window"),
        ("/run_backtest sma_crossover AAPL short_window=one", "a whole number from 2 to 500"),
        ("/run_backtest sma_crossover AAPL short_window=60", "long_window"),
        ("/run_backtest sma_crossover AAPL start=2012-01-01 end=2011-01-01", "2000-03-01"),
        ("/run_backtest sma_crossover AAPL start=1980-01-01", "from 2000-03-01 to 2013-03-01"),
        ("/run_backtest sma_crossover AAPL end=2020-01-01", "from 2000-03-01 to 2013-03-01"),
        ("/run_backtest sma_crossover AAPL start=2012-02-30", "date"),
        ("/run_backtest sma_crossover AAPL fee=2", "less than 1"),
        ("/run_backtest sma_crossover AAPL fee=200%", "number"),
        ("/run_backtest sma_crossover AAPL fee=nan", "number"),
        ("/run_backtest sma_crossover AAPL cash=0", "1"),
        ("/run_backtest sma_crossover AAPL timeframe=2h", "1d"),
        ("/run_backtest sma_crossover AAPL timeframe=1h", "1d"),
        ("/run_backtest", "strategy"),
        ("/compare_strategies macd", "2 to 5"),
        ("/compare_strategies macd macd symbols=AAPL", "same"),
        ("/compare_strategies macd momentum symbols=AAPL,IBM,GOOG", "2 to 5"),
        ("/compare_strategies a b c d e f", "5"),
        ("/compare_strategies bt_nope macd", "/backtests"),
        ("/backtest bt_nope", "/backtests"),
        ("/rerun bt_nope", "/backtests"),
        ("/export bt_nope", "/backtests"),
        ("/cancel bt_nope", "/jobs"),
        ("/cancel", "/jobs"),
        ("/strategy create macd macd", "my_macd"),
        ("/strategy create x", "sma_crossover"),
        ("/strategy create x smacrossover", "sma_crossover"),
        ("/strategy show nothing_like_it", "/strategies"),
        ("/strategy edit macd fast_period=3", "own"),
        ("/strategy edit macd type=momentum", "another"),
        ("/symbols filter=ZZZ", "/symbols"),
        ("/history 0", "1"),
        ("/rename", "title"),
        ('/rename "Monday', "quote"),
    ],
)
async def test_a_mistake_is_told_to_its_author_alone(
    mina: Caller, ben: Caller, text: str, word: str
) -> None:
    error = await mina.refusal(text)
    assert ben.heard == []
    assert mina.all("message") == mina.all("commandResult") == []
    assert error["message"].endswith(".")
    assert error["message"].count("\n") == 0
    assert error["hint"]
    assert word in f"{error['message']} {error['hint']}"
    assert not re.search(r"Traceback|pydantic|Error\b|/server/", json.dumps(error))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/run", "/run_backtest"),
        ("/run_backtest sma", "sma_crossover"),
        ("/run_backtest sma_crossover AA", "AAPL"),
        ("/run_backtest sma_crossover AAPL sho", "short_window="),
        ("/run_backtest sma_crossover AAPL timeframe=4", "4h"),
        ("/run_backtest sma_crossover AAPL --fr", "--fresh"),
        ("/strategy cr", "create"),
        ("/strategy create my_thing mac", "macd"),
        ("/strategy create my_thing macd fast", "fast_period="),
        ("/help whoa", "whoami"),
        ("/backtests sort=sh", "sharpe_ratio"),
    ],
)
async def test_names_values_and_parameters_are_completed(
    mina: Caller, text: str, expected: str
) -> None:
    assert (await mina.complete(text))[:1] == [expected]


async def test_a_run_typed_and_a_run_by_values_are_the_same_run(mina: Caller) -> None:
    typed = await mina.say(RUN)
    sent = await mina.execute(
        "run_backtest",
        strategy_id="sma_crossover",
        symbols=["AAPL"],
        start="2011-01-03",
        end="2012-12-31",
    )
    assert typed["data"]["fingerprint"] == sent["data"]["fingerprint"]
    assert sent["data"]["reused"] is True
    assert "This is the result of" in sent["message"]
    assert (await mina.execute("run_backtest", args=["sma_crossover", "AAPL"]))["success"]


async def test_everybody_sees_the_command_its_author_its_progress_and_its_end(
    mina: Caller, ben: Caller
) -> None:
    result = await mina.say(f"{RUN} --fresh")
    assert (await ben.result_of(result["commandId"])) == result
    (message,) = ben.all("message")
    assert (message["content"], message["author"]["name"]) == (f"{RUN} --fresh", "민아")
    progress = ben.all("backtestProgress")
    assert (progress[-1]["status"], progress[-1]["outcome"]) == ("completed", "completed")
    versions = [one["version"] for one in progress]
    assert versions == sorted(set(versions))
    assert result["data"]["metrics"]["trades"] >= 1


async def test_the_files_of_a_run_can_be_downloaded(server: tuple[Node, str], mina: Caller) -> None:
    job = (await mina.say(RUN))["data"]
    links = (await mina.say(f"/export {job['backtestId']}"))["data"]["links"]
    assert set(links) == {"chart.png", "equity.csv", "result.json", "trades.csv", "trades.json"}
    body = {name: await fetch(server, path) for name, path in links.items()}
    assert body["chart.png"].startswith(b"\x89PNG\r\n\x1a\n")
    equity = list(csv.DictReader(io.StringIO(body["equity.csv"].decode())))
    assert len(equity) == job["bars"]
    assert float(equity[-1]["equity"]) == job["metrics"]["final_equity"]
    trades = list(csv.DictReader(io.StringIO(body["trades.csv"].decode())))
    as_json = json.loads(body["trades.json"])["trades"]
    assert len(trades) == len(as_json) == job["tradeCount"]
    assert [float(row["profit"]) for row in trades] == [row["profit"] for row in as_json]
    assert json.loads(body["result.json"])["metrics"] == job["metrics"]
    for name in ("chart", "report", "equity", "trades", "self"):
        assert await fetch(server, job["links"][name])


async def test_a_session_can_be_downloaded_whole(server: tuple[Node, str], mina: Caller) -> None:
    await mina.ask("sendMessage", sessionId=mina.session, content="안녕하세요, 시작할까요?")
    await mina.say("/whoami")
    path = (await mina.say("/export format=json"))["data"]["links"]["session"]
    exported = json.loads(await fetch(server, path))
    assert [entry["seq"] for entry in exported["entries"]] == list(
        range(1, exported["session"]["lastSeq"] + 1)
    )
    assert exported["entries"][0]["content"] == "안녕하세요, 시작할까요?"
    path = (await mina.say("/export"))["data"]["links"]["session"]
    text = (await fetch(server, path)).decode()
    for entry in exported["entries"]:
        assert (entry["content"] if entry["type"] == "message" else entry["message"]) in text


async def test_a_comparison_of_three_strategies(server: tuple[Node, str], mina: Caller) -> None:
    result = await mina.say("/compare_strategies sma_crossover momentum macd symbols=AAPL")
    data = result["data"]
    assert [row["rank"] for row in data["ranking"]] == [1, 2, 3]
    assert {row["strategyId"] for row in data["strategies"]} == {
        "sma_crossover",
        "momentum",
        "macd",
    }
    assert data["correlation"]["matrix"][0][0] == pytest.approx(1.0)
    for part in (data["summary"], data["recommendation"], data["reasoning"]):
        assert part in result["message"]
    assert (await fetch(server, data["links"]["chart"])).startswith(b"\x89PNG")
    fractions = [
        one["progress"]
        for one in mina.all("backtestProgress")
        if one["backtestId"] == data["backtestId"]
    ]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 100


async def test_strategies_times_symbols_and_earlier_runs_are_compared(mina: Caller) -> None:
    both = await mina.execute(
        "compare_strategies", strategy_ids=["macd", "momentum"], symbols=["AAPL", "IBM"]
    )
    assert len(both["data"]["strategies"]) == 4
    first = (await mina.say("/run_backtest macd IBM"))["data"]["backtestId"]
    second = (await mina.say("/run_backtest bollinger IBM"))["data"]["backtestId"]
    earlier = await mina.say(f"/compare_strategies {first} {second}")
    assert [one["strategyId"] for one in earlier["data"]["strategies"]] == ["macd", "bollinger"]
    again = await mina.say(f"/rerun {earlier['data']['backtestId']}")
    assert again["data"]["rerunOf"] == {
        "backtestId": earlier["data"]["backtestId"],
        "identical": True,
        "differences": [],
    }
    assert again["message"].startswith(f"**Identical to {earlier['data']['backtestId']}**")


async def test_a_repeated_run_says_which_prices_changed(
    server: tuple[Node, str], mina: Caller, tmp_path: Path
) -> None:
    def prices(last: float) -> None:
        rows = ["date,open,high,low,close,volume"]
        for day in range(1, 29):
            close = last if day == 28 else 100.0 + day
            rows.append(f"2024-02-{day:02},{close},{close + 1},{close - 1},{close},1000")
        file = tmp_path / "KOSPI.csv"
        file.write_text("\n".join(rows))
        import_files(
            [file],
            server[0].settings.market_folder,
            symbol="KOSPI",
            timeframe="1d",
            allow_jumps=False,
        )

    prices(128.0)
    first = (await mina.say("/run_backtest buy_and_hold KOSPI"))["data"]
    same = await mina.say(f"/rerun {first['backtestId']}")
    assert same["data"]["rerunOf"]["identical"] is True
    prices(127.5)
    other = await mina.say(f"/rerun {first['backtestId']}")
    (cause,) = other["data"]["rerunOf"]["differences"]
    assert re.fullmatch(r"Data of KOSPI has changed \(\w{8} → \w{8}\)\.", cause)
    assert other["message"].startswith(f"**Not the same as {first['backtestId']}.** {cause}")
    # The old result is not taken for the new prices.
    assert (await mina.say("/run_backtest buy_and_hold KOSPI"))["data"]["backtestId"] == (
        other["data"]["backtestId"]
    )


async def test_a_saved_strategy_has_an_owner_and_versions(mina: Caller, ben: Caller) -> None:
    name = f"빠른_{mina.session}"
    made = await mina.say(
        f'/strategy create {name} sma_crossover short_window=10 description="짧은 추세"'
    )
    assert made["data"]["strategy"] | {"changedAt": ""} == {
        "strategyId": name,
        "type": "sma_crossover",
        "params": {"short_window": 10, "long_window": 50},
        "owner": "민아",
        "version": 1,
        "description": "짧은 추세",
        "changedAt": "",
    }
    assert (await mina.refusal(f"/strategy create {name} macd"))["code"] == "bad_parameter"
    assert (await ben.refusal(f"/strategy edit {name} short_window=5"))["code"] == "not_allowed"
    assert (await ben.refusal(f"/strategy delete {name}"))["code"] == "not_allowed"
    assert (await mina.refusal(f"/strategy edit {name} short_window=99"))["code"] == (
        "bad_parameter"
    )
    edited = await mina.execute("strategy", action="edit", name=name, long_window=40)
    assert edited["data"]["strategy"]["version"] == 2
    assert edited["data"]["strategy"]["params"] == {"short_window": 10, "long_window": 40}
    run = await ben.say(f"/run_backtest {name} IBM")
    assert run["data"]["strategy"]["version"] == 2
    assert name in (await ben.say("/strategies"))["message"]
    await mina.say(f"/strategy delete {name}")
    assert (await mina.refusal(f"/strategy show {name}"))["code"] == "not_found"


async def test_a_saved_strategy_that_equals_another_is_answered_under_its_own_name(
    mina: Caller,
) -> None:
    name = f"mine_{mina.session}"
    preset = (await mina.say("/run_backtest rsi_mean_reversion IBM"))["data"]
    await mina.say(f"/strategy create {name} rsi_mean_reversion")
    mine = await mina.say(f"/run_backtest {name} IBM")
    assert (mine["data"]["backtestId"], mine["data"]["reused"]) == (preset["backtestId"], True)
    assert mine["data"]["strategy"] == {**preset["strategy"], "id": name, "version": 1}
    assert f"**{name} on IBM**" in mine["message"]
    assert f"{preset['backtestId']} (rsi_mean_reversion on IBM)" in mine["message"]


async def test_finished_runs_are_listed_sorted_and_filtered(mina: Caller) -> None:
    for strategy in ("macd", "momentum", "buy_and_hold"):
        await mina.say(f"/run_backtest {strategy} MSFT")
    listed = (await mina.say("/backtests symbol=msft sort=sharpe_ratio"))["data"]["backtests"]
    sharpes = [row["metrics"]["sharpe_ratio"] for row in listed]
    assert len(listed) >= 3
    assert sharpes == sorted(sharpes, reverse=True)
    assert all(row["symbols"] == ["MSFT"] for row in listed)
    (one,) = (await mina.say("/backtests macd symbol=MSFT limit=1"))["data"]["backtests"]
    shown = await mina.say(f"/backtest {one['backtestId']}")
    assert shown["data"]["metrics"] == {**shown["data"]["metrics"], **one["metrics"]}


async def test_a_job_is_cancelled_by_name_and_listed_as_that(mina: Caller, ben: Caller) -> None:
    ack = await mina.ask(
        "sendMessage",
        sessionId=mina.session,
        content="/compare_strategies sma_crossover macd symbols=AAPL,MSFT --fresh paths=20000",
    )
    await ben.hears("backtestProgress", lambda one: one["backtestId"].startswith("cmp_"))
    jobs = (await ben.say("/jobs"))["data"]["jobs"]
    (whole,) = [job for job in jobs if job["backtestId"].startswith("cmp_")]
    assert (await ben.refusal("/cancel"))["code"] == "not_found"  # it is not his
    stopped = await ben.execute("cancel", backtest_id=whole["backtestId"])
    assert stopped["success"]
    result = await mina.result_of(ack["commandId"])
    assert not result["success"]
    assert "was cancelled by Ben." in result["message"]
    final = [p for p in mina.all("backtestProgress") if p["backtestId"] == whole["backtestId"]][-1]
    assert (final["status"], final["outcome"]) == ("failed", "cancelled")
    failed = (await mina.say("/failed_backtests"))["data"]["backtests"]
    assert (failed[0]["state"], failed[0]["reason"]) == ("cancelled", "cancelled by Ben")


async def test_the_session_speaks_of_itself(mina: Caller, ben: Caller) -> None:
    assert (await mina.say("/whoami"))["data"] == {"id": "name:민아", "name": "민아"}
    people = (await mina.say("/who"))["data"]["members"]
    assert [one["name"] for one in people] == ["민아", "Ben"]
    await ben.say("/rename “월요일 연구실”")
    notices = [m for m in mina.all("message") if m["role"] == "system"]
    assert notices[0]["content"] == "Ben named this session “월요일 연구실”."
    assert (await mina.ask("joinSession", sessionId=mina.session))["session"]["title"] == (
        "월요일 연구실"
    )
    history = (await mina.say("/history 3"))["message"].splitlines()
    assert len(history) == 3
    assert history[-1].endswith("This session is now called **월요일 연구실**.")


async def test_the_server_speaks_of_itself(mina: Caller) -> None:
    await mina.say("/run_backtest macd AAPL fresh=true")
    status = (await mina.say("/status"))["data"]
    assert status["jobs waiting"] == 0
    cache = (await mina.say("/cache-status"))["data"]
    assert {row["symbol"] for row in cache["dataSets"]} >= {"AAPL", "GOOG", "IBM", "MSFT"}
    assert cache["rows"] == sum(row["rows"] for row in cache["dataSets"])
    assert cache["misses"] >= 1
    before = cache["hits"] + cache["misses"]
    await mina.say("/run_backtest macd AAPL,IBM fresh=true")
    after = (await mina.say("/cache_status"))["data"]
    assert after["hits"] + after["misses"] == before + 2
    assert after["hitRate"] == pytest.approx(after["hits"] / (after["hits"] + after["misses"]))


async def test_every_example_of_the_page_runs(mina: Caller) -> None:
    welcome = Path(__file__).parents[2] / "client_examples/react/src/components/Welcome.tsx"
    examples = re.findall(r"'(/[a-z_]+ ?[^']*)'", welcome.read_text())
    assert len(examples) >= 3
    for example in examples:
        assert (await mina.say(example))["success"], example

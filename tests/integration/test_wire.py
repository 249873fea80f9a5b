"""What a client may rely on: each test is a sentence of the contract, played on a real server."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chatops.bootstrap import Node
from tests.support.inprocess import running_node
from tests.support.log import check_numbers, stored_log
from tests.support.raw import RawClient
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Node, str]]:
    async with running_node(tmp_path_factory.mktemp("wire")) as running:
        yield running


_sessions = iter(range(10_000))


@pytest.fixture
def session() -> str:
    return f"session_{next(_sessions)}"


def named(url: str, name: str) -> RawClient:
    return RawClient(url, auth={"name": name})


async def say(client: RawClient, session: str, content: str, **more: Any) -> Any:
    return await client.ask(5, "sendMessage", {"sessionId": session, "content": content, **more})


# ------------------------------------------------------------------ joining and resuming


async def test_an_unknown_session_is_created_by_whoever_names_it_first(
    server: tuple[Node, str], session: str
) -> None:
    async with named(server[1], "Kim") as kim, named(server[1], "Lee") as lee:
        ack = await kim.ask(1, "joinSession", session)
        assert ack["session"] | {"members": 0, "epoch": 0, "createdAt": 0} == {
            "id": session,
            "title": session,
            "owner": "Kim",
            "lastSeq": 0,
            "members": 0,
            "epoch": 0,
            "createdAt": 0,
            "assistant": "off",
        }
        assert (ack["entries"], ack["more"], ack["gap"], ack["jobs"]) == ([], False, False, [])
        again = await lee.ask(1, "joinSession", {"sessionId": session})
        assert again["session"]["owner"] == "Kim"
        assert again["session"]["epoch"] == ack["session"]["epoch"]
        assert [m["name"] for m in again["session"]["members"]] == ["Kim", "Lee"]


async def test_a_sender_receives_its_own_message_and_so_does_everybody_else(
    server: tuple[Node, str], session: str
) -> None:
    async with named(server[1], "Kim") as kim, named(server[1], "Lee") as lee:
        await lee.ask(1, "joinSession", session)
        ack = await say(kim, session, "안녕 📈", clientMessageId="one", metadata={"a": [1]})
        message = ack["message"]
        assert message["seq"] == 1
        assert message["content"] == "안녕 📈"
        assert message["role"] == "user"
        assert message["author"] == {"id": "name:kim", "name": "Kim"}
        assert message["clientMessageId"] == "one"
        assert message["metadata"] == {"a": [1]}
        assert message["timestamp"].endswith("Z")
        assert await lee.event("message") == message


async def test_nobody_is_shown_the_word_that_makes_a_client_the_same_person(
    server: tuple[Node, str], session: str
) -> None:
    auth = {"name": "Kim", "clientId": "a-word-of-hers"}
    async with named(server[1], "Lee") as lee, RawClient(server[1], auth=auth) as kim:
        assert (await lee.ask(1, "joinSession", session))["you"] == {
            "id": "name:lee",
            "name": "Lee",
        }
        joined = await kim.ask(1, "joinSession", {"sessionId": session, "name": "Kim Mina"})
        you = joined["you"]
        ack = await say(kim, session, "hello")
        assert ack["message"]["author"] == you == you | {"name": "Kim Mina"}
        log = await lee.ask(2, "joinSession", {"sessionId": session, "afterSeq": 0})
        assert auth["clientId"] not in str(log)
        assert you["id"] in [one["id"] for one in log["session"]["members"]]
        # What is seen of her does not let anybody in as her.
        thief = {"name": "Kim Mina", "clientId": you["id"]}
        async with RawClient(server[1], auth=thief) as other:
            posed = await other.ask(1, "joinSession", session)
            assert posed["you"]["id"] != you["id"]


@pytest.mark.parametrize(
    ("after", "limit", "expected", "more", "gap"),
    [
        (0, None, [1, 2, 3, 4, 5, 6], False, False),
        (3, None, [4, 5, 6], False, False),
        (6, None, [], False, False),
        (0, 2, [1, 2], True, False),
        (4, 2, [5, 6], False, False),
        (9, None, [], False, True),
        (None, 2, [5, 6], False, False),
        (None, 0, [], False, False),
        (None, None, [1, 2, 3, 4, 5, 6], False, False),
    ],
)
async def test_a_join_gives_exactly_what_was_missed(
    server: tuple[Node, str],
    session: str,
    after: int | None,
    limit: int | None,
    expected: list[int],
    more: bool,
    gap: bool,
) -> None:
    async with named(server[1], "Kim") as kim:
        for number in range(6):
            await say(kim, session, f"message {number}")
    request = {"sessionId": session, "afterSeq": after, "limit": limit}
    async with named(server[1], "Lee") as lee:
        ack = await lee.ask(1, "joinSession", {k: v for k, v in request.items() if v is not None})
        assert [entry["seq"] for entry in ack["entries"]] == expected
        assert all(entry["type"] == "message" for entry in ack["entries"])
        assert (ack["more"], ack["gap"]) == (more, gap)
        assert ack["session"]["lastSeq"] == 6
        members = [m["name"] for m in ack["session"]["members"]]
        assert members == ([] if more else ["Lee"])


async def test_a_page_with_more_does_not_enter_the_room_yet(
    server: tuple[Node, str], session: str
) -> None:
    async with named(server[1], "Kim") as kim, named(server[1], "Lee") as lee:
        for number in range(3):
            await say(kim, session, f"message {number}")
        page = await lee.ask(1, "joinSession", {"sessionId": session, "afterSeq": 0, "limit": 2})
        assert page["more"]
        await say(kim, session, "meanwhile")
        rest = await lee.ask(2, "joinSession", {"sessionId": session, "afterSeq": 2})
        assert [entry["seq"] for entry in rest["entries"]] == [3, 4]
        await say(kim, session, "live")
        assert (await lee.event("message"))["seq"] == 5


async def test_entries_that_are_no_longer_kept_are_a_gap(tmp_path: Path) -> None:
    async with running_node(tmp_path, session_max_entries=50) as (_, url):
        async with named(url, "Kim") as kim:
            for number in range(100):
                await say(kim, "short", str(number))
        async with named(url, "Lee") as lee:
            ack = await lee.ask(1, "joinSession", {"sessionId": "short", "afterSeq": 10})
            assert ack["gap"]
            assert [entry["seq"] for entry in ack["entries"]] == list(range(51, 101))
            ack = await lee.ask(2, "joinSession", {"sessionId": "short", "afterSeq": 60})
            assert not ack["gap"]


async def test_who_joins_in_a_burst_gets_history_and_live_without_a_seam(
    server: tuple[Node, str], session: str
) -> None:
    async with named(server[1], "Kim") as kim:
        await kim.ask(1, "joinSession", session)

        async def talk() -> None:
            for number in range(200):
                await say(kim, session, str(number))

        talking = asyncio.get_running_loop().create_task(talk())
        for _ in range(5):
            async with named(server[1], "Lee") as lee:
                ack = await lee.ask(1, "joinSession", {"sessionId": session, "afterSeq": 0})
                seen = [entry["seq"] for entry in ack["entries"]]
                if seen and seen[-1] < 195:
                    seen += [(await lee.event("message"))["seq"] for _ in range(5)]
                assert seen == list(range(1, len(seen) + 1))
        await talking


# ------------------------------------------------------------------ sending


async def test_a_retry_is_stored_once_and_acked_with_the_first_result(
    server: tuple[Node, str], session: str
) -> None:
    async with named(server[1], "Kim") as kim, named(server[1], "Lee") as lee:
        first = await say(kim, session, "once", clientMessageId="k1")
        retry = await say(kim, session, "once", clientMessageId="k1")
        assert retry["message"] == first["message"]
        other = await say(lee, session, "mine", clientMessageId="k1")
        assert other["message"]["seq"] == 2
    async with named(server[1], "Kim") as later:
        assert (await say(later, session, "once", clientMessageId="k1"))["message"]["seq"] == 1
    assert len(await stored_log(server[1], session)) == 2


async def test_a_retried_command_runs_once(server: tuple[Node, str], session: str) -> None:
    async with named(server[1], "Kim") as kim:
        # Done twice, the second would be refused: the strategy is there no more.
        await say(kim, session, "/strategy create passing macd")
        assert (await kim.event("commandResult"))["success"]
        order = "/strategy delete passing"
        first = await say(kim, session, order, clientMessageId="c1")
        assert (await kim.event("commandResult"))["success"]
        retry = await say(kim, session, order, clientMessageId="c1")
        assert retry["commandId"] == first["commandId"]
        assert retry["message"] == first["message"]
        entries = await stored_log(server[1], session)
        assert [entry["type"] for entry in entries] == 2 * ["message", "commandResult"]


async def test_two_slashes_send_one(server: tuple[Node, str], session: str) -> None:
    async with named(server[1], "Kim") as kim:
        ack = await say(kim, session, "//help is a command")
        assert ack["message"]["content"] == "/help is a command"
        assert "commandId" not in ack


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("x" * 5_000, None),
        ("x" * 5_001, "bad_payload"),
        ("", "bad_payload"),
        (" \n ", "bad_payload"),
    ],
)
async def test_a_message_has_1_to_5000_characters(
    server: tuple[Node, str], session: str, content: str, code: str | None
) -> None:
    async with named(server[1], "Kim") as kim:
        ack = await say(kim, session, content, clientMessageId="limit")
        assert ack["ok"] is (code is None)
        if code:
            assert ack["error"]["code"] == code
            assert ack["error"]["clientMessageId"] == "limit"
            assert (await kim.event("error")) == ack["error"]
            assert await stored_log(server[1], session) == []


async def test_one_clients_events_keep_their_order(server: tuple[Node, str], session: str) -> None:
    async with named(server[1], "Kim") as kim:
        await kim.ask(1, "joinSession", session)
        for number in range(150):
            body = json.dumps(["sendMessage", {"sessionId": session, "content": str(number)}])
            await kim.send(f"42{1000 + number}{body}")
        assert [(await kim.event("message"))["content"] for _ in range(150)] == [
            str(number) for number in range(150)
        ]
    entries = await stored_log(server[1], session)
    check_numbers(entries)


# ------------------------------------------------------------------ commands


async def test_a_command_is_seen_by_all_with_the_name_of_who_typed_it(
    server: tuple[Node, str], session: str
) -> None:
    async with named(server[1], "Kim") as kim, named(server[1], "Lee") as lee:
        await lee.ask(1, "joinSession", session)
        ack = await kim.ask(
            2, "executeCommand", {"sessionId": session, "command": "symbols", "parameters": {}}
        )
        message = await lee.event("message")
        assert message["content"] == "/symbols"
        assert message["author"]["name"] == "Kim"
        assert message["metadata"]["commandId"] == ack["commandId"]
        result = await lee.event("commandResult")
        assert result["commandId"] == ack["commandId"]
        assert result["requestedBy"]["name"] == "Kim"
        assert result["success"]
        assert result["durationMs"] >= 0
        assert [result["seq"], message["seq"]] == [2, 1]


async def test_help_is_seen_by_its_caller_alone_and_not_stored(
    server: tuple[Node, str], session: str
) -> None:
    async with named(server[1], "Kim") as kim, named(server[1], "Lee") as lee:
        await lee.ask(1, "joinSession", session)
        ack = await say(kim, session, "/help run_backtest")
        assert "message" not in ack
        result = await kim.event("commandResult")
        assert "strategy" in result["message"]
        assert "seq" not in result
        await say(kim, session, "after")
        assert (await lee.event("message"))["content"] == "after"
    assert len(await stored_log(server[1], session)) == 1


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("/run_bactest", "unknown_command", "run_backtest"),
        ("/run_backtest nope AAPL", "not_found", "nope"),
        ("/run_backtest sma_crossover NOPE", "not_found", "NOPE"),
        ("/run_backtest sma_crossover AAPL fee=2", "bad_parameter", "fee"),
        ("/run_backtest sma_crossover AAPL shrt_window=2", "bad_parameter", "shrt_window"),
        ("/run_backtest sma_crossover AAPL short_window=60", "bad_parameter", "short_window"),
        ("/run_backtest macd AAPL start=2010-01-01 end=2009-01-01", "bad_parameter", "after"),
        ("/run_backtest macd AAPL start=2030-01-01", "bad_parameter", "outside"),
        ("/run_backtest macd AAPL timeframe=7x", "bad_parameter", "timeframe"),
        ("/run_backtest macd 'AAPL", "bad_parameter", "quote"),
        ("/compare_strategies macd", "bad_parameter", "2 to 5"),
        ("/compare_strategies macd macd", "bad_parameter", "same"),
        ("/cancel bt_nosuchjob", "not_found", "bt_nosuchjob"),
        ("/", "unknown_command", ""),
    ],
)
async def test_a_mistake_is_told_to_its_sender_alone(
    server: tuple[Node, str], session: str, text: str, code: str, words: str
) -> None:
    async with named(server[1], "Kim") as kim:
        ack = await say(kim, session, text)
        assert ack["ok"] is False, ack
        assert ack["error"]["code"] == code
        told = f"{ack['error']['message']} {ack['error'].get('hint', '')}"
        assert words in told
        assert ack["error"]["hint"]
        assert "Traceback" not in told
    assert await stored_log(server[1], session) == []


async def test_what_is_completed_is_what_can_be_typed(
    server: tuple[Node, str], session: str
) -> None:
    async with named(server[1], "Kim") as kim:

        async def labels(text: str) -> list[str]:
            ack = await kim.ask(3, "completeCommand", {"sessionId": session, "text": text})
            return [item["label"] for item in ack["items"]]

        assert (await labels("/run_b"))[0] == "/run_backtest"
        assert "sma_crossover" in await labels("/run_backtest sma")
        assert "AAPL" in await labels("/run_backtest sma_crossover A")
        assert any(
            x.startswith("short_window")
            for x in await labels("/run_backtest sma_crossover AAPL sh")
        )
    assert await stored_log(server[1], session) == []


# ------------------------------------------------------------------ jobs


async def test_a_joiner_learns_of_running_jobs_and_another_member_may_cancel(
    server: tuple[Node, str], session: str
) -> None:
    async with named(server[1], "Kim") as kim, named(server[1], "Lee") as lee:
        runs = [
            await say(kim, session, f"/run_backtest bollinger AAPL,IBM,MSFT,GOOG period={20 + n}")
            for n in range(3)
        ]
        ack = await lee.ask(1, "joinSession", session)
        assert {job["requestedBy"]["name"] for job in ack["jobs"]} == {"Kim"}
        waiting = ack["jobs"][-1]
        assert waiting["status"] == "running"
        assert waiting["version"] >= 1
        await say(lee, session, f"/cancel {waiting['backtestId']}")
        while True:
            progress = await kim.event("backtestProgress", 30)
            if progress["backtestId"] == waiting["backtestId"] and "outcome" in progress:
                break
        assert (progress["outcome"], progress["status"]) == ("cancelled", "failed")
        assert "Lee" in progress["message"]

        await answered(server[1], session, {run["commandId"] for run in runs})


async def test_twenty_who_ask_for_the_same_are_answered_by_one_run(
    server: tuple[Node, str], session: str
) -> None:
    node, url = server
    clients = [named(url, f"asker {n}") for n in range(20)]
    for client in clients:
        await client.__aenter__()
        await client.ask(1, "joinSession", session)
    text = "/run_backtest momentum GOOG momentum_period=77"
    acks = await asyncio.gather(*(say(client, session, text) for client in clients))
    assert all(ack["ok"] for ack in acks)

    found = await answered(url, session, {ack["commandId"] for ack in acks})
    assert len({result["data"]["backtestId"] for result in found}) == 1
    assert sum("same run" in r["message"] or "identical run" in r["message"] for r in found) == 19
    assert len(found) == 20
    for client in clients:
        await client.__aexit__()
    await until(lambda: node.server.connected == 0, 10, "all have left")


async def answered(url: str, session: str, commands: set[str]) -> list[Any]:
    """Return the results in the log once every command has one."""
    deadline = asyncio.get_running_loop().time() + 60
    while True:
        log = await stored_log(url, session)
        found = [e for e in log if e["type"] == "commandResult" and e["commandId"] in commands]
        if {entry["commandId"] for entry in found} == commands:
            return found
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.1)


# ------------------------------------------------------------------ people and limits


async def test_presence_tells_each_person_once_and_when_they_go(
    server: tuple[Node, str], session: str
) -> None:
    async with named(server[1], "Kim") as kim:
        await kim.ask(1, "joinSession", session)
        async with named(server[1], "Lee") as lee, named(server[1], "Lee") as tablet:
            await lee.ask(1, "joinSession", session)
            await tablet.ask(1, "joinSession", session)
            while [m["name"] for m in (await kim.event("presence"))["members"]] != ["Kim", "Lee"]:
                pass
        while (gone := await kim.event("presence"))["total"] != 1:
            pass
        assert [m["name"] for m in gone["members"]] == ["Kim"]


async def test_a_join_may_give_the_name(server: tuple[Node, str], session: str) -> None:
    async with RawClient(server[1]) as client:
        ack = await client.ask(1, "joinSession", {"sessionId": session, "name": "김 철수"})
        assert [m["name"] for m in ack["session"]["members"]] == ["김 철수"]
        assert (await say(client, session, "hi"))["message"]["author"]["name"] == "김 철수"


async def test_who_is_too_fast_is_told_when_to_come_back_and_others_are_not_slowed(
    tmp_path: Path,
) -> None:
    async with running_node(tmp_path, rate_limit="on", message_burst=5) as (_, url):
        async with named(url, "flood") as flood, named(url, "Lee") as lee:
            body = json.dumps(["executeCommand", {"sessionId": "desk", "command": "whoami"}])
            sending = asyncio.get_running_loop().create_task(_flood(flood, body, 10_000))
            for number in range(5):
                ack = await say(lee, "desk", f"still here {number}")
                assert ack["ok"], ack
            refused = 0
            while refused < 20:
                frame = await flood.frame()
                if frame.startswith('42["error"') and "assistant_off" not in frame:
                    error = json.loads(frame[2:])[1]
                    assert error["code"] == "rate_limited"
                    assert error["retryAfterSeconds"] > 0
                    refused += 1
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        async with named(url, "Mo") as mo:
            assert (await say(mo, "desk", "and so am I"))["ok"]


async def _flood(client: RawClient, body: str, count: int) -> None:
    for number in range(count):
        await client.send(f"42{number}{body}")


async def test_a_long_log_comes_in_pages_that_any_client_takes(
    server: tuple[Node, str], session: str
) -> None:
    async with named(server[1], "Kim") as kim:
        for number in range(120):
            await say(kim, session, f"{number} " + "한" * 4_900)
    async with named(server[1], "Lee") as lee:
        newest = await lee.ask(1, "joinSession", {"sessionId": session, "limit": 500})
        assert 10 < len(newest["entries"]) < 120
        assert newest["entries"][-1]["seq"] == 120
        assert not newest["more"]
        page = await lee.ask(2, "joinSession", {"sessionId": session, "afterSeq": 0})
        assert page["more"]
        assert len(json.dumps(page, ensure_ascii=False)) < 300 * 1024
    check_numbers(await stored_log(server[1], session))

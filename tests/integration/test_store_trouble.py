"""A store that is away for a moment, or does not say what became of a write; a fault of ours."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chatops.bootstrap import Node
from chatops.errors import StoreUnavailableError
from chatops.sessions.model import Appended, NewEntry, Session, SessionChange
from tests.support.inprocess import running_node
from tests.support.log import check_numbers, stored_log
from tests.support.raw import RawClient


class Trouble:
    """The node's session store, with faults on order.

    Attributes:
        refused: How many results are still to be refused.
        silenced: How many entries are still to be stored without a word about it.
        stale: What it says of every session, if anything.
    """

    def __init__(self, store: Any) -> None:
        self._store = store
        self.refused = 0
        self.silenced = 0
        self.stale: Session | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def append(
        self, session_id: str, entry: NewEntry, *, change: SessionChange | None = None
    ) -> Appended:
        if entry.kind == "commandResult" and self.refused:
            self.refused -= 1
            raise StoreUnavailableError("The store is away.", "Try again.")
        done: Appended = await self._store.append(session_id, entry, change=change)
        if self.silenced:
            self.silenced -= 1
            raise StoreUnavailableError("The store did not answer.", "Try again.")
        return done

    async def get_session(self, session_id: str) -> Session | None:
        found: Session | None = await self._store.get_session(session_id)
        return self.stale or found


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[tuple[Node, str, Trouble]]:
    async with running_node(tmp_path) as (node, url):
        trouble = Trouble(node.store.sessions)
        node.sessions._store = trouble
        yield node, url, trouble


async def test_a_command_has_its_result_though_the_store_was_away_when_it_ended(
    server: tuple[Node, str, Trouble],
) -> None:
    _, url, trouble = server
    async with RawClient(url) as client:
        trouble.refused = 2
        ack = await client.ask(1, "sendMessage", {"sessionId": "desk", "content": "/rename Desk"})
        result = await client.event("commandResult")
        assert result["commandId"] == ack["commandId"]
        assert result["success"]
        assert trouble.refused == 0
    check_numbers(await stored_log(url, "desk"))


async def test_a_message_that_was_stored_in_silence_is_shown_once_it_is_sent_again(
    server: tuple[Node, str, Trouble],
) -> None:
    _, url, trouble = server
    said = {"sessionId": "desk", "content": "hello", "clientMessageId": "one"}
    async with RawClient(url, auth={"name": "Kim"}) as kim, RawClient(url) as lee:
        await lee.ask(1, "joinSession", "desk")
        trouble.silenced = 1
        refused = await kim.ask(1, "sendMessage", said)
        assert refused["error"]["code"] == "store_unavailable"
        for number in (2, 3):
            assert (await kim.ask(number, "sendMessage", said))["message"]["seq"] == 1
        await kim.ask(4, "sendMessage", {"sessionId": "desk", "content": "next"})
        seen = [(await lee.event("message"))["seq"] for _ in range(2)]
        assert seen == [1, 2]


async def test_a_gap_is_told_though_the_log_was_trimmed_while_one_joined(
    server: tuple[Node, str, Trouble],
) -> None:
    node, url, trouble = server
    async with RawClient(url) as client:
        for number in range(1, 21):
            await client.ask(number, "sendMessage", {"sessionId": "desk", "content": str(number)})
        trouble.stale = await node.store.sessions.get_session("desk")
        await node.store.sessions.trim("desk", 5)
        ack = await client.ask(21, "joinSession", {"sessionId": "desk", "afterSeq": 10})
        assert [entry["seq"] for entry in ack["entries"]] == [16, 17, 18, 19, 20]
        assert ack["gap"] is True
        ack = await client.ask(22, "joinSession", {"sessionId": "desk", "afterSeq": 15})
        assert ack["gap"] is False


async def test_a_fault_of_ours_is_acked_without_its_cause(
    server: tuple[Node, str, Trouble], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, url, _ = server

    async def broken(*_arguments: object, **_named: object) -> None:
        raise RuntimeError("the cause, which stays in the log")

    monkeypatch.setattr(node.chat, "post", broken)
    async with RawClient(url) as client:
        ack = await client.ask(1, "sendMessage", {"sessionId": "desk", "content": "hello"})
        assert ack["ok"] is False
        assert ack["error"]["code"] == "internal"
        assert "cause" not in json.dumps(ack)
        assert (await client.event("error"))["requestId"] == ack["error"]["requestId"]
        assert (await client.ask(2, "joinSession", "desk"))["ok"]


async def test_the_same_message_over_two_sockets_at_once_is_one(
    server: tuple[Node, str, Trouble],
) -> None:
    _, url, _ = server
    kim = {"name": "Kim", "clientId": "kim-1"}
    async with RawClient(url, auth=kim) as phone, RawClient(url, auth=kim) as desk:
        for number in range(20):
            said = {"sessionId": "two", "content": "x", "clientMessageId": f"m{number}"}
            for one in (phone, desk):
                await one.send(f"42{number}" + json.dumps(["sendMessage", said]))
        acks = [[await one.ack(number) for number in range(20)] for one in (phone, desk)]
        assert acks[0] == acks[1]
        assert [ack["message"]["seq"] for ack in acks[0]] == list(range(1, 21))
    assert len(await stored_log(url, "two")) == 20


async def test_a_command_that_was_stored_without_a_word_runs_once_when_it_is_retried(
    server: tuple[Node, str, Trouble],
) -> None:
    _, url, trouble = server
    request = {"sessionId": "desk", "content": "/rename Monday", "clientMessageId": "r1"}
    async with RawClient(url, auth={"name": "Kim"}) as kim:
        await kim.ask(1, "joinSession", "desk")
        trouble.silenced = 1
        refused = await kim.ask(2, "sendMessage", request)
        assert refused["error"]["code"] == "store_unavailable"
        accepted = await kim.ask(3, "sendMessage", request)
        assert accepted["ok"]
        result = await kim.event("commandResult")
        assert result["commandId"] == accepted["commandId"]
        assert (await kim.ask(4, "sendMessage", request))["message"] == accepted["message"]
    log = await stored_log(url, "desk")
    check_numbers(log)
    assert sum(entry["type"] == "commandResult" for entry in log) == 1

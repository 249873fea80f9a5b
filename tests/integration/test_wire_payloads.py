"""What a running server really sends fits the documents of the wire."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import socketio
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match

from chatops.protocol.schema import json_schema
from tests.support.server import ServerProcess

WIRE = json_schema()
SESSION = "session_1697472000000"
WITHIN_S = 60.0


def fault(schema: dict[str, Any], value: object) -> str | None:
    """Say what is wrong with the value; None if nothing is."""
    whole = {**schema, "$defs": WIRE["$defs"]}
    found = best_match(
        Draft202012Validator(whole, format_checker=FormatChecker()).iter_errors(value)
    )
    return found and f"{found.json_path}: {found.message[:400]}"


class Client:
    """A client that holds every payload against the schema of its event."""

    def __init__(self) -> None:
        self.socket = socketio.AsyncClient(reconnection=False)
        self.seen: list[tuple[str, Any]] = []
        self.faults: list[str] = []
        self._came = asyncio.Condition()
        self.socket.on("*", self._heard)

    async def _heard(self, event: str, payload: Any) -> None:
        self._check(event, WIRE["serverEvents"][event]["payload"], payload)
        self.seen.append((event, payload))
        async with self._came:
            self._came.notify_all()

    async def call(self, event: str, payload: Any) -> dict[str, Any]:
        """Emit and return the ack; both are checked, but for events that do not exist."""
        known = WIRE["clientEvents"].get(event)
        if known:
            self._check(event, known["payload"], payload)
        ack: dict[str, Any] = await self.socket.call(event, payload, timeout=WITHIN_S)
        self._check(f"ack of {event}", known["ack"] if known else _model("ErrorAck"), ack)
        return ack

    async def first(self, event: str, **fields: Any) -> dict[str, Any]:
        """Wait for an event with these fields and return the first."""

        def found() -> list[dict[str, Any]]:
            return [one for one in self.payloads(event) if fields.items() <= one.items()]

        async with asyncio.timeout(WITHIN_S), self._came:
            await self._came.wait_for(found)
        return found()[0]

    async def run(self, text: str) -> dict[str, Any]:
        """Give a command by its text and return its result."""
        ack = await self.call("sendMessage", {"sessionId": SESSION, "content": text})
        return await self.first("commandResult", commandId=ack["commandId"])

    def payloads(self, event: str) -> list[Any]:
        """Return what has come of one event."""
        return [payload for name, payload in self.seen if name == event]

    def _check(self, what: str, schema: dict[str, Any], value: Any) -> None:
        if problem := fault(schema, value):
            self.faults.append(f"{what}: {problem}")


def _model(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with ServerProcess(tmp_path / "data", CHATOPS_BACKTEST_WORKERS="1") as server:
        client = Client()
        auth = {"name": "김민수", "clientId": "browser-1"}
        assert fault(WIRE["connect"]["auth"], auth) is None
        await client.socket.connect(server.url, auth=auth, socketio_path="/ws/chatops")
        yield client
        await client.socket.disconnect()


async def test_a_conversation_with_a_server_fits_the_schema(client: Client) -> None:
    await client.call("joinSession", SESSION)
    await client.call(
        "sendMessage",
        {
            "sessionId": SESSION,
            "content": "안녕하세요 📈",
            "clientMessageId": "m-1",
            "metadata": {"x": [1, None]},
        },
    )
    await client.run("/help")
    for faulty in (
        ("sendMessage", {"sessionId": SESSION, "content": "/no_such_command"}),
        ("sendMessage", {"sessionId": SESSION, "content": "/backtest bt_000000000000"}),
        ("noSuchEvent", {"sessionId": SESSION}),
    ):
        assert (await client.call(*faulty))["ok"] is False
    for text in ("/members", "/whoami", "/status", "/strategies", "/history", "/cache_status"):
        assert (await client.run(text))["success"] is True, text
    await client.call("completeCommand", {"sessionId": SESSION, "text": "/run"})
    joined = await client.call("joinSession", {"sessionId": SESSION, "afterSeq": 0, "name": "Kim"})
    assert {entry["type"] for entry in joined["entries"]} == {"message", "commandResult"}
    await client.call("leaveSession", {"sessionId": SESSION})
    assert client.faults == []
    assert {name for name, _ in client.seen} >= {"message", "commandResult", "error", "presence"}


async def test_backtests_and_comparisons_fit_the_schema(client: Client) -> None:
    named = {"strategy_id": "sma_crossover", "symbols": ["AAPL"]}
    ack = await client.call(
        "executeCommand",
        {"sessionId": SESSION, "command": "run_backtest", "parameters": named},
    )
    one = await client.first("commandResult", commandId=ack["commandId"])
    several = await client.run("/run_backtest momentum AAPL MSFT start=2005-01-01")
    again = await client.run(f"/rerun {one['data']['backtestId']}")
    reused = await client.run("/run_backtest sma_crossover AAPL")
    compared = await client.run("/compare_strategies sma_crossover momentum symbols=AAPL")
    for result in (one, several, again, reused):
        assert fault(_model("BacktestData"), result["data"]) is None
    assert fault(_model("ComparisonData"), compared["data"]) is None
    assert set(several["data"]["bySymbol"]) == {"AAPL", "MSFT"}
    assert again["data"]["rerunOf"]["identical"] is True
    assert reused["data"]["reused"] is True
    assert client.faults == []
    outcomes = {payload.get("outcome") for payload in client.payloads("backtestProgress")}
    assert outcomes >= {None, "completed", "reused"}


async def test_a_cancelled_backtest_fits_the_schema(client: Client) -> None:
    await client.call("joinSession", {"sessionId": SESSION, "limit": 0})
    asked = {"sessionId": SESSION, "content": "/run_backtest macd AAPL MSFT IBM"}
    ack = await client.call("sendMessage", asked)
    await client.first("backtestProgress", status="running")
    joined = await client.call("joinSession", SESSION)
    (job,) = joined["jobs"]
    await client.run(f"/cancel {job['backtestId']}")
    result = await client.first("commandResult", commandId=ack["commandId"])
    assert result["success"] is False
    assert fault(_model("FailureData"), result["data"]) is None
    assert client.faults == []
    assert client.payloads("backtestProgress")[-1]["outcome"] == "cancelled"


async def test_a_refused_connection_fits_the_schema(client: Client) -> None:
    other = socketio.AsyncClient(reconnection=False)
    reasons: list[Any] = []
    other.on("connect_error", reasons.append)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await other.connect(
            client.socket.connection_url,
            auth={"clientId": "no spaces"},
            socketio_path="/ws/chatops",
        )
    assert [fault(WIRE["connect"]["refusal"], one["data"]) for one in reasons] == [None]


async def test_what_does_not_fit_would_be_seen(client: Client) -> None:
    ack = await client.call("joinSession", SESSION)
    assert fault(WIRE["clientEvents"]["joinSession"]["ack"], {**ack, "jobs": [{}]})
    assert fault(WIRE["clientEvents"]["joinSession"]["ack"], {**ack, "ok": False})

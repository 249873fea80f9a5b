"""HTTP without a language model: its document, its errors, sessions, models, usage."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import pytest_asyncio

from chatops.access.identity import Person
from chatops.assistant.messages import Tokens
from chatops.assistant.usage import UsageRecord
from chatops.bootstrap import Node
from tests.support.caller import Caller
from tests.support.http import Api, api_of
from tests.support.inprocess import leftovers, running_node

pytestmark = pytest.mark.asyncio(loop_scope="module")

SESSION = "/api/v1/chatops-advanced/session"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Node, str]]:
    folder = tmp_path_factory.mktemp("http")
    async with running_node(folder, cors_origins="https://desk.example") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def api(server: tuple[Node, str]) -> AsyncIterator[Api]:
    async with api_of(server[1]) as it:
        yield it


async def new_session(api: Api, **query: Any) -> str:
    told = await api.post(f"{SESSION}/create", **query)
    assert told.status == 200
    return str(told.body["session_id"])


# ---------------------------------------------------------------------------- the document


async def test_the_document_is_openapi_31_of_valid_schemas(api: Api) -> None:
    document = api.document
    assert document["openapi"] == "3.1.0"
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    text = json.dumps(document)
    for ref in {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert ref in document["components"]["schemas"]
    operations = [one for path in document["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]
    assert len(names) == len(set(names))
    for path, methods in document["paths"].items():
        for one in methods.values():
            parts = {p["name"] for p in one["parameters"] if p["in"] == "path"}
            assert parts == {part.split("}")[0] for part in path.split("{")[1:]}


async def test_every_operation_that_was_asked_for_is_there(api: Api) -> None:
    asked_for = {
        "GET /api/v1/gen-ai/models",
        "GET /api/v1/gen-ai/models/{service_name}",
        f"POST {SESSION}/create",
        f"POST {SESSION}/import",
        f"POST {SESSION}/{{id}}/chat",
        f"GET {SESSION}/{{id}}",
        f"GET {SESSION}/{{id}}/export",
        "POST /api/v1/chatops-advanced/strategies/compare",
        "POST /api/v1/chatops-advanced/backtest/trigger",
        "POST /api/v1/chat",
        "GET /api/v1/usage",
    }
    served = {
        f"{method.upper()} {path}"
        for path, methods in api.document["paths"].items()
        for method in methods
    }
    assert asked_for <= served


async def test_the_page_to_try_it_needs_nothing_from_elsewhere(api: Api) -> None:
    async with api.http.get(f"{api.url}/api/v1/docs") as response:
        page, policy = await response.text(), response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http:" not in page
    assert "https:" not in page
    assert "<script>" not in page
    for path in ("/api/v1/docs.js", "/style.css", "/api/v1/openapi.json"):
        assert path in page
        async with api.http.get(api.url + path) as response:
            assert response.status == 200


# ---------------------------------------------------------------------------- errors


async def test_a_bad_body_is_refused_with_a_list_of_its_fields(api: Api) -> None:
    session = await new_session(api)
    told = await api.post(f"{SESSION}/{session}/chat", {"user_roles": "trader", "question": ""})
    assert told.status == 422
    assert told.error["code"] == "bad_payload"
    assert [one["field"] for one in told.error["fields"]] == ["question", "user_roles"]
    told = await api.post("/api/v1/chatops-advanced/strategies/compare", {"strategy_ids": ["x"]})
    assert [one["field"] for one in told.error["fields"]] == ["strategy_ids"]
    nested: dict[str, Any] = {"strategy_config": {"name": "x", "config": {}}}
    told = await api.post("/api/v1/chatops-advanced/backtest/trigger", nested)
    assert told.error["fields"][0]["field"] == "strategy_config.config.config_type"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"message": NaN}', b'{"a": 1, "a": 2}', b"\xff", b'"\\ud800"'],
)
async def test_what_is_no_json_object_is_refused(api: Api, body: bytes) -> None:
    async with api.http.post(f"{api.url}/api/v1/chat", data=body) as response:
        assert response.status == 422
        error = (await response.json())["error"]
    assert error["fields"][0]["problem"]
    assert "Traceback" not in json.dumps(error)


async def test_a_body_that_is_too_long_is_refused(api: Api) -> None:
    async with api.http.post(f"{api.url}/api/v1/chat", data=b" " * 65_537) as response:
        assert response.status == 413
        assert "64 KiB" in (await response.json())["error"]["message"]


async def test_another_method_and_another_path_are_refused_as_json(api: Api) -> None:
    async with api.http.delete(f"{api.url}/api/v1/chat") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "POST"
        assert (await response.json())["error"]["hint"] == "It takes POST."
    async with api.http.get(f"{api.url}/api/v1/nothing") as response:
        assert response.status == 404
        assert (await response.json())["error"]["code"] == "not_found"


async def test_an_unknown_session_is_not_found_and_is_not_made(api: Api) -> None:
    for _ in range(2):
        assert (await api.get(f"{SESSION}/nowhere")).status == 404
        assert (await api.get(f"{SESSION}/nowhere/export")).status == 404
        told = await api.post(f"{SESSION}/nowhere/chat", {"question": "/help"})
        assert (told.status, told.error["code"]) == (404, "not_found")
        told = await api.post("/api/v1/chat", {"message": "/help", "session_id": "nowhere"})
        assert told.status == 404


async def test_without_a_model_a_question_is_refused_and_not_said(api: Api) -> None:
    session = await new_session(api)
    told = await api.post(f"{SESSION}/{session}/chat", {"question": "Which one gained most?"})
    assert (told.status, told.error["code"]) == (503, "assistant_off")
    assert "OPENAI_API_KEY" in told.error["hint"]
    assert (await api.get(f"{SESSION}/{session}")).body["last_seq"] == 0


async def test_a_page_of_another_site_may_do_nothing(api: Api) -> None:
    for origin, status in (
        ("https://evil.example", 403),
        ("null", 403),
        ("https://desk.example", 200),
        (api.url, 200),
    ):
        told = await api.post(f"{SESSION}/create", headers={"Origin": origin})
        assert told.status == status
        listed = told.headers.get("Access-Control-Allow-Origin")
        assert listed == (origin if "desk" in origin else None)
    asked = {"Access-Control-Request-Method": "POST"}
    for origin, status in (("https://desk.example", 204), ("https://evil.example", 405)):
        async with api.http.options(
            f"{api.url}/api/v1/chat", headers={**asked, "Origin": origin}
        ) as response:
            assert response.status == status
            allowed = response.headers.get("Access-Control-Allow-Methods")
            assert allowed == ("GET, POST" if status == 204 else None)


async def test_a_person_has_one_allowance(tmp_path: Path) -> None:
    settings = {"rate_limit": "on", "person_rate": 0.5, "person_burst": 3}
    async with running_node(tmp_path, **settings) as (_, url), api_of(url) as api:
        statuses = [(await api.post(f"{SESSION}/create", user_id="Kim")).status for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        told = await api.post(f"{SESSION}/create", user_id="kim")
        assert told.error["code"] == "rate_limited"
        assert int(told.headers["Retry-After"]) >= 1
        assert (await api.post(f"{SESSION}/create", user_id="Lee")).status == 200


# ---------------------------------------------------------------------------- sessions


async def test_who_acts_is_who_they_are_over_sockets(server: tuple[Node, str], api: Api) -> None:
    session = await new_session(api, user_id="Kim Chul")
    assert (await api.get(f"{SESSION}/{session}")).body["owner"] == "Kim Chul"
    async with Caller(server[1], session, "kim chul") as kim:
        me = (await kim.say("/whoami"))["data"]["id"]
        await api.post(f"{SESSION}/{session}/chat", {"question": "/jobs"}, user_id="Kim Chul")
        told = await kim.hears("message", lambda one: one["content"] == "/jobs")
        assert told["author"] == {"id": me, "name": "Kim Chul"}
        header = {"X-Chatops-User": "민아"}
        await api.post(f"{SESSION}/{session}/chat", {"question": "/status"}, headers=header)
        told = await kim.hears("message", lambda one: one["content"] == "/status")
        assert told["author"] == {"id": "name:민아", "name": "민아"}
        await api.post("/api/v1/chat", {"message": "/symbols", "session_id": session})
        told = await kim.hears("message", lambda one: one["content"] == "/symbols")
        assert told["author"] == {"id": "guest:http", "name": "guest"}
    told = (await api.post(f"{SESSION}/create", user_id="\u200b")).error
    assert told["message"] == "This name cannot be shown."


async def test_a_command_is_answered_by_its_result_and_seen_by_the_room(
    server: tuple[Node, str], api: Api
) -> None:
    session = await new_session(api)
    async with Caller(server[1], session, "Ann") as ann:
        told = await api.post(f"{SESSION}/{session}/chat", {"question": "/rename Desk"})
        result = await ann.hears("commandResult", lambda one: "Desk" in one["message"])
    assert told.status == 200
    assert told.body == {
        "session_id": session,
        "query": "/rename Desk",
        "answer": result["message"],
        "conversation_turn": 0,
    }
    shown = (await api.get(f"{SESSION}/{session}")).body
    assert shown["title"] == "Desk"
    assert [one["type"] for one in shown["entries"]] == ["message", "message", "commandResult"]
    assert not shown["more"]
    page = (await api.get(f"{SESSION}/{session}", after_seq="0", limit="1")).body
    assert [one["seq"] for one in page["entries"]] == [1]
    assert page["more"]


async def test_a_private_command_is_answered_to_its_caller_alone(
    server: tuple[Node, str], api: Api
) -> None:
    session = await new_session(api)
    async with Caller(server[1], session, "Ann") as ann:
        told = await api.post("/api/v1/chat", {"message": "/help", "session_id": session})
        assert "/run_backtest" in told.body["reply"]
        assert ann.all("commandResult") == []


async def test_a_command_that_is_none_is_refused(api: Api) -> None:
    told = await api.post("/api/v1/chat", {"message": "/run_backtst"})
    assert (told.status, told.error["code"]) == (404, "unknown_command")
    assert "run_backtest" in told.error["hint"]


async def test_a_repeat_with_the_same_key_is_answered_and_said_once(api: Api) -> None:
    session = await new_session(api)
    key = {"Idempotency-Key": "monday-1"}
    body = {"question": "/rename Monday"}
    first, second = [
        await api.post(f"{SESSION}/{session}/chat", body, headers=key, user_id="Kim")
        for _ in range(2)
    ]
    assert first.body == second.body
    assert (await api.get(f"{SESSION}/{session}")).body["last_seq"] == 3
    told = await api.post("/api/v1/chat", {"message": "/jobs"}, headers={"Idempotency-Key": "a b"})
    assert told.status == 422


async def test_nothing_stays_of_those_who_asked(server: tuple[Node, str], api: Api) -> None:
    session = await new_session(api)
    before = leftovers(server[0])
    questions = [{"message": "/jobs", "session_id": session} for _ in range(20)]
    await asyncio.gather(*(api.post("/api/v1/chat", one) for one in questions))
    assert leftovers(server[0]) == before
    assert server[0].listeners._listeners == {}


# ---------------------------------------------------------------------------- export and import


async def talk(server: tuple[Node, str], session: str) -> None:
    async with Caller(server[1], session, "Kim") as kim:
        for text in ("//hello", "/rename Desk", "/jobs"):
            ack = await kim.ask("sendMessage", sessionId=session, content=text)
            if "commandId" in ack:
                await kim.result_of(ack["commandId"])


async def exported(api: Api, session: str) -> Any:
    return (await api.get(f"{SESSION}/{session}/export", format="json")).body


async def test_an_export_is_what_the_other_path_gives(server: tuple[Node, str], api: Api) -> None:
    await talk(server, "exporting")
    told = await api.get(f"{SESSION}/exporting/export", format="markdown")
    other = await api.get("/api/v1/sessions/exporting/export")
    assert told.text == other.text
    assert told.text.startswith("# Desk\n")
    assert "/hello" in told.text
    assert (await api.get(f"{SESSION}/exporting/export", format="pdf")).status == 422


async def test_an_export_goes_into_another_session_once(server: tuple[Node, str], api: Api) -> None:
    await talk(server, "first")
    export = await exported(api, "first")
    count = len(export["entries"])
    done = await api.post(f"{SESSION}/import", export, session_id="second", user_id="Lee")
    assert done.body == {"session_id": "second", "imported": count, "skipped": 0}
    shown = (await api.get(f"{SESSION}/second")).body
    assert (shown["title"], shown["owner"]) == ("Desk", "Lee")
    assert len(shown["entries"]) == count + 1
    for before, after in zip(export["entries"], shown["entries"], strict=False):
        assert after["type"] == before["type"]
        if after["type"] == "message":
            kept = ("id", "role", "content", "timestamp")
            assert [after[name] for name in kept] == [before[name] for name in kept]
            assert after["author"]["id"] == f"imported:{before['author']['id']}"
            assert after["author"]["name"] == f"{before['author']['name']} (imported)"
            assert after["metadata"]["imported"] == {"sessionId": "first", "seq": before["seq"]}
        else:
            assert after["requestedBy"]["name"] == "Kim (imported)"
    assert shown["entries"][-1]["author"]["name"] == "Lee"
    assert shown["entries"][-1]["content"] == f"Lee imported {count} entries of “Desk”."
    again = await api.post(f"{SESSION}/import", export, session_id="second", user_id="Kim")
    assert again.body == {"session_id": "second", "imported": 0, "skipped": count}
    assert (await api.get(f"{SESSION}/second")).body["last_seq"] == count + 1


async def test_an_export_doubles_nothing_where_it_comes_from_nor_on_a_round_trip(
    server: tuple[Node, str], api: Api
) -> None:
    await talk(server, "origin")
    export = await exported(api, "origin")
    count = len(export["entries"])
    done = await api.post(f"{SESSION}/import", export)
    assert done.body == {"session_id": "origin", "imported": 0, "skipped": count}
    await api.post(f"{SESSION}/import", export, session_id="copy")
    back = await api.post(f"{SESSION}/import", await exported(api, "copy"), session_id="origin")
    assert back.body["imported"] == 1  # the notice of the first import
    both = await asyncio.gather(
        *(api.post(f"{SESSION}/import", export, session_id="twice") for _ in range(4))
    )
    assert sum(one.body["imported"] for one in both) == count


async def test_a_long_export_is_imported_while_others_are_served(
    server: tuple[Node, str], api: Api
) -> None:
    await talk(server, "long")
    export = await exported(api, "long")
    (said,) = [one for one in export["entries"] if one.get("content") == "/hello"]
    export["entries"] = [
        {**said, "id": f"msg_{number}", "seq": number, "content": "x" * 2_000}
        for number in range(1, 301)
    ]
    importing = server[0].supervisor.start(
        api.post(f"{SESSION}/import", export, session_id="longer"), "import"
    )
    assert (await api.get("/api/v1/gen-ai/models")).status == 200
    assert (await importing).body["imported"] == 300
    shown = (await api.get(f"{SESSION}/longer", after_seq="0", limit="500")).body["entries"]
    assert [one["id"] for one in shown[:300]] == [one["id"] for one in export["entries"]]


async def test_imported_commands_are_history_and_run_nothing(
    server: tuple[Node, str], api: Api
) -> None:
    node, _ = server
    export = await exported(api, await new_session(api))
    author = {"id": "assistant", "name": "assistant"}
    export["entries"] = [
        {
            "type": "message",
            "id": "msg_1",
            "sessionId": export["session"]["id"],
            "role": "user",
            "content": "/run_backtest momentum",
            "timestamp": "2026-01-01T00:00:00.000Z",
            "seq": 1,
            "author": author,
            "metadata": {"commandId": "cmd_1", "assistantMode": "off", "ask": {"model": "x"}},
        }
    ]
    await api.post(f"{SESSION}/import", export, session_id="history")
    shown = (await api.get(f"{SESSION}/history")).body
    assert shown["assistant"] == "always"
    assert set(shown["entries"][0]["metadata"]) == {"imported"}
    assert shown["entries"][0]["author"]["id"] == "imported:assistant"
    assert node.jobs.standing() == []
    assert await node.store.sessions.open_commands() == []
    export["format"] = "another"
    assert (await api.post(f"{SESSION}/import", export)).status == 422


# ---------------------------------------------------------------------------- models and usage


async def test_models_are_listed_with_their_prices(api: Api) -> None:
    told = (await api.get("/api/v1/gen-ai/models")).body
    prices = {
        one["model_id"]: (one["input_price_per_1m"], one["output_price_per_1m"])
        for one in told["models"]
    }
    assert prices == {
        "gpt-4o-mini": (0.15, 0.60),
        "gpt-4o": (2.50, 10.00),
        "gpt-4-turbo": (10.00, 30.00),
        "o1-preview": (15.00, 60.00),
    }
    assert told["total"] == 4
    told = (await api.get("/api/v1/gen-ai/models", tier="MINI")).body
    assert [one["model_id"] for one in told["models"]] == ["gpt-4o-mini"]
    told = await api.get("/api/v1/gen-ai/models", tier="HUGE")
    assert told.error["fields"][0]["field"] == "tier"


async def test_a_service_has_its_models(api: Api) -> None:
    told = await api.get("/api/v1/gen-ai/models/chatops_advanced")
    assert told.body == {
        "service_name": "chatops_advanced",
        "allowed_models": ["gpt-4o-mini", "gpt-4o", "gpt-4-turbo"],
        "default_model": "gpt-4o",
    }
    assert (await api.get("/api/v1/gen-ai/models/none")).status == 404


async def test_usage_and_what_is_left_are_the_same_by_http_and_by_command(tmp_path: Path) -> None:
    settings = {"budget_person_usd": "1", "budget_day_usd": "2"}
    async with running_node(tmp_path, **settings) as (node, url), api_of(url) as api:
        assert (await api.get("/api/v1/usage")).body["rows"] == []
        today = datetime.now(UTC)
        for number, at in enumerate((NOON, today)):
            await node.store.usage.append(
                UsageRecord(
                    id=f"call_{number}",
                    person=Person("name:kim", "Kim"),
                    session_id="desk",
                    service="chatops_advanced",
                    model_id="gpt-4o-mini",
                    tokens=Tokens(input=1_000, output=200, cached=500),
                    measured=bool(number),
                    cost_usd=Decimal("0.000000000001"),
                    dearest_usd=Decimal("0.25"),
                    latency_ms=100,
                    first_ms=10,
                    at=at,
                    outcome="completed",
                )
            )
        told = (await api.get("/api/v1/usage", by="person", user_id="Kim")).body
        (row,) = told["rows"]
        assert (row["key"], row["label"], row["calls"], row["estimated"]) == (
            "name:kim",
            "Kim",
            2,
            1,
        )
        assert (row["input_tokens"], row["cached_tokens"], row["output_tokens"]) == (
            2_000,
            1_000,
            400,
        )
        assert row["cost_usd"] == "0.000000000002"
        assert row["saved_usd"] == "0.499999999998"
        assert told["total"] == {**row, "key": "total", "label": "total"}
        left = {one["whose"]: one["left_usd"] for one in told["budgets"]}
        assert left == {"person": "0.999999999999", "day": "1.999999999999"}
        days = (await api.get("/api/v1/usage", since="2026-03-01", before="2026-03-02")).body
        assert [one["key"] for one in days["rows"]] == ["2026-03-01"]
        days = (await api.get("/api/v1/usage", since="2026-03-01T12:00:00.001Z")).body
        assert days["total"]["calls"] == 1
        assert (await api.get("/api/v1/usage", by="mood")).status == 422
        assert (await api.get("/api/v1/usage", since="soon")).status == 422
        async with Caller(url, "desk", "Kim") as kim:
            said = await kim.say("/usage by=person")
            assert said["data"]["total"]["savedUsd"] == "0.499999999998"
            assert "100.0 %" in said["message"]
            assert "you $1.00 of $1.00" in said["message"]
            here = await kim.say("/usage by=session --here since=2026-03-02")
            assert here["data"]["rows"][0]["calls"] == 1
            models = await kim.say("/models narrative_report")
            assert models["data"]["services"]["narrative_report"]["default"] == "gpt-4o"
            assert "gpt-4o-mini" not in models["message"]
            models = await kim.say("/models")
            assert models["data"]["services"]["chatops_advanced"]["tools"] == "gpt-4o-mini"
            assert "uses gpt-4o by default, after gpt-4o-mini has chosen" in models["message"]
            assert (await kim.refusal("/models none"))["code"] == "not_found"

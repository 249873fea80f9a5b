"""The documents of the wire say what the code does."""

import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from jsonschema import Draft202012Validator

import chatops
from chatops import errors
from chatops.backtests.analysis.metrics import METRICS
from chatops.backtests.analysis.regimes import RegimeFigures
from chatops.protocol import results
from chatops.protocol.catalogue import CLIENT_EVENTS, SERVER_EVENTS
from chatops.protocol.events import ERROR_CODES
from chatops.protocol.schema import Form, json_schema, render
from chatops.realtime.handlers import EVENTS

ROOT = Path(__file__).parents[3]
WIRE = json_schema()


def check(schema: dict[str, Any], value: object) -> bool:
    valid: bool = Draft202012Validator({**schema, "$defs": WIRE["$defs"]}).is_valid(value)
    return valid


def app_errors() -> list[type[errors.AppError]]:
    """Every error class of the package, wherever it stands."""
    for module in pkgutil.walk_packages(chatops.__path__, "chatops."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = [errors.AppError]
    for one in found:
        found += one.__subclasses__()
    return [one for one in found[1:] if one.__module__.startswith("chatops.")]


def test_the_references_in_docs_are_as_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, "tools/write_reference.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("form", ["json", "asyncapi", "typescript"])
def test_the_command_line_prints_each_form(form: Form) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "chatops", "schema", form],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == render(form) + "\n"


def test_every_event_of_the_catalogue_has_a_handler_that_takes_its_request() -> None:
    takes = {name: get_type_hints(serve)["request"] for name, serve in EVENTS.items()}
    assert takes == {name: event.request for name, event in CLIENT_EVENTS.items()}


def test_the_json_schema_is_valid_and_every_reference_leads_somewhere() -> None:
    Draft202012Validator.check_schema(WIRE)
    assert set(_refs(WIRE)) == {f"#/$defs/{name}" for name in WIRE["$defs"]}


def test_every_model_of_the_schema_says_what_it_is() -> None:
    assert [
        name
        for name, schema in WIRE["$defs"].items()
        if "properties" in schema and not schema.get("description")
    ] == []


def test_a_session_may_be_named_by_its_bare_id() -> None:
    for name in ("joinSession", "leaveSession"):
        payload = WIRE["clientEvents"][name]["payload"]
        assert check(payload, "session_1697472000000")
        assert check(payload, {"sessionId": "session_1697472000000"})
        assert not check(payload, "no spaces")
        assert not check(payload, {})
    assert not check(WIRE["clientEvents"]["sendMessage"]["payload"], "session_1")


def test_requests_may_have_null_where_a_field_is_optional_and_replies_never_do() -> None:
    send = WIRE["clientEvents"]["sendMessage"]["payload"]
    assert check(send, {"sessionId": "s", "content": "x", "metadata": None, "other": 1})
    assert not check(send, {"sessionId": "s", "content": "x" * 5001})
    error = WIRE["serverEvents"]["error"]["payload"]
    assert check(error, {"message": "No.", "code": "internal", "requestId": "r"})
    assert not check(error, {"message": "No.", "code": "internal", "requestId": "r", "hint": None})
    assert not check(error, {"message": "No.", "code": "no_such_code", "requestId": "r"})


def test_an_ack_is_either_done_or_an_error() -> None:
    ack = WIRE["clientEvents"]["leaveSession"]["ack"]
    error = {"message": "No.", "code": "internal", "requestId": "r"}
    assert check(ack, {"ok": True})
    assert check(ack, {"ok": False, "error": error})
    assert not check(ack, {"ok": False})
    assert not check(ack, {})


def test_metrics_of_the_wire_are_those_that_are_computed() -> None:
    assert tuple(WIRE["$defs"]["Metrics"]["properties"]) == METRICS
    assert set(results.RegimeFigures.model_fields) == set(RegimeFigures.__annotations__)


def test_every_error_has_a_code_of_its_own_that_clients_are_told_of() -> None:
    # One that brings no code is to clients what its parent is; the server knows more of it.
    every = [one for one in app_errors() if "code" in vars(one)]
    assert len({one.code for one in every}) == len(every)
    # The client of the command line has failures of its own; no server ever sends them.
    classes = [one for one in every if one.__module__ != "chatops.realtime.client"]
    codes = [one.code for one in classes]
    assert set(codes) == set(ERROR_CODES) == set(WIRE["$defs"]["ErrorCode"]["enum"])
    listed = (ROOT / "docs/reference/events.md").read_text(encoding="utf-8")
    assert [code for code in codes if f"| `{code}` |" not in listed] == []
    tree = errors.__doc__ or ""
    assert [one for one in classes if f" {one.__name__} " not in tree] == []
    assert [one for one in classes if f" {one.code} " not in tree] == []


def test_asyncapi_has_every_event_in_its_direction_with_its_replies() -> None:
    document = json.loads(render("asyncapi"))
    operations = document["operations"]
    assert {n for n, o in operations.items() if o["action"] == "receive"} == set(CLIENT_EVENTS)
    assert {n for n, o in operations.items() if o["action"] == "send"} == set(SERVER_EVENTS)
    for name in CLIENT_EVENTS:
        replies = [one["$ref"].rpartition("/")[2] for one in operations[name]["reply"]["messages"]]
        assert replies == [f"{name}.ack", "refused"]
    for ref in _refs(document):
        found = document
        for part in ref.removeprefix("#/").split("/"):
            found = found[part]


def test_importing_the_wire_builds_no_model() -> None:
    code = (
        "from chatops.protocol.catalogue import *\n"
        "events = [e.request for e in CLIENT_EVENTS.values()] + list(SERVER_EVENTS.values())\n"
        "print([one.__name__ for one in events if one.__pydantic_complete__])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _refs(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [ref for one in schema for ref in _refs(one)]
    if not isinstance(schema, dict):
        return []
    own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
    return own + [ref for one in schema.values() for ref in _refs(one)]

"""The JSON Schema of the wire as an AsyncAPI 3 document."""

from collections.abc import Mapping
from typing import Any

from chatops import __version__

_CHANNEL = "#/channels/namespace"
_REFUSED = "refused"


def asyncapi(wire: Mapping[str, Any]) -> dict[str, Any]:
    """Return the AsyncAPI 3.0.0 document of the server.

    Args:
        wire: The document of :func:`chatops.protocol.schema.json_schema`.
    """
    heard, told = wire["clientEvents"], wire["serverEvents"]
    refused = next(iter(heard.values()))["ack"]["oneOf"][1]
    messages: dict[str, Any] = {}
    for name, event in heard.items():
        messages[name] = _message(name, event["payload"], wire)
        messages[_ack(name)] = _message(_ack(name), event["ack"]["oneOf"][0], wire)
    messages[_REFUSED] = _message(_REFUSED, refused, wire)
    for name, event in told.items():
        messages[name] = _message(name, event["payload"], wire)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "chatops",
            "version": __version__,
            "description": "Shared rooms over Socket.IO 5. A message's name is the event's name;"
            " a reply is the event's ack.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "local": {
                "host": "localhost:8500",
                "pathname": "/ws/chatops",
                "protocol": "ws",
                "protocolVersion": "13",
                "description": "Socket.IO 5 over Engine.IO 4: WebSocket or long-polling.",
            }
        },
        "channels": {
            "namespace": {
                "address": "/",
                "description": "The only namespace. Events of a session go to those in its room.",
                "servers": [{"$ref": "#/servers/local"}],
                "messages": {name: _ref("#/components/messages", name) for name in messages},
            }
        },
        "operations": {
            **{name: _receive(name) for name in heard},
            **{name: _operation("send", name) for name in told},
        },
        "components": {"messages": messages, "schemas": _draft_07(wire["$defs"])},
    }


def _ack(name: str) -> str:
    return f"{name}.ack"


def _ref(place: str, name: str) -> dict[str, str]:
    return {"$ref": f"{place}/{name}"}


def _operation(action: str, name: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": _CHANNEL},
        "messages": [_ref(f"{_CHANNEL}/messages", name)],
    }


def _receive(name: str) -> dict[str, Any]:
    replies = [_ref(f"{_CHANNEL}/messages", reply) for reply in (_ack(name), _REFUSED)]
    return {
        **_operation("receive", name),
        "reply": {"channel": {"$ref": _CHANNEL}, "messages": replies},
    }


def _message(name: str, payload: Mapping[str, Any], wire: Mapping[str, Any]) -> dict[str, Any]:
    model = next(one["$ref"] for one in payload.get("oneOf", [payload]) if "$ref" in one)
    described = wire["$defs"][model.rpartition("/")[2]]
    return {
        "name": name,
        "summary": described["description"].splitlines()[0],
        "payload": _draft_07(payload),
    }


def _draft_07(schema: Any) -> Any:
    """Return the schema in the dialect of AsyncAPI: its place of models, its form of tuples."""
    if isinstance(schema, list):
        return [_draft_07(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _draft_07(value) for key, value in schema.items()}
    if isinstance(found.get("$ref"), str):
        found["$ref"] = found["$ref"].replace("#/$defs/", "#/components/schemas/")
    if isinstance(found.get("prefixItems"), list):
        found["items"] = found.pop("prefixItems")
    return found

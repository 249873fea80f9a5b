"""The JSON Schema of the wire as TypeScript types for ``socket.io-client``."""

import json
import textwrap
from collections.abc import Mapping
from typing import Any

_HEAD = """\
/**
 * Types of the chatops wire, for socket.io-client:
 *
 *     const socket: Socket<ServerToClientEvents, ClientToServerEvents> =
 *       io(url, { path: "/ws/chatops" });
 *
 * Generated from the server's models; do not edit.
 */
"""

_EMIT = (
    "What a client may emit. `emitWithAck` cannot see the type of an ack that is optional: write"
    " `const reply: MessageAck | ErrorAck = await socket.emitWithAck(...)`."
)

_WIDTH = 96
_BASIC = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}


def typescript(wire: Mapping[str, Any]) -> str:
    """Return the types as a module.

    Args:
        wire: The document of :func:`chatops.protocol.schema.json_schema`.
    """
    parts = [_HEAD]
    parts += [_named(name, schema) for name, schema in wire["$defs"].items()]
    heard = {name: _listener(event, "ack") for name, event in wire["clientEvents"].items()}
    told = {name: _listener(event, None) for name, event in wire["serverEvents"].items()}
    parts.append(_events("ClientToServerEvents", _EMIT, heard))
    parts.append(_events("ServerToClientEvents", "What a client may listen to.", told))
    return "\n".join(parts).rstrip("\n")


def _named(name: str, schema: Mapping[str, Any]) -> str:
    if "properties" in schema:
        return _interface(name, schema)
    members = "".join(f"\n  | {member}" for member in type_text(schema).split(" | "))
    return f"export type {name} ={members};\n"


def _interface(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", [])
    lines = [*_comment(schema.get("description"), ""), f"export interface {name} {{"]
    for field, one in schema["properties"].items():
        lines += _comment(field_text(one), "  ")
        lines.append(f"  {field}{'' if field in required else '?'}: {type_text(one)};")
    return "\n".join([*lines, "}", ""])


def _events(name: str, text: str, listeners: Mapping[str, str]) -> str:
    rows = [f"  {event}: {listener};" for event, listener in listeners.items()]
    return "\n".join([*_comment(text, ""), f"export interface {name} {{", *rows, "}", ""])


def _listener(event: Mapping[str, Any], ack: str | None) -> str:
    reply = f", ack?: (reply: {type_text(event[ack])}) => void" if ack else ""
    return f"(payload: {type_text(event['payload'])}{reply}) => void"


def type_text(schema: Mapping[str, Any]) -> str:
    """Return a schema as a TypeScript type."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return _literal(schema["const"])
    if "enum" in schema:
        return " | ".join(_literal(value) for value in schema["enum"])
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " | ".join(dict.fromkeys(type_text(one) for one in choices))
    if schema.get("type") == "array":
        return _array(schema)
    if schema.get("type") == "object":
        return _record(schema)
    basic: str = schema.get("type", "")
    return _BASIC.get(basic, "unknown")


def _literal(value: str | bool) -> str:
    text: str = json.dumps(value)
    return text


def _array(schema: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(type_text(one) for one in schema['prefixItems'])}]"
    item = type_text(schema.get("items", {}))
    return f"({item})[]" if " | " in item else f"{item}[]"


def _record(schema: Mapping[str, Any]) -> str:
    values = schema.get("additionalProperties")
    value = type_text(values) if isinstance(values, dict) else "unknown"
    keys = schema.get("propertyNames", {}).get("enum")
    if keys:
        return f"Record<{' | '.join(_literal(key) for key in keys)}, {value}>"
    return f"Record<string, {value}>"


def field_text(schema: Mapping[str, Any]) -> str:
    """Return a field's description and the limits that a type cannot say."""
    text: str = schema.get("description", "")
    for one in [schema, *schema.get("anyOf", [])]:
        low, high = one.get("minimum"), one.get("maximum")
        if low is not None and high is not None:
            text += f" From {low} to {high}."
        if "maxLength" in one:
            text += f" {one.get('minLength', 0)} to {one['maxLength']} characters."
        if "pattern" in one and one.get("format") != "date-time":
            text += f" Matches `{one['pattern']}`."
        if one.get("format") == "date-time":
            text += " RFC 3339, UTC, milliseconds."
    return text.strip()


def _comment(text: str | None, indent: str) -> list[str]:
    if not text:
        return []
    if "\n" not in text and len(text) + len(indent) + 7 <= _WIDTH:
        return [f"{indent}/** {text} */"]
    lines = [
        line
        for paragraph in text.split("\n\n")
        for line in ["", *textwrap.wrap(paragraph, _WIDTH - len(indent) - 3)]
    ]
    return [f"{indent}/**", *(f"{indent} * {line}".rstrip() for line in lines[1:]), f"{indent} */"]

"""The contract with clients as documents: JSON Schema, AsyncAPI, TypeScript."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema
from pydantic_core import core_schema

from chatops.protocol.asyncapi import asyncapi
from chatops.protocol.base import SESSION_ID
from chatops.protocol.catalogue import (
    CLIENT_EVENTS,
    CONNECT_AUTH,
    CONNECT_REFUSED,
    REFUSED,
    SERVER_EVENTS,
)
from chatops.protocol.requests import SessionRequest
from chatops.protocol.typescript import typescript

Form = Literal["json", "asyncapi", "typescript"]

_Model = type[BaseModel]
_Wanted = tuple[_Model, JsonSchemaMode]


def render(form: Form) -> str:
    """Return the contract as text without a newline at its end; equal code gives equal text."""
    document = json_schema()
    if form == "typescript":
        return typescript(document)
    return json.dumps(document if form == "json" else asyncapi(document), indent=2)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema 2020-12 document of the wire.

    ``$defs`` has every model. ``clientEvents`` maps a name to ``payload`` and ``ack``,
    ``serverEvents`` to ``payload``, ``connect`` to ``auth`` and ``refusal``: schemas all of them.
    """
    incoming: list[_Model] = [CONNECT_AUTH]
    incoming += [event.request for event in CLIENT_EVENTS.values()]
    outgoing: list[_Model] = [CONNECT_REFUSED, REFUSED, *SERVER_EVENTS.values()]
    outgoing += [event.ack for event in CLIENT_EVENTS.values()]
    models: list[_Wanted] = [(model, "validation") for model in incoming]
    models += [(model, "serialization") for model in outgoing]
    _, found = models_json_schema(
        models, ref_template="#/$defs/{model}", schema_generator=_WireSchema
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "chatops",
        "description": "Payloads and acks of the Socket.IO events.",
        "connect": {"auth": _ref(CONNECT_AUTH), "refusal": _ref(CONNECT_REFUSED)},
        "clientEvents": {
            name: {
                "payload": _payload(event.request),
                "ack": {"oneOf": [_ref(event.ack), _ref(REFUSED)]},
            }
            for name, event in CLIENT_EVENTS.items()
        },
        "serverEvents": {name: {"payload": _ref(model)} for name, model in SERVER_EVENTS.items()},
        "$defs": {name: found["$defs"][name] for name in sorted(found["$defs"])},
    }


def _payload(request: _Model) -> dict[str, Any]:
    if issubclass(request, SessionRequest):
        return {"oneOf": [{"type": "string", "pattern": SESSION_ID}, _ref(request)]}
    return _ref(request)


def _ref(model: _Model) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{model.__name__}"}


class _WireSchema(GenerateJsonSchema):
    """Pydantic's schema, of what ``to_wire`` sends: no null where a field is left out."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's name
        return False

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        inner: Mapping[str, Any] = field["schema"]
        if self.mode == "serialization" and inner["type"] == "default":
            return inner.get("default") is not None
        return super().field_is_required(field, total)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        inner: Any = schema["schema"]
        if self.mode == "serialization":
            optional = schema.get("default") is None and inner["type"] == "nullable"
            return self.generate_inner(inner["schema"] if optional else inner)
        found = super().default_schema(schema)
        if found.get("default", ...) is None:
            del found["default"]
        return found

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> dict[str, Any]:
        # ``discriminator`` belongs to OpenAPI; the constants of the members say the same.
        found = super().tagged_union_schema(schema)
        found.pop("discriminator", None)
        return found

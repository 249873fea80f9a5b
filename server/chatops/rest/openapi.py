"""The OpenAPI document, made from the operations that are served and their models."""

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from chatops import __version__
from chatops.protocol.base import WireModel
from chatops.rest.bodies import Acting, ErrorBody
from chatops.rest.operations import CLIENT_HEADER, USER_HEADER, Operation

_WORD = re.compile(r"\W+")

_Wanted = tuple[type[BaseModel], JsonSchemaMode]
_Refs = Mapping[_Wanted, dict[str, Any]]

_ERROR: _Wanted = (ErrorBody, "serialization")

_DESCRIPTION = """\
The room of a trading team over plain HTTP. What is said here appears in the session for everybody
in it, and the other way round. Streaming is to be had over two WebSockets,
`/api/v1/chatops-advanced/ws/chat/{id}` and `/ws/chat`, and over Socket.IO."""

_EVERYWHERE = (HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE)
_FOR_POSTS = (
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.TOO_MANY_REQUESTS,
)


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the operations; equal rows give equal text."""
    wanted: dict[_Wanted, None] = {_ERROR: None}
    for one in operations:
        wanted |= dict.fromkeys(_models(one))
    refs: dict[Any, dict[str, Any]] = {}
    schemas: dict[str, Any] = {}
    for wire in (False, True):
        prefix = "Wire." if wire else ""
        found, definitions = models_json_schema(
            [one for one in wanted if _is_wire(one[0]) is wire],
            by_alias=wire,
            ref_template=f"#/components/schemas/{prefix}{{model}}",
        )
        refs.update(found)
        schemas |= {prefix + name: schema for name, schema in definitions["$defs"].items()}
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _described(one, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "chatops", "version": __version__, "description": _DESCRIPTION},
        "paths": paths,
        "components": {"schemas": {name: schemas[name] for name in sorted(schemas)}},
    }


def _is_wire(model: type[BaseModel]) -> bool:
    """Whether the names of a body are those of the wire, in camelCase, as in exports and errors."""
    return model is ErrorBody or issubclass(model, WireModel)


def _models(operation: Operation) -> Iterator[_Wanted]:
    if operation.body is not None and issubclass(operation.body, BaseModel):
        yield operation.body, "validation"
    for answer in (operation.answer, operation.accepted):
        if isinstance(answer, type):
            yield answer, "serialization"


def _described(operation: Operation, refs: _Refs) -> dict[str, Any]:
    described: dict[str, Any] = {
        "tags": [operation.tag],
        "summary": operation.summary,
        "operationId": _WORD.sub("_", f"{operation.method} {operation.path}").strip("_").lower(),
        "parameters": list(_parameters(operation)),
        "responses": _responses(operation, refs),
    }
    if operation.body is not None:
        content: dict[str, Any] = {"application/octet-stream": {}}
        if issubclass(operation.body, BaseModel):
            content = {"application/json": {"schema": refs[(operation.body, "validation")]}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    for name in operation.parts:
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    schema = operation.query.model_json_schema(by_alias=False)
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        yield {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": field.pop("description", ""),
            "schema": _inline(field, schema.get("$defs", {})),
        }
    if issubclass(operation.query, Acting):
        yield {
            "name": USER_HEADER,
            "in": "header",
            "required": False,
            "description": "The same as `user_id`, which wins.",
            "schema": {"type": "string"},
        }
        yield {
            "name": CLIENT_HEADER,
            "in": "header",
            "required": False,
            "description": "Beside a name: the `clientId` with which you connect sockets.",
            "schema": {"type": "string"},
        }


def _inline(schema: Any, definitions: dict[str, Any]) -> Any:
    """Return a schema without references."""
    if isinstance(schema, list):
        return [_inline(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inline(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {name: _inline(one, definitions) for name, one in schema.items()}


def _responses(operation: Operation, refs: _Refs) -> dict[str, Any]:
    def body(answer: type[BaseModel] | str) -> dict[str, Any]:
        if isinstance(answer, str):
            return {media: {"schema": {}} for media in answer.split(", ")}
        return {"application/json": {"schema": refs[(answer, "serialization")]}}

    told: dict[str, Any] = {
        "200": {"description": "Done.", "content": body(operation.answer)},
    }
    if operation.accepted is not None:
        told["202"] = {"description": "Not yet.", "content": body(operation.accepted)}
    statuses = {*operation.errors, *_EVERYWHERE}
    statuses |= set(_FOR_POSTS) if operation.method == "POST" else set()
    for status in sorted(statuses):
        told[str(int(status))] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/json": {"schema": refs[_ERROR]}},
        }
    return told

"""A client of HTTP that holds each request and each answer to the OpenAPI document.

What the document does not allow must be refused with 422.
"""

import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import jsonschema
from referencing import Registry
from referencing.jsonschema import DRAFT202012

_NAME = "urn:openapi"


@dataclass(frozen=True)
class Told:
    """An answer."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> dict[str, Any]:
        """The error, which must be there."""
        assert self.status >= 400, self.text
        found: dict[str, Any] = self.body["error"]
        return found


@dataclass
class Api:
    """Calls the operations of one server."""

    http: aiohttp.ClientSession
    url: str
    document: dict[str, Any]

    async def get(self, path: str, **query: str) -> Told:
        """Call an operation without a body."""
        return await self.call("GET", path, None, query)

    async def post(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None, **query: str
    ) -> Told:
        """Call an operation with one."""
        return await self.call("POST", path, body, query, headers)

    async def call(
        self,
        method: str,
        path: str,
        body: Any,
        query: dict[str, str],
        headers: dict[str, str] | None = None,
    ) -> Told:
        operation = self._operation(method, path)
        allowed = self._allows(operation, body, query)
        async with self.http.request(
            method,
            self.url + path,
            **({"data": io.BytesIO(body)} if isinstance(body, bytes) else {"json": body}),
            params=query,
            headers=headers,
        ) as response:
            told = Told(response.status, dict(response.headers), await response.text())
            media = response.content_type
        if not allowed:
            assert told.status == 422, (told.status, told.text)
        described = operation["responses"][str(told.status)]["content"]
        assert media in described, (media, described)
        if media == "application/json":
            self._validate(told.body, described[media]["schema"])
        return told

    def _operation(self, method: str, path: str) -> dict[str, Any]:
        for template, methods in self.document["paths"].items():
            pattern = re.sub(r"{\w+}", "[^/]+", template)
            if re.fullmatch(pattern, path) and method.lower() in methods:
                found: dict[str, Any] = methods[method.lower()]
                return found
        raise AssertionError(f"{method} {path} is not described")

    def _allows(self, operation: dict[str, Any], body: Any, query: dict[str, str]) -> bool:
        known = {one["name"]: one for one in operation["parameters"] if one["in"] == "query"}
        assert set(query) <= set(known), query
        try:
            for name, value in query.items():
                schema = json.dumps(known[name])
                whole = '"integer"' in schema and value.isdigit()
                word = '"boolean"' in schema and value in ("true", "false")
                meant = json.loads(value) if whole or word else value
                self._validate(meant, known[name]["schema"])
            if "requestBody" in operation:
                content = operation["requestBody"]["content"]
                assert ("application/octet-stream" in content) is isinstance(body, bytes)
                if not isinstance(body, bytes):
                    self._validate(body, content["application/json"]["schema"])
        except jsonschema.ValidationError:
            return False
        return True

    def _validate(self, value: Any, schema: dict[str, Any]) -> None:
        registry: Registry[Any] = Registry().with_resource(
            _NAME, DRAFT202012.create_resource(self.document)
        )
        rooted = json.loads(json.dumps(schema).replace('"#/', f'"{_NAME}#/'))
        jsonschema.Draft202012Validator(rooted, registry=registry).validate(value)


@asynccontextmanager
async def api_of(url: str, **headers: str) -> AsyncIterator[Api]:
    """Yield a client of the server at the URL."""
    async with aiohttp.ClientSession(headers=headers) as http:
        async with http.get(f"{url}/api/v1/openapi.json") as response:
            document = await response.json()
        yield Api(http, url, document)

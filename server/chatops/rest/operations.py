"""Operations of the HTTP interface as data: they are served, and described, from the same rows."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ValidationError

from chatops.access.identity import Person, local_person
from chatops.access.rates import PersonRates
from chatops.errors import BadPayloadError, NotAllowedError, QueueFullError, ShuttingDownError
from chatops.protocol.base import MAX_PAYLOAD_BYTES
from chatops.protocol.strictjson import StrictJsonError, encode, loads
from chatops.rest.bodies import ClientHeader, FieldProblem, Nothing
from chatops.rest.errors import BadFieldsError, TooLargeError

USER_HEADER = "X-Chatops-User"
CLIENT_HEADER = "X-Chatops-Client"
"""The ``clientId`` with which the same person connects sockets."""

GUEST = Person(id="guest:http", name="guest")
"""Whoever does not say who they are; all of them are one person, with one allowance."""

_BUSY_RETRY_S = 2.0
_BODY_WITHIN_S = 120.0

_M = TypeVar("_M", bound=BaseModel)
_PART = re.compile(r"{(\w+)}")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked.

    Attributes:
        request: As it came.
        person: Who asks.
        query: An instance of the operation's model.
        body: The same, or the bytes of a file; None where it has none.
    """

    request: web.Request
    person: Person
    query: Any
    body: Any

    def part(self, name: str = "id") -> str:
        """Return a part of the path."""
        return self.request.match_info[name]


Handle = Callable[[Call], Awaitable[BaseModel | web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        method: Of HTTP.
        path: With its parts in braces.
        tag: Under which heading it is listed.
        summary: What it does, one line.
        handle: Does it.
        answer: What it answers with 200: a model, or a media type.
        query: Its parameters.
        body: What it takes: a model, or ``bytes``, a file as it is.
        errors: Which errors it may answer, besides those that all may.
        accepted: What it answers with 202, if it may.
        max_bytes: The longest body that it takes.
        at_once: How many requests may be in hand; no body is read of those beyond. 0: any number.
    """

    method: Literal["GET", "POST"]
    path: str
    tag: str
    summary: str
    handle: Handle
    answer: type[BaseModel] | str
    query: type[BaseModel] = Nothing
    body: type[BaseModel] | type[bytes] | None = None
    errors: tuple[int, ...] = ()
    accepted: type[BaseModel] | None = None
    max_bytes: int = MAX_PAYLOAD_BYTES
    at_once: int = 0

    @property
    def parts(self) -> list[str]:
        """Names of the parts of the path."""
        return _PART.findall(self.path)


class Door:
    """Who comes in by HTTP: from which page, as whom, how often.

    Attributes:
        closing: Set when nothing new is to be begun.
    """

    def __init__(self, cors_origins: tuple[str, ...], people: PersonRates | None) -> None:
        self._origins = cors_origins
        self._people = people
        self.closing = False

    def check_origin(self, request: web.Request) -> None:
        """Let other sites' pages do nothing in the name of who looks at them.

        Raises:
            NotAllowedError: The request is of such a page.
        """
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or origin in self._origins or "*" in self._origins:
            return
        own = (request.host, request.headers.get(hdrs.X_FORWARDED_HOST))
        page = urlsplit(origin).netloc
        if not page or page not in own:
            raise NotAllowedError(
                "This page may not use this server.",
                "Whoever runs the server can list the page's origin in CHATOPS_CORS_ORIGINS.",
            )

    def person(self, request: web.Request) -> Person:
        """Return who asks.

        Raises:
            BadPayloadError: The name cannot be shown, or the word of the client is none.
        """
        name = request.query.get("user_id") or request.headers.get(USER_HEADER)
        given = {"client_id": request.headers.get(CLIENT_HEADER)}
        client_id = checked(ClientHeader, given).client_id
        return local_person(name, client_id, "") if name else GUEST

    def take(self, person: Person) -> None:
        """Use a part of the person's allowance, which is the same over sockets.

        Raises:
            RateLimitedError: None is left.
            ShuttingDownError: The server is going away.
        """
        if self.closing:
            raise ShuttingDownError(
                "The server is going away.", "Try again in a moment.", retry_after_s=2.0
            )
        if self._people is not None:
            self._people.take(person.id, time.monotonic())

    def serve(self, operation: Operation) -> Handler:
        """Return the handler of an operation."""
        in_hand = 0

        async def handler(request: web.Request) -> web.StreamResponse:
            nonlocal in_hand
            person = self.person(request)
            if operation.method == hdrs.METH_POST:
                self.check_origin(request)
                self.take(person)
            query = checked(operation.query, dict(request.query))
            if 0 < operation.at_once <= in_hand:
                raise QueueFullError(
                    "The server is busy with others' requests of this kind.",
                    "Try again in a moment.",
                    retry_after_s=_BUSY_RETRY_S,
                )
            in_hand += 1
            try:
                body = None
                if operation.body is not None:
                    body = await _body(operation.body, await _read(request, operation.max_bytes))
                answer = await operation.handle(Call(request, person, query, body))
            finally:
                in_hand -= 1
            if isinstance(answer, web.StreamResponse):
                return answer
            return answered(answer)

        return handler


def answered(answer: BaseModel, status: int = 200) -> web.Response:
    """Return a body as a response."""
    body = encode(answer.model_dump(mode="json", by_alias=False))
    return web.Response(body=body, status=status, content_type="application/json")


def checked(model: type[_M], given: Any) -> _M:
    """Return what was given as an instance of the model.

    Raises:
        BadFieldsError: It is none.
    """
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise BadFieldsError.of(error) from None


async def _read(request: web.Request, max_bytes: int) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_WITHIN_S):
            async for part in request.content.iter_any():
                body += part
                if len(body) > max_bytes:
                    raise TooLargeError(
                        f"The body is longer than {max_bytes // 1024:,} KiB.", "Send less at once."
                    )
    except TimeoutError:
        raise BadPayloadError(
            f"The body did not arrive within {_BODY_WITHIN_S:g} seconds.", "Send it again."
        ) from None
    except ConnectionError:  # nobody is left to read this
        raise BadPayloadError("The body broke off.", "Send it again.") from None
    return bytes(body)


async def _body(kind: type[BaseModel] | type[bytes], content: bytes) -> Any:
    if not issubclass(kind, BaseModel):
        return content
    parsed = partial(_parsed, kind, content)
    # A long one would keep everybody waiting.
    return await asyncio.to_thread(parsed) if len(content) > MAX_PAYLOAD_BYTES else parsed()


def _parsed(model: type[_M], body: bytes) -> _M:
    try:
        return checked(model, loads(body.decode()))
    except UnicodeDecodeError:
        problem = "It is not UTF-8"
    except StrictJsonError as error:
        problem = str(error).rstrip(".")
    raise BadFieldsError([FieldProblem(field="", problem=problem)])

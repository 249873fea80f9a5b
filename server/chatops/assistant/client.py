"""The one client of the language model's provider; the only module that knows its library.

The library is loaded and the client made at first use, for that takes more than a second, in a
thread of its own.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr

from chatops.assistant.catalogue import ModelConfig
from chatops.assistant.failures import FailureKind, ModelFailedError, kind_of, retry_after_s
from chatops.assistant.hearing import Hearing, MalformedError
from chatops.assistant.messages import Completion, Delta, Request
from chatops.assistant.prompt import parameters
from chatops.errors import AssistantOffError

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI, AsyncStream

log = structlog.get_logger(__name__)

DEFAULT_BASE_URL = "https://api.openai.com/v1"

_CONNECT_S = 5.0
_CONNECTIONS = 1_000
_LONGEST_ANSWER_S = 600.0
_LONGEST_WAIT_S = 10.0
"""What the library waits before a retry, at most, if the provider asks for it."""

_END = object()
"""What no provider can send; ``null`` is sent by some."""


def no_model() -> AssistantOffError:
    """Return what is said where there is no key."""
    return AssistantOffError(
        "The assistant is off, because this server has no key for a language model.",
        "Whoever runs it sets OPENAI_API_KEY and starts it again.",
    )


class ModelClient:
    """Asks models of one provider.

    One for each process: its connections are shared by all calls, and by any number of them at
    once.

    Attributes:
        available: Whether there is a key; whether the provider accepts it is another matter.
    """

    def __init__(
        self,
        api_key: SecretStr | None,
        base_url: str | None = None,
        *,
        timeout_s: float = 60.0,
        retries: int = 2,
        longest_answer_s: float = _LONGEST_ANSWER_S,
    ) -> None:
        """Remember how to reach the provider; nothing is loaded or connected.

        Args:
            api_key: Its key; without one, every call is refused.
            base_url: Its address; None: that of OpenAI.
            timeout_s: The longest it may take to begin an answer, all retries included, and the
                longest silence within one.
            retries: How often a call that failed before its answer began is tried again.
            longest_answer_s: The longest an answer may take.
        """
        self._api_key = "" if api_key is None else api_key.get_secret_value().strip()
        self.available = bool(self._api_key)
        self._base_url = base_url or DEFAULT_BASE_URL
        self._timeout_s = timeout_s
        self._retries = retries
        self._longest_answer_s = longest_answer_s
        self._client: AsyncOpenAI | None = None
        self._making = asyncio.Lock()
        self._closed = False

    @contextlib.asynccontextmanager
    async def stream(self, model: ModelConfig, request: Request) -> AsyncIterator["Answer"]:
        """Ask the model, and hear its answer piece by piece.

        On entering, the provider has begun to answer. On leaving, for whatever reason, the
        connection is given back, or closed at once if the answer was not heard to its end: the
        provider then stops to write it. Safe to cancel at any moment.

        Raises:
            AssistantOffError: There is no key.
            ModelFailedError: The provider did not answer; ``kind`` says why.
        """
        client = await self._ready()
        began = time.monotonic()
        stream = await self._begin(client, model, request)
        try:
            yield Answer(stream, model, began, self._longest_answer_s)
        finally:
            await _close(stream)

    async def _begin(
        self, client: "AsyncOpenAI", model: ModelConfig, request: Request
    ) -> "AsyncStream[object]":
        import openai

        # Not by ``chat.completions.create``: that makes objects of each piece, unchecked, which
        # takes more of the loop's time than all the rest.
        try:
            async with asyncio.timeout(self._timeout_s):
                return await client.post(
                    "/chat/completions",
                    body=parameters(model, request),
                    # Or a key for something else, out of the environment, would go with it.
                    options={"security": {"bearer_auth": True}},
                    cast_to=object,
                    stream=True,
                    stream_cls=openai.AsyncStream[object],
                )
        # Only those that are known are told in other words.
        except Exception as error:
            if (failed := _told(error, model.model_id, None)) is None:
                raise
            raise failed from None

    async def complete(self, model: ModelConfig, request: Request) -> Completion:
        """Return the model's whole answer. Safe to cancel.

        Raises:
            AssistantOffError: There is no key.
            ModelFailedError: The answer did not come, or not whole; ``said`` has what came.
        """
        async with self.stream(model, request) as answer:
            async for _ in answer:
                pass
            return answer.completion()

    async def models(self) -> frozenset[str]:
        """Return the ids of the models that the provider has. It costs nothing.

        Raises:
            AssistantOffError: There is no key.
            ModelFailedError: The provider did not answer, or not with a list of models.
        """
        client = await self._ready()
        try:
            async with asyncio.timeout(self._timeout_s):
                told: Any = await client.get("/models", cast_to=object)
            return frozenset(str(one["id"]) for one in told["data"])
        except (KeyError, TypeError):
            raise ModelFailedError("malformed") from None
        # Only those that are known are told in other words.
        except Exception as error:
            if (failed := _told(error, "", None)) is None:
                raise
            raise failed from None

    async def close(self) -> None:
        """Close all connections; a later call is refused. A repeat does nothing."""
        self._closed = True
        async with self._making:
            client, self._client = self._client, None
        if client is not None:
            await client.close()

    def check(self) -> None:
        """Return if a call could be made, as far as can be known without making one.

        Raises:
            AssistantOffError: There is no key.
            ModelFailedError: The key or the address cannot be one.
        """
        if not self.available:
            raise no_model()
        if not (self._api_key.isascii() and self._api_key.isprintable()):
            raise ModelFailedError("wrong_key")
        try:
            address = urlsplit(self._base_url)
            sound = address.scheme in ("http", "https") and bool(address.hostname)
            _ = address.port
        except ValueError:
            sound = False
        if not sound:
            raise ModelFailedError("wrong_address")

    async def _ready(self) -> "AsyncOpenAI":
        self.check()
        if self._client is None:
            async with self._making:
                if self._closed:
                    raise AssistantOffError(
                        "The assistant is off, because the server is going away.",
                        "Ask again when it is back.",
                    )
                if self._client is None:
                    self._client = await asyncio.to_thread(self._make)
        return self._client

    def _make(self) -> "AsyncOpenAI":
        import httpx2
        import openai

        # It has a line for each request; ours has more, and is there anyway.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        return openai.AsyncOpenAI(
            api_key=self._api_key,
            base_url=self._base_url,
            max_retries=self._retries,
            http_client=openai.DefaultAsyncHttpx2Client(
                timeout=httpx2.Timeout(self._timeout_s, connect=min(_CONNECT_S, self._timeout_s)),
                limits=httpx2.Limits(
                    max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS // 10
                ),
                event_hooks={"response": [_no_vain_retry]},
            ),
        )


class Answer:
    """An answer that is being given: iterate over it to hear its pieces.

    Attributes:
        first_ms: From the call to the first piece; None before that.
    """

    def __init__(
        self,
        stream: "AsyncStream[object]",
        model: ModelConfig,
        began: float,
        longest_s: float,
    ) -> None:
        self.first_ms: int | None = None
        self._stream = stream
        self._model = model
        self._began = began
        self._deadline = asyncio.get_running_loop().time() + longest_s
        self._hearing = Hearing()
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delta:
        """Return the next piece.

        Raises:
            ModelFailedError: The answer broke off; ``said`` and :meth:`completion` have what came.
            StopAsyncIteration: The answer is whole.
        """
        while not self._over:
            if (delta := await self._next()) is not None:
                if self.first_ms is None:
                    self.first_ms = round((time.monotonic() - self._began) * 1000)
                return delta
        raise StopAsyncIteration

    async def _next(self) -> Delta | None:
        try:
            async with asyncio.timeout_at(self._deadline):
                chunk = await anext(self._stream, _END)
            if chunk is not _END:
                return self._hearing.take(chunk)
            self._over = True
            self._check_end()
        # Only those that are known are told in other words.
        except Exception as error:
            self._over = True
            if (failed := _told(error, self._model.model_id, self._hearing)) is None:
                raise
            if self._hearing.broken:
                raise failed from None
            # The answer was whole; what broke off was the count of tokens after it.
        return None

    def completion(self) -> Completion:
        """Return what has been said so far; whole once the iteration has ended."""
        return self._hearing.completion()

    def _check_end(self) -> None:
        """Find out whether what ended was the answer, or only its connection."""
        if not self._hearing.anything:
            raise MalformedError("an answer without a chunk")
        if self._hearing.finish is None:
            raise _BrokenError("cut")
        if self._hearing.finish == "content_filter":
            raise _BrokenError("content_filter")


class _BrokenError(Exception):
    """An answer ended otherwise than it should."""

    def __init__(self, kind: FailureKind) -> None:
        super().__init__(kind)
        self.kind: FailureKind = kind


def _told(error: Exception, model_id: str, heard: Hearing | None) -> ModelFailedError | None:
    """Return what went wrong in our words, and log what the library knows; None: a fault of ours.

    Raise it without its cause: the library's errors quote the provider, who may quote the key.
    """
    import httpx2
    import openai

    kind: FailureKind
    facts: dict[str, Any] = {"cause": type(error.__cause__ or error).__name__}
    wait_s: float | None = None
    match error:
        case openai.APIStatusError():
            kind = kind_of(error.status_code, error.code, error.type, error.message)
            wait_s = retry_after_s(error.response.headers.get)
            facts = _facts(error) | {"status": error.status_code, "request": error.request_id}
        case openai.APITimeoutError() | httpx2.TimeoutException() | TimeoutError():
            kind = "timeout"
        case openai.APIConnectionError() | httpx2.HTTPError():
            kind = "unreachable" if heard is None else "cut"
        case openai.APIError():  # one that came inside the stream
            kind, facts = kind_of(None, error.code, error.type, error.message), _facts(error)
        case _BrokenError():
            kind = error.kind
        case MalformedError() | json.JSONDecodeError() | UnicodeDecodeError():
            kind = "malformed"
        case _:
            return None
    if heard is not None:
        heard.broken = heard.finish in (None, "content_filter")
    log.warning("model_failed", kind=kind, model=model_id, **facts)
    return ModelFailedError(
        kind,
        model=model_id,
        retry_after_s=wait_s,
        said=None if heard is None else heard.completion(),
    )


def _facts(error: Any) -> dict[str, Any]:
    return {"code": error.code, "type": error.type, "param": error.param}


async def _close(stream: "AsyncStream[object]") -> None:
    import httpx2

    # What is wrong with a connection that is being given up concerns nobody.
    with contextlib.suppress(httpx2.HTTPError):
        await stream.close()


async def _no_vain_retry(response: "httpx2.Response") -> None:
    """Keep the library from trying again where that is in vain, or is no use to those who wait.

    It would take an empty account for a limit of rate, and would wait for up to two minutes.
    """
    if response.status_code < 400:
        return
    wait_s = retry_after_s(response.headers.get) or 0.0
    if wait_s > _LONGEST_WAIT_S:
        response.headers["x-should-retry"] = "false"
    elif response.status_code == 429:
        await response.aread()
        with contextlib.suppress(ValueError, AttributeError):
            error = response.json().get("error", {})
            if kind_of(429, error.get("code"), error.get("type"), "") == "quota":
                response.headers["x-should-retry"] = "false"

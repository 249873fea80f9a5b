"""A provider of language models for tests: an HTTP server that speaks OpenAI's chat completions.

It refuses what the real one refuses (a wrong key, an unknown model, a parameter that a model does
not take, a prompt that is too long), answers what the test has told it to answer, and keeps its
own account of requests and money.
"""

import asyncio
import json
import re
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from aiohttp import web

KEY = "sk-test-0123456789abcdefghijklmnop"

CONTEXT_TOKENS = 128_000

PRICES: Mapping[str, tuple[int, int, int]] = {
    "gpt-4o-mini": (150_000, 75_000, 600_000),
    "gpt-4o": (2_500_000, 1_250_000, 10_000_000),
    "gpt-4-turbo": (10_000_000, 10_000_000, 30_000_000),
    "o1-preview": (15_000_000, 7_500_000, 60_000_000),
}
"""Pico-dollars for a token of input, of cached input, and of output; the provider's own table."""

MAX_OUTPUT: Mapping[str, int] = {
    "gpt-4o-mini": 16_384,
    "gpt-4o": 16_384,
    "gpt-4-turbo": 4_096,
    "o1-preview": 32_768,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A tool that the model asks for."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Say:
    """An answer.

    Attributes:
        text: Its words; each is one piece and one token.
        tools: What it asks for, in fragments of a few letters.
        usage: Tokens of input, output and cached input; None: counted from what is said.
        finish: Why it ends; None: counted from what is said.
        silent_s: Seconds before the answer begins.
        pause_s: Seconds between pieces.
        raw: Bytes sent after the pieces, in the place of the end.
        then: What happens after the pieces: all is said, or the connection ends (``end``: as if
            it were in order), or is reset, or nothing more comes.
        tell_usage: Whether it tells the usage.
    """

    text: str = "The momentum strategy gained most ."
    tools: tuple[Asked, ...] = ()
    usage: tuple[int, int, int] | None = None
    finish: str | None = None
    silent_s: float = 0.0
    pause_s: float = 0.0
    raw: bytes | None = None
    then: Literal["done", "end", "reset", "hang"] = "done"
    tell_usage: bool = True


@dataclass(frozen=True, slots=True)
class Refuse:
    """An error in the place of an answer."""

    status: int
    code: str | None = None
    type: str | None = None
    message: str = "The provider's own words."
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


def quota() -> Refuse:
    """The account is empty."""
    return Refuse(
        429,
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    )


def rate_limit(retry_after: str) -> Refuse:
    """Too many requests."""
    return Refuse(
        429, "rate_limit_exceeded", "requests", "Rate limit.", {"retry-after": retry_after}
    )


DONE = Say("", tools=(Asked("call_done", "answer", "{}"),))
"""What a model says that is only to choose tools, and has none to choose."""


class Provider:
    """The server.

    Attributes:
        url: The base URL for clients.
        answers: What it answers, one for each request; after the last, a plain ``Say()``. One
            that speaks is kept for the request after one that must call a tool, which is ``DONE``.
        requests: The bodies of all requests that came.
        written: Those of them that were to write, and not only to choose tools.
        answered: How many answers were given whole.
        gone: How many answers their client did not wait for.
        cost_usd: What the answers that were given whole cost.
        obeys: Whether who must call a tool does so; some providers know no such order.
        counts_bytes: Tokens are four bytes of prompt and answer, tools and all, and not words; as
            with the real one, the beginning that a prompt shares with an earlier one of its model
            is cached, from 1,024 tokens in steps of 128.
    """

    def __init__(self) -> None:
        self.url = ""
        self.answers: deque[Say | Refuse] = deque()
        self.requests: list[dict[str, Any]] = []
        self.answered = 0
        self.gone = 0
        self.obeys = True
        self.counts_bytes = False
        self._read: defaultdict[str, list[bytes]] = defaultdict(list)
        self._cost_pico = 0
        self._open = 0
        self._changed = asyncio.Event()

    @property
    def written(self) -> list[dict[str, Any]]:
        return [one for one in self.requests if one.get("tool_choice") != "required"]

    @property
    def cost_usd(self) -> Decimal:
        return Decimal(self._cost_pico).scaleb(-12)

    async def until(self, what: Literal["asked", "open", "gone"], count: int = 1) -> None:
        """Wait until so many requests have come, answers have begun, or were not waited for."""
        async with asyncio.timeout(10):
            while self._count(what) < count:
                await self._changed.wait()
                self._changed.clear()

    def _count(self, what: Literal["asked", "open", "gone"]) -> int:
        return {"asked": len(self.requests), "open": self._open, "gone": self.gone}[what]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self._changed.set()
        answer = self._answer(body)
        try:
            refused = _objection(request, body)
            if refused is None and isinstance(answer, Refuse):
                refused = answer
            if refused is not None:
                return _refusal(refused)
            assert isinstance(answer, Say)
            return await self._say(request, body, answer)
        except (asyncio.CancelledError, ConnectionError):
            self.gone += 1
            self._changed.set()
            raise

    def _answer(self, body: dict[str, Any]) -> Say | Refuse:
        """Return the next answer; a model that must call a tool does not speak, but is done."""
        answer = self.answers[0] if self.answers else Say()
        speaks = isinstance(answer, Say) and not answer.tools
        if self.obeys and speaks and body.get("tool_choice") == "required":
            return DONE
        if self.answers:
            self.answers.popleft()
        return answer

    async def models(self, request: web.Request) -> web.StreamResponse:
        if (refused := _wrong_key(request)) is not None:
            return _refusal(refused)
        return web.json_response({"object": "list", "data": [{"id": one} for one in PRICES]})

    async def _say(
        self, request: web.Request, body: dict[str, Any], say: Say
    ) -> web.StreamResponse:
        await asyncio.sleep(say.silent_s)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        self._open += 1
        self._changed.set()
        limit = body.get("max_tokens") or body["max_completion_tokens"]
        words = say.text.split()
        for delta in ({"role": "assistant", "content": ""}, *_deltas(words[:limit], say.tools)):
            await response.write(_event(_chunk(body, delta)))
            await asyncio.sleep(say.pause_s)
        if say.raw is not None:
            await response.write(say.raw)
        if say.then == "hang":
            await asyncio.sleep(600)
        if say.then == "reset":
            assert request.transport is not None
            request.transport.abort()
            return response
        if say.then == "done":
            await self._end(response, body, say, len(words))
        await response.write_eof()
        return response

    def _bytes(self, body: dict[str, Any], say: Say) -> tuple[int, int, int]:
        """Count tokens of input, output and cached input at four bytes each."""
        prompt = json.dumps([body.get("tools"), body["messages"]], ensure_ascii=False).encode()
        read = self._read[body["model"]]
        shared = max((_shared(prompt, one) for one in read), default=0) // 4
        read.append(prompt)
        asked = "".join(one.name + one.arguments for one in say.tools)
        said = len(f"{say.text}{asked}".encode()) // 4
        return len(prompt) // 4, said, shared // 128 * 128 if shared >= 1024 else 0

    async def _end(
        self, response: web.StreamResponse, body: dict[str, Any], say: Say, words: int
    ) -> None:
        limit = body.get("max_tokens") or body["max_completion_tokens"]
        finish = say.finish or (
            "tool_calls" if say.tools else "length" if words > limit else "stop"
        )
        counted = (_prompt_tokens(body), min(words, limit), 0)
        told, said, cached = say.usage or (self._bytes(body, say) if self.counts_bytes else counted)
        await response.write(_event(_chunk(body, {}, finish)))
        if say.tell_usage and body.get("stream_options", {}).get("include_usage"):
            usage = {
                "prompt_tokens": told,
                "completion_tokens": said,
                "total_tokens": told + said,
                "prompt_tokens_details": {"cached_tokens": cached},
            }
            await response.write(_event({**_chunk(body, {}), "choices": [], "usage": usage}))
        fresh_price, cached_price, output_price = PRICES[body["model"]]
        self._cost_pico += (
            (told - cached) * fresh_price + cached * cached_price + said * output_price
        )
        self.answered += 1
        await response.write(b"data: [DONE]\n\n")


@asynccontextmanager
async def running_provider() -> AsyncIterator[Provider]:
    """Run a provider in the test's own loop, on a free port of this machine."""
    provider = Provider()
    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_post("/v1/chat/completions", provider.serve)
    app.router.add_get("/v1/models", provider.models)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield provider
    finally:
        await runner.cleanup()


def _objection(request: web.Request, body: dict[str, Any]) -> Refuse | None:
    """Return what the real provider has against a request."""
    model = body["model"]
    if (refused := _wrong_key(request)) is not None:
        return refused
    if model not in PRICES:
        message = f"The model `{model}` does not exist or you do not have access to it."
        return Refuse(404, "model_not_found", "invalid_request_error", message)
    if body.get("max_tokens", 0) > MAX_OUTPUT[model]:
        return Refuse(400, "invalid_value", "invalid_request_error", "max_tokens is too large.")
    reasons = model.startswith("o1")
    for name in ("temperature", "tools", "max_tokens") if reasons else ("max_completion_tokens",):
        if name in body:
            return Refuse(400, "unsupported_parameter", "invalid_request_error", name)
    if reasons and any(message["role"] == "system" for message in body["messages"]):
        return Refuse(400, "unsupported_value", "invalid_request_error", "messages[0].role")
    if _unpaired(body["messages"]):
        return Refuse(400, None, "invalid_request_error", "role 'tool' must be a response")
    if not all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in _called(body["messages"])):
        return Refuse(400, "invalid_value", "invalid_request_error", "function.name")
    if _prompt_tokens(body) > CONTEXT_TOKENS:
        message = f"This model's maximum context length is {CONTEXT_TOKENS} tokens."
        return Refuse(400, "context_length_exceeded", "invalid_request_error", message)
    return None


def _wrong_key(request: web.Request) -> Refuse | None:
    given = request.headers.get("authorization", "")
    if given == f"Bearer {KEY}":
        return None
    message = f"Incorrect API key provided: {given}."
    return Refuse(401, "invalid_api_key", "invalid_request_error", message)


def _unpaired(messages: list[dict[str, Any]]) -> bool:
    """Whether a tool answers what nobody asked, or what was answered."""
    asked: set[str] = set()
    for message in messages:
        asked |= {call["id"] for call in message.get("tool_calls") or ()}
        if message["role"] == "tool":
            if message["tool_call_id"] not in asked:
                return True
            asked.remove(message["tool_call_id"])
    return bool(asked)


def _called(messages: list[dict[str, Any]]) -> Iterator[str]:
    for message in messages:
        for call in message.get("tool_calls") or ():
            yield call["function"]["name"]


def _prompt_tokens(body: dict[str, Any]) -> int:
    """Count words, as tokens of this provider, and seven for each message."""
    return sum(7 + len((message["content"] or "").split()) for message in body["messages"])


def _shared(one: bytes, other: bytes) -> int:
    """Return the length of the beginning that both have."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _refusal(refused: Refuse) -> web.Response:
    error = {"message": refused.message, "type": refused.type, "code": refused.code, "param": None}
    return web.Response(
        status=refused.status,
        body=json.dumps({"error": error}).encode() if refused.body is None else refused.body,
        headers={"content-type": "application/json", **refused.headers},
    )


def _deltas(words: list[str], tools: tuple[Asked, ...]) -> Iterator[dict[str, Any]]:
    for number, word in enumerate(words):
        yield {"content": word if number == 0 else f" {word}"}
    for index, tool in enumerate(tools):
        yield {
            "tool_calls": [
                {
                    "index": index,
                    "id": tool.id,
                    "type": "function",
                    "function": {"name": tool.name, "arguments": ""},
                }
            ]
        }
    # Fragments of all calls in turn, as the real one may send them.
    longest = max((len(tool.arguments) for tool in tools), default=0)
    for start in range(0, longest, 3):
        for index, tool in enumerate(tools):
            if piece := tool.arguments[start : start + 3]:
                yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _chunk(
    body: dict[str, Any], delta: dict[str, Any], finish: str | None = None
) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": body["model"],
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def _event(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()

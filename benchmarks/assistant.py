"""What our layer adds to a call of a language model.

The same call of the same provider, which answers at once, three ways in turns:

``bare``    the official library as it is, usage included
``client``  our client: parameters that the model takes, our own types, failures in our words
``call``    a call as the server makes it: policy, budget (a read of the store), record (a durable
            write to it)
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog
from openai import AsyncOpenAI
from pydantic import SecretStr

from benchmarks.peers.provider import PIECES
from benchmarks.program import PROVIDER, running
from benchmarks.report import Goal, Row
from chatops.access.identity import Person
from chatops.assistant.budgets import Budgets, Limits
from chatops.assistant.calls import Caller, ModelCalls
from chatops.assistant.catalogue import BUILT_IN
from chatops.assistant.catalogue_file import load_policies
from chatops.assistant.client import ModelClient
from chatops.assistant.messages import Message, Request
from chatops.assistant.prompt import parameters
from chatops.stores.sqlite import SqliteStore
from chatops.tasks import Supervisor

CALLS = 200
"""Of each way in a round."""

WARM = 20

_KEY = "sk-benchmark"
_MODEL = BUILT_IN["gpt-4o"]
_REQUEST = Request(
    (
        Message("system", "You help a team that trades. " * 20),
        *(Message("user", f"Ann: how did the momentum strategy do in {y}?") for y in range(10)),
    )
)
_CALLER = Caller(Person("client:ann", "Ann"), "room", "chatops_advanced")

Heard = tuple[float, float]
"""Milliseconds to the first piece and to the end."""

Open = Callable[[], AbstractAsyncContextManager[AsyncIterator[Any]]]


def measure(folder: Path, rounds: int) -> list[Row]:
    """Measure everything; ``folder`` is on the disk that counts."""
    # A log to a terminal is no part of a call; it is left out of all ways alike.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with running(PROVIDER, folder / "provider") as provider:
        found = asyncio.run(_measure(f"{provider.url}/v1", folder, rounds))
    first, whole = (
        {name: statistics.median(one[which] for one in heard) for name, heard in found.items()}
        for which in (0, 1)
    )
    what = f"model call, {PIECES} pieces: "
    beside = "bare library"
    goal = Goal("below", 1)
    return [
        Row(what + "our client, whole answer", whole["client"], "ms", beside, whole["bare"]),
        Row(what + "our client adds", whole["client"] - whole["bare"], "ms", goal=goal),
        Row(
            what + "policy and budget too, first piece", first["call"], "ms", beside, first["bare"]
        ),
        Row(what + "they add before it", first["call"] - first["bare"], "ms", goal=goal),
        Row(what + "durable record too, whole answer", whole["call"], "ms", beside, whole["bare"]),
    ]


async def _measure(url: str, folder: Path, rounds: int) -> dict[str, list[Heard]]:
    bare = AsyncOpenAI(api_key=_KEY, base_url=url)
    client = ModelClient(SecretStr(_KEY), url)
    store = SqliteStore(folder / "usage")
    await store.open()
    supervisor = Supervisor()
    budgets = Budgets(Limits(person_usd=Decimal(1_000)), store.usage)
    calls = ModelCalls(client, load_policies(None), budgets, store.usage, supervisor)

    @asynccontextmanager
    async def open_bare() -> AsyncIterator[AsyncIterator[Any]]:
        async with await bare.chat.completions.create(**parameters(_MODEL, _REQUEST)) as stream:
            yield (chunk async for chunk in stream if chunk.choices)

    ways: dict[str, Open] = {
        "bare": open_bare,
        "client": lambda: client.stream(_MODEL, _REQUEST),
        "call": lambda: calls.stream(_CALLER, _REQUEST),
    }
    found: dict[str, list[Heard]] = {name: [] for name in ways}
    try:
        for _ in range(WARM):
            for way in ways.values():
                await _timed_ms(way)
        for _ in range(rounds * CALLS):
            for name, way in ways.items():
                found[name].append(await _timed_ms(way))
    finally:
        await supervisor.close(5)
        await store.close()
        await client.close()
        await bare.close()
    return found


async def _timed_ms(way: Open) -> Heard:
    began = time.perf_counter()
    async with way() as answer:
        await anext(answer)
        first = time.perf_counter()
        pieces = 1
        async for _ in answer:
            pieces += 1
    ended = time.perf_counter()
    if pieces < PIECES:
        raise RuntimeError(f"{pieces} pieces of {PIECES}")
    return (first - began) * 1000, (ended - began) * 1000

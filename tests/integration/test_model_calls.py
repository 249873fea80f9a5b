"""Calls of the model as the server makes them: against a provider that keeps its own account."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from chatops.access.identity import Person
from chatops.assistant import calls
from chatops.assistant.budgets import Budgets, Limits
from chatops.assistant.calls import Caller, ModelCalls
from chatops.assistant.catalogue_file import load_policies
from chatops.assistant.client import ModelClient
from chatops.assistant.failures import ModelFailedError
from chatops.assistant.messages import Message, Request, Tokens
from chatops.assistant.ports import UsageStore
from chatops.assistant.usage import UsageFilter, UsageTotal
from chatops.errors import (
    AssistantOffError,
    BudgetUsedError,
    ModelNotAllowedError,
    StoreUnavailableError,
)
from chatops.stores.sqlite import SqliteStore
from chatops.tasks import Supervisor
from tests.support.fakes import Shaky
from tests.support.provider import KEY, Provider, Refuse, Say, quota, running_provider
from tests.support.waiting import until

ANN = Caller(Person("client:ann", "Ann"), "room", "chatops_advanced")
ASK = Request((Message("user", "Which strategy gained most?"),))
LONG_AGO = datetime.now(UTC) - timedelta(days=2)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with running_provider() as it:
        yield it


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path)
    await opened.open()
    yield opened
    await opened.close()


@dataclass
class Node:
    calls: ModelCalls
    usage: UsageStore
    supervisor: Supervisor

    async def total(self) -> UsageTotal:
        totals = await self.usage.totals("session", UsageFilter())
        assert len(totals) == 1
        return totals[0]


Start = Callable[..., Awaitable[Node]]


@asynccontextmanager
async def node_of(
    provider: Provider, usage: UsageStore, limits: Limits | None = None, key: str | None = KEY
) -> AsyncIterator[Node]:
    supervisor = Supervisor()
    client = ModelClient(None if key is None else SecretStr(key), provider.url, retries=0)
    budgets = Budgets(limits or Limits(), usage)
    try:
        yield Node(
            ModelCalls(client, load_policies(None), budgets, usage, supervisor), usage, supervisor
        )
    finally:
        await supervisor.close(5)
        await client.close()


@pytest.fixture
async def node(provider: Provider, store: SqliteStore) -> AsyncIterator[Node]:
    async with node_of(provider, store.usage) as it:
        yield it


async def test_a_call_is_recorded_in_the_log_and_in_the_store(
    provider: Provider, node: Node
) -> None:
    provider.answers.append(Say("Momentum .", usage=(2_000, 50, 1_024)))
    with capture_logs() as logged:
        said = await node.calls.complete(ANN, ASK)
    assert said.text == "Momentum ."
    total = await node.total()
    assert (total.key, total.calls, total.estimated) == ("room", 1, 0)
    assert total.tokens == Tokens(2_000, 50, 1_024)
    assert total.cost_usd == provider.cost_usd == Decimal("0.00422")
    (event,) = [one for one in logged if one["event"] == "model_called"]
    assert event["person"] == "client:ann"
    assert event["model"] == "gpt-4o"
    assert event["service"] == "chatops_advanced"
    assert event["cost_usd"] == "0.00422"
    assert event["outcome"] == "completed"
    assert event["latency_ms"] >= event["first_ms"] >= 0


async def test_what_the_policy_saved_is_held_against_the_dearest_allowed_model(
    provider: Provider, node: Node
) -> None:
    provider.answers.append(Say(usage=(1_000, 100, 0)))
    await node.calls.complete(ANN, ASK, "gpt-4o-mini")
    total = await node.total()
    assert total.cost_usd == Decimal("0.00021")
    assert total.dearest_usd == Decimal("0.013")  # gpt-4-turbo; o1-preview is not allowed here
    assert total.saved_usd == Decimal("0.01279")


async def test_the_sum_of_records_is_the_providers_own_count(
    provider: Provider, node: Node
) -> None:
    rng = Random(11)
    wishes = [
        ("chatops_advanced", "gpt-4o"),
        ("chatops_advanced", "gpt-4-turbo"),
        ("strategy_builder", None),
        ("narrative_report", "o1-preview"),
    ]

    async def call(number: int) -> None:
        service, model_id = rng.choice(wishes)
        caller = Caller(Person(f"client:{number % 5}", "A"), f"room{number % 3}", service)
        await node.calls.complete(caller, ASK, model_id)

    for _ in range(20):
        for _ in range(10):
            told = rng.randrange(1, 50_000)
            provider.answers.append(
                Say("ok", usage=(told, rng.randrange(1, 3_000), rng.randrange(told)))
            )
        await asyncio.gather(*(call(number) for number in range(10)))
    for by in ("person", "session", "service", "model", "day"):
        totals = await node.usage.totals(by, UsageFilter())
        assert sum((one.cost_usd for one in totals), Decimal(0)) == provider.cost_usd
        assert sum(one.calls for one in totals) == provider.answered == 200
    assert provider.cost_usd > 1


async def test_what_is_not_allowed_never_reaches_the_provider(
    provider: Provider, node: Node
) -> None:
    with pytest.raises(ModelNotAllowedError, match="Model o1-preview not allowed for service"):
        await node.calls.complete(ANN, ASK, "o1-preview")
    assert provider.requests == []
    assert await node.usage.totals("day", UsageFilter()) == []


async def test_without_a_key_nothing_is_recorded(provider: Provider, store: SqliteStore) -> None:
    async with node_of(provider, store.usage, key=None) as node:
        assert not node.calls.available
        with pytest.raises(AssistantOffError):
            await node.calls.complete(ANN, ASK)
    assert await store.usage.totals("day", UsageFilter()) == []


async def test_over_budget_no_request_reaches_the_provider(
    provider: Provider, store: SqliteStore
) -> None:
    limits = Limits(person_usd=Decimal("0.05"))
    async with node_of(provider, store.usage, limits) as node:
        provider.answers += [Say(usage=(4_000, 1_000, 0))] * 2  # $0.02 each
        await node.calls.complete(ANN, ASK)
        await node.calls.complete(ANN, ASK)
        with pytest.raises(BudgetUsedError, match=r"\$0\.04 are spent") as used:
            await node.calls.complete(ANN, ASK)
        assert used.value.retry_after_s is not None
        assert len(provider.requests) == 2
        other = Caller(Person("client:ben", "Ben"), "room", "chatops_advanced")
        await node.calls.complete(other, ASK)
        await node.calls.complete(ANN, ASK, "gpt-4o-mini")  # which is cheap enough
        assert len(provider.requests) == 4
    assert (await store.usage.spent(LONG_AGO, "client:ann", "room")).person_usd < Decimal("0.05")


async def test_calls_at_once_do_not_overspend(provider: Provider, store: SqliteStore) -> None:
    limits = Limits(day_usd=Decimal("0.1"))
    provider.answers += [Say(usage=(20, 1_000, 0), pause_s=0.002)] * 200
    refused = 0
    async with node_of(provider, store.usage, limits) as node:

        async def call(number: int) -> None:
            nonlocal refused
            caller = Caller(Person(f"client:{number}", "A"), "room", "chatops_advanced")
            try:
                await node.calls.complete(caller, ASK)
            except BudgetUsedError:
                refused += 1

        for _ in range(4):
            await asyncio.gather(*(call(number) for number in range(40)))
    assert Decimal("0.08") < provider.cost_usd <= Decimal("0.1")
    assert len(provider.requests) + refused == 160
    total = await node.total()
    assert total.cost_usd == provider.cost_usd


async def test_a_refused_call_costs_nothing_and_gives_its_money_back(
    provider: Provider, store: SqliteStore
) -> None:
    async with node_of(provider, store.usage, Limits(day_usd=Decimal("0.012"))) as node:
        for refusal in (quota(), Refuse(500), Refuse(401)):
            provider.answers.append(refusal)
            with pytest.raises(ModelFailedError):
                await node.calls.complete(ANN, ASK)
        total = await node.total()
        assert (total.calls, total.cost_usd, total.tokens) == (3, Decimal(0), Tokens())
        await node.calls.complete(ANN, ASK)


async def test_an_answer_that_broke_off_is_recorded_with_an_estimate(
    provider: Provider, node: Node
) -> None:
    provider.answers.append(Say("Half of what I wanted to", then="reset", pause_s=0.01))
    with capture_logs() as logged, pytest.raises(ModelFailedError, match="broke off"):
        await node.calls.complete(ANN, ASK)
    total = await node.total()
    assert (total.calls, total.estimated) == (1, 1)
    assert total.tokens.output == 6
    assert 5 <= total.tokens.input <= 40
    assert total.cost_usd > 0
    (event,) = [one for one in logged if one["event"] == "model_called"]
    assert (event["outcome"], event["measured"]) == ("cut", False)


async def test_a_stopped_call_closes_the_stream_and_is_recorded(
    provider: Provider, node: Node
) -> None:
    provider.answers.append(Say("So far", then="hang"))
    heard: list[str] = []

    async def listen() -> None:
        async with node.calls.stream(ANN, ASK) as answer:
            async for delta in answer:
                heard.append(delta.text)

    task = node.supervisor.start(listen(), "a turn")
    await until(lambda: len(heard) == 2, 5, "two pieces")
    with capture_logs() as logged:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await provider.until("gone")
        await node.supervisor.close(5)
    assert [one["outcome"] for one in logged if one["event"] == "model_called"] == ["stopped"]
    total = await node.total()
    assert (total.calls, total.estimated, total.tokens.output) == (1, 1, 2)


async def test_a_call_stopped_before_its_answer_is_recorded_too(
    provider: Provider, node: Node
) -> None:
    provider.answers.append(Say(silent_s=60))
    task = node.supervisor.start(node.calls.complete(ANN, ASK), "a turn")
    await provider.until("asked")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await provider.until("gone")
    await node.supervisor.close(5)
    total = await node.total()
    assert (total.calls, total.estimated, total.tokens.output) == (1, 1, 0)


async def test_who_leaves_in_the_middle_is_recorded_as_having_stopped(
    provider: Provider, node: Node
) -> None:
    provider.answers.append(Say("one two three", then="hang"))
    async with node.calls.stream(ANN, ASK) as answer:
        assert (await anext(answer)).text == "one"
    await provider.until("gone")
    assert (await node.total()).estimated == 1


async def test_an_error_of_the_listener_closes_the_stream_and_is_recorded(
    provider: Provider, node: Node
) -> None:
    provider.answers.append(Say("one two", then="hang"))

    async def listen() -> None:
        async with node.calls.stream(ANN, ASK) as answer:
            await anext(answer)
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await listen()
    await provider.until("gone")
    await node.supervisor.close(5)
    assert (await node.total()).calls == 1


async def test_records_wait_for_a_store_that_is_away_and_their_cost_counts_meanwhile(
    provider: Provider, store: SqliteStore
) -> None:
    shaky = Shaky(store.usage)
    provider.answers += [Say(usage=(4_000, 1_000, 0))] * 2
    async with node_of(provider, shaky, Limits(day_usd=Decimal("0.042"))) as node:  # type: ignore[arg-type]  # it is all of them
        shaky.failures["append"] = 1
        said = await node.calls.complete(ANN, ASK)
        assert said.finish == "stop"
        assert await store.usage.totals("day", UsageFilter()) == []
        await node.calls.complete(ANN, ASK)
        with pytest.raises(BudgetUsedError):
            await node.calls.complete(ANN, ASK)
        total = await node.total()
        assert (total.calls, total.cost_usd) == (2, provider.cost_usd)


async def test_a_record_is_stored_when_the_store_is_back_though_nobody_asks_again(
    provider: Provider, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_AGAIN_S", 0.05)
    shaky = Shaky(store.usage)
    async with node_of(provider, shaky) as node:  # type: ignore[arg-type]  # it is all of them
        shaky.failures["append"] = 3
        await node.calls.complete(ANN, ASK)
        await node.supervisor.close(5)
        assert (await node.total()).cost_usd == provider.cost_usd


async def test_no_call_is_made_while_nobody_knows_what_was_spent(
    provider: Provider, store: SqliteStore
) -> None:
    async with node_of(provider, store.usage, Limits(day_usd=Decimal(1))) as node:
        await store.close()
        with pytest.raises(StoreUnavailableError):
            await node.calls.complete(ANN, ASK)
    assert provider.requests == []

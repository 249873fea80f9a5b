"""Budgets over a real store, by a clock of the test's own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from chatops.access.identity import Person
from chatops.assistant.budgets import Budgets, Limits, Reservation
from chatops.assistant.messages import Tokens
from chatops.assistant.ports import UsageStore
from chatops.assistant.usage import GroupBy, Spent, UsageFilter, UsageRecord, UsageTotal
from chatops.errors import BudgetUsedError, StoreUnavailableError
from chatops.protocol.base import new_id
from chatops.stores.sqlite import SqliteStore

D = Decimal
ANN, BEN = "client:ann", "client:ben"


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, 20, 30, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path)
    await opened.open()
    yield opened
    await opened.close()


def record(reservation: Reservation, cost_usd: Decimal) -> UsageRecord:
    return UsageRecord(
        id=new_id("call"),
        person=Person(reservation.person_id, "A name"),
        session_id=reservation.session_id,
        service="chatops_advanced",
        model_id="gpt-4o",
        tokens=Tokens(),
        measured=True,
        cost_usd=cost_usd,
        dearest_usd=cost_usd,
        latency_ms=1,
        first_ms=1,
        at=reservation.at,
        outcome="completed",
    )


async def end(
    budgets: Budgets, store: UsageStore, reservation: Reservation, cost_usd: Decimal
) -> None:
    budgets.settle(reservation, cost_usd)
    await store.append(record(reservation, cost_usd))
    budgets.stored(reservation)


async def test_without_limits_nothing_is_asked_of_the_store(tmp_path: Path, clock: Clock) -> None:
    closed = SqliteStore(tmp_path)
    budgets = Budgets(Limits(), closed.usage, now=clock)
    assert (await budgets.reserve(ANN, "room", D(1_000_000))).usd == 1_000_000


async def test_a_store_that_is_away_lets_nothing_be_spent(tmp_path: Path, clock: Clock) -> None:
    closed = SqliteStore(tmp_path)
    budgets = Budgets(Limits(day_usd=D(1)), closed.usage, now=clock)
    with pytest.raises(StoreUnavailableError):
        await budgets.reserve(ANN, "room", D("0.01"))


async def test_a_budget_can_be_used_to_its_last_cent_and_says_when_it_frees(
    store: SqliteStore, clock: Clock
) -> None:
    budgets = Budgets(Limits(person_usd=D(1)), store.usage, now=clock)
    await end(budgets, store.usage, await budgets.reserve(ANN, "room", D("0.7")), D("0.6"))
    await end(budgets, store.usage, await budgets.reserve(ANN, "other", D("0.4")), D("0.4"))
    with pytest.raises(BudgetUsedError) as used:
        await budgets.reserve(ANN, "room", D("0.000001"))
    assert used.value.code == "budget_used"
    assert used.value.message == (
        "Your budget for the assistant, $1.00 a day, is used up: $1.00 are spent, and this answer "
        "may cost $0.000001."
    )
    assert used.value.hint == "It begins anew at 00:00 UTC, in 3 h 30 min."
    assert used.value.retry_after_s == 3.5 * 3600
    await budgets.reserve(BEN, "room", D(1))


async def test_what_is_reserved_counts_until_the_true_cost_is_known(
    store: SqliteStore, clock: Clock
) -> None:
    budgets = Budgets(Limits(session_usd=D(1)), store.usage, now=clock)
    first = await budgets.reserve(ANN, "room", D("0.8"))
    with pytest.raises(BudgetUsedError, match=r"this session.* held by answers") as used:
        await budgets.reserve(BEN, "room", D("0.3"))
    assert used.value.retry_after_s is None
    await budgets.reserve(BEN, "other", D(1))
    budgets.settle(first, D("0.1"))
    second = await budgets.reserve(BEN, "room", D("0.9"))
    budgets.settle(first, D(0))  # only the first end counts
    budgets.settle(second, D("0.2"))
    with pytest.raises(BudgetUsedError, match=r"\$0\.30 are spent"):
        await budgets.reserve(ANN, "room", D("0.71"))


async def test_an_answer_that_no_budget_can_hold_is_told_so(
    store: SqliteStore, clock: Clock
) -> None:
    budgets = Budgets(Limits(person_usd=D("0.01")), store.usage, now=clock)
    with pytest.raises(
        BudgetUsedError, match=r"less than the \$0\.25 that this one answer"
    ) as used:
        await budgets.reserve(ANN, "room", D("0.25"))
    assert "cheaper model" in str(used.value.hint)


async def test_the_budget_of_the_day_is_everybodys(store: SqliteStore, clock: Clock) -> None:
    budgets = Budgets(Limits(day_usd=D(1)), store.usage, now=clock)
    for number in range(5):
        mine = await budgets.reserve(f"client:{number}", f"room{number}", D("0.2"))
        await end(budgets, store.usage, mine, D("0.2"))
    with pytest.raises(BudgetUsedError, match="all people together"):
        await budgets.reserve("client:6", "room6", D("0.01"))


async def test_budgets_begin_anew_at_midnight_in_utc(store: SqliteStore, clock: Clock) -> None:
    budgets = Budgets(Limits(person_usd=D(1)), store.usage, now=clock)
    await end(budgets, store.usage, await budgets.reserve(ANN, "room", D(1)), D(1))
    over_midnight = datetime(2026, 3, 1, 23, 59, 59, 999_999, tzinfo=UTC)
    clock.at = over_midnight
    with pytest.raises(BudgetUsedError):
        await budgets.reserve(ANN, "room", D("0.1"))
    clock.at += timedelta(microseconds=1)
    late = await budgets.reserve(ANN, "room", D(1))
    assert late.at == clock.at
    await end(budgets, store.usage, late, D("0.9"))
    with pytest.raises(BudgetUsedError):
        await budgets.reserve(ANN, "room", D("0.2"))


async def test_a_call_over_midnight_belongs_to_the_day_it_began(
    store: SqliteStore, clock: Clock
) -> None:
    budgets = Budgets(Limits(person_usd=D(1)), store.usage, now=clock)
    long = await budgets.reserve(ANN, "room", D(1))
    clock.at += timedelta(hours=5)
    today = await budgets.reserve(ANN, "room", D(1))
    await end(budgets, store.usage, long, D(1))
    await end(budgets, store.usage, today, D("0.5"))
    await budgets.reserve(ANN, "room", D("0.5"))


async def test_what_other_nodes_have_stored_counts(store: SqliteStore, clock: Clock) -> None:
    here = Budgets(Limits(day_usd=D(1)), store.usage, now=clock)
    there = Budgets(Limits(day_usd=D(1)), store.usage, now=clock)
    await end(there, store.usage, await there.reserve(BEN, "other", D("0.9")), D("0.9"))
    with pytest.raises(BudgetUsedError):
        await here.reserve(ANN, "room", D("0.2"))
    await here.reserve(ANN, "room", D("0.1"))


async def test_a_cost_counts_before_the_store_has_it(store: SqliteStore, clock: Clock) -> None:
    budgets = Budgets(Limits(person_usd=D(1)), store.usage, now=clock)
    unstored = await budgets.reserve(ANN, "room", D(1))
    budgets.settle(unstored, D("0.9"))
    for _ in range(2):
        with pytest.raises(BudgetUsedError, match="used up"):
            await budgets.reserve(ANN, "room", D("0.2"))
    await store.usage.append(record(unstored, D("0.9")))
    budgets.stored(unstored)
    with pytest.raises(BudgetUsedError, match=r"\$0\.90 are spent"):
        await budgets.reserve(ANN, "room", D("0.2"))
    await budgets.reserve(ANN, "room", D("0.1"))


class SlowToTell:
    """A store whose next answer to what was spent arrives late."""

    def __init__(self, store: UsageStore) -> None:
        self._store = store
        self._late = False
        self.read = asyncio.Event()
        self.go = asyncio.Event()

    def be_late(self) -> None:
        self._late = True

    async def append(self, record: UsageRecord) -> None:
        await self._store.append(record)

    async def totals(self, by: GroupBy, which: UsageFilter) -> Sequence[UsageTotal]:
        return await self._store.totals(by, which)

    async def spent(self, since: datetime, person_id: str, session_id: str) -> Spent:
        late, self._late = self._late, False
        spent = await self._store.spent(since, person_id, session_id)
        if late:
            self.read.set()
            await self.go.wait()
        return spent


async def test_a_call_that_is_stored_while_the_store_answers_still_counts(
    store: SqliteStore, clock: Clock
) -> None:
    slow = SlowToTell(store.usage)
    budgets = Budgets(Limits(person_usd=D(1)), slow, now=clock)
    first = await budgets.reserve(ANN, "room", D("0.9"))
    slow.be_late()
    async with asyncio.TaskGroup() as group:
        before = group.create_task(refused(budgets.reserve(ANN, "room", D("0.2"))))
        await slow.read.wait()
        await end(budgets, store.usage, first, D("0.9"))
        # One that asks later is answered sooner, where it may, and knows of the record.
        after = group.create_task(refused(budgets.reserve(ANN, "room", D("0.2"))))
        await asyncio.wait([after], timeout=0.2)
        slow.go.set()
    assert (before.result(), after.result()) == (True, True)


async def refused(reserving: Awaitable[Reservation]) -> bool:
    try:
        await reserving
    except BudgetUsedError:
        return True
    return False


async def test_calls_at_once_never_overspend_together(store: SqliteStore, clock: Clock) -> None:
    limit = D(1)
    budgets = Budgets(Limits(person_usd=limit), store.usage, now=clock)
    spent = D(0)
    refused = 0

    async def call(number: int) -> None:
        nonlocal spent, refused
        try:
            mine = await budgets.reserve(ANN, f"room{number % 3}", D("0.04"))
        except BudgetUsedError:
            refused += 1
            return
        await asyncio.sleep(0.001 * (number % 7))
        cost = D("0.04") if number % 2 else D("0.011")
        spent += cost
        assert spent <= limit
        await end(budgets, store.usage, mine, cost)

    for _ in range(10):
        await asyncio.gather(*(call(number) for number in range(40)))
    assert refused
    assert limit - D("0.04") < spent <= limit
    stored = await store.usage.spent(clock.at - timedelta(days=1), ANN, "room0")
    assert stored.person_usd == spent
    assert len(budgets._held) <= 1  # what the store has is not kept twice

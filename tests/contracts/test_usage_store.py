"""Every sentence of ``UsageStore``."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from random import Random

import pytest

from chatops.access.identity import Person
from chatops.assistant.messages import Tokens
from chatops.assistant.ports import UsageStore
from chatops.assistant.usage import GroupBy, Spent, UsageFilter, UsageRecord, UsageTotal
from tests.contracts.conftest import OpenStore

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
ANN = Person("client:ann", "Ann")
BEN = Person("client:ben", "벤")
CALL = UsageRecord(
    id="call_1",
    person=ANN,
    session_id="room",
    service="chatops_advanced",
    model_id="gpt-4o",
    tokens=Tokens(input=1_000, output=200, cached=512),
    measured=True,
    cost_usd=Decimal("0.003860000001"),
    dearest_usd=Decimal("0.016"),
    latency_ms=1_234,
    first_ms=321,
    at=NOON,
    outcome="completed",
)
ALWAYS = UsageFilter()


async def append(store: UsageStore, *records: UsageRecord) -> None:
    for number, record in enumerate(records):
        await store.append(replace(record, id=f"{record.id}-{number}"))


def keys(totals: Sequence[UsageTotal]) -> list[str]:
    return [one.key for one in totals]


async def test_without_records_nothing_was_spent(usage: UsageStore) -> None:
    assert list(await usage.totals("day", ALWAYS)) == []
    assert await usage.spent(NOON, "client:ann", "room") == Spent(
        Decimal(0), Decimal(0), Decimal(0)
    )


async def test_a_record_is_in_the_totals_whole(usage: UsageStore) -> None:
    await usage.append(CALL)
    (total,) = await usage.totals("person", ALWAYS)
    assert total == UsageTotal(
        key="client:ann",
        label="Ann",
        calls=1,
        estimated=0,
        tokens=CALL.tokens,
        cost_usd=CALL.cost_usd,
        dearest_usd=CALL.dearest_usd,
    )
    assert total.saved_usd == Decimal("0.012139999999")


async def test_a_repeat_with_the_same_id_changes_nothing(usage: UsageStore) -> None:
    await usage.append(CALL)
    await usage.append(CALL)
    await usage.append(replace(CALL, cost_usd=Decimal(7), person=BEN))
    (total,) = await usage.totals("person", ALWAYS)
    assert (total.calls, total.cost_usd, total.label) == (1, CALL.cost_usd, "Ann")


async def test_of_concurrent_repeats_one_is_kept(usage: UsageStore) -> None:
    await asyncio.gather(*(usage.append(CALL) for _ in range(16)))
    (total,) = await usage.totals("model", ALWAYS)
    assert total.calls == 1


async def test_records_are_kept_when_the_server_has_gone(
    usage: UsageStore, successor: OpenStore
) -> None:
    await usage.append(replace(CALL, first_ms=None, outcome="rate_limit", measured=False))
    (total,) = await (await successor()).usage.totals("session", ALWAYS)
    assert (total.key, total.label, total.calls, total.estimated) == ("room", "room", 1, 1)


async def test_money_is_added_exactly(usage: UsageStore) -> None:
    rng = Random(7)
    costs = [Decimal(rng.randrange(10**13)).scaleb(-12) for _ in range(300)]
    # A sum that no float can hold, of parts that all floats are too coarse for.
    costs += [Decimal("999999.000000000001"), Decimal("0.000000000001")]
    records = [
        replace(CALL, id=f"call_{number}", cost_usd=cost, dearest_usd=cost * 2)
        for number, cost in enumerate(costs)
    ]
    await asyncio.gather(*(usage.append(record) for record in records))
    (total,) = await usage.totals("service", ALWAYS)
    assert total.cost_usd == sum(costs, Decimal(0))
    assert total.dearest_usd == 2 * sum(costs, Decimal(0))
    assert isinstance(total.cost_usd, Decimal)
    spent = await usage.spent(NOON, "client:ann", "room")
    assert spent == Spent(sum(costs, Decimal(0)), sum(costs, Decimal(0)), sum(costs, Decimal(0)))


async def test_many_tokens_are_added_exactly(usage: UsageStore) -> None:
    most = Tokens(input=2_147_483_647, output=2_147_483_647, cached=2_147_483_647)
    await append(usage, *(replace(CALL, tokens=most) for _ in range(3)))
    (total,) = await usage.totals("model", ALWAYS)
    assert total.tokens == Tokens(6_442_450_941, 6_442_450_941, 6_442_450_941)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("person", ["client:ben", "client:ann"]),
        ("session", ["other", "room"]),
        ("service", ["narrative_report", "chatops_advanced"]),
        ("model", ["o1-preview", "gpt-4o"]),
    ],
)
async def test_the_greatest_cost_comes_first(
    usage: UsageStore, by: GroupBy, expected: list[str]
) -> None:
    dear = replace(
        CALL,
        person=BEN,
        session_id="other",
        service="narrative_report",
        model_id="o1-preview",
        cost_usd=Decimal(1),
    )
    await append(usage, CALL, dear, CALL)
    totals = await usage.totals(by, ALWAYS)
    assert keys(totals) == expected
    assert [one.calls for one in totals] == [1, 2]


async def test_where_costs_are_equal_the_key_decides(usage: UsageStore) -> None:
    await append(usage, *(replace(CALL, session_id=name) for name in ("zeta", "alpha", "mid")))
    assert keys(await usage.totals("session", ALWAYS)) == ["alpha", "mid", "zeta"]


async def test_days_are_those_of_utc_oldest_first(usage: UsageStore) -> None:
    tokyo = timezone(timedelta(hours=9))
    moments = [
        datetime(2026, 3, 2, 0, 0, 0, tzinfo=UTC),
        datetime(2026, 3, 1, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 3, 2, 8, 59, 59, tzinfo=tokyo),
        datetime(2026, 3, 2, 9, 0, 0, tzinfo=tokyo),
        datetime(2026, 2, 28, 12, 0, 0, tzinfo=UTC),
    ]
    await append(usage, *(replace(CALL, at=at, cost_usd=Decimal(9)) for at in moments))
    totals = await usage.totals("day", ALWAYS)
    assert [(one.key, one.calls) for one in totals] == [
        ("2026-02-28", 1),
        ("2026-03-01", 2),
        ("2026-03-02", 2),
    ]


async def test_a_person_is_shown_by_the_newest_name(usage: UsageStore) -> None:
    renamed = [
        replace(CALL, person=Person("client:ann", name), at=NOON + timedelta(minutes=minutes))
        for name, minutes in (("Anna", 1), ("Annabel", 3), ("Ann", 2))
    ]
    await append(usage, *renamed)
    (total,) = await usage.totals("person", ALWAYS)
    assert (total.key, total.label, total.calls) == ("client:ann", "Annabel", 3)


async def test_totals_count_what_the_filter_lets_through(usage: UsageStore) -> None:
    second = timedelta(seconds=1)
    await append(
        usage,
        CALL,
        replace(CALL, at=NOON - second),
        replace(CALL, at=NOON + second),
        replace(CALL, person=BEN),
        replace(CALL, session_id="other"),
        replace(CALL, service="narrative_report"),
    )

    async def calls(which: UsageFilter) -> int:
        return sum(one.calls for one in await usage.totals("model", which))

    assert await calls(ALWAYS) == 6
    assert await calls(UsageFilter(since=NOON)) == 5
    assert await calls(UsageFilter(before=NOON)) == 1
    assert await calls(UsageFilter(since=NOON, before=NOON + second)) == 4
    assert await calls(UsageFilter(person_id="client:ben")) == 1
    assert await calls(UsageFilter(session_id="other")) == 1
    assert await calls(UsageFilter(service="narrative_report")) == 1
    assert await calls(UsageFilter(person_id="client:ben", session_id="other")) == 0
    assert await calls(UsageFilter(person_id="$personId")) == 0


async def test_what_was_spent_is_told_for_person_session_and_all(usage: UsageStore) -> None:
    await append(
        usage,
        replace(CALL, cost_usd=Decimal("0.1")),
        replace(CALL, person=BEN, cost_usd=Decimal("0.02")),
        replace(CALL, session_id="other", cost_usd=Decimal("0.003")),
        replace(CALL, at=NOON - timedelta(microseconds=1), cost_usd=Decimal(5)),
    )
    assert await usage.spent(NOON, "client:ann", "room") == Spent(
        Decimal("0.103"), Decimal("0.12"), Decimal("0.123")
    )
    assert await usage.spent(NOON, "$personId", "nowhere") == Spent(
        Decimal(0), Decimal(0), Decimal("0.123")
    )


async def test_whoever_has_appended_finds_it_in_the_next_total(usage: UsageStore) -> None:
    async def spend(number: int) -> None:
        person = Person(f"client:{number}", f"P{number}")
        for turn in range(5):
            await usage.append(replace(CALL, id=f"{number}-{turn}", person=person))
            spent = await usage.spent(NOON, person.id, "room")
            assert spent.person_usd == CALL.cost_usd * (turn + 1)
            assert spent.everybody_usd >= spent.person_usd

    await asyncio.gather(*(spend(number) for number in range(8)))
    (total,) = await usage.totals("session", ALWAYS)
    assert total.cost_usd == CALL.cost_usd * 40

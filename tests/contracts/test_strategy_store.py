"""Every sentence of ``StrategyStore``."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from chatops.access.identity import Person
from chatops.backtests.ports import SavedStrategy, StrategyStore

FAST = SavedStrategy(
    id="fast_cross",
    type="sma_crossover",
    params={"short_window": 5, "long_window": 20, "weight": 0.5},
    owner=Person("client:ann", "Ann"),
    version=1,
    description="빠른 crossing",
    changed_at=datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC),
)


async def test_an_unknown_strategy_is_none(strategies: StrategyStore) -> None:
    assert await strategies.get_strategy("fast_cross") is None
    assert list(await strategies.list_strategies()) == []


async def test_a_saved_strategy_is_read_back_whole(strategies: StrategyStore) -> None:
    assert await strategies.put_strategy(FAST, replaces=0)
    stored = await strategies.get_strategy("fast_cross")
    assert stored == FAST
    assert [type(value) for value in stored.params.values()] == [int, int, float]


async def test_strategies_are_listed_by_id(strategies: StrategyStore) -> None:
    for name in ("zeta", "alpha", "mid"):
        assert await strategies.put_strategy(replace(FAST, id=name), replaces=0)
    assert [each.id for each in await strategies.list_strategies()] == ["alpha", "mid", "zeta"]


async def test_only_the_version_that_is_present_is_replaced(strategies: StrategyStore) -> None:
    second = replace(FAST, version=2, description="second")
    assert not await strategies.put_strategy(second, replaces=1)
    assert await strategies.put_strategy(FAST, replaces=0)
    assert not await strategies.put_strategy(replace(FAST, description="x"), replaces=0)
    assert not await strategies.put_strategy(second, replaces=7)
    assert await strategies.get_strategy("fast_cross") == FAST
    assert await strategies.put_strategy(second, replaces=1)
    assert await strategies.get_strategy("fast_cross") == second


async def test_of_concurrent_changes_exactly_one_is_stored(strategies: StrategyStore) -> None:
    made = await asyncio.gather(*(strategies.put_strategy(FAST, replaces=0) for _ in range(16)))
    assert sum(made) == 1
    changed = await asyncio.gather(
        *(
            strategies.put_strategy(replace(FAST, version=2, description=f"{n}"), replaces=1)
            for n in range(16)
        )
    )
    assert sum(changed) == 1
    stored = await strategies.get_strategy("fast_cross")
    assert stored is not None
    assert stored.description == str(changed.index(True))


async def test_only_the_version_that_is_present_is_deleted(strategies: StrategyStore) -> None:
    assert not await strategies.delete_strategy("fast_cross", version=1)
    await strategies.put_strategy(FAST, replaces=0)
    assert not await strategies.delete_strategy("fast_cross", version=2)
    assert await strategies.get_strategy("fast_cross") == FAST
    assert await strategies.delete_strategy("fast_cross", version=1)
    assert await strategies.get_strategy("fast_cross") is None
    assert await strategies.put_strategy(FAST, replaces=0)

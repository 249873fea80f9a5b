"""The adapters that must hold the contracts. Another store is one more row of ``ADAPTERS``."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from chatops.backtests.ports import JobStore, StrategyStore
from chatops.sessions.ports import SessionStore
from chatops.stores.sqlite import SqliteStore


class Store(Protocol):
    @property
    def sessions(self) -> SessionStore: ...

    @property
    def jobs(self) -> JobStore: ...

    @property
    def strategies(self) -> StrategyStore: ...


@asynccontextmanager
async def _sqlite(folder: Path) -> AsyncIterator[Store]:
    store = SqliteStore(folder)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


ADAPTERS: dict[str, Callable[[Path], AbstractAsyncContextManager[Store]]] = {"sqlite": _sqlite}


@pytest.fixture(params=ADAPTERS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with ADAPTERS[request.param](tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def sessions(store: Store) -> SessionStore:
    return store.sessions


@pytest.fixture
def jobs(store: Store) -> JobStore:
    return store.jobs


@pytest.fixture
def strategies(store: Store) -> StrategyStore:
    return store.strategies

"""The adapters that must hold the contracts. Another store is one more row of ``ADAPTERS``."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from chatops.assistant.ports import FloorStore, UsageStore
from chatops.backtests.ports import JobStore, StrategyStore
from chatops.sessions.ports import SessionStore
from chatops.stores.mongo_database import Driver
from chatops.stores.sqlite import SqliteStore
from tests.support.mongo import mongo_nodes
from tests.support.services import Mongod


class Store(Protocol):
    @property
    def sessions(self) -> SessionStore: ...

    @property
    def floors(self) -> FloorStore: ...

    @property
    def jobs(self) -> JobStore: ...

    @property
    def strategies(self) -> StrategyStore: ...

    @property
    def usage(self) -> UsageStore: ...

    async def close(self) -> None: ...


LEASE_S = 1.0

OpenStore = Callable[[], Awaitable[Store]]
"""Opens what the adapter keeps, as a server that starts does."""


@asynccontextmanager
async def _sqlite(request: pytest.FixtureRequest) -> AsyncIterator[OpenStore]:
    folder: Path = request.getfixturevalue("tmp_path")
    opened: list[SqliteStore] = []

    async def open_store() -> Store:
        store = SqliteStore(folder, lease_s=LEASE_S, floor_lease_s=LEASE_S)
        await store.open()
        opened.append(store)
        return store

    try:
        yield open_store
    finally:
        for store in opened:
            await store.close()


@asynccontextmanager
async def _mongo(driver: Driver, request: pytest.FixtureRequest) -> AsyncIterator[OpenStore]:
    server: Mongod = request.getfixturevalue("mongo_server")
    async with mongo_nodes(server, driver, LEASE_S) as nodes:
        yield nodes.open


Adapter = Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[OpenStore]]

ADAPTERS: dict[str, Adapter] = {
    "sqlite": _sqlite,
    "mongo-motor": partial(_mongo, "motor"),
    "mongo-pymongo": partial(_mongo, "pymongo"),
}


@pytest.fixture(params=ADAPTERS)
async def open_store(request: pytest.FixtureRequest) -> AsyncIterator[OpenStore]:
    async with ADAPTERS[request.param](request) as opener:
        yield opener


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    return await open_store()


@pytest.fixture
async def successor(store: Store, open_store: OpenStore) -> OpenStore:
    """What opens the store again, after the server that had it has gone."""

    async def succeed() -> Store:
        await store.close()
        return await open_store()

    return succeed


@pytest.fixture
def sessions(store: Store) -> SessionStore:
    return store.sessions


@pytest.fixture
def floors(store: Store) -> FloorStore:
    return store.floors


@pytest.fixture
def jobs(store: Store) -> JobStore:
    return store.jobs


@pytest.fixture
def strategies(store: Store) -> StrategyStore:
    return store.strategies


@pytest.fixture
def usage(store: Store) -> UsageStore:
    return store.usage

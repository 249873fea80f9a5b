"""One server for the tests that need no server of their own, one with an assistant, and Node."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.node import ready_node
from tests.support.provider import KEY, Provider, running_provider
from tests.support.server import ServerProcess


@pytest.fixture(scope="session")
def node() -> str:
    return ready_node()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(tmp_path / "data") as running:
        yield running


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with running_provider() as running:
        yield running


@pytest.fixture
async def assisted(tmp_path: Path, provider: Provider) -> AsyncIterator[ServerProcess]:
    """A server whose assistant asks the provider of the test."""
    chosen = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": provider.url}
    async with ServerProcess(tmp_path / "data", **chosen) as running:
        yield running

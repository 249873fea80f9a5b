"""One server for the tests that need no server of their own, and Node."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.node import ready_node
from tests.support.server import ServerProcess


@pytest.fixture(scope="session")
def node() -> str:
    return ready_node()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(tmp_path / "data") as running:
        yield running

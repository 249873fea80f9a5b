"""Servers that many tests share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.services import Mongod, mongod


@pytest.fixture(scope="session")
def mongo_server() -> Iterator[Mongod]:
    """One MongoDB for all tests of this process; each takes a database of its own."""
    with tempfile.TemporaryDirectory(prefix="chatops-mongo-") as folder, mongod(Path(folder)) as it:
        yield it

"""Waiting for something to become true, with a deadline instead of a hope."""

import asyncio
import time
from collections.abc import Callable


async def until(condition: Callable[[], bool], within_s: float, what: str) -> None:
    """Return when ``condition`` holds.

    Raises:
        AssertionError: It did not within ``within_s`` seconds; the message says ``what``.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(0.02)

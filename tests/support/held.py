"""A worker that is held in the middle of its run for as long as somebody looks at it."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psutil
from playwright.async_api import expect

from tests.support.browser import Person
from tests.support.server import ServerProcess
from tests.support.waiting import until

_MOMENT_S = 0.02
_TOLD_WITHIN_MS = 2_000  # a room is told at most once a second
_BEGUN = re.compile(r"[1-9]")


class HeldWorker:
    """The one worker of a server, which does nothing but in short moments."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process

    async def half_done(self, people: Sequence[Person]) -> None:
        """Let the run go on until each page shows that a part of it is done, and no further.

        A run takes many moments, so how fast the machine is makes no difference.
        """
        while True:
            try:
                for person in people:
                    bar = person.page.get_by_role("progressbar").first
                    await expect(bar).to_have_attribute(
                        "aria-valuenow", _BEGUN, timeout=_TOLD_WITHIN_MS
                    )
            except AssertionError:
                self._process.resume()
                await asyncio.sleep(_MOMENT_S)
                self._process.suspend()
            else:
                return


@asynccontextmanager
async def held_worker(server: ServerProcess) -> AsyncIterator[HeldWorker]:
    """Hold the server's worker once it is ready; after that it goes on, or ends with its server."""
    await until(lambda: bool(server.logged("worker_ready")), 60, "the worker is ready")
    process = psutil.Process(server.logged("worker_ready")[-1]["worker"])
    process.suspend()
    try:
        yield HeldWorker(process)
    finally:
        process.resume()

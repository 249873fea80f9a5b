"""Run as a process: begins to submit a job to MongoDB and kills itself in the middle.

Usage: ``python mongo_killed_in_submit.py URI DRIVER``.
"""

import asyncio
import os
import signal
import sys
from typing import NoReturn, cast

from chatops.stores import mongo_submit
from chatops.stores.mongo import MongoStore
from chatops.stores.mongo_database import Driver
from chatops.tasks import Supervisor
from tests.contracts.jobs import asker, job, submit


async def die(*_: object) -> NoReturn:
    """End as no handler can notice, when the gate is written and nothing is committed."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


async def main(uri: str, driver: Driver) -> None:
    """Submit."""
    store = MongoStore(uri, Supervisor(), driver=driver)
    await store.open()
    mongo_submit._met = die  # type: ignore[assignment]
    await submit(store.jobs, job("bt_dead", asker("dead")))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], cast("Driver", sys.argv[2])))

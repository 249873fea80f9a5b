"""A server that is nothing but a pool at work; tests kill it and look what is left.

``python pool_server.py ENTRY DO...`` prints a line with the pids of its workers once each of them
is at one of the tasks DO.
"""

import asyncio
import sys
from pathlib import Path

from chatops import logs
from chatops.backtests.work import Task
from chatops.tasks import Supervisor
from chatops.workers.pool import ProcessPool


async def serve(entry: str, troubles: list[str]) -> None:
    """Start the tasks and wait for ever."""
    logs.configure("console", "warning")
    supervisor = Supervisor()
    pool = ProcessPool(
        supervisor,
        slots=len(troubles),
        market_folder=Path(),
        timeout_s=1000,
        memory_mb=1024,
        entry=entry,
    )
    pool.open()
    started: asyncio.Queue[str] = asyncio.Queue()
    for number, trouble in enumerate(troubles):
        task = Task(f"job{number}", "backtest", {"do": trouble})
        work = pool.run(task, lambda progress: started.put_nowait(progress.phase))
        supervisor.start(work, task.job_id)
    for _ in troubles:
        await started.get()
    sys.stdout.write(" ".join(str(worker.pid) for worker in pool._workers) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2:]))

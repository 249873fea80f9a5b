"""Whether a process that runs backtests starts and answers."""

import asyncio
import time
from pathlib import Path

from chatops.backtests.ports import WorkerLostError
from chatops.findings import Finding, failed, ok
from chatops.tasks import Supervisor
from chatops.workers.pool import DEFAULT_ENTRY
from chatops.workers.worker import Worker

CHECK = "worker process"


async def check_worker(
    market_folder: Path, memory_mb: int, *, within_s: float = 60.0, entry: str = DEFAULT_ENTRY
) -> Finding:
    """Start one process as the pool does, wait for its first word, and end it again.

    Nothing is left behind, also when the call is cancelled.
    """
    supervisor = Supervisor()
    began = time.monotonic()
    try:
        worker = await Worker.spawn(
            supervisor,
            entry=entry,
            market_folder=market_folder,
            timeout_s=within_s,
            memory_mb=memory_mb,
        )
    except OSError as error:
        return failed(
            CHECK,
            f"the system starts none ({error.strerror})",
            "Check free memory and the limit on processes (ulimit -u).",
        )
    try:
        async with asyncio.timeout(within_s):
            versions = await worker.ready()
    except TimeoutError:
        return failed(
            CHECK,
            f"started, and silent for {within_s:g} s",
            "The machine is too slow or too busy; look at its load and its disk.",
        )
    except WorkerLostError as lost:
        return failed(
            CHECK,
            f"died at its start ({lost.reason})",
            "The lines above say why; too little memory? CHATOPS_BACKTEST_MEMORY_MB is "
            f"{memory_mb}.",
        )
    else:
        took_s = time.monotonic() - began
        libraries = ", ".join(f"{name} {versions[name]}" for name in ("bt", "TA-Lib", "numpy"))
        return ok(CHECK, f"ready in {took_s:.1f} s with {libraries}")
    finally:
        worker.kill()
        await worker.ended()
        await supervisor.close(1.0)

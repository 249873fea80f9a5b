"""Imports of price files that people sent, each in a process of its own.

The server does nothing else meanwhile than before, and a hostile file ends that process at most.
"""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatops.backtests.ports import PriceFile, PriceImporter, WorkerLostError
from chatops.backtests.work import OnProgress, Report, ShouldCancel, Task
from chatops.errors import LimitExceededError, UpstreamFailedError
from chatops.tasks import Supervisor
from chatops.workers.messages import Work
from chatops.workers.worker import Worker

ENTRY = "chatops.workers.importing:open_import"


def open_import(market_folder: Path) -> Work:
    """Return the work of such a process: the file ``path`` of a task's ``spec``, with the rest."""
    from chatops.backtests.market.uploads import import_upload

    def work(task: Task, _on_progress: OnProgress, _should_cancel: ShouldCancel) -> Report:
        options = dict(task.spec)
        path = Path(options.pop("path"))
        return Report({"imported": import_upload(path, market_folder, **options)}, {})

    return work


class ProcessPriceImporter:
    """Imports one file after the other."""

    def __init__(
        self, supervisor: Supervisor, *, market_folder: Path, timeout_s: float, memory_mb: int
    ) -> None:
        self._supervisor = supervisor
        self._market_folder = market_folder
        self._timeout_s = timeout_s
        self._memory_mb = memory_mb
        self._turn = asyncio.Lock()

    async def import_prices(self, file: PriceFile) -> Sequence[Mapping[str, Any]]:
        """See :class:`chatops.backtests.ports.PriceImporter`."""
        async with self._turn:
            with tempfile.TemporaryDirectory(prefix="chatops-") as scratch:
                path = Path(scratch) / file.name
                await asyncio.to_thread(path.write_bytes, file.content)
                spec = {
                    "path": str(path),
                    "symbol": file.symbol,
                    "timeframe": file.timeframe,
                    "allow_jumps": file.allow_jumps,
                    "replace": file.replace,
                }
                try:
                    return await self._run(Task(file.name, "import", spec))
                except LimitExceededError:
                    raise LimitExceededError(
                        f"{file.name} takes more time or memory than one import may use.",
                        "Split it into smaller files.",
                    ) from None
                except (OSError, WorkerLostError):
                    raise UpstreamFailedError(
                        f"The import of {file.name} broke off.", "Try again in a moment."
                    ) from None

    async def _run(self, task: Task) -> Sequence[Mapping[str, Any]]:
        worker = await Worker.spawn(
            self._supervisor,
            entry=ENTRY,
            market_folder=self._market_folder,
            timeout_s=self._timeout_s,
            memory_mb=self._memory_mb,
        )
        try:
            await worker.ready()
            report = await worker.run(task, lambda _progress: None)
        finally:
            worker.kill()
            await worker.ended()
        done: Sequence[Mapping[str, Any]] = report.summary["imported"]
        return done


if TYPE_CHECKING:
    _: type[PriceImporter] = ProcessPriceImporter

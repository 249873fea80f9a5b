"""What a worker process does for a living: backtests and comparisons, everything loaded."""

from dataclasses import replace
from pathlib import Path

from chatops.backtests.execute import execute
from chatops.backtests.market.loader import MarketData
from chatops.backtests.work import OnProgress, Report, ShouldCancel, Task
from chatops.workers.messages import Work


def open_work(market_folder: Path) -> Work:
    """Return the work on the bundled prices and those imported into ``market_folder``."""
    market = MarketData(market_folder)

    def work(task: Task, on_progress: OnProgress, should_cancel: ShouldCancel) -> Report:
        before = market.status()
        report = execute(task, market, on_progress, should_cancel)
        after = market.status()
        return replace(report, loads=(after.hits - before.hits, after.misses - before.misses))

    return work

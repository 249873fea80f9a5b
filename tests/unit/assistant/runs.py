"""Real results of the bundled prices, as commands give them."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from chatops.backtests.execute import execute
from chatops.backtests.market.loader import MarketData
from chatops.backtests.requests import BacktestRequest, ComparisonRequest
from chatops.backtests.strategies import check_params
from chatops.backtests.work import Report, Task

RUNS = (
    ("sma_crossover", ("AAPL",)),
    ("macd", ("IBM",)),
    ("rsi_mean_reversion", ("MSFT",)),
    ("momentum", ("AAPL", "MSFT")),
)


@cache
def results() -> tuple[dict[str, Any], ...]:
    """Return the ``data`` of four backtests and of their comparison."""
    market = MarketData(Path(mkdtemp(prefix="chatops-no-prices-")))

    def run(task: Task) -> Report:
        return execute(task, market, lambda _: None, lambda: False)

    requests = [
        BacktestRequest(
            strategy_id=name, strategy_type=name, params=check_params(name, {}), symbols=symbols
        )
        for name, symbols in RUNS
    ]
    reports = [run(Task("bt_1", "backtest", one.model_dump(mode="json"))) for one in requests]
    comparison = run(
        Task(
            "cmp_1",
            "comparison",
            ComparisonRequest(members=tuple(requests)).model_dump(mode="json"),
            inputs=[one.summary for one in reports],
            files={f"{i}/equity.csv": one.files["equity.csv"] for i, one in enumerate(reports)},
        )
    )
    return tuple(
        {"backtestId": f"bt_{i}c0ffee12", **one.summary, "reused": False}
        for i, one in enumerate((*reports, comparison))
    )

"""The reference figures of two independent calculations, reproduced by what a worker does."""

import hashlib
import subprocess
import sys
from datetime import date
from typing import Any

import numpy as np
import pytest

from chatops.backtests.execute import execute
from chatops.backtests.market.bars import Bars
from chatops.backtests.market.loader import MarketData
from chatops.backtests.requests import BacktestRequest
from chatops.backtests.strategies import check_params
from chatops.backtests.work import Report, Task

REFERENCE: list[tuple[str, str, dict[str, float | int | None]]] = [
    (
        "buy_and_hold",
        "IBM",
        {
            "final_equity": 237092.348958,
            "total_return": 1.370923,
            "annual_return": 0.068813,
            "sharpe_ratio": 0.377558,
            "sortino_ratio": 0.550479,
            "max_drawdown": -0.583139,
            "volatility": 0.279821,
            "var_95": -0.027125,
            "cvar_95": -0.041243,
            "trades": 0,
            "win_rate": None,
            "profit_factor": None,
        },
    ),
    (
        "sma_crossover",
        "AAPL",
        {
            "final_equity": 737594.344021,
            "total_return": 6.375943,
            "annual_return": 0.166536,
            "sharpe_ratio": 0.634118,
            "sortino_ratio": 0.868994,
            "max_drawdown": -0.780094,
            "volatility": 0.347367,
            "var_95": -0.029477,
            "cvar_95": -0.049240,
            "trades": 31,
            "win_rate": 0.612903,
        },
    ),
    (
        "rsi_mean_reversion",
        "MSFT",
        {
            "final_equity": 201536.500008,
            "total_return": 1.015365,
            "annual_return": 0.055509,
            "sharpe_ratio": 0.333820,
            "sortino_ratio": 0.504236,
            "max_drawdown": -0.451766,
            "volatility": 0.270708,
            "var_95": -0.023841,
            "cvar_95": -0.041588,
            "trades": 13,
            "win_rate": 0.769231,
        },
    ),
]


def run(market: MarketData, strategy: str, *symbols: str, **settings: Any) -> Report:
    request = BacktestRequest(
        strategy_id=strategy,
        strategy_type=strategy,
        params=check_params(strategy, {}),
        symbols=symbols,
        **settings,
    )
    task = Task("bt_test", "backtest", request.model_dump(mode="json"))
    return execute(task, market, lambda _: None, lambda: False)


@pytest.mark.parametrize(("strategy", "symbol", "figures"), REFERENCE)
def test_a_run_reproduces_every_reference_figure_to_six_digits(
    strategy: str, symbol: str, figures: dict[str, float | int | None], market: MarketData
) -> None:
    summary = run(market, strategy, symbol).summary
    assert summary["bars"] == 3270
    for name, expected in figures.items():
        found = summary["metrics"][name]
        if expected is None:
            assert found is None, name
        else:
            assert found == pytest.approx(expected, abs=5e-7), name


@pytest.mark.parametrize(
    ("strategy", "symbol", "closes", "first_fill", "price", "open_at_end"),
    [
        ("buy_and_hold", "IBM", 3270, "2000-03-02", 73.851429, True),
        ("sma_crossover", "AAPL", 2088, "2000-07-10", 3.475659, False),
        ("rsi_mean_reversion", "MSFT", 1541, "2000-04-25", 22.883136, True),
    ],
)
def test_a_run_trades_when_and_where_the_reference_does(
    strategy: str,
    symbol: str,
    closes: int,
    first_fill: str,
    price: float,
    open_at_end: bool,
    market: MarketData,
) -> None:
    report = run(market, strategy, symbol)
    rows = report.files["trades.csv"].decode().splitlines()[1:]
    held = report.summary["openPositions"]
    assert len(held) == open_at_end
    first = rows[0].split(",")[1:3] if rows else [held[0]["entryTime"], held[0]["entryPrice"]]
    assert first[0] == first_fill
    assert float(first[1]) == pytest.approx(price, abs=5e-7)
    assert 2 * len(rows) + len(held) == {"IBM": 1, "AAPL": 62, "MSFT": 27}[symbol]
    # A wish at the last close is never filled; every other one is a close with shares in hand.
    last_wish = 1 if open_at_end else 0
    assert report.summary["metrics"]["exposure"] == pytest.approx((closes - last_wish) / 3270)


def test_history_before_the_start_warms_the_indicators(market: MarketData) -> None:
    warm = run(market, "sma_crossover", "AAPL", start=date(2005, 1, 1)).summary
    assert warm["metrics"]["total_return"] == pytest.approx(8.224268, abs=5e-7)
    assert warm["start"] == "2005-01-03"
    assert warm["metrics"]["final_equity"] == pytest.approx(922426.808953, abs=1e-3)
    assert warm["points"][0][1] == 100_000.0


def test_without_that_history_the_figure_would_be_grossly_another(market: MarketData) -> None:
    bars = market.load("AAPL", "1d")

    class Cut:
        def load(self, symbol: str, timeframe: str) -> Bars:
            from_2005 = bars.ts >= np.datetime64("2005-01-01")
            names = ("ts", "open", "high", "low", "close", "volume")
            columns = {name: getattr(bars, name)[from_2005] for name in names}
            return Bars(symbol, timeframe, **columns)

    request = BacktestRequest(
        strategy_id="sma_crossover",
        strategy_type="sma_crossover",
        params=check_params("sma_crossover", {}),
        symbols=("AAPL",),
    )
    task = Task("bt_test", "backtest", request.model_dump(mode="json"))
    cold = execute(task, Cut(), lambda _: None, lambda: False)
    assert cold.summary["metrics"]["total_return"] == pytest.approx(6.140358, abs=5e-7)


def test_buy_and_hold_of_the_same_symbol_stands_beside_the_strategy(market: MarketData) -> None:
    held = run(market, "buy_and_hold", "AAPL").summary
    crossed = run(market, "sma_crossover", "AAPL").summary
    assert crossed["benchmark"].keys() == crossed["metrics"].keys()
    for name, value in held["metrics"].items():
        beside = crossed["benchmark"][name]
        assert beside == (None if value is None else pytest.approx(value, rel=1e-9)), name


FRESH = """
import hashlib, tempfile
from pathlib import Path
from chatops.backtests.execute import execute
from chatops.backtests.market.loader import MarketData
from chatops.backtests.requests import BacktestRequest
from chatops.backtests.work import Task
request = BacktestRequest(
    strategy_id="macd", strategy_type="macd", symbols=("AAPL", "GOOG"),
    params={"fast_period": 12, "slow_period": 26, "signal_period": 9},
)
with tempfile.TemporaryDirectory() as folder:
    task = Task("bt_test", "backtest", request.model_dump(mode="json"))
    report = execute(task, MarketData(Path(folder)), lambda _: None, lambda: False)
for name in sorted(report.files):
    print(name, hashlib.sha256(report.files[name]).hexdigest())
"""


def test_two_fresh_processes_give_the_same_bytes(market: MarketData) -> None:
    printed = []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", FRESH],
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        printed.append(done.stdout)
    here = run(market, "macd", "AAPL", "GOOG").files
    expected = [f"{name} {hashlib.sha256(here[name]).hexdigest()}" for name in sorted(here)]
    assert printed[0].splitlines() == printed[1].splitlines() == expected

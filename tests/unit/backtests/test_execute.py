"""What a worker hands back, and what it refuses."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import numpy as np
import pytest

from chatops.backtests.analysis.metrics import METRICS
from chatops.backtests.execute import execute
from chatops.backtests.market.bars import Bars
from chatops.backtests.provenance import describe, fingerprint
from chatops.backtests.requests import BacktestRequest, ComparisonRequest
from chatops.backtests.strategies import check_params
from chatops.backtests.work import Cancelled, Progress, Report, Task
from chatops.errors import BadParameterError

MakeBars = Callable[..., Bars]


class Shelf:
    """A market of the bars it was given."""

    def __init__(self, *bars: Bars) -> None:
        self._bars = {one.symbol: one for one in bars}

    def load(self, symbol: str, timeframe: str) -> Bars:
        return self._bars[symbol]


def request_of(strategy: str, *symbols: str, **settings: Any) -> BacktestRequest:
    params: Mapping[str, object] = settings.pop("params", {})
    return BacktestRequest(
        strategy_id=strategy,
        strategy_type=strategy,
        params=check_params(strategy, params),
        symbols=symbols,
        **settings,
    )


def task_of(request: BacktestRequest) -> Task:
    return Task("bt_test", "backtest", request.model_dump(mode="json"))


def run(shelf: Shelf, request: BacktestRequest) -> Report:
    return execute(task_of(request), shelf, lambda _: None, lambda: False)


@pytest.fixture(name="walk")
def _walk(make_bars: MakeBars) -> Callable[..., Bars]:
    def walk(symbol: str, length: int, seed: int = 1, **how: Any) -> Bars:
        generator = np.random.default_rng(seed)
        closes = 50 * np.exp(generator.normal(0, 0.02, length).cumsum())
        return make_bars(closes * 1.001, closes, symbol=symbol, **how)

    return walk


def test_the_summary_is_complete_and_is_json(walk: Callable[..., Bars]) -> None:
    bars = walk("ABC", 2000)
    request = request_of("sma_crossover", "ABC", cash=1000.0)
    report = run(Shelf(bars), request)
    summary = report.summary
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert json.loads(report.files["result.json"]) == summary
    assert tuple(summary["metrics"]) == tuple(summary["benchmark"]) == METRICS
    assert summary["strategy"] == {
        "id": "sma_crossover",
        "type": "sma_crossover",
        "version": 1,
        "params": {"short_window": 20, "long_window": 50},
    }
    assert (summary["start"], summary["end"]) == ("2020-01-01", "2025-06-22")
    assert (summary["cash"], summary["fee"], summary["symbols"]) == (1000.0, 0.001, ["ABC"])
    assert (summary["bars"], summary["timeframe"]) == (2000, "1d")
    assert summary["tradeCount"] == summary["metrics"]["trades"] > 5
    assert "bySymbol" not in summary
    assert summary["provenance"] == describe(request, {"ABC": bars.content_hash})
    assert set(report.files) == {
        "equity.csv",
        "trades.csv",
        "trades.json",
        "result.json",
        "chart.png",
    }
    assert report.files["chart.png"].startswith(b"\x89PNG")


def test_points_keep_the_highest_and_the_lowest_equity(walk: Callable[..., Bars]) -> None:
    report = run(Shelf(walk("ABC", 5000)), request_of("buy_and_hold", "ABC"))
    equity = [float(row["equity"]) for row in _rows(report, "equity.csv")]
    values = [value for _, value in report.summary["points"]]
    assert len(values) <= 800
    assert (max(values), min(values)) == (max(equity), min(equity))
    assert report.summary["points"][0] == [1577836800, 100_000.0]
    lowest = min(value for _, value in report.summary["drawdownPoints"])
    assert lowest == report.summary["metrics"]["max_drawdown"]


def test_the_files_give_the_very_numbers_back(walk: Callable[..., Bars]) -> None:
    report = run(Shelf(walk("ABC", 900)), request_of("bollinger", "ABC"))
    rows = _rows(report, "equity.csv")
    assert list(rows[0]) == ["time", "equity", "drawdown", "benchmark", "position"]
    equity = np.array([float(row["equity"]) for row in rows])
    metrics = report.summary["metrics"]
    assert equity[-1] == metrics["final_equity"]
    drawdown = equity / np.maximum.accumulate(equity) - 1
    assert [float(row["drawdown"]) for row in rows] == drawdown.tolist()
    assert np.mean([float(row["position"]) for row in rows]) == metrics["exposure"]

    dates = [row["time"] for row in rows]
    peak, trough, recovery = report.summary["drawdown"].values()
    assert dates[int(drawdown.argmin())] == trough
    assert equity[dates.index(peak)] == equity[: int(drawdown.argmin()) + 1].max()
    assert recovery is None or equity[dates.index(recovery)] >= equity[dates.index(peak)]

    trades = json.loads(report.files["trades.json"])
    from_csv = _rows(report, "trades.csv")
    assert len(from_csv) == len(trades["trades"]) == metrics["trades"] > 0
    assert [float(row["profit"]) for row in from_csv] == [t["profit"] for t in trades["trades"]]
    wins = [trade["profit"] > 0 for trade in trades["trades"]]
    assert metrics["win_rate"] == np.mean(wins)
    value = sum(held["value"] for held in trades["openPositions"])
    assert bool(value) == (rows[-1]["position"] == "1")


def test_several_symbols_are_shares_of_one_account(walk: Callable[..., Bars]) -> None:
    early, late = walk("OLD", 500), walk("NEW", 300, seed=2, first_day="2020-03-01")
    both = run(Shelf(early, late), request_of("momentum", "OLD", "NEW", params={}, cash=1000.0))
    alone = {
        bars.symbol: run(Shelf(bars), request_of("momentum", bars.symbol, cash=500.0))
        for bars in (early, late)
    }
    curves = {
        symbol: {row["time"]: float(row["equity"]) for row in _rows(report, "equity.csv")}
        for symbol, report in alone.items()
    }
    last = {"OLD": 500.0, "NEW": 500.0}
    for row in _rows(both, "equity.csv"):
        last = {symbol: curves[symbol].get(row["time"], last[symbol]) for symbol in last}
        assert float(row["equity"]) == pytest.approx(sum(last.values()), rel=1e-12)
    summary = both.summary
    assert summary["bars"] == len(set(curves["OLD"]) | set(curves["NEW"]))
    for symbol, report in alone.items():
        assert summary["bySymbol"][symbol] == report.summary["metrics"]
    trades = [report.summary["metrics"]["trades"] for report in alone.values()]
    assert summary["metrics"]["trades"] == sum(trades)
    assert summary["metrics"]["final_equity"] == pytest.approx(sum(last.values()), rel=1e-12)
    exits = [row["exitTime"] for row in _rows(both, "trades.csv")]
    assert exits == sorted(exits)
    assert {row["position"] for row in _rows(both, "equity.csv")} <= {"0", "0.5", "1"}


def test_a_start_keeps_positions_out_of_the_time_before_it(walk: Callable[..., Bars]) -> None:
    request = request_of(
        "sma_crossover", "ABC", start=date(2021, 1, 1), end=date(2021, 12, 31), fee=0.0
    )
    report = run(Shelf(walk("ABC", 900)), request)
    rows = _rows(report, "equity.csv")
    assert (rows[0]["time"], rows[-1]["time"]) == ("2021-01-01", "2021-12-31")
    assert (rows[0]["equity"], rows[0]["position"]) == ("100000.0", "0")
    assert report.summary["bars"] == len(rows) == 365
    assert all(row["entryTime"] > "2021-01-01" for row in _rows(report, "trades.csv"))


def test_intraday_bars_carry_instants(walk: Callable[..., Bars]) -> None:
    bars = walk("ABC", 400, first_day="2024-03-01T14:30", step="m", timeframe="1m")
    request = request_of("bollinger", "ABC", timeframe="1m", end=date(2024, 3, 1))
    report = run(Shelf(bars), request)
    assert _rows(report, "equity.csv")[0]["time"] == "2024-03-01T14:30:00Z"
    assert report.summary["bars"] == 400
    assert report.summary["start"] == report.summary["end"] == "2024-03-01"
    assert report.summary["drawdown"]["trough"].endswith("Z")


def test_a_run_without_a_trade_has_no_figure_that_needs_one(make_bars: MakeBars) -> None:
    flat = make_bars([10.0] * 100, [10.0] * 100, symbol="ABC")
    summary = run(Shelf(flat), request_of("sma_crossover", "ABC")).summary
    metrics = summary["metrics"]
    undefined = {"sharpe_ratio", "sortino_ratio", "calmar_ratio", "win_rate", "profit_factor"}
    assert {name for name, value in metrics.items() if value is None} == undefined
    assert metrics["total_return"] == metrics["volatility"] == metrics["max_drawdown"] == 0
    assert metrics["trades"] == metrics["exposure"] == 0
    assert summary["drawdown"] is None
    assert summary["openPositions"] == []


def test_progress_passes_through_every_phase_and_never_falls(walk: Callable[..., Bars]) -> None:
    seen: list[Progress] = []
    shelf = Shelf(walk("A", 900), walk("B", 400, seed=2))
    task = task_of(request_of("sma_crossover", "A", "B"))
    execute(task, shelf, seen.append, lambda: False)
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    phases = list(dict.fromkeys(progress.phase for progress in seen))
    assert phases == ["loading", "running", "analyzing", "saving"]
    bounds = {"loading": (0, 0.05), "running": (0.05, 0.85)}
    bounds |= {"analyzing": (0.85, 0.95), "saving": (0.95, 1)}
    for progress in seen:
        low, high = bounds[progress.phase]
        assert low <= progress.fraction <= high + 1e-12
    assert 190 <= len(seen) <= 210


@pytest.mark.parametrize("after", [0, 1, 30, 100, 103, 104])
def test_a_run_can_be_cancelled_at_any_time(after: int, walk: Callable[..., Bars]) -> None:
    seen: list[Progress] = []
    task = task_of(request_of("sma_crossover", "ABC"))
    with pytest.raises(Cancelled):
        execute(task, Shelf(walk("ABC", 2000)), seen.append, lambda: len(seen) >= after)
    assert len(seen) == after


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start": date(1990, 1, 1)}, "The start 1990-01-01 is outside the data."),
        ({"start": date(2030, 1, 1)}, "The start 2030-01-01 is outside the data."),
        ({"end": date(2030, 1, 1)}, "The end 2030-01-01 is outside the data."),
        ({"end": date(2019, 1, 1)}, "The end 2019-01-01 is outside the data."),
        (
            {"start": date(2020, 3, 1), "end": date(2020, 2, 1)},
            "The start 2020-03-01 is after the end 2020-02-01.",
        ),
        (
            {"start": date(2020, 3, 1), "end": date(2020, 3, 1)},
            "ABC has only 1 bar in that range, and a backtest needs at least 2.",
        ),
        (
            {"end": date(2020, 2, 10)},
            "sma_crossover needs at least 51 bars of ABC up to the end, and there are 41.",
        ),
    ],
)
def test_a_range_that_cannot_be_run_is_refused_with_what_there_is(
    settings: dict[str, date], message: str, walk: Callable[..., Bars]
) -> None:
    with pytest.raises(BadParameterError) as caught:
        run(Shelf(walk("ABC", 100)), request_of("sma_crossover", "ABC", **settings))
    assert caught.value.message == message
    assert caught.value.hint is not None
    assert "ABC has 1d bars from 2020-01-01 to 2020-04-09." in caught.value.hint


def test_a_symbol_without_bars_in_the_range_is_named(walk: Callable[..., Bars]) -> None:
    shelf = Shelf(walk("OLD", 100), walk("NEW", 100, first_day="2020-06-01"))
    request = request_of("buy_and_hold", "OLD", "NEW", end=date(2020, 4, 1))
    with pytest.raises(BadParameterError, match="NEW has no bars in that range"):
        run(shelf, request)


def test_a_range_may_begin_and_end_on_a_closed_day(walk: Callable[..., Bars]) -> None:
    request = request_of("buy_and_hold", "ABC", start=date(2019, 12, 28), end=date(2020, 4, 12))
    summary = run(Shelf(walk("ABC", 100)), request).summary
    assert (summary["start"], summary["end"]) == ("2020-01-01", "2020-04-09")


def test_parameters_are_checked_again_by_the_worker(walk: Callable[..., Bars]) -> None:
    request = request_of("sma_crossover", "ABC").model_copy(
        update={"params": {"short_window": 50, "long_window": 20}}
    )
    with pytest.raises(BadParameterError, match="short_window must be smaller"):
        run(Shelf(walk("ABC", 100)), request)


def test_a_comparison_reads_the_equity_of_its_members_and_names_them(
    walk: Callable[..., Bars],
) -> None:
    shelf = Shelf(walk("ABC", 900))
    requests = [request_of("sma_crossover", "ABC"), request_of("macd", "ABC")]
    reports = [run(shelf, request) for request in requests]
    whole = ComparisonRequest(members=tuple(requests), paths=100)
    task = Task(
        "cmp_test",
        "comparison",
        whole.model_dump(mode="json"),
        inputs=[json.loads(report.files["result.json"]) for report in reports],
        files={f"{i}/equity.csv": reports[i].files["equity.csv"] for i in range(2)},
    )
    report = execute(task, shelf, lambda _: None, lambda: False)
    assert len(report.summary["strategies"]) == 2
    found = [entry["metrics"]["total_return"] for entry in report.summary["strategies"]]
    assert found == [one.summary["metrics"]["total_return"] for one in reports]
    members = [fingerprint(one.summary["provenance"]) for one in reports]
    assert list(report.summary["provenance"]["data"].values()) == members


def _rows(report: Report, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(report.files[name].decode())))

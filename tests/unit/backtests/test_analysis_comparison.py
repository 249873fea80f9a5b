"""Comparing runs: figures by hand, honest words, names apart, and files that agree with them."""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chatops.backtests.analysis.comparison import compare
from chatops.backtests.analysis.members import names_of
from chatops.backtests.analysis.metrics import METRICS, drawdowns, measure
from chatops.backtests.analysis.ranking import place, rank_metrics
from chatops.backtests.requests import BacktestRequest, ComparisonRequest
from chatops.backtests.work import Cancelled, Progress, Report
from chatops.errors import BadParameterError, NotFoundError

Floats = NDArray[np.float64]


class Run:
    """A finished run made from its equity; the benchmark is the equity unless given."""

    def __init__(
        self,
        equity: Floats,
        strategy_id: str = "sma_crossover",
        symbols: tuple[str, ...] = ("AAPL",),
        *,
        params: Mapping[str, int | float] | None = None,
        first: str = "2020-01-01",
        timeframe: str = "1d",
        benchmark: Floats | None = None,
    ) -> None:
        step = np.timedelta64(1, "h" if timeframe == "1h" else "D")
        times = np.datetime64(first, "s") + np.arange(len(equity)) * step
        hourly = timeframe == "1h"
        texts = [f"{time}Z" if hourly else f"{time}"[:10] for time in times]
        hold = equity if benchmark is None else benchmark
        columns = (equity.tolist(), drawdowns(equity).tolist(), hold.tolist())
        rows = [
            f"{time},{money!r},{fall!r},{held!r},1"
            for time, money, fall, held in zip(texts, *columns, strict=True)
        ]
        self.csv = "\n".join(["time,equity,drawdown,benchmark,position", *rows, ""]).encode()
        self.request = BacktestRequest(
            strategy_id=strategy_id,
            strategy_type="sma_crossover",
            params=dict(params or {}),
            symbols=symbols,
            timeframe=timeframe,
        )
        self.summary = {"metrics": measure(equity, np.array([10.0, -5.0]), 0.5, 252)}


def walk(seed: int, *, drift: float = 0.0005, bars: int = 400) -> Floats:
    steps = np.random.default_rng(seed).normal(drift, 0.01, bars - 1)
    path: Floats = 1e5 * np.exp(np.concatenate([[0.0], np.cumsum(steps)]))
    return path


def compared(runs: Sequence[Run], *, paths: int = 200, seed: int = 1) -> Report:
    request = ComparisonRequest(members=tuple(run.request for run in runs), paths=paths, seed=seed)
    return compare(
        request,
        [run.summary for run in runs],
        [run.csv for run in runs],
        lambda _: None,
        lambda: False,
    )


@pytest.fixture(scope="module")
def three() -> Report:
    return compared(
        [
            Run(walk(1), symbols=("AAPL",)),
            Run(walk(2, drift=-0.002), symbols=("MSFT",)),
            Run(walk(3, drift=0.003), "momentum", ("IBM", "GOOG")),
        ]
    )


def test_the_summary_has_the_words_of_the_wire_and_only_finite_values(three: Report) -> None:
    assert list(three.summary) == [
        "strategies",
        "ranking",
        "correlation",
        "monteCarlo",
        "regimes",
        "summary",
        "recommendation",
        "reasoning",
    ]
    json.dumps(three.summary, allow_nan=False)
    first = three.summary["strategies"][0]
    assert list(first) == ["strategyId", "name", "symbols", "metrics", "ranks"]
    assert list(first["metrics"]) == list(METRICS)
    assert len(json.dumps(three.summary)) < 60_000


def test_the_ranking_is_by_mean_rank(three: Report) -> None:
    assert [row["name"] for row in three.summary["ranking"]] == [
        "momentum · IBM, GOOG",
        "sma_crossover · AAPL",
        "sma_crossover · MSFT",
    ]
    assert [row["rank"] for row in three.summary["ranking"]] == [1, 2, 3]
    assert three.summary["ranking"][0]["score"] == 1.0


def test_the_same_comparison_twice_gives_the_same_bytes_and_another_seed_does_not() -> None:
    runs = [Run(walk(1)), Run(walk(2))]
    one, same, other = compared(runs), compared(runs), compared(runs, seed=2)
    assert one.files == same.files
    assert one.summary == same.summary
    assert one.summary["monteCarlo"]["members"] != other.summary["monteCarlo"]["members"]


def test_the_files_hold_the_same_figures(three: Report) -> None:
    assert sorted(three.files) == ["chart.png", "comparison.json", "correlation.csv", "metrics.csv"]
    assert json.loads(three.files["comparison.json"]) == three.summary
    assert three.files["chart.png"].startswith(b"\x89PNG")
    rows = list(csv.DictReader(io.StringIO(three.files["metrics.csv"].decode())))
    for row, strategy in zip(rows, three.summary["strategies"], strict=True):
        assert row["name"] == strategy["name"]
        for name in METRICS:
            value = strategy["metrics"][name]
            assert row[name] == ("" if value is None else repr(value))
    table = list(csv.reader(io.StringIO(three.files["correlation.csv"].decode())))
    assert table[0] == ["name", *three.summary["correlation"]["labels"]]
    assert [float(cell) for cell in table[1][1:]] == three.summary["correlation"]["matrix"][0]


def test_correlation_by_hand() -> None:
    steps = np.tile([0.01, -0.01, 0.02, 0.0], 10)
    up = 1e5 * np.concatenate([[1.0], np.cumprod(1 + steps)])
    down = 1e5 * np.concatenate([[1.0], np.cumprod(1 - steps)])
    flat = np.full(41, 1e5)
    matrix = compared([Run(up), Run(down), Run(flat)]).summary["correlation"]["matrix"]
    assert matrix[0] == [pytest.approx(1), pytest.approx(-1), None]
    assert matrix[2] == [None, None, None]


def test_hours_are_correlated_by_the_day() -> None:
    # Within the day the two move oppositely, from evening to evening alike.
    days = np.repeat(walk(5, bars=20), 24)
    wiggle = np.tile([0.0, 500.0] * 11 + [0.0, 0.0], 20)
    runs = [Run(days + wiggle, timeframe="1h"), Run(days - wiggle, timeframe="1h")]
    assert compared(runs).summary["correlation"]["matrix"][0][1] == pytest.approx(1)


def test_monte_carlo_figures_are_those_of_its_paths() -> None:
    falling = Run(1e5 * 0.99 ** np.arange(60.0))
    rising = Run(1e5 * 1.01 ** np.arange(60.0))
    simulated = compared([falling, rising]).summary["monteCarlo"]
    assert (simulated["paths"], simulated["block"], simulated["seed"]) == (200, 20, 1)
    assert simulated["bars"] == 59
    loser, winner = simulated["members"]
    assert (loser["probabilityOfLoss"], winner["probabilityOfLoss"]) == (1, 0)
    # 0.99^59 = 0.552674: deeper than 20 % and 30 % on every path.
    assert (loser["probabilityOfDrawdown20"], loser["probabilityOfDrawdown30"]) == (1, 1)
    assert winner["probabilityOfDrawdown20"] == 0
    assert loser["terminalReturn"]["50"] == pytest.approx(0.99**59 - 1)
    assert loser["historicDrawdown"] == pytest.approx(0.99**59 - 1)
    assert list(loser["terminalReturn"]) == ["5", "25", "50", "75", "95"]
    assert len(loser["fan"]["steps"]) == len(loser["fan"]["growth"]["95"]) <= 200
    assert simulated["ahead"]["matrix"] == [[0, 0], [1, 0]]


def test_regimes_are_of_the_mean_buy_and_hold() -> None:
    # One falls as fast as the other rises: the mean of both growths rises in the end.
    rise, fall = 1e5 * 1.004 ** np.arange(200.0), 1e5 * 0.996 ** np.arange(200.0)
    regimes = compared([Run(rise), Run(fall)]).summary["regimes"]
    assert (regimes["lookback"], regimes["threshold"]) == (63, 0.05)
    days = {name: each["days"] for name, each in regimes["members"][0]["regimes"].items()}
    assert sum(days.values()) == 199 - 63
    assert days["bear"] == 0
    assert regimes["members"][0]["regimes"]["bull"]["annual_return"] == pytest.approx(
        1.004**252 - 1
    )
    assert "63 bars" in regimes["rule"]


def test_runs_of_other_dates_are_measured_again_on_the_common_ones_and_that_is_said() -> None:
    long, short = walk(1, bars=300), walk(2, bars=200)
    report = compared([Run(long), Run(short, first="2020-04-10", symbols=("IBM",))])
    cut, whole = report.summary["strategies"]
    assert cut["metrics"]["total_return"] == pytest.approx(long[299] / long[100] - 1)
    assert cut["metrics"]["trades"] is None
    assert cut["metrics"]["win_rate"] is None
    assert whole["metrics"]["trades"] == 2
    assert "From 2020-04-10 to 2020-10-26 (200 common bars)" in report.summary["summary"]
    assert "The runs cover different dates" in report.summary["summary"]
    assert "Shortened to the common dates: sma_crossover · AAPL." in report.summary["reasoning"]


@pytest.mark.parametrize(("shift", "common"), [("2020-03-12", 29), ("2021-01-01", 0)])
def test_too_few_common_bars_are_refused(shift: str, common: int) -> None:
    with pytest.raises(BadParameterError, match=f"have {common} bars in common"):
        compared([Run(walk(1, bars=100)), Run(walk(2, bars=100), first=shift)])


def test_bars_of_different_length_are_refused() -> None:
    with pytest.raises(BadParameterError, match="different length: 1d, 1h"):
        compared([Run(walk(1)), Run(walk(2), timeframe="1h")])


def test_a_run_whose_curve_is_gone_is_named() -> None:
    lost = Run(walk(2), symbols=("IBM",))
    lost.csv = b""
    with pytest.raises(NotFoundError, match="sma_crossover · IBM has no equity curve"):
        compared([Run(walk(1)), lost])


def test_names_tell_equal_strategies_apart() -> None:
    def request(symbols: tuple[str, ...] = ("AAPL",), **params: float) -> BacktestRequest:
        return Run(walk(1), symbols=symbols, params=params).request

    assert names_of([request(), request(("MSFT",))]) == [
        "sma_crossover · AAPL",
        "sma_crossover · MSFT",
    ]
    assert names_of([request(a=20, b=50), request(a=20, b=100)]) == [
        "sma_crossover · AAPL (b 50)",
        "sma_crossover · AAPL (b 100)",
    ]
    assert names_of([request(), request()]) == ["sma_crossover · AAPL", "sma_crossover · AAPL #2"]
    assert names_of([request(("A", "B", "C", "D", "E"))]) == ["sma_crossover · A, B, C +2"]


def figures(**values: float | None) -> dict[str, float | int | None]:
    return {**dict.fromkeys(METRICS, 1.0), **values}


def test_ranks_share_places_put_nulls_last_and_want_little_volatility() -> None:
    ranks = rank_metrics(
        [
            figures(sharpe_ratio=None, volatility=0.3, max_drawdown=-0.5),
            figures(sharpe_ratio=0.5, volatility=0.1, max_drawdown=-0.1),
            figures(sharpe_ratio=0.5, volatility=0.2, max_drawdown=-0.2),
        ]
    )
    assert [rank["sharpe_ratio"] for rank in ranks] == [3, 1, 1]
    assert [rank["volatility"] for rank in ranks] == [3, 1, 2]
    assert [rank["max_drawdown"] for rank in ranks] == [3, 1, 2]
    assert "trades" not in ranks[0]


def test_equal_scores_are_parted_by_the_sharpe_ratio_then_by_order() -> None:
    metrics = [
        figures(sharpe_ratio=0.4, total_return=2.0),
        figures(sharpe_ratio=0.5, total_return=1.0),
    ]
    places = place(metrics, rank_metrics(metrics))
    assert [(each.rank, each.index, each.score) for each in places] == [(1, 1, 1.2), (2, 0, 1.2)]
    equal = [figures(), figures()]
    assert [each.index for each in place(equal, rank_metrics(equal))] == [0, 1]


def numbers_in(tables: Any) -> set[str]:
    """Every number of the tables in the forms in which sentences may write it."""
    if isinstance(tables, Mapping):
        return set().union(*(numbers_in(each) for each in tables.values()))
    if isinstance(tables, list):
        return set().union(set(), *(numbers_in(each) for each in tables))
    if isinstance(tables, int | float):
        forms = (f"{tables * 100:,.1f}", f"{tables:.2f}", f"{tables:.1f}", f"{tables:,}")
        return {form.removeprefix("-") for form in forms}
    return set()


def test_every_number_of_the_words_stands_in_a_table(three: Report) -> None:
    words = " ".join(three.summary[key] for key in ("summary", "recommendation", "reasoning"))
    words = re.sub(r"\d{4}-\d\d-\d\d", "", words)
    known = numbers_in(dict(three.summary)) | {"400"}  # the bars, one more than its returns
    fixed = {"30", "90", "5", "3"}  # "30 %", "90 % of the total returns", "worst 5 %", "of 3"
    for number in re.findall(r"\d[\d,]*(?:\.\d+)?", words):
        assert number.rstrip(",") in known | fixed, number


def test_a_clear_lead_is_called_so_and_noise_is_called_noise(three: Report) -> None:
    assert three.summary["recommendation"].startswith("On these figures prefer momentum · IBM")
    path = walk(1, drift=0.002)
    backwards = path[0] * path[-1] / path[::-1]  # the same returns in the opposite order
    close = compared([Run(path), Run(backwards)])
    assert close.summary["recommendation"].startswith("No clear preference")
    assert "within the noise" in close.summary["recommendation"]
    losers = compared([Run(walk(1, drift=-0.01)), Run(walk(2, drift=-0.02))])
    assert "prefer none of them" in losers.summary["recommendation"]
    for report in (three, close, losers):
        assert "no promise" in report.summary["recommendation"]


@pytest.mark.parametrize("length", [1, 100])
def test_words_keep_their_lengths_however_long_the_names(length: int) -> None:
    runs = [
        Run(
            walk(seed),
            "긴" * length,
            tuple(f"{'S' * 25}{number}" for number in range(5)),
            params={"a" * 40: seed, "b" * 40: seed},
        )
        for seed in range(5)
    ]
    summary = compared(runs, paths=100).summary
    assert 50 <= len(summary["summary"]) <= 500
    assert 50 <= len(summary["recommendation"]) <= 500
    assert 50 <= len(summary["reasoning"]) <= 1000


def test_runs_that_never_traded_compare_without_nonsense() -> None:
    flat = np.full(100, 1e5)
    report = compared([Run(flat), Run(flat, symbols=("IBM",))])
    json.dumps(report.summary, allow_nan=False)
    assert "Sharpe ratio undefined" in report.summary["summary"]
    assert "prefer none" in report.summary["recommendation"]


def test_progress_only_grows_and_ends_before_done() -> None:
    told: list[Progress] = []
    runs = [Run(walk(1)), Run(walk(2))]
    request = ComparisonRequest(members=tuple(run.request for run in runs), paths=100)
    files = [run.csv for run in runs]
    compare(request, [run.summary for run in runs], files, told.append, lambda: False)
    fractions = [each.fraction for each in told]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < fractions[-1] < 1
    assert [each.phase for each in told][:: len(told) - 1] == ["loading", "saving"]


@pytest.mark.parametrize("asked", [0, 1, 2, 3, 4])
def test_it_stops_wherever_it_is_asked_to(asked: int) -> None:
    runs = [Run(walk(1)), Run(walk(2))]
    request = ComparisonRequest(members=tuple(run.request for run in runs), paths=100)
    answers = iter([False] * asked + [True] * 10)
    with pytest.raises(Cancelled):
        compare(
            request,
            [run.summary for run in runs],
            [run.csv for run in runs],
            lambda _: None,
            lambda: next(answers),
        )

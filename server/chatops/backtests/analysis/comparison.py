"""Compares finished runs: ranks, correlation, Monte Carlo, regimes and words made of them."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatops.backtests.analysis.chart import Curve, FanChart, draw_comparison
from chatops.backtests.analysis.members import Member, read_members
from chatops.backtests.analysis.metrics import METRICS, drawdowns, returns
from chatops.backtests.analysis.montecarlo import PERCENTILES, Simulation, simulate
from chatops.backtests.analysis.ranking import Place, place, rank_metrics
from chatops.backtests.analysis.regimes import (
    MIN_DAYS,
    THRESHOLD,
    label_regimes,
    lookback_of,
    measure_regimes,
)
from chatops.backtests.analysis.verdict import write_verdict
from chatops.backtests.requests import PERIODS_PER_YEAR, ComparisonRequest
from chatops.backtests.work import Cancelled, OnProgress, Phase, Progress, Report, ShouldCancel

Floats = NDArray[np.float64]

_SIMULATING_FROM, _SIMULATING_TO = 0.1, 0.8


def compare(
    request: ComparisonRequest,
    members: Sequence[Mapping[str, Any]],
    equity_files: Sequence[bytes],
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> Report:
    """Compares runs over their common dates.

    Args:
        request: The runs and the settings of the Monte Carlo simulation.
        members: ``data`` of each run, in order.
        equity_files: ``equity.csv`` of each run, in order.
        on_progress: Told how far the comparison is.
        should_cancel: Asked between steps and during the simulation.

    Returns:
        ``strategies, ranking, correlation, monteCarlo, regimes, summary, recommendation,
        reasoning``, and the files ``comparison.json``, ``chart.png``, ``metrics.csv`` and
        ``correlation.csv``. Equal arguments give equal reports on one version of NumPy.

    Raises:
        BadParameterError: The runs have bars of different length, or fewer than 30 in common.
        NotFoundError: A run has no equity curve.
        Cancelled: ``should_cancel`` said so.
    """

    def reach(phase: Phase, fraction: float) -> None:
        if should_cancel():
            raise Cancelled
        on_progress(Progress(phase, fraction))

    reach("loading", 0.0)
    runs = read_members(request.members, members, equity_files)
    reach("running", _SIMULATING_FROM)
    simulation = simulate(
        np.stack([returns(run.equity) for run in runs]),
        paths=request.paths,
        block=request.block,
        seed=request.seed,
        on_progress=lambda done: on_progress(
            Progress("running", _SIMULATING_FROM + (_SIMULATING_TO - _SIMULATING_FROM) * done)
        ),
        should_cancel=should_cancel,
    )
    reach("analyzing", _SIMULATING_TO)
    tables = _tables(request, runs, simulation)
    summary = {**tables, **write_verdict(tables, runs)}
    reach("saving", 0.9)
    files = {
        "comparison.json": _json(summary),
        "chart.png": _chart(runs, simulation),
        "metrics.csv": _metrics_csv(tables["strategies"]),
        "correlation.csv": _correlation_csv(tables["correlation"]),
    }
    reach("saving", 0.99)
    return Report(summary, files)


def _tables(
    request: ComparisonRequest, runs: Sequence[Member], simulation: Simulation
) -> dict[str, Any]:
    metrics = [run.metrics for run in runs]
    ranks = rank_metrics(metrics)
    places = place(metrics, ranks)
    return {
        "strategies": [
            {
                "strategyId": run.request.strategy_id,
                "name": run.name,
                "symbols": list(run.request.symbols),
                "metrics": run.metrics,
                "ranks": rank,
            }
            for run, rank in zip(runs, ranks, strict=True)
        ],
        "ranking": [_ranking_row(each, runs) for each in places],
        "correlation": correlation_of(runs),
        "monteCarlo": {
            "paths": request.paths,
            "block": request.block,
            "seed": request.seed,
            "bars": int(simulation.steps[-1]),
            "members": [_simulated(run, simulation, i) for i, run in enumerate(runs)],
            "ahead": {"labels": [run.name for run in runs], "matrix": _ahead(simulation)},
        },
        "regimes": _regimes(runs),
    }


def _ranking_row(each: Place, runs: Sequence[Member]) -> dict[str, Any]:
    run = runs[each.index]
    return {
        "rank": each.rank,
        "strategyId": run.request.strategy_id,
        "name": run.name,
        "score": each.score,
    }


def correlation_of(runs: Sequence[Member]) -> dict[str, Any]:
    """Pearson correlation of daily returns (weekly ones of weekly bars); None where undefined.

    Bars shorter than a day are brought to days by the last equity of each.
    """
    daily = np.stack([returns(_daily(run, run.equity)) for run in runs])
    centred = daily - daily.sum(axis=1, keepdims=True) / max(daily.shape[1], 1)
    lengths = np.sqrt(np.square(centred).sum(axis=1)).tolist()
    products = (centred @ centred.T).tolist()
    matrix = [
        [_correlation(products[i][j], lengths[i], lengths[j]) for j in range(len(runs))]
        for i in range(len(runs))
    ]
    return {"labels": [run.name for run in runs], "matrix": matrix}


def _correlation(product: float, length: float, other: float) -> float | None:
    # A flat equity curve correlates with nothing, not even with itself.
    if length == 0 or other == 0:
        return None
    return max(-1.0, min(1.0, product / (length * other)))


def _daily(run: Member, values: Floats) -> Floats:
    """The last value of each day, shape (days,)."""
    days = run.ts.astype("datetime64[D]")
    last_of_day = np.append(days[1:] != days[:-1], True)
    daily: Floats = values[last_of_day]
    return daily


def _simulated(run: Member, simulation: Simulation, index: int) -> dict[str, Any]:
    terminal, deepest = simulation.terminal[index], simulation.max_drawdown[index]
    historic = float(drawdowns(run.equity).min())
    ends = np.percentile(terminal, PERCENTILES) - 1.0
    return {
        "strategyId": run.request.strategy_id,
        "name": run.name,
        "probabilityOfLoss": float((terminal < 1.0).mean()),
        "probabilityOfDrawdown20": float((deepest < -0.20).mean()),
        "probabilityOfDrawdown30": float((deepest < -0.30).mean()),
        "historicDrawdown": historic,
        "probabilityOfHistoricDrawdown": float((deepest < historic).mean()),
        "terminalReturn": _by_percentile([_finite(float(end)) for end in ends]),
        "fan": {
            "steps": simulation.steps.tolist(),
            # Six digits draw the same fan, and the result must fit into a message.
            "growth": _by_percentile(
                [[float(f"{value:.6g}") for value in band] for band in simulation.fan[index]]
            ),
        },
    }


def _by_percentile(values: Sequence[Any]) -> dict[str, Any]:
    return {str(percent): value for percent, value in zip(PERCENTILES, values, strict=True)}


def _ahead(simulation: Simulation) -> list[list[float]]:
    """Share of paths on which the strategy of the row ends above that of the column."""
    terminal = simulation.terminal
    return [[float((mine > other).mean()) for other in terminal] for mine in terminal]


def _regimes(runs: Sequence[Member]) -> dict[str, Any]:
    periods = min(PERIODS_PER_YEAR[runs[0].request.timeframe], PERIODS_PER_YEAR["1d"])
    lookback = lookback_of(periods)
    holds = [_daily(run, run.benchmark) for run in runs]
    market = np.mean([hold / hold[0] for hold in holds], axis=0)
    labels = label_regimes(market, lookback)
    return {
        "rule": (
            f"Benchmark: mean growth of the runs' buy and hold. bull: up more than"
            f" {THRESHOLD:.0%} over the last {lookback} bars, bear: down more than"
            f" {THRESHOLD:.0%}, sideways: between. The label of a day applies to the return of"
            f" the next one; figures a year need {MIN_DAYS} of them."
        ),
        "lookback": lookback,
        "threshold": THRESHOLD,
        "members": [
            {
                "strategyId": run.request.strategy_id,
                "name": run.name,
                "regimes": {
                    name: asdict(figures)
                    for name, figures in measure_regimes(
                        returns(_daily(run, run.equity)), labels, periods
                    ).items()
                },
            }
            for run in runs
        ],
    }


def _chart(runs: Sequence[Member], simulation: Simulation) -> bytes:
    start, end = (np.datetime_as_string(runs[0].ts[i], unit="D") for i in (0, -1))
    return draw_comparison(
        f"{len(runs)} strategies, {start} to {end}",
        [Curve(run.name, run.ts, run.equity / run.equity[0]) for run in runs],
        [
            FanChart(
                run.name,
                simulation.steps,
                dict(zip(PERCENTILES, simulation.fan[index], strict=True)),
            )
            for index, run in enumerate(runs)
        ],
    )


def _metrics_csv(strategies: Sequence[Mapping[str, Any]]) -> bytes:
    rows = [
        [each["strategyId"], each["name"], " ".join(each["symbols"])]
        + [_cell(each["metrics"][name]) for name in METRICS]
        for each in strategies
    ]
    return _csv([["strategyId", "name", "symbols", *METRICS], *rows])


def _correlation_csv(correlation: Mapping[str, Any]) -> bytes:
    labels = correlation["labels"]
    rows = [
        [label, *map(_cell, row)] for label, row in zip(labels, correlation["matrix"], strict=True)
    ]
    return _csv([["name", *labels], *rows])


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value)


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _json(value: object) -> bytes:
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

"""Every figure against plain Python, and the cases in which it is not defined."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatops.backtests.analysis.metrics import METRICS, deepest_drawdown, drawdowns, measure

EQUITY = [100.0, 110.0, 99.0, 99.0, 120.0, 90.0, 130.0]
PROFITS = [20.0, -5.0, 0.0, 40.0, -10.0]


def measured(equity: list[float], profits: list[float], periods: int = 252) -> dict[str, object]:
    return dict(measure(np.array(equity), np.array(profits, np.float64), 0.5, periods))


def test_every_figure_equals_its_formula_in_plain_python() -> None:
    found = measured(EQUITY, PROFITS)
    r = [now / before - 1 for before, now in pairwise(EQUITY)]
    mean = math.fsum(r) / len(r)
    deviation = math.sqrt(math.fsum((x - mean) ** 2 for x in r) / (len(r) - 1))
    downside = math.sqrt(math.fsum(min(x, 0) ** 2 for x in r) / len(r))
    ordered = sorted(r)
    quantile = ordered[0] + 0.25 * (ordered[1] - ordered[0])  # 5 % of 5 gaps is a quarter of one
    annual = 1.3 ** (252 / 6) - 1
    expected = {
        "total_return": 0.3,
        "annual_return": annual,
        "volatility": deviation * math.sqrt(252),
        "sharpe_ratio": mean / deviation * math.sqrt(252),
        "sortino_ratio": mean / downside * math.sqrt(252),
        "calmar_ratio": annual / 0.25,
        "max_drawdown": -0.25,
        "var_95": quantile,
        "cvar_95": -0.25,
        "win_rate": 2 / 5,
        "profit_factor": 60 / 15,
        "trades": 5,
        "exposure": 0.5,
        "final_equity": 130.0,
    }
    assert tuple(found) == tuple(expected) == METRICS
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-12), name


def test_the_year_has_as_many_periods_as_one_says() -> None:
    daily, weekly = measured(EQUITY, [], 252), measured(EQUITY, [], 52)
    assert weekly["volatility"] == pytest.approx(daily["volatility"] * math.sqrt(52 / 252))  # type: ignore[operator]  # a number here
    assert weekly["annual_return"] == pytest.approx(1.3 ** (52 / 6) - 1)


@pytest.mark.parametrize(
    ("equity", "profits", "undefined"),
    [
        (
            [100.0],
            [],
            {
                "annual_return",
                "volatility",
                "sharpe_ratio",
                "sortino_ratio",
                "calmar_ratio",
                "var_95",
                "cvar_95",
                "win_rate",
                "profit_factor",
            },
        ),
        (
            [100.0, 100.0, 100.0],
            [],
            {"sharpe_ratio", "sortino_ratio", "calmar_ratio", "win_rate", "profit_factor"},
        ),
        ([100.0, 110.0, 125.0], [25.0], {"sortino_ratio", "calmar_ratio", "profit_factor"}),
        (
            [100.0, 110.0, 121.0],
            [0.0],
            {"sortino_ratio", "calmar_ratio", "profit_factor", "sharpe_ratio"},
        ),
        ([100.0, 90.0], [-10.0], {"volatility", "sharpe_ratio"}),
        ([100.0, 1e9, 1e8], [], {"annual_return", "calmar_ratio", "win_rate", "profit_factor"}),
        ([100.0, 50.0, 0.0], [-100.0], set()),
    ],
)
def test_what_is_not_defined_is_none(
    equity: list[float], profits: list[float], undefined: set[str]
) -> None:
    found = measured(equity, profits)
    assert {name for name, value in found.items() if value is None} == undefined


def test_a_lost_account_is_a_loss_of_everything() -> None:
    found = measured([100.0, 50.0, 0.0], [-100.0])
    assert found["total_return"] == found["annual_return"] == found["max_drawdown"] == -1.0
    assert found["profit_factor"] == found["win_rate"] == 0.0


@settings(max_examples=200)
@given(
    st.lists(st.floats(1e-6, 1e12), min_size=1, max_size=50),
    st.lists(st.floats(-1e9, 1e9), max_size=10),
    st.sampled_from([52, 252, 98_280]),
)
def test_any_account_gives_json(equity: list[float], profits: list[float], periods: int) -> None:
    found = measured(equity, profits, periods)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert tuple(found) == METRICS


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=60))
def test_the_deepest_drawdown_lies_between_its_peak_and_its_recovery(curve: list[float]) -> None:
    equity = np.array(curve)
    depth = min(curve[i] / max(curve[: i + 1]) - 1 for i in range(len(curve)))
    assert drawdowns(equity).min() == depth
    found = deepest_drawdown(equity)
    if found is None:
        assert depth == 0
        return
    assert found.peak < found.trough
    assert curve[found.trough] / curve[found.peak] - 1 == depth
    assert curve[found.peak] == max(curve[: found.trough + 1])
    after = [i for i in range(found.trough, len(curve)) if curve[i] >= curve[found.peak]]
    assert found.recovery == (after[0] if after else None)

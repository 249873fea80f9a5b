"""Regimes: known without the future, applied to the day after."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatops.backtests.analysis.regimes import (
    REGIMES,
    label_regimes,
    lookback_of,
    measure_regimes,
)

BULL, BEAR, SIDEWAYS = (REGIMES.index(name) for name in ("bull", "bear", "sideways"))


def test_labels_follow_the_change_over_the_lookback() -> None:
    benchmark = np.array([100.0, 100, 106, 104, 100, 100, 94.9])
    # Over two days: 6 %, 4 %, -5.7 %, -3.8 %, -5.1 %
    assert label_regimes(benchmark, 2).tolist() == [-1, -1, BULL, SIDEWAYS, BEAR, SIDEWAYS, BEAR]


@pytest.mark.parametrize(
    ("last", "label"), [(105.1, BULL), (104.9, SIDEWAYS), (95.1, SIDEWAYS), (94.9, BEAR)]
)
def test_the_threshold_is_five_percent(last: float, label: int) -> None:
    assert label_regimes(np.array([100.0, last]), 1).tolist() == [-1, label]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_history_no_longer_than_the_lookback_has_no_labels(size: int) -> None:
    assert label_regimes(np.full(size, 100.0), 3).tolist() == [-1] * size


@settings(max_examples=50, deadline=None)
@given(
    past=st.lists(st.floats(1, 1000), min_size=5, max_size=60),
    one=st.lists(st.floats(1, 1000), min_size=1, max_size=20),
    other=st.lists(st.floats(1, 1000), min_size=1, max_size=20),
)
def test_another_future_changes_no_label_of_the_past(
    past: list[float], one: list[float], other: list[float]
) -> None:
    with_one = label_regimes(np.array(past + one), 4)[: len(past)]
    with_other = label_regimes(np.array(past + other), 4)[: len(past)]
    assert np.array_equal(with_one, with_other)
    assert np.array_equal(with_one, label_regimes(np.array(past), 4))


def test_a_label_applies_to_the_return_of_the_next_day_only() -> None:
    labels = np.array([SIDEWAYS] * 30 + [BULL] * 30)
    returns = np.zeros(59)
    returns[29] = 0.5  # from the last sideways day to the first bull day: earned while sideways
    figures = measure_regimes(returns, labels, 252)
    assert (figures["sideways"].days, figures["bull"].days, figures["bear"].days) == (30, 29, 0)
    assert figures["bull"].annual_return == 0
    assert figures["sideways"].annual_return == pytest.approx(1.5 ** (252 / 30) - 1)


def test_figures_by_hand() -> None:
    labels = np.full(41, BULL)
    returns = np.tile([0.02, -0.01], 20)
    bull = measure_regimes(returns, labels, 252)["bull"]
    deviation = 0.015 * np.sqrt(40 / 39)
    assert bull.share == 1
    assert bull.annual_return == pytest.approx((1.02 * 0.99) ** (20 * 252 / 40) - 1)
    assert bull.volatility == pytest.approx(deviation * np.sqrt(252))
    assert bull.sharpe_ratio == pytest.approx(0.005 / deviation * np.sqrt(252))


def test_shares_add_up_and_too_few_days_have_no_figures_a_year() -> None:
    labels = np.array([-1] * 5 + [BULL] * 19 + [BEAR] * 57)
    figures = measure_regimes(np.full(80, 0.01), labels, 252)
    assert figures["bull"].days == 19
    assert figures["bull"].annual_return is None
    assert figures["bull"].volatility is None
    assert sum(each.share or 0 for each in figures.values()) == pytest.approx(1)


def test_without_any_label_shares_are_undefined() -> None:
    figures = measure_regimes(np.zeros(4), np.full(5, -1), 252)
    assert all(each.days == 0 and each.share is None for each in figures.values())


def test_a_quarter_is_63_days_or_13_weeks() -> None:
    assert (lookback_of(252), lookback_of(52)) == (63, 13)

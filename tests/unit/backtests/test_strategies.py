"""Strategy types: parameters, rules, and how little they import."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from chatops.backtests.engine.indicators import TalibIndicators
from chatops.backtests.market.bars import Bars
from chatops.backtests.strategies import STRATEGY_TYPES, check_params
from chatops.errors import BadParameterError

MakeBars = Callable[..., Bars]
Floats = NDArray[np.float64]

DEFAULTS: dict[str, dict[str, int | float]] = {
    "buy_and_hold": {},
    "sma_crossover": {"short_window": 20, "long_window": 50},
    "rsi_mean_reversion": {"rsi_period": 14, "oversold": 30.0, "overbought": 70.0},
    "momentum": {"momentum_period": 126},
    "macd": {"fast_period": 12, "slow_period": 26, "signal_period": 9},
    "bollinger": {"period": 20, "num_std": 2.0},
}


def test_the_types_and_their_defaults_are_those_promised() -> None:
    assert {name: check_params(name, {}) for name in STRATEGY_TYPES} == DEFAULTS


def test_importing_names_and_parameters_brings_no_numerical_library() -> None:
    code = (
        "import sys\n"
        "import chatops.backtests.strategies, chatops.backtests.provenance\n"
        "import chatops.backtests.requests\n"
        "heavy = {'numpy', 'talib', 'pandas', 'bt', 'ffn', 'matplotlib', 'duckdb'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("type_name", "given_params", "message", "hint"),
    [
        (
            "sma_crosover",
            {},
            "There is no strategy type 'sma_crosover'.",
            "Did you mean sma_crossover?",
        ),
        (
            "sma_crossover",
            {"short_windw": 10},
            "sma_crossover has no parameter 'short_windw'.",
            "Did you mean short_window?",
        ),
        ("buy_and_hold", {"period": 3}, "buy_and_hold has no parameter 'period'.", "It has no"),
        (
            "sma_crossover",
            {"short_window": 1},
            "short_window must be a whole number from 2 to 500, not 1.",
            "Its default is 20.",
        ),
        (
            "sma_crossover",
            {"short_window": 10.5},
            "short_window must be a whole number from 2 to 500, not 10.5.",
            "Its default is 20.",
        ),
        (
            "bollinger",
            {"num_std": float("nan")},
            "num_std must be a number from 0.1 to 10, not nan.",
            "Its default is 2.",
        ),
        (
            "momentum",
            {"momentum_period": True},
            "momentum_period must be a whole number from 1 to 1000, not True.",
            "Its default is 126.",
        ),
        (
            "macd",
            {"fast_period": 26},
            "fast_period must be smaller than slow_period.",
            "The defaults are fast_period 12, slow_period 26, signal_period 9.",
        ),
        (
            "rsi_mean_reversion",
            {"oversold": 80},
            "oversold must be smaller than overbought.",
            "The defaults are",
        ),
        (
            "sma_crossover",
            {"short_window": 50},
            "short_window must be smaller than long_window.",
            "The defaults are",
        ),
    ],
)
def test_a_bad_parameter_is_refused_in_one_sentence_with_a_hint(
    type_name: str, given_params: Mapping[str, object], message: str, hint: str
) -> None:
    with pytest.raises(BadParameterError) as caught:
        check_params(type_name, given_params)
    assert caught.value.message == message
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(hint)


def test_numbers_given_as_text_or_of_the_other_kind_become_equal_parameters() -> None:
    written = check_params("rsi_mean_reversion", {"rsi_period": "10", "oversold": 25})
    typed = check_params("rsi_mean_reversion", {"rsi_period": 10.0, "oversold": "25.0"})
    assert written == typed
    assert [type(value) for value in written.values()] == [int, float, float]


def test_a_page_of_text_as_a_value_is_not_repeated_in_full() -> None:
    with pytest.raises(BadParameterError) as caught:
        check_params("momentum", {"momentum_period": "9" * 5000})
    assert len(str(caught.value)) < 200


def test_every_parameter_explains_itself() -> None:
    for strategy_type in STRATEGY_TYPES.values():
        for info in strategy_type.parameter_infos():
            assert info.description.endswith(".")
            assert info.low <= info.default <= info.high


@pytest.mark.parametrize("type_name", STRATEGY_TYPES)
def test_a_rule_is_silent_until_it_has_the_bars_it_needs(
    type_name: str, make_bars: MakeBars
) -> None:
    rule, params = _rule(type_name)
    needed = rule.bars_needed(params)
    generator = np.random.default_rng(7)
    for walk in range(20):
        closes = 100 * np.exp(generator.normal(0, 0.05, needed + 30).cumsum())
        wants = rule.wants_long(make_bars(closes, closes), params, TalibIndicators())
        assert wants.shape == closes.shape
        assert wants.dtype == np.bool_
        assert not wants[: needed - 1].any(), f"walk {walk}"


@pytest.mark.parametrize("type_name", STRATEGY_TYPES)
def test_a_rule_can_speak_on_the_first_bar_it_said_it_could(
    type_name: str, make_bars: MakeBars
) -> None:
    rule, params = _rule(type_name)
    needed = rule.bars_needed(params)
    generator = np.random.default_rng(11)
    spoke = 0
    for _ in range(300):
        closes = 100 * np.exp(generator.normal(0, 0.05, needed).cumsum())
        wants = rule.wants_long(make_bars(closes, closes), params, TalibIndicators())
        spoke += bool(wants[-1])
    assert spoke > 0


@pytest.mark.parametrize("type_name", STRATEGY_TYPES)
@pytest.mark.parametrize("length", [1, 2, 5])
def test_too_few_bars_give_no_signal_and_no_error(
    type_name: str, length: int, make_bars: MakeBars
) -> None:
    rule, params = _rule(type_name)
    wants = rule.wants_long(make_bars([10.0] * length, [10.0] * length), params, TalibIndicators())
    assert wants.tolist() == [type_name == "buy_and_hold"] * length


@pytest.mark.parametrize("type_name", STRATEGY_TYPES)
def test_a_price_that_stands_still_is_no_signal_whatever_its_last_digits(
    type_name: str, make_bars: MakeBars
) -> None:
    rule, params = _rule(type_name)
    for price in np.random.default_rng(2).uniform(0.01, 500, 100).round(2).tolist():
        bars = make_bars([price] * 300, [price] * 300)
        wants = rule.wants_long(bars, params, TalibIndicators())
        assert wants.tolist() == [type_name == "buy_and_hold"] * 300, price


@pytest.mark.parametrize("type_name", STRATEGY_TYPES)
def test_a_rule_never_looks_ahead(type_name: str, make_bars: MakeBars) -> None:
    rule, params = _rule(type_name)
    generator = np.random.default_rng(3)
    closes = 100 * np.exp(generator.normal(0, 0.02, 400).cumsum())
    whole = rule.wants_long(make_bars(closes, closes), params, TalibIndicators())
    for stop in range(200, 400, 13):
        known = make_bars(closes[:stop], closes[:stop])
        np.testing.assert_array_equal(
            rule.wants_long(known, params, TalibIndicators()), whole[:stop]
        )


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_holding_is_the_latch_that_a_loop_would_be(steps: list[tuple[bool, bool]]) -> None:
    enter, leave = np.array(steps, dtype=np.bool_).T
    held, expected = False, []
    for goes_in, goes_out in steps:
        held = not goes_out and (goes_in or held)
        expected.append(held)
    assert TalibIndicators().hold(enter, leave).tolist() == expected


def test_indicators_equal_their_formulas() -> None:
    indicators = TalibIndicators()
    values = 50 + np.random.default_rng(5).normal(0, 1, 200).cumsum()
    windows = np.lib.stride_tricks.sliding_window_view(values, 20)
    middle, deviation = windows.mean(axis=1), windows.std(axis=1, ddof=0)
    lower_band, middle_band, upper_band = indicators.bollinger(values, 20, 2.0)

    def same(found: Floats, expected: Floats | list[float]) -> None:
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)

    same(indicators.sma(values, 20)[19:], middle)
    same(middle_band[19:], middle)
    same(lower_band[19:], middle - 2 * deviation)
    same(upper_band[19:], middle + 2 * deviation)
    change = indicators.rate_of_change(values, 7)
    same(change[7:], values[7:] / values[:-7] - 1)
    same(indicators.rsi(values, 14)[14:], _wilder(values, 14))
    same(indicators.ema(values, 20)[19:], _ema(values, 20))


def _ema(values: Floats, period: int) -> list[float]:
    averages = [float(values[:period].mean())]
    for value in values[period:].tolist():
        averages.append(averages[-1] + 2 / (period + 1) * (value - averages[-1]))
    return averages


def _wilder(values: Floats, period: int) -> list[float]:
    moves = np.diff(values).tolist()
    gain = sum(max(move, 0) for move in moves[:period]) / period
    loss = sum(max(-move, 0) for move in moves[:period]) / period
    index = [100 * gain / (gain + loss)]
    for move in moves[period:]:
        gain = (gain * (period - 1) + max(move, 0)) / period
        loss = (loss * (period - 1) + max(-move, 0)) / period
        index.append(100 * gain / (gain + loss))
    return index


def _rule(type_name: str) -> tuple[Any, Any]:
    rule = STRATEGY_TYPES[type_name]
    return rule, rule.parameters()

"""The simulated account: by hand, against an independent loop, and with its bugs put in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from chatops.backtests.engine.bt_runner import BtRunner
from chatops.backtests.engine.indicators import TalibIndicators
from chatops.backtests.engine.runner import Outcome, Simulation
from chatops.backtests.engine.trades import buy_and_hold
from chatops.backtests.market.bars import Bars
from chatops.backtests.market.loader import MarketData
from chatops.backtests.strategies import STRATEGY_TYPES
from chatops.backtests.work import Cancelled

MakeBars = Callable[..., Bars]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

TINY_OPENS = [10, 10.2, 11.5, 12.5, 12.8, 11.7, 10.9]
TINY_CLOSES = [10, 11, 12, 13, 12, 11, 10.5]
TINY_SIGNALS = [False, True, True, True, False, False, False]


def run(simulation: Simulation) -> Outcome:
    return BtRunner().run(simulation, lambda _: None, lambda: False)


def oracle(
    opens: Sequence[float],
    closes: Sequence[float],
    wants: Sequence[bool],
    cash: float,
    fee: float,
    whole_shares: bool = False,
) -> list[float]:
    """Simulate the account in a plain loop that shares no code with the engine."""
    shares, held, equity = 0.0, False, []
    for bar in range(len(closes)):
        if bar and wants[bar - 1] != held:
            if wants[bar - 1]:
                shares = cash / (opens[bar] * (1 + fee))
                shares = float(int(shares)) if whole_shares else shares
                cash -= shares * opens[bar] * (1 + fee)
            else:
                cash, shares = cash + shares * opens[bar] * (1 - fee), 0.0
            held = wants[bar - 1]
        equity.append(cash + shares * closes[bar])
    return equity


# By hand, signal at the close of bar 1, filled at 11.5; exit at the close of bar 4, filled at 11.7.
# With a fee: 1000 / (11.5 * 1.001) = 86.869652 shares; 86.869652 * 11.7 * 0.999 = 1015.358554.
# Without: 1000 / 11.5 = 86.956522 shares; 86.956522 * 11.7 = 1017.391304.
@pytest.mark.parametrize(
    ("fee", "expected"),
    [
        (0.001, [1000, 1000, 1042.4358, 1129.3055, 1042.4358, 1015.3586, 1015.358554]),
        (0.0, [1000, 1000, 1043.4783, 1130.4348, 1043.4783, 1017.3913, 1017.391304]),
    ],
)
def test_the_tiny_case_comes_out_as_by_hand(
    fee: float, expected: list[float], make_bars: MakeBars
) -> None:
    bars = make_bars(TINY_OPENS, TINY_CLOSES)
    outcome = run(Simulation(bars, 0, np.array(TINY_SIGNALS), 1000.0, fee))
    assert outcome.equity.tolist() == pytest.approx(expected, abs=5e-5)
    assert outcome.equity[-1] == pytest.approx(expected[-1], abs=5e-7)
    assert outcome.position.tolist() == [False, False, True, True, True, False, False]
    (trade,) = outcome.trades
    assert (trade.entry_time, trade.exit_time) == (bars.ts[2], bars.ts[5])
    assert (trade.entry_price, trade.exit_price, trade.bars) == (11.5, 11.7, 3)
    assert trade.shares == pytest.approx(1000 / (11.5 * (1 + fee)), rel=1e-12)
    assert trade.profit == pytest.approx(expected[-1] - 1000, abs=5e-7)
    assert trade.profit_fraction == pytest.approx(trade.profit / 1000, rel=1e-9)
    assert outcome.open_position is None
    assert outcome.engine.startswith("bt 1.")


def test_whole_shares_would_give_the_other_figure_of_the_tiny_case() -> None:
    equity = oracle(TINY_OPENS, TINY_CLOSES, TINY_SIGNALS, 1000.0, 0.001, whole_shares=True)
    assert equity == pytest.approx(
        [1000, 1000, 1042.011, 1128.011, 1042.011, 1015.2048, 1015.2048], abs=5e-7
    )


walks = st.integers(1, 120).flatmap(
    lambda bars: st.tuples(
        st.integers(0, 2**32 - 1),
        st.lists(st.booleans(), min_size=bars, max_size=bars),
        st.integers(0, bars - 1),
        st.sampled_from([0.0, 0.0001, 0.001, 0.01, 0.2]),
        st.floats(1.0, 1e12),
    )
)


@settings(max_examples=150, deadline=None)
@given(walks)
def test_the_engine_equals_an_independent_loop_on_any_prices_and_signals(
    make_bars: MakeBars, case: tuple[int, list[bool], int, float, float]
) -> None:
    seed, signals, first, fee, cash = case
    generator = np.random.default_rng(seed)
    closes = 50 * np.exp(generator.normal(0, 0.03, len(signals)).cumsum())
    opens = closes * np.exp(generator.normal(0, 0.02, len(signals)))
    bars = make_bars(opens, closes)
    outcome = run(Simulation(bars, first, np.array(signals), cash, fee))

    heard = signals[first:]
    expected = oracle(opens[first:].tolist(), closes[first:].tolist(), heard, cash, fee)
    np.testing.assert_allclose(outcome.equity, expected, rtol=1e-9)
    assert outcome.equity[0] == cash
    assert outcome.position.tolist() == [False, *heard[:-1]]
    gained = sum(trade.profit for trade in outcome.trades)
    if outcome.open_position is None:
        assert cash + gained == pytest.approx(outcome.equity[-1], rel=1e-9)
    else:
        assert outcome.open_position.value == pytest.approx(outcome.equity[-1], rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.001, 0.1]))
def test_the_benchmark_equals_a_run_of_the_engine(
    make_bars: MakeBars, length: int, seed: int, fee: float
) -> None:
    generator = np.random.default_rng(seed)
    closes = 20 * np.exp(generator.normal(0, 0.05, length + 3).cumsum())
    bars = make_bars(closes * 1.01, closes)
    simulation = Simulation(bars, 3, np.ones(length + 3, np.bool_), 5000.0, fee)
    equity, position = buy_and_hold(simulation)
    outcome = run(simulation)
    np.testing.assert_allclose(equity, outcome.equity, rtol=1e-9)
    np.testing.assert_array_equal(position, outcome.position)


def test_a_signal_on_the_last_close_is_never_filled(make_bars: MakeBars) -> None:
    wants = np.array([False, False, True])
    outcome = run(Simulation(make_bars([9, 9, 9], [9, 10, 11]), 0, wants, 100.0, 0.001))
    assert outcome.equity.tolist() == [100.0, 100.0, 100.0]
    assert outcome.trades == ()
    assert outcome.open_position is None


def test_an_open_position_is_marked_at_the_last_close_and_is_no_trade(make_bars: MakeBars) -> None:
    wants = np.array([True, True, True])
    outcome = run(Simulation(make_bars([9, 10, 9], [9, 10, 11]), 0, wants, 100.0, 0.0))
    assert outcome.trades == ()
    held = outcome.open_position
    assert held is not None
    assert (held.shares, held.entry_price, held.last_price) == (10.0, 10.0, 11.0)
    assert held.value == outcome.equity[-1] == pytest.approx(110.0)


def test_signals_before_the_first_tradable_bar_are_not_heard(make_bars: MakeBars) -> None:
    bars = make_bars([10, 10, 20, 40], [10, 10, 20, 40])
    early = run(Simulation(bars, 2, np.array([True, True, False, False]), 100.0, 0.0))
    assert early.equity.tolist() == [100.0, 100.0]
    running = run(Simulation(bars, 2, np.array([True, True, True, True]), 100.0, 0.0))
    assert running.open_position is not None
    assert running.open_position.entry_time == bars.ts[3]


def test_minute_bars_are_filled_like_daily_ones(make_bars: MakeBars) -> None:
    bars = make_bars(TINY_OPENS, TINY_CLOSES, first_day="2024-03-01T14:30", step="m")
    outcome = run(Simulation(bars, 0, np.array(TINY_SIGNALS), 1000.0, 0.001))
    assert outcome.equity[-1] == pytest.approx(1015.358554, abs=5e-7)


@pytest.mark.parametrize(("fee", "bars"), [(0.99, 60), (0.01, 10_000)])
def test_an_account_that_fees_have_eaten_stops_buying_and_ends_in_peace(
    fee: float, bars: int, make_bars: MakeBars
) -> None:
    wants = np.arange(bars) % 2 == 0
    outcome = run(Simulation(make_bars([10] * bars, [10] * bars), 0, wants, 100.0, fee))
    assert np.isfinite(outcome.equity).all()
    assert 0 < outcome.equity[-1] < 100 * 1e-12
    assert len(outcome.trades) < bars / 2
    assert not outcome.position[-2:].any()


def test_progress_grows_in_about_a_hundred_steps(make_bars: MakeBars) -> None:
    seen: list[float] = []
    simulation = Simulation(make_bars([10.0] * 5000, [10.0] * 5000), 0, np.ones(5000, bool), 1.0, 0)
    BtRunner().run(simulation, seen.append, lambda: False)
    assert len(seen) == 100
    assert seen == sorted(seen)
    assert seen[0] == pytest.approx(0.01)
    assert seen[-1] == 1.0


def test_a_run_stops_in_the_middle_when_asked_and_the_next_one_is_unharmed(
    make_bars: MakeBars,
) -> None:
    seen: list[float] = []
    bars = make_bars([10.0] * 5000, [10.0] * 5000)
    simulation = Simulation(bars, 0, np.ones(5000, bool), 1.0, 0.0)
    with pytest.raises(Cancelled):
        BtRunner().run(simulation, seen.append, lambda: len(seen) >= 37)
    assert len(seen) == 37
    assert run(simulation).equity[-1] == pytest.approx(1.0)


# ---- The bugs of the notes, each put in by hand: sma_crossover 20/50 on AAPL, right 6.375943 ----

RIGHT = 6.375943


def signals_of(bars: Bars) -> Flags:
    rule = STRATEGY_TYPES["sma_crossover"]
    return rule.wants_long(bars, rule.parameters(), TalibIndicators())


def total_return(bars: Bars, wants: Flags, fee: float = 0.001) -> float:
    return float(run(Simulation(bars, 0, wants, 100_000.0, fee)).equity[-1]) / 100_000 - 1


def at_the_signal_close(bars: Bars, raw: Mapping[str, Floats]) -> float:
    before = np.concatenate((bars.open[:1], bars.close[:-1]))
    return total_return(replace(bars, open=before), signals_of(bars))


def at_the_open_of_the_signal_bar(bars: Bars, raw: Mapping[str, Floats]) -> float:
    return total_return(bars, np.append(signals_of(bars)[1:], False))


def at_the_next_close(bars: Bars, raw: Mapping[str, Floats]) -> float:
    return total_return(replace(bars, open=bars.close), signals_of(bars))


def without_a_fee(bars: Bars, raw: Mapping[str, Floats]) -> float:
    return total_return(bars, signals_of(bars), fee=0.0)


def in_whole_shares(bars: Bars, raw: Mapping[str, Floats]) -> float:
    wants = signals_of(bars).tolist()
    equity = oracle(bars.open.tolist(), bars.close.tolist(), wants, 1e5, 0.001, whole_shares=True)
    return equity[-1] / 1e5 - 1


def on_unadjusted_prices(bars: Bars, raw: Mapping[str, Floats]) -> float:
    unadjusted = replace(
        bars, open=raw["open"], high=raw["high"], low=raw["low"], close=raw["close"]
    )
    return total_return(unadjusted, signals_of(unadjusted))


def on_adjusted_closes_but_raw_opens(bars: Bars, raw: Mapping[str, Floats]) -> float:
    mixed = replace(bars, open=raw["open"])
    return total_return(mixed, signals_of(mixed))


@pytest.mark.parametrize(
    ("bug", "wrong"),
    [
        (at_the_signal_close, 5.739980),
        (at_the_open_of_the_signal_bar, 9.117005),
        (at_the_next_close, 6.662515),
        (without_a_fee, 6.847726),
        (in_whole_shares, 6.375843),
        (on_unadjusted_prices, 3.726642),
        (on_adjusted_closes_but_raw_opens, 2.672294),
    ],
)
def test_each_known_bug_gives_its_own_wrong_figure_and_would_be_caught(
    bug: Callable[[Bars, Mapping[str, Floats]], float],
    wrong: float,
    market: MarketData,
    aapl_columns: Mapping[str, Floats],
) -> None:
    bars = market.load("AAPL", "1d")
    assert total_return(bars, signals_of(bars)) == pytest.approx(RIGHT, abs=5e-7)
    assert bug(bars, aapl_columns) == pytest.approx(wrong, abs=5e-7)
    assert abs(wrong - RIGHT) > 5e-7 * 2


def test_the_bundled_prices_are_the_published_ones_adjusted_by_one_factor(
    market: MarketData, aapl_columns: Mapping[str, Floats]
) -> None:
    bars = market.load("AAPL", "1d")
    factor = aapl_columns["adj_close"] / aapl_columns["close"]
    for name in ("open", "high", "low"):
        np.testing.assert_allclose(getattr(bars, name), aapl_columns[name] * factor, rtol=1e-12)
    np.testing.assert_allclose(bars.close, aapl_columns["adj_close"], rtol=1e-12)

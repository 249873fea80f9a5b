"""The bootstrap: repeatable, right where the answer is known, bounded, stoppable."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from chatops.backtests.analysis.montecarlo import Simulation, simulate
from chatops.backtests.work import Cancelled

Floats = NDArray[np.float64]


def run(returns: Floats, *, paths: int = 2000, block: int = 1, seed: int = 1) -> Simulation:
    return simulate(
        np.atleast_2d(returns),
        paths=paths,
        block=block,
        seed=seed,
        on_progress=lambda _: None,
        should_cancel=lambda: False,
    )


def normal_returns(size: int = 1000) -> Floats:
    """Log-normal steps whose sample mean and deviation are exactly 0.0004 and 0.01."""
    draws = np.random.default_rng(7).normal(size=size)
    draws = (draws - draws.mean()) / draws.std()
    steps: Floats = np.exp(0.0004 + 0.01 * draws) - 1
    return steps


def test_the_same_seed_repeats_and_another_does_not() -> None:
    returns = normal_returns()
    one, same, other = run(returns), run(returns), run(returns, seed=2)
    assert np.array_equal(one.fan, same.fan)
    assert np.array_equal(one.terminal, same.terminal)
    assert np.array_equal(one.max_drawdown, same.max_drawdown)
    assert not np.array_equal(one.terminal, other.terminal)


def test_the_percentiles_are_those_of_the_lognormal_law() -> None:
    # The log of the end is a sum of 1000 independent draws: mean 0.4, deviation 0.01 * sqrt(1000).
    logs = np.log(run(normal_returns(), paths=20_000).terminal[0])
    deviation = 0.01 * np.sqrt(1000)
    for percent, quantile in [
        (5, -1.644854),
        (25, -0.674490),
        (50, 0),
        (75, 0.674490),
        (95, 1.644854),
    ]:
        assert np.percentile(logs, percent) == pytest.approx(0.4 + quantile * deviation, abs=0.015)
    # P(log end < 0) = Phi(-0.4 / 0.316228) = 0.102952
    assert (logs < 0).mean() == pytest.approx(0.102952, abs=0.01)


def test_a_block_as_long_as_the_history_only_turns_it() -> None:
    returns = np.array([0.1, -0.2, 0.05, 0.0, 0.3])
    ends = run(returns, block=5, paths=200).terminal[0]
    assert ends == pytest.approx(np.full(200, np.prod(1 + returns)))
    assert np.array_equal(run(returns, block=400).terminal, run(returns, block=5).terminal)


def test_blocks_keep_clusters_that_single_days_lose() -> None:
    # Twenty bad days in a row, then calm: only blocks can repeat the whole fall.
    returns = np.full(500, 0.001)
    returns[100:120] = -0.03
    assert (run(returns, block=20).max_drawdown[0] < -0.40).mean() > 0.25
    assert (run(returns, block=1).max_drawdown[0] < -0.40).mean() < 0.05


def test_all_strategies_take_the_same_blocks() -> None:
    returns = normal_returns(300)
    both = run(np.stack([returns, returns, -returns]), block=10, paths=500)
    assert np.array_equal(both.terminal[0], both.terminal[1])
    correlation = np.corrcoef(np.log(both.terminal[0]), np.log(both.terminal[2]))[0, 1]
    assert correlation < -0.99


def test_the_deepest_fall_counts_the_start_as_a_peak() -> None:
    always_down = run(np.array([-0.1, -0.1]), paths=100)
    assert always_down.max_drawdown[0] == pytest.approx(np.full(100, 0.81 - 1))
    always_up = run(np.array([0.1, 0.1]), paths=100)
    assert np.array_equal(always_up.max_drawdown[0], np.zeros(100))


def test_a_path_of_one_bar_is_a_path() -> None:
    one = run(np.array([0.25]), paths=100)
    assert one.steps.tolist() == [0, 1]
    assert one.terminal[0] == pytest.approx(np.full(100, 1.25))


def test_the_fan_starts_at_one_ends_at_the_ends_and_is_ordered_and_short() -> None:
    outcome = run(normal_returns(5000), paths=300)
    assert (outcome.steps[0], outcome.steps[-1]) == (0, 5000)
    assert len(outcome.steps) <= 200
    assert outcome.fan.shape == (1, 5, len(outcome.steps))
    assert np.array_equal(outcome.fan[0, :, 0], np.ones(5))
    for lower, upper in pairwise(outcome.fan[0]):
        assert (lower <= upper).all()
    ends = np.percentile(outcome.terminal[0], [5, 25, 50, 75, 95])
    assert outcome.fan[0, :, -1] == pytest.approx(ends, rel=1e-5)


def test_memory_does_not_grow_with_paths_times_bars() -> None:
    returns = np.zeros((1, 100_000))
    tracemalloc.start()
    run(returns, paths=400)  # 320 MB if all paths were held at once
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150_000_000


def test_it_tells_its_progress_and_stops_when_asked() -> None:
    told: list[float] = []
    with pytest.raises(Cancelled):
        simulate(
            np.zeros((1, 100_000)),
            paths=100,
            block=20,
            seed=1,
            on_progress=told.append,
            should_cancel=lambda: len(told) == 2,
        )
    assert told == [0.2, 0.4]

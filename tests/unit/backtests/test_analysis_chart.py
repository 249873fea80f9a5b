"""Charts: right size, repeatable bytes, and no name that breaks them."""

import io

import numpy as np
import pytest
from matplotlib.image import imread

from chatops.backtests.analysis.chart import Curve, FanChart, draw_backtest, draw_comparison


def backtest_png(bars: int = 3000, title: str = "sma_crossover · AAPL", seed: int = 1) -> bytes:
    generator = np.random.default_rng(seed)
    times = np.datetime64("2001-01-01", "s") + np.arange(bars) * np.timedelta64(1, "D")
    equity = 1e5 * np.exp(np.cumsum(generator.normal(0, 0.01, bars)))
    drawdown = equity / np.maximum.accumulate(equity) - 1
    return draw_backtest(title, times, equity, np.full(bars, 1e5), drawdown)


def comparison_png(names: list[str], growth: float = 0.0004) -> bytes:
    times = np.datetime64("2001-01-01", "s") + np.arange(500) * np.timedelta64(1, "D")
    steps = np.linspace(0, 500, 101).astype(np.int64)
    band = np.exp(growth * steps)
    curves = [Curve(name, times, np.exp(growth * np.arange(500))) for name in names]
    bands = {5: band * 0.8, 25: band * 0.9, 50: band, 75: band * 1.1, 95: band * 1.2}
    return draw_comparison("A comparison", curves, [FanChart(name, steps, bands) for name in names])


def test_the_same_run_gives_the_same_bytes_and_another_run_others() -> None:
    assert backtest_png() == backtest_png()
    assert backtest_png() != backtest_png(seed=2)
    assert comparison_png(["a", "b"]) == comparison_png(["a", "b"])


def test_a_png_names_neither_date_nor_software() -> None:
    for png in (backtest_png(), comparison_png(["a", "b"])):
        assert png.startswith(b"\x89PNG")
        assert b"tEXt" not in png
        assert b"tIME" not in png


def test_the_picture_is_large_enough_to_be_sharp_at_900_pixels() -> None:
    assert imread(io.BytesIO(backtest_png())).shape[:2] == (840, 1350)


def test_a_million_bars_make_a_picture_no_heavier_than_three_thousand() -> None:
    assert len(backtest_png(200_000)) < 2 * len(backtest_png(3_000))


@pytest.mark.parametrize(
    "title", ["한국어 전략 · 삼성전자", "$5 to $10 \\frac{", "", "W" * 300, "한" * 300, "🚀"]
)
def test_any_title_can_be_drawn(title: str) -> None:
    assert backtest_png(50, title).startswith(b"\x89PNG")


@pytest.mark.parametrize("bars", [1, 2])
def test_a_run_of_one_or_two_bars_can_be_drawn(bars: int) -> None:
    assert backtest_png(bars).startswith(b"\x89PNG")


@pytest.mark.parametrize("growth", [0.0, 0.00001, 0.004, 0.03])
def test_flat_and_steep_comparisons_can_be_drawn(growth: float) -> None:
    assert comparison_png(["a", "한국 · b$", "W" * 80, "d", "e"], growth).startswith(b"\x89PNG")

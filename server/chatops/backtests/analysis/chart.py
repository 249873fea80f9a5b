"""PNG pictures of a backtest and of a comparison.

Drawn on Matplotlib's Agg canvas without pyplot, which keeps figures in global state. The same
numbers give the same bytes: the PNG carries neither a date nor the name of the software.
"""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from chatops.backtests.analysis.decimate import decimated_indices

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

_WIDTH_INCHES = 9.0
_DOTS_PER_INCH = 150  # 1350 px: sharp when a chat client shows it 900 px wide
_INK = "#1f2933"
_MUTED = "#66727f"
_GRID = "#e4e8ec"
_FALL = "#c2410c"
_BENCHMARK = "#8a96a3"
_LINES = ("#1d4ed8", "#d97706", "#0f766e", "#9333ea", "#be123c")
_NARROW = [1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 7.0]
# Titles may be Korean; Matplotlib's own font has no Hangul. The first one installed is used.
_HANGUL_FONTS = ("Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "Malgun Gothic", "AppleGothic")


@dataclass(frozen=True, slots=True)
class Curve:
    """A named curve of growth, 1.0 at its start.

    Attributes:
        name: What the legend says.
        times: UTC, ascending, shape (n,).
        growth: Money per unit of money at the start, positive, shape (n,).
    """

    name: str
    times: TimeArray
    growth: FloatArray


@dataclass(frozen=True, slots=True)
class FanChart:
    """Monte Carlo percentiles of growth over the bars to come.

    Attributes:
        name: Strategy that the fan belongs to.
        steps: Bars since the start, ascending, shape (m,).
        bands: Growth by percentile (5, 25, 50, 75, 95), each of shape (m,).
    """

    name: str
    steps: NDArray[np.int64]
    bands: dict[int, FloatArray]


def draw_backtest(
    title: str, times: TimeArray, equity: FloatArray, benchmark: FloatArray, drawdown: FloatArray
) -> bytes:
    """Equity beside buy and hold, on a log scale over a range of ten or more, and the drawdown.

    Args:
        title: Strategy and symbols.
        times: UTC, ascending, shape (n,).
        equity: Money at each close, shape (n,).
        benchmark: Money of buy and hold with the same cash, shape (n,).
        drawdown: Fraction below the highest equity so far, 0 or negative, shape (n,).

    Returns:
        A PNG of 1350 x 840 pixels.
    """
    figure = Figure(figsize=(_WIDTH_INCHES, 5.6), dpi=_DOTS_PER_INCH, layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    _plot(top, times, benchmark, color=_BENCHMARK, label="Buy and hold", width=1.1)
    _plot(top, times, equity, color=_LINES[0], label="Strategy", width=1.5)
    _title(top, title)
    top.legend(loc="upper left", frameon=False, fontsize=9, labelcolor=_INK)
    lowest = min(float(equity.min()), float(benchmark.min()))
    highest = max(float(equity.max()), float(benchmark.max()))
    # Beyond this a linear scale shows the early years as a line at the bottom.
    logarithmic = 0 < lowest * 10 < highest
    if logarithmic:
        _log_axis(top)
    top.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    label = "Equity (log scale)" if logarithmic else "Equity"
    top.set_ylabel(label, color=_MUTED, fontsize=9)

    keep = decimated_indices(drawdown)
    bottom.fill_between(times[keep], drawdown[keep], 0.0, color=_FALL, alpha=0.25, linewidth=0)
    bottom.plot(times[keep], drawdown[keep], color=_FALL, linewidth=0.9)
    bottom.yaxis.set_major_formatter(FuncFormatter(_percent))
    bottom.yaxis.set_major_locator(MaxNLocator(nbins=4))
    bottom.set_ylim(min(float(drawdown.min()) * 1.08, -0.01), 0.0)
    bottom.set_ylabel("Drawdown", color=_MUTED, fontsize=9)
    for axes in (top, bottom):
        _dress(axes)
    figure.align_ylabels([top, bottom])
    _date_axis(bottom, times)
    return _png(figure)


def draw_comparison(title: str, curves: Sequence[Curve], fans: Sequence[FanChart]) -> bytes:
    """Growth of each strategy over the common dates, and below it the Monte Carlo fan of each.

    Args:
        title: What is compared.
        curves: 1 to 5 curves that start at 1.0.
        fans: One fan for each curve, in the same order.

    Returns:
        A PNG of 1350 x 990 pixels.
    """
    figure = Figure(figsize=(_WIDTH_INCHES, 6.6), dpi=_DOTS_PER_INCH, layout="constrained")
    grid = figure.add_gridspec(2, 1, height_ratios=[1.6, 1])
    lower = figure.add_subfigure(grid[1])
    top = figure.add_subfigure(grid[0]).subplots()
    for color, curve in zip(_LINES, curves, strict=False):
        _plot(
            top, curve.times, curve.growth, color=color, label=_shortened(curve.name, 60), width=1.4
        )
    _title(top, title)
    top.axhline(1.0, color=_MUTED, linewidth=0.7, linestyle=(0, (3, 3)))
    top.legend(loc="upper left", frameon=False, fontsize=9, labelcolor=_INK, prop=_font(9))
    top.set_ylabel("Growth of 1 (log scale)", color=_MUTED, fontsize=9)
    _dress(top)
    _log_axis(top)
    _date_axis(top, np.concatenate([curve.times for curve in curves]))

    panels = lower.subplots(1, len(fans), sharey=True, squeeze=False)[0]
    lower.suptitle(
        "Monte Carlo: median, middle half and 5–95 % of the paths",
        fontsize=9,
        color=_MUTED,
        x=0.01,
        ha="left",
    )
    for color, axes, fan in zip(_LINES, panels, fans, strict=False):
        _draw_fan(axes, fan, color)
    panels[0].set_ylabel("Growth of 1", color=_MUTED, fontsize=9)
    _log_axis(panels[0])
    return _png(figure)


def _draw_fan(axes: Axes, fan: FanChart, color: str) -> None:
    axes.fill_between(fan.steps, fan.bands[5], fan.bands[95], color=color, alpha=0.15, linewidth=0)
    axes.fill_between(fan.steps, fan.bands[25], fan.bands[75], color=color, alpha=0.3, linewidth=0)
    axes.plot(fan.steps, fan.bands[50], color=color, linewidth=1.3)
    axes.axhline(1.0, color=_MUTED, linewidth=0.7, linestyle=(0, (3, 3)))
    name = _shortened(fan.name, 26)
    axes.set_title(name, loc="left", parse_math=False, color=_INK, fontproperties=_font(8))
    axes.set_xlabel("bars", color=_MUTED, fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    _dress(axes)


def _plot(
    axes: Axes, times: TimeArray, values: FloatArray, *, color: str, label: str, width: float
) -> None:
    keep = decimated_indices(values)
    line = axes.plot(times[keep], values[keep], color=color, label=label, linewidth=width)[0]
    line.set_solid_joinstyle("round")


def _title(axes: Axes, title: str) -> None:
    # parse_math off: a "$" in a strategy's name is a dollar, not the start of a formula.
    axes.set_title(
        _shortened(title, 80),
        loc="left",
        pad=10,
        parse_math=False,
        color=_INK,
        fontproperties=_font(12),
    )


def _shortened(text: str, cells: int) -> str:
    """The text cut to a width; Hangul and its like take two cells. A longer one leaves no chart."""
    width = 0
    for position, letter in enumerate(text):
        width += 2 if east_asian_width(letter) in "WF" else 1
        if width > cells:
            return f"{text[:position]}…"
    return text


def _font(size: float) -> FontProperties:
    installed = set(fontManager.get_font_names())
    families = ["DejaVu Sans", *(name for name in _HANGUL_FONTS if name in installed)]
    return FontProperties(family=families, size=size)


def _dress(axes: Axes) -> None:
    axes.grid(visible=True, color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_MUTED, labelsize=8, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_BENCHMARK)


def _log_axis(axes: Axes) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    # A narrow range holds few powers of ten; a wide one would crowd with more than those.
    subs = [1.0] if high / low > 1e3 else [1.0, 2.0, 5.0] if high / low > 30 else _NARROW
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.yaxis.set_minor_locator(NullLocator())


def _date_axis(axes: Axes, times: TimeArray) -> None:
    # Matplotlib's date classes carry no annotations.
    locator = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    formatter = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(formatter)
    first, last = times.min(), times.max()
    if last > first:
        axes.set_xlim(first, last)


def _percent(value: float, _position: object = None) -> str:
    return f"{value * 100:.3g} %"


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A letter that no installed font has is drawn as a box: no reason to lose the chart.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()

"""Monte Carlo by a block bootstrap: what else the same kind of days could have brought.

Circular block bootstrap (Politis and Romano, 1992): a path is made of blocks of neighbouring
returns, drawn with replacement from all positions of the history, whose end joins its start.
Blocks keep clusters of volatility together. All strategies take the same blocks, so what moved
together in the history moves together on every path.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chatops.backtests.work import Cancelled, ShouldCancel

Floats = NDArray[np.float64]

PERCENTILES = (5, 25, 50, 75, 95)

_FAN_STEPS = 101
# Values of one strategy's paths held at once: some 16 MB an array, a handful of arrays.
_CHUNK_VALUES = 2_000_000


@dataclass(frozen=True, slots=True)
class Simulation:
    """Outcome of all paths for k strategies.

    Attributes:
        steps: Bars since the start at which the fan is given, first 0, last n, shape (m,).
        fan: Growth of 1 at those steps by ``PERCENTILES``, shape (k, 5, m).
        terminal: Growth of 1 at the end of each path, shape (k, paths).
        max_drawdown: Deepest fall of each path, 0 or negative, shape (k, paths).
    """

    steps: NDArray[np.int64]
    fan: Floats
    terminal: Floats
    max_drawdown: Floats


def simulate(
    returns: Floats,
    *,
    paths: int,
    block: int,
    seed: int,
    on_progress: Callable[[float], None],
    should_cancel: ShouldCancel,
) -> Simulation:
    """Draws paths as long as the history.

    The same arguments give the same paths on one version of NumPy, which does not promise its
    stream of random numbers across versions.

    Args:
        returns: Simple returns a bar, shape (k, n), n >= 1.
        paths: Number of paths.
        block: Bars a block; cut to n.
        seed: Seed of a ``Generator(PCG64)``.
        on_progress: Told the fraction done, 0..1.
        should_cancel: Asked between chunks of paths.

    Raises:
        Cancelled: ``should_cancel`` said so.
    """
    members, size = returns.shape
    block = min(block, size)
    generator = np.random.Generator(np.random.PCG64(seed))
    steps = np.unique(np.linspace(0, size, min(_FAN_STEPS, size + 1)).astype(np.int64))
    # float32: 20,000 paths of 5 strategies would need 160 MB as float64 and are only drawn.
    sampled = np.ones((members, paths, len(steps)), dtype=np.float32)
    terminal = np.empty((members, paths))
    deepest = np.empty((members, paths))
    chunk = max(1, _CHUNK_VALUES // size)
    for start in range(0, paths, chunk):
        if should_cancel():
            raise Cancelled
        rows = slice(start, min(start + chunk, paths))
        drawn = _draw(generator, rows.stop - rows.start, size, block)
        for member in range(members):
            growth = np.cumprod(1.0 + returns[member][drawn], axis=1)
            sampled[member, rows, 1:] = growth[:, steps[1:] - 1]
            terminal[member, rows] = growth[:, -1]
            deepest[member, rows] = _deepest_fall(growth)
        on_progress(rows.stop / paths)
    fan = np.percentile(sampled, PERCENTILES, axis=1).swapaxes(0, 1).astype(np.float64)
    return Simulation(steps, fan, terminal, deepest)


def _draw(generator: np.random.Generator, paths: int, size: int, block: int) -> NDArray[np.int64]:
    """Which bar of the history each bar of each path repeats, shape (paths, size)."""
    blocks = -(-size // block)
    starts = generator.integers(0, size, size=(paths, blocks), dtype=np.int64)
    bars = (starts[:, :, np.newaxis] + np.arange(block)) % size
    return bars.reshape(paths, blocks * block)[:, :size]


def _deepest_fall(growth: Floats) -> Floats:
    """Maximum drawdown of each row, the start at 1 counted as a peak."""
    peaks = np.maximum(np.maximum.accumulate(growth, axis=1), 1.0)
    falls: Floats = (growth / peaks).min(axis=1) - 1.0
    return np.minimum(falls, 0.0)

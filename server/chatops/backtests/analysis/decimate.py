"""Fewer points for a drawing, with every peak and trough of it kept."""

import numpy as np
from numpy.typing import NDArray


def decimate(
    times_s: NDArray[np.int64], values: NDArray[np.float64], points: int = 800
) -> list[tuple[int, float]]:
    """At most ``points`` points of a curve: the minimum and the maximum of each bucket.

    The first and the last point are always kept; the rest is cut into buckets of equal length.
    A curve that is short enough is returned whole.

    Args:
        times_s: Seconds since 1970, ascending, shape (n,).
        values: Finite values, shape (n,).
        points: Largest number of points, at least 4.

    Returns:
        Pairs of time and value in time order.
    """
    keep = decimated_indices(values, points)
    return list(zip(times_s[keep].tolist(), values[keep].tolist(), strict=True))


def decimated_indices(values: NDArray[np.float64], points: int = 800) -> NDArray[np.int64]:
    """Indices, ascending and unique, of the points that ``decimate`` keeps."""
    if points < 4:
        raise ValueError("points must be at least 4")
    size = len(values)
    if size <= points:
        return np.arange(size, dtype=np.int64)
    edges = np.linspace(1, size - 1, (points - 2) // 2 + 1).astype(np.int64)
    keep = {0, size - 1}
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        bucket = values[start:stop]
        keep.add(start + int(bucket.argmin()))
        keep.add(start + int(bucket.argmax()))
    return np.array(sorted(keep), dtype=np.int64)

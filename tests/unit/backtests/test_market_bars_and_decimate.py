"""Bars' hash and the thinning of curves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatops.backtests.analysis.decimate import decimate
from chatops.backtests.market.bars import Bars


def bars_of(closes: list[float], *, symbol: str = "TEST") -> Bars:
    close = np.array(closes)
    ts = np.datetime64("2020-01-01", "s") + np.arange(len(close)) * np.timedelta64(1, "D")
    return Bars(symbol, "1d", ts, close, close + 1, close - 1, close, np.zeros(len(close)))


def test_the_hash_is_that_of_the_little_endian_bytes_and_never_changes() -> None:
    # Computed once by hand with hashlib and struct: 2 times, then 2 values a column.
    expected = "3adcdb3a5b7c525b3f4f2eaaeb7256a203180c614a535bb46c4d2bca804600ad"
    assert bars_of([10.0, 11.0]).content_hash == expected


def test_the_hash_is_of_the_bars_and_not_of_their_name_or_memory() -> None:
    plain = bars_of([10.0, 11.0])
    strided = np.array([10.0, 0.0, 11.0, 0.0])[::2]
    big = strided.astype(">f8")
    same = Bars(
        "OTHER", "1d", plain.ts, big, strided + 1, strided - 1, strided, np.array([-0.0, 0])
    )
    assert same.content_hash == plain.content_hash


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume", "ts"])
def test_the_hash_changes_with_every_column(column: str) -> None:
    bars = bars_of([10.0, 11.0])
    columns = {
        name: getattr(bars, name).copy()
        for name in ("ts", "open", "high", "low", "close", "volume")
    }
    columns[column][1] += 1
    assert Bars("TEST", "1d", **columns).content_hash != bars.content_hash


def test_first_and_last_time_are_aware_utc() -> None:
    bars = bars_of([10.0, 11.0])
    assert bars.first_time.isoformat() == "2020-01-01T00:00:00+00:00"
    assert bars.last_time.isoformat() == "2020-01-02T00:00:00+00:00"


def test_a_short_curve_is_kept_whole() -> None:
    assert decimate(np.array([5, 6, 7]), np.array([1.0, 3.0, 2.0]), 4) == [
        (5, 1.0),
        (6, 3.0),
        (7, 2.0),
    ]


def test_a_bucket_gives_its_lowest_and_its_highest_point_in_time_order() -> None:
    values = np.array([0.0, 1, 9, 2, -5, 3, 4, 8, 1, 7])
    # 6 points: first, last and two buckets of four: 1 9 2 -5 and 3 4 8 1.
    assert decimate(np.arange(10), values, 6) == [
        (0, 0.0),
        (2, 9.0),
        (4, -5.0),
        (7, 8.0),
        (8, 1.0),
        (9, 7.0),
    ]


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300),
    points=st.integers(4, 60),
)
def test_thinning_keeps_ends_extremes_order_and_limit(values: list[float], points: int) -> None:
    times = np.arange(len(values), dtype=np.int64) * 60
    kept = decimate(times, np.array(values), points)
    assert len(kept) <= points
    assert [time for time, _ in kept] == sorted({time for time, _ in kept})
    assert kept[0] == (0, values[0])
    assert kept[-1] == (times[-1], values[-1])
    shown = [value for _, value in kept]
    assert min(shown) == min(values)
    assert max(shown) == max(values)
    assert all(values[time // 60] == value for time, value in kept)


def test_fewer_than_four_points_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        decimate(np.arange(10), np.arange(10.0), 3)

"""Yahoo: what is said without the package, and what becomes of its table."""

import sys
from datetime import date

import numpy as np
import pandas as pd  # type: ignore[import-untyped] # pandas comes without types
import pytest

from chatops.backtests.market.yahoo import bars_from_frame, download, yahoo_origin
from chatops.errors import BadParameterError, NotFoundError


def frame(index: pd.DatetimeIndex, **more: list[float]) -> pd.DataFrame:
    columns = {
        "Open": [10.0, 11.0, 12.0],
        "High": [11.0, 12.0, 13.0],
        "Low": [9.0, 10.0, 11.0],
        "Close": [10.0, 11.0, 12.0],
        "Volume": [100, 200, 300],
        **more,
    }
    return pd.DataFrame(columns, index=index)


def test_without_the_package_the_hint_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yfinance", None)  # as if it were not installed
    with pytest.raises(BadParameterError, match="not installed") as caught:
        download("AAPL", date(2020, 1, 1), date(2020, 2, 1))
    assert caught.value.hint == "Install it with: pip install 'chatops[yahoo]'."


@pytest.mark.parametrize("zone", [None, "America/New_York", "Asia/Seoul"])
def test_days_stay_the_exchanges_days_and_prices_are_adjusted(zone: str | None) -> None:
    index = pd.date_range("2024-01-02", periods=3, tz=zone)
    bars = bars_from_frame(frame(index, **{"Adj Close": [5.0, 5.5, 12.0]}), "AAPL", "1d")
    assert [str(day) for day in bars.ts.astype("datetime64[D]")] == [
        "2024-01-02",
        "2024-01-03",
        "2024-01-04",
    ]
    assert bars.close.tolist() == [5.0, 5.5, 12.0]
    assert bars.open.tolist() == [5.0, 5.5, 12.0]
    assert bars.high.tolist() == [5.5, 6.0, 13.0]
    assert bars.volume.tolist() == [200.0, 400.0, 300.0]


def test_minutes_are_instants_in_utc() -> None:
    index = pd.date_range("2024-01-02 09:30", periods=3, freq="min", tz="America/New_York")
    bars = bars_from_frame(frame(index), "AAPL", "1m")
    assert str(bars.ts[0]) == "2024-01-02T14:30:00"


def test_rows_without_a_close_are_left_out_and_none_left_is_said() -> None:
    index = pd.date_range("2024-01-02", periods=3)
    assert len(bars_from_frame(frame(index, Close=[10.0, np.nan, 12.0]), "AAPL", "1d")) == 2
    with pytest.raises(NotFoundError, match="has no 1d prices of AAPL"):
        bars_from_frame(frame(index, Close=[np.nan] * 3), "AAPL", "1d")
    with pytest.raises(NotFoundError):
        bars_from_frame(pd.DataFrame(), "AAPL", "1d")


def test_bad_prices_do_not_pass() -> None:
    index = pd.date_range("2024-01-02", periods=3)
    with pytest.raises(BadParameterError, match=r"AAPL from Yahoo Finance.*2024-01-03.*the low"):
        bars_from_frame(frame(index, Low=[9.0, 50.0, 11.0]), "AAPL", "1d")


def test_the_note_says_whose_terms_hold() -> None:
    assert "terms of Yahoo Finance" in yahoo_origin().licence

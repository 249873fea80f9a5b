"""Prices for the tests of backtests: the bundled ones, raw ones of AAPL, and made-up ones."""

import csv
import gzip
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from chatops.backtests.market.bars import Bars
from chatops.backtests.market.loader import MarketData

MakeBars = Callable[..., Bars]
Floats = NDArray[np.float64]


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> MarketData:
    """Provide the bundled prices and nothing else."""
    return MarketData(tmp_path_factory.mktemp("no_own_prices"))


@pytest.fixture(scope="session")
def make_bars() -> MakeBars:
    """Provide a maker of bars from opens and closes; high and low lie just around them."""

    def make(
        opens: ArrayLike,
        closes: ArrayLike,
        *,
        symbol: str = "TEST",
        first_day: str = "2020-01-01",
        timeframe: str = "1d",
        step: Literal["D", "m"] = "D",
    ) -> Bars:
        open_, close = np.asarray(opens, np.float64), np.asarray(closes, np.float64)
        days = np.datetime64(first_day, step) + np.arange(len(close))
        return Bars(
            symbol=symbol,
            timeframe=timeframe,
            ts=days.astype("datetime64[s]"),
            open=open_,
            high=np.maximum(open_, close),
            low=np.minimum(open_, close),
            close=close,
            volume=np.full(len(close), 1000.0),
        )

    return make


@pytest.fixture(scope="session")
def aapl_columns() -> Mapping[str, Floats]:
    """Provide unadjusted prices of AAPL and its adjusted close, as published."""
    path = Path(__file__).parents[2] / "data" / "AAPL_raw.csv.gz"
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("open", "high", "low", "close", "adj_close")
    return {name: np.array([float(row[name]) for row in rows]) for name in names}

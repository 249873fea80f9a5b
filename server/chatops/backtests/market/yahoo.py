"""Prices from Yahoo Finance through yfinance, which is an optional extra.

Yahoo's terms, not the licence of yfinance, say what may be done with the prices.
"""

from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatops.backtests.market.bars import Bars
from chatops.backtests.market.cells import Times
from chatops.backtests.market.files import Origin
from chatops.backtests.market.names import check_symbol, check_timeframe
from chatops.backtests.market.raw_prices import ADJUSTED, RawPrices, make_bars
from chatops.errors import BadParameterError, NotFoundError, StoreUnavailableError

_INTERVALS = {"1w": "1wk"}


def download(symbol: str, start: date, end: date, timeframe: str = "1d") -> Bars:
    """Adjusted bars from the first to the last day, both inclusive. Blocks on the network.

    Raises:
        BadParameterError: yfinance is not installed, or the prices do not pass the checks.
        NotFoundError: Yahoo has no such prices.
        StoreUnavailableError: Yahoo did not answer.
    """
    check_symbol(symbol)
    check_timeframe(timeframe)
    try:
        # Here, not above: the package is an optional extra.
        import yfinance
    except ImportError:
        raise BadParameterError(
            "Prices from Yahoo need a package that is not installed.",
            "Install it with: pip install 'chatops[yahoo]'.",
        ) from None
    try:
        frame = yfinance.Ticker(symbol).history(
            start=start.isoformat(),
            end=(end + timedelta(days=1)).isoformat(),  # Yahoo leaves the last day out
            interval=_INTERVALS.get(timeframe, timeframe),
            auto_adjust=False,
            actions=False,
        )
    # yfinance raises whatever its many layers raise; none of it is a person's business.
    except Exception as failure:
        raise StoreUnavailableError(
            "Yahoo Finance did not answer.", "Try again later, or import a file."
        ) from failure
    return bars_from_frame(frame, symbol, timeframe)


def bars_from_frame(frame: Any, symbol: str, timeframe: str) -> Bars:
    """Bars from the pandas DataFrame of ``yfinance.Ticker.history(auto_adjust=False)``.

    Jumps are accepted: Yahoo's prices know of splits, with an adjusted close or without one.

    Args:
        frame: Indexed by time, with or without a zone, with the columns Open, High, Low, Close,
            Volume and, for days and weeks, Adj Close. Rows without a close are left out.
        symbol: Ticker.
        timeframe: Length of a bar.

    Raises:
        BadParameterError: The prices do not pass the checks.
        NotFoundError: There are no rows.
    """
    frame = frame[frame["Close"].notna()] if len(frame) else frame
    if not len(frame):
        raise NotFoundError(
            f"Yahoo Finance has no {timeframe} prices of {symbol} for these days.",
            "Check the symbol and the days; minute bars exist for the last weeks only.",
        )
    index = frame.index
    local = index.tz_localize(None) if index.tz is not None else index
    utc = index.tz_convert("UTC").tz_localize(None) if index.tz is not None else index
    raw = RawPrices(
        label=f"{symbol} from Yahoo Finance",
        symbol=symbol,
        times=Times(_seconds(utc), _seconds(local)),
        open=_floats(frame["Open"]),
        high=_floats(frame["High"]),
        low=_floats(frame["Low"]),
        close=_floats(frame["Close"]),
        volume=_floats(frame["Volume"]),
        adj_close=_floats(frame["Adj Close"]) if "Adj Close" in frame.columns else None,
        lines=np.arange(1, len(frame) + 1),
    )
    return make_bars(raw, timeframe, allow_jumps=True)[0]


def yahoo_origin() -> Origin:
    """The note to keep with prices downloaded now."""
    return Origin("Yahoo Finance", "terms of Yahoo Finance; not for redistribution", ADJUSTED)


def _seconds(index: Any) -> NDArray[np.datetime64]:
    return np.asarray(index.to_numpy(), dtype="datetime64[s]")


def _floats(column: Any) -> NDArray[np.float64]:
    return np.asarray(column.to_numpy(), dtype=np.float64)

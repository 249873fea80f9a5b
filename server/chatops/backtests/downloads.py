"""The files of a run. Numbers are written so that reading them gives the same floats again."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatops.backtests.engine.runner import OpenPosition, Trade
from chatops.backtests.portfolio import Account

_DAILY = ("1d", "1w")


def time_texts(ts: NDArray[np.datetime64], timeframe: str) -> list[str]:
    """Write times for people and spreadsheets.

    A daily or weekly bar is a date, ``2005-01-03``; a shorter one is an instant in UTC,
    ``2005-01-03T14:30:00Z``.
    """
    if timeframe in _DAILY:
        return list(np.datetime_as_string(ts, unit="D").tolist())
    return [f"{text}Z" for text in np.datetime_as_string(ts, unit="s").tolist()]


def equity_csv(account: Account, drawdown: NDArray[np.float64], timeframe: str) -> bytes:
    """One row a bar: time, equity, drawdown, benchmark, position (part of the symbols held)."""
    columns = (account.strategy.equity, drawdown, account.benchmark.equity)
    rows = zip(
        time_texts(account.ts, timeframe),
        *(map(repr, column.tolist()) for column in columns),
        (f"{position:g}" for position in account.strategy.position.tolist()),
        strict=True,
    )
    return _csv(("time", "equity", "drawdown", "benchmark", "position"), rows)


def trade_values(trade: Trade, timeframe: str) -> dict[str, Any]:
    """Turn a trade into JSON values; ``profit`` is after both fees, ``return`` a fraction."""
    entry, leave = time_texts(np.array([trade.entry_time, trade.exit_time]), timeframe)
    return {
        "symbol": trade.symbol,
        "entryTime": entry,
        "entryPrice": trade.entry_price,
        "exitTime": leave,
        "exitPrice": trade.exit_price,
        "shares": trade.shares,
        "profit": trade.profit,
        "return": trade.profit_fraction,
        "bars": trade.bars,
    }


def position_values(position: OpenPosition, timeframe: str) -> dict[str, Any]:
    """Turn an open position into JSON values."""
    (entry,) = time_texts(np.array([position.entry_time]), timeframe)
    return {
        "symbol": position.symbol,
        "entryTime": entry,
        "entryPrice": position.entry_price,
        "shares": position.shares,
        "lastPrice": position.last_price,
        "value": position.value,
    }


def trades_csv(trades: Sequence[Mapping[str, Any]]) -> bytes:
    """One row a closed trade, of ``trade_values``; only the header if there is none."""
    header = (
        "symbol",
        "entryTime",
        "entryPrice",
        "exitTime",
        "exitPrice",
        "shares",
        "profit",
        "return",
        "bars",
    )
    return _csv(header, ([_cell(trade[name]) for name in header] for trade in trades))


def json_file(value: object) -> bytes:
    """Indented UTF-8 JSON; NaN and infinity are refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def _cell(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    # No field can hold a comma or a quote, and a million rows are worth the short way.
    return "".join(f"{','.join(row)}\n" for row in chain([header], rows)).encode()

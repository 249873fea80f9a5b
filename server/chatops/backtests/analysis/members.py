"""The runs of a comparison: read, named apart and brought onto their common dates."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatops.backtests.analysis.metrics import METRICS, Metrics, measure
from chatops.backtests.requests import PERIODS_PER_YEAR, BacktestRequest
from chatops.errors import BadParameterError, NotFoundError

Floats = NDArray[np.float64]

MIN_COMMON_BARS = 30

_NAME_LENGTH = 48
_OF_TRADES = ("win_rate", "profit_factor", "trades")


@dataclass(frozen=True, slots=True)
class Member:
    """One run of a comparison; arrays have shape (n,).

    Attributes:
        name: Strategy and symbols, different for each member.
        request: What was run.
        metrics: Figures by the words of ``METRICS``, of the dates in ``ts``.
        ts: Times of the bars in UTC.
        equity: Money at each close.
        benchmark: Money of buy and hold.
        position: Part of the symbols held, 0..1.
        cut: Whether bars of the run were left out because another run lacks them.
    """

    name: str
    request: BacktestRequest
    metrics: Metrics
    ts: NDArray[np.datetime64]
    equity: Floats
    benchmark: Floats
    position: Floats
    cut: bool = False


def read_members(
    requests: Sequence[BacktestRequest],
    summaries: Sequence[Mapping[str, Any]],
    equity_files: Sequence[bytes],
) -> list[Member]:
    """The members on their common dates, each with its own name.

    A run that has bars the others lack is measured again on the common ones; what is counted in
    trades (win rate, profit factor, number) is then undefined.

    Args:
        requests: What was run.
        summaries: ``data`` of each run, with its ``metrics``.
        equity_files: ``equity.csv`` of each run.

    Raises:
        BadParameterError: The bars differ in length, or fewer than 30 are common.
        NotFoundError: A run has no equity curve.
    """
    timeframes = {request.timeframe for request in requests}
    if len(timeframes) > 1:
        raise BadParameterError(
            f"The runs have bars of different length: {', '.join(sorted(timeframes))}.",
            "Compare runs of one timeframe.",
        )
    members = [
        _read(name, request, summary, content)
        for name, request, summary, content in zip(
            names_of(requests), requests, summaries, equity_files, strict=True
        )
    ]
    common = reduce(np.intersect1d, [member.ts for member in members])
    if len(common) < MIN_COMMON_BARS:
        raise BadParameterError(
            f"The runs have {len(common)} bars in common, too few to compare.",
            f"Compare runs that share at least {MIN_COMMON_BARS} bars.",
        )
    return [_cut(member, common) for member in members]


def names_of(requests: Sequence[BacktestRequest]) -> list[str]:
    """``strategy · symbols`` each, and where that is equal the parameters that differ, or #2."""
    plain = [_plain_name(request) for request in requests]
    named = [
        _with_params(name, request, [r for r, n in zip(requests, plain, strict=True) if n == name])
        for name, request in zip(plain, requests, strict=True)
    ]
    seen: Counter[str] = Counter()
    unique = []
    for name in named:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return unique


def _plain_name(request: BacktestRequest) -> str:
    symbols = ", ".join(request.symbols[:3])
    more = f" +{len(request.symbols) - 3}" if len(request.symbols) > 3 else ""
    return _short(f"{request.strategy_id} · {symbols}{more}")


def _with_params(name: str, request: BacktestRequest, same: Sequence[BacktestRequest]) -> str:
    differing = {
        key
        for key, value in request.params.items()
        if any(other.params.get(key) != value for other in same)
    }
    if not differing:
        return name
    listed = ", ".join(f"{key} {request.params[key]:g}" for key in sorted(differing))
    return f"{name} ({_short(listed)})"


def _short(text: str) -> str:
    return text if len(text) <= _NAME_LENGTH else f"{text[: _NAME_LENGTH - 1]}…"


def _read(
    name: str, request: BacktestRequest, summary: Mapping[str, Any], content: bytes
) -> Member:
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"))))
    if not rows:
        raise NotFoundError(
            f"The run {name} has no equity curve any more.", "Run it again with fresh=true."
        )
    return Member(
        name=name,
        request=request,
        metrics={key: summary["metrics"].get(key) for key in METRICS},
        ts=np.array([_seconds(row["time"]) for row in rows], dtype="datetime64[s]"),
        equity=np.array([float(row["equity"]) for row in rows]),
        benchmark=np.array([float(row["benchmark"]) for row in rows]),
        position=np.array([float(row["position"]) for row in rows]),
    )


def _seconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _cut(member: Member, common: NDArray[np.datetime64]) -> Member:
    if len(member.ts) == len(common):
        return member
    rows = np.searchsorted(member.ts, common)
    equity = member.equity[rows]
    periods = PERIODS_PER_YEAR[member.request.timeframe]
    measured = measure(equity, np.empty(0), float(member.position[rows].mean()), periods)
    return replace(
        member,
        metrics={key: None if key in _OF_TRADES else measured[key] for key in METRICS},
        ts=common,
        equity=equity,
        benchmark=member.benchmark[rows],
        position=member.position[rows],
        cut=True,
    )

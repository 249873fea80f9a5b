"""What the result of a run depends on: code, data, engine and settings, and a hash of them.

Equal fingerprints give equal figures, so the server compares fingerprints to do work once and
names the differences when a run is repeated. Nothing here imports a numerical library: versions
come from package metadata and code is hashed as source text.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from chatops.backtests.requests import BacktestRequest, ComparisonRequest
from chatops.backtests.strategies import STRATEGY_TYPES

_PACKAGE = "chatops.backtests"
_SHARED_CODE = (
    "analysis/decimate.py",
    "analysis/metrics.py",
    "engine/bt_runner.py",
    "engine/indicators.py",
    "engine/runner.py",
    "engine/trades.py",
    "execute.py",
    "portfolio.py",
    "requests.py",
    "results.py",
    "strategies/base.py",
)
"""Every module besides the rule itself that can change a figure. The picture is not a figure."""

_BACKTEST_PACKAGES = ("bt", "ffn", "TA-Lib", "numpy", "pandas")
_COMPARISON_PACKAGES = ("numpy",)


def describe(request: BacktestRequest, data: Mapping[str, str]) -> dict[str, Any]:
    """Describe everything that decides the result of a run.

    The name and version of a saved strategy are left out: equal rules with equal parameters are
    the same run, whatever they are called.

    Args:
        request: The run, with complete parameters.
        data: Content hash of the bars of each symbol of the request.

    Returns:
        JSON values under ``code``, ``data``, ``engine`` and ``settings``.
    """
    rule = type(STRATEGY_TYPES[request.strategy_type]).__module__
    rule_path = rule.removeprefix(f"{_PACKAGE}.").replace(".", "/") + ".py"
    settings = request.model_dump(mode="json", exclude={"strategy_id", "strategy_version"})
    # 2 and 2.0 are the same parameter but different JSON, and stores may turn one into the other.
    settings["params"] = {name: float(value) for name, value in request.params.items()}
    settings["cash"], settings["fee"] = float(request.cash), float(request.fee)
    return {
        "code": _hashes((*_SHARED_CODE, rule_path)),
        "data": {symbol: data[symbol] for symbol in request.symbols},
        "engine": _versions(_BACKTEST_PACKAGES),
        "settings": settings,
    }


def describe_comparison(
    request: ComparisonRequest, member_fingerprints: Sequence[str]
) -> dict[str, Any]:
    """Describe everything that decides the result of a comparison.

    Args:
        request: The comparison.
        member_fingerprints: Fingerprint of each member, in order; they stand for all that the
            members depend on.

    Returns:
        JSON values under ``code``, ``data``, ``engine`` and ``settings``.
    """
    settings = request.model_dump(mode="json", exclude={"members"})
    names = [member.strategy_id for member in request.members]
    analysis = [
        f"analysis/{entry.name}"
        for entry in files(_PACKAGE).joinpath("analysis").iterdir()
        if entry.name.endswith(".py") and entry.name != "chart.py"
    ]
    return {
        "code": _hashes(analysis),
        "data": {
            f"member {number} ({name})": member
            for number, (name, member) in enumerate(
                zip(names, member_fingerprints, strict=True), start=1
            )
        },
        "engine": _versions(_COMPARISON_PACKAGES),
        "settings": settings,
    }


def fingerprint(description: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of the description as canonical JSON (sorted keys, no spaces, UTF-8)."""
    text = json.dumps(
        description, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Name in sentences what differs between two descriptions; empty if nothing does."""
    found = [
        f"Code {path} {_change(old, new)}."
        for path, old, new in _changed(before["code"], after["code"])
    ]
    found += [
        f"Data of {symbol} {_change(old, new)}."
        for symbol, old, new in _changed(before["data"], after["data"])
    ]
    found += [
        f"Version of {package} was {_shown(old)}, is {_shown(new)}."
        for package, old, new in _changed(before["engine"], after["engine"])
    ]
    found += [
        f"Setting {name} was {_shown(old)}, is {_shown(new)}."
        for name, old, new in _changed(_flat(before["settings"]), _flat(after["settings"]))
    ]
    return found


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[tuple[str, Any, Any]]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield name, old, new


def _change(old: str | None, new: str | None) -> str:
    if old is None:
        return "is new"
    return "is gone" if new is None else f"has changed ({old[:8]} → {new[:8]})"


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in settings.items() if name != "params"}
    return {**settings.get("params", {}), **rest}


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, float):
        return f"{value:.12g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@cache
def _hash_of(path: str) -> str:
    # Line ends are those of the checkout, not of the code.
    source = files(_PACKAGE).joinpath(path).read_bytes().replace(b"\r\n", b"\n")
    return hashlib.sha256(source).hexdigest()


def _hashes(paths: Iterable[str]) -> dict[str, str]:
    return {path: _hash_of(path) for path in sorted(set(paths))}


@cache
def _version_of(package: str) -> str:
    return version(package)


def _versions(packages: Iterable[str]) -> dict[str, str]:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {**{package: _version_of(package) for package in packages}, "python": python}

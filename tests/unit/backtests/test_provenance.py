"""What a fingerprint depends on, what it does not, and how differences are told."""

import hashlib
import json
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import chatops.backtests
from chatops.backtests.provenance import (
    describe,
    describe_comparison,
    differences,
    fingerprint,
)
from chatops.backtests.requests import BacktestRequest, ComparisonRequest
from chatops.backtests.strategies import STRATEGY_TYPES

PACKAGE = Path(chatops.backtests.__file__).parent
DATA = {"AAPL": "a" * 64, "IBM": "b" * 64}


def request_of(**changes: Any) -> BacktestRequest:
    settings: dict[str, Any] = {
        "strategy_id": "mine",
        "strategy_type": "sma_crossover",
        "params": {"short_window": 20, "long_window": 50},
        "symbols": ("AAPL", "IBM"),
    }
    return BacktestRequest(**{**settings, **changes})


def test_a_description_names_code_data_engine_and_settings() -> None:
    found = describe(request_of(start=date(2005, 1, 1)), DATA)
    assert json.loads(json.dumps(found)) == found
    assert found["data"] == DATA
    source = (PACKAGE / "strategies" / "sma_crossover.py").read_bytes()
    assert found["code"]["strategies/sma_crossover.py"] == hashlib.sha256(source).hexdigest()
    assert found["engine"]["bt"] == version("bt")
    assert set(found["engine"]) == {"bt", "ffn", "TA-Lib", "numpy", "pandas", "python"}
    assert found["settings"] == {
        "strategy_type": "sma_crossover",
        "params": {"short_window": 20.0, "long_window": 50.0},
        "symbols": ["AAPL", "IBM"],
        "timeframe": "1d",
        "start": "2005-01-01",
        "end": None,
        "cash": 100_000.0,
        "fee": 0.001,
    }


@pytest.mark.parametrize("type_name", STRATEGY_TYPES)
def test_the_code_of_a_run_is_its_own_rule_and_no_other(type_name: str) -> None:
    request = request_of(strategy_type=type_name)
    rules = {f"strategies/{name}.py" for name in STRATEGY_TYPES}
    assert rules & set(describe(request, DATA)["code"]) == {f"strategies/{type_name}.py"}


def test_every_module_that_a_figure_passes_through_is_counted() -> None:
    code = set(describe(request_of(), DATA)["code"])
    candidates = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.glob("engine/*.py")}
    candidates |= {"analysis/metrics.py", "execute.py", "results.py", "portfolio.py"}
    assert candidates - code == {"engine/__init__.py"}
    assert all((PACKAGE / path).is_file() for path in code)


def test_the_name_and_version_of_a_strategy_do_not_matter() -> None:
    mine = fingerprint(describe(request_of(), DATA))
    other = request_of(strategy_id="yours", strategy_version=7)
    assert fingerprint(describe(other, DATA)) == mine
    floats = request_of(params={"short_window": 20.0, "long_window": 50.0}, cash=100_000)
    assert fingerprint(describe(floats, DATA)) == mine


def test_a_description_survives_a_store_that_sorts_keys() -> None:
    before = describe(request_of(), DATA)
    stored = json.loads(json.dumps(before, sort_keys=True))
    assert fingerprint(stored) == fingerprint(before)
    assert len(fingerprint(before)) == 64


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fee": 0.002}, "Setting fee was 0.001, is 0.002."),
        ({"cash": 5000.0}, "Setting cash was 100000, is 5000."),
        ({"start": date(2005, 1, 1)}, "Setting start was not set, is 2005-01-01."),
        ({"timeframe": "1h"}, "Setting timeframe was 1d, is 1h."),
        (
            {"params": {"short_window": 10, "long_window": 50}},
            "Setting short_window was 20, is 10.",
        ),
        ({"symbols": ("IBM", "AAPL")}, "Setting symbols was AAPL, IBM, is IBM, AAPL."),
    ],
)
def test_each_setting_makes_another_fingerprint_and_is_named(
    changes: dict[str, Any], sentence: str
) -> None:
    before, after = describe(request_of(), DATA), describe(request_of(**changes), DATA)
    assert fingerprint(before) != fingerprint(after)
    assert differences(before, after) == [sentence]


def test_changed_code_data_and_packages_are_named() -> None:
    before = describe(request_of(), DATA)
    after = json.loads(json.dumps(before))
    after["code"]["engine/bt_runner.py"] = "c" * 64
    after["code"]["engine/new.py"] = "d" * 64
    del after["code"]["execute.py"]
    after["data"]["AAPL"] = "e" * 64
    after["engine"]["bt"] = "1.5.0"
    old = before["code"]["engine/bt_runner.py"][:8]
    assert differences(before, after) == [
        f"Code engine/bt_runner.py has changed ({old} → cccccccc).",
        "Code engine/new.py is new.",
        "Code execute.py is gone.",
        "Data of AAPL has changed (aaaaaaaa → eeeeeeee).",
        f"Version of bt was {version('bt')}, is 1.5.0.",
    ]
    assert differences(before, before) == []


def test_a_comparison_depends_on_its_members_and_its_settings() -> None:
    members = (request_of(), request_of(fee=0.002))
    whole = ComparisonRequest(members=members)
    before = describe_comparison(whole, ["f" * 64, "0" * 64])
    assert json.loads(json.dumps(before)) == before
    assert "analysis/metrics.py" in before["code"]
    after = describe_comparison(whole.model_copy(update={"seed": 1}), ["f" * 64, "1" * 64])
    assert fingerprint(before) != fingerprint(after)
    assert differences(before, after) == [
        "Data of member 2 (mine) has changed (00000000 → 11111111).",
        "Setting seed was 20000, is 1.",
    ]

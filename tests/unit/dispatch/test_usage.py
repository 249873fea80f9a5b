import json
from dataclasses import replace

import pytest

from chatops.dispatch.binding import bind
from chatops.dispatch.parser import parse
from chatops.dispatch.usage import describe, one_line, parameter_rows, usage_line
from tests.unit.dispatch.conftest import CLOSED, COMPARE, HELP, RUN


def test_the_usage_line_shows_what_is_required_and_what_is_named() -> None:
    assert usage_line(HELP) == "/help"
    assert usage_line(COMPARE) == (
        "/compare_strategies <strategies ...> [symbols=<text,...>] [seeds=<whole number,...>]"
    )
    assert usage_line(CLOSED) == (
        "/rename <title> [count] [speed] [level=<choice>] [at=<date and time>] [limit=<number>] "
        "[size=<choice>]"
    )


def test_help_of_a_command_says_all_that_its_specification_knows() -> None:
    assert describe(RUN) == (
        "**/run_backtest**: Run a strategy over prices\n\n"
        f"Usage: `{usage_line(RUN)}`\n\n"
        "- `strategy` (text; required; also `strategy_id`): What to run\n"
        "- `symbols` (list, each text; at most 4 items; default AAPL): What to trade\n"
        "- `start` (date, YYYY-MM-DD): First day\n"
        "- `fee` (number; at least 0 and less than 1; default 0.001): Fraction of each side\n"
        "- `timeframe` (one of 1h, 4h, 1d; default 1d)\n"
        "- `fresh` (true or false; default false)\n"
        "- `params` (further name=value, each number)\n\n"
        "Also: `/rb`, `/백테스트`\n\n"
        "Example: `/run_backtest sma_crossover AAPL start=2005-01-01`"
    )
    assert "- `count` (whole number; 1 to 10; default 1)" in describe(CLOSED)
    assert "- `title` (text; at most 20 characters; required)" in describe(CLOSED)
    assert "- `speed` (one of slow, fast; default slow)" in describe(CLOSED)


def test_help_without_parameters_has_no_empty_list() -> None:
    assert describe(HELP) == "**/help**: Show the commands\n\nUsage: `/help`\n\nExample: `/help`"


def test_one_line_never_has_more_than_80_characters() -> None:
    assert one_line(HELP) == "/help: Show the commands"
    assert len(one_line(replace(HELP, summary="x" * 200))) == 80


def test_rows_for_programs_are_json_and_name_positions_and_bounds() -> None:
    rows = {row["name"]: row for row in parameter_rows(CLOSED)}
    assert json.loads(json.dumps(rows)) == rows
    assert rows["count"] == {
        "name": "count",
        "aliases": [],
        "kind": "value",
        "type": "whole number",
        "required": False,
        "position": 2,
        "default": "1",
        "choices": [],
        "range": "1 to 10",
        "count": "",
        "description": "",
        "examples": [],
    }
    assert rows["level"]["choices"] == ["1", "2", "3"]
    assert rows["level"]["position"] is None


@pytest.mark.parametrize("spec", [RUN, CLOSED, COMPARE, HELP])
def test_the_example_of_a_command_binds(spec: object) -> None:
    bind(spec, parse(spec.example))  # type: ignore[arg-type, attr-defined] # specs of several models

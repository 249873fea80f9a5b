import re
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from chatops.dispatch.binding import bind, bind_values, to_text
from chatops.dispatch.parser import parse
from chatops.dispatch.spec import CommandSpec, Parameters
from chatops.errors import AppError, BadParameterError
from tests.unit.dispatch.conftest import CLOSED, COMPARE, HELP, RUN, Speed


def typed(spec: CommandSpec[Any], line: str) -> dict[str, Any]:
    """The parameters that a line gives, without those it does not mention."""
    parameters: Parameters = bind(spec, parse(f"/{spec.name} {line}"))
    return parameters.model_dump(exclude_unset=True)


def valued(spec: CommandSpec[Any], parameters: dict[str, JsonValue]) -> dict[str, Any]:
    bound: Parameters = bind_values(spec, parameters)
    return bound.model_dump(exclude_unset=True)


SMA = {"strategy": "sma", "symbols": ("AAPL",)}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sma", {"strategy": "sma"}),
        ("sma AAPL", SMA),
        ("sma AAPL start=2005-01-01", SMA | {"start": date(2005, 1, 1)}),
        ("sma AAPL 2005-01-01", {"strategy": "sma", "symbols": ("AAPL", "2005-01-01")}),
        *(
            (f"sma AAPL {fee}", SMA | {"fee": 0.01})
            for fee in ("--fee 0.01", "--fee=0.01", "fee=0.01", "fee:0.01", "FEE=0.01", "—fee .01")
        ),
        # a name claims its parameter wherever it stands; words without a name pass it by
        ("strategy=sma AAPL", SMA),
        ("symbols=AAPL sma", SMA),
        ("strategy_id=sma AAPL", SMA),
        ("strategyId=sma AAPL", SMA),
        ("--strategy-id sma AAPL", SMA),
        # flags of booleans never take the next word, other flags do
        ("--fresh sma AAPL", SMA | {"fresh": True}),
        ("sma --fresh AAPL", SMA | {"fresh": True}),
        ("sma AAPL --fresh", SMA | {"fresh": True}),
        ("sma AAPL fresh=no", SMA | {"fresh": False}),
        ("--strategy sma AAPL", SMA),
        # lists
        ("sma AAPL MSFT", {"strategy": "sma", "symbols": ("AAPL", "MSFT")}),
        ("sma AAPL,MSFT GOOG", {"strategy": "sma", "symbols": ("AAPL", "MSFT", "GOOG")}),
        ("sma symbols=AAPL,MSFT", {"strategy": "sma", "symbols": ("AAPL", "MSFT")}),
        ("sma symbols=A symbols=B", {"strategy": "sma", "symbols": ("A", "B")}),
        ("sma --symbols A B --fresh", {"strategy": "sma", "symbols": ("A", "B"), "fresh": True}),
        ('sma symbols=["A, B", "C"]', {"strategy": "sma", "symbols": ("A, B", "C")}),
        ('sma "A, B"', {"strategy": "sma", "symbols": ("A", "B")}),
        ('sma "A","B"', {"strategy": "sma", "symbols": ("A", "B")}),
        ("sma 삼성전자、현대차", {"strategy": "sma", "symbols": ("삼성전자", "현대차")}),
        # names that nobody claims
        ("sma short_window=20", {"strategy": "sma", "params": {"short_window": 20}}),
        ("sma ShortWindow:20.5", {"strategy": "sma", "params": {"short_window": 20.5}}),
        ("sma --short-window 20 AAPL", SMA | {"params": {"short_window": 20}}),
        # choices in any case, dates as people write them
        ("sma timeframe=4H", {"strategy": "sma", "timeframe": "4h"}),
        *(
            (f"sma start={day}", {"strategy": "sma", "start": date(2005, 1, 3)})
            for day in ("2005-01-03", "20050103", "2005/1/3", "2005.01.03", "2005–01–03")
        ),
        ("‘내 전략’ 삼성전자", {"strategy": "내 전략", "symbols": ("삼성전자",)}),
    ],
)  # fmt: skip
def test_a_typed_line_gives_these_parameters(line: str, expected: dict[str, Any]) -> None:
    assert typed(RUN, line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("10:30 2", {"title": "10:30", "count": 2}),
        ("NASDAQ:AAPL", {"title": "NASDAQ:AAPL"}),
        ("https://a.b/c?d=e", {"title": "https://a.b/c?d=e"}),
        ("--title a:b", {"title": "a:b"}),
        ("title:a:b", {"title": "a:b"}),
        ("2005-01-01T10:30", {"title": "2005-01-01T10:30"}),
        ("don't speed=FAST level=3", {"title": "don't", "speed": Speed.FAST, "level": 3}),
        ("x at=2005-01-01T10:30Z", {"title": "x", "at": datetime(2005, 1, 1, 10, 30, tzinfo=UTC)}),
        ("x size=ALL", {"title": "x", "size": "all"}),
        ("x size=3", {"title": "x", "size": 3}),
        ("x limit=3", {"title": "x", "limit": 3}),
        ("x limit=3.5", {"title": "x", "limit": 3.5}),
        ("title=「주간 회의」", {"title": "주간 회의"}),
    ],
)
def test_a_colon_only_splits_where_a_parameter_has_the_name(
    line: str, expected: dict[str, Any]
) -> None:
    assert typed(CLOSED, line) == expected


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"strategy_id": "sma", "symbols": ["AAPL"]}, SMA),
        ({"strategyId": "sma", "symbols": "AAPL"}, SMA),
        ({"strategy": "sma", "args": ["AAPL"]}, SMA),
        ({"args": ["sma", "AAPL"]}, SMA),
        ({"args": ["sma", ["AAPL"]]}, SMA),
        ({"args": "sma"}, {"strategy": "sma"}),
        ({"args": ["sma"], "fee": 0.01}, {"strategy": "sma", "fee": 0.01}),
        ({"args": ["sma"], "fee": "0.01"}, {"strategy": "sma", "fee": 0.01}),
        ({"args": ["sma"], "fee": None, "start": None}, {"strategy": "sma"}),
        ({"args": ["sma"], "fresh": True}, {"strategy": "sma", "fresh": True}),
        ({"args": ["sma"], "fresh": False}, {"strategy": "sma", "fresh": False}),
        ({"args": ["sma"], "symbols": ["a,b"]}, {"strategy": "sma", "symbols": ("a,b",)}),
        ({"args": ["sma"], "symbols": []}, {"strategy": "sma", "symbols": ()}),
        ({"strategy": "s", "shortWindow": 2.0}, {"strategy": "s", "params": {"short_window": 2}}),
        (
            {"args": ["sma"], "params": {"short_window": 20, "x": 0.5, "y": None}},
            {"strategy": "sma", "params": {"short_window": 20, "x": 0.5}},
        ),
    ],
)  # fmt: skip
def test_a_programs_values_give_these_parameters(
    parameters: dict[str, JsonValue], expected: dict[str, Any]
) -> None:
    assert valued(RUN, parameters) == expected


def test_the_existing_names_of_a_list_are_accepted() -> None:
    assert valued(COMPARE, {"strategy_ids": ["a", "b"]}) == {"strategies": ("a", "b")}
    assert valued(COMPARE, {"strategyIds": "a,b"}) == {"strategies": ("a", "b")}
    assert typed(COMPARE, "a b --symbols X Y seeds=1,2") == {
        "strategies": ("a", "b"),
        "symbols": ["X", "Y"],
        "seeds": (1, 2),
    }


A_DATE = "it must be a date such as 2005-01-31."
RUN_USAGE = (
    "/run_backtest <strategy> [symbols ...] [start=<date>] [fee=<number>] "
    "[timeframe=<choice>] [--fresh] [name=value ...]"
)


@pytest.mark.parametrize(
    ("spec", "line", "message"),
    [
        (RUN, "", "strategy is missing."),
        (RUN, "sma fee=2", "fee: 2 is not valid; it must be less than 1."),
        (RUN, "sma fee=-1", "fee: -1 is not valid; it must be at least 0."),
        (RUN, "sma fee=abc", 'fee: "abc" is not valid; it must be a number.'),
        (RUN, "sma fee=", 'fee: "" is not valid; it must be a number.'),
        (RUN, "sma fee=nan", 'fee: "nan" is not valid; it must be a finite number.'),
        (RUN, "sma fee=1e999", "fee: 1e999 is not valid; it must be a finite number."),
        (RUN, "sma --fee", "fee: its value is missing."),
        (RUN, "sma --fee --fresh", "fee: its value is missing."),
        (RUN, "sma fee=0 fee=0.1", "fee: given more than once."),
        (RUN, "strategy=a strategy_id=b", "strategy: given more than once."),
        (RUN, "sma x=1 X=2", "x: given more than once."),
        (RUN, "sma --fresh --fresh", "fresh: given more than once."),
        (RUN, "sma x=abc", 'x: "abc" is not valid; it must be a number.'),
        (RUN, "sma params=5", "params: give each one as name=value."),
        (RUN, "sma fresh=maybe", 'fresh: "maybe" is not valid; it must be true or false.'),
        (RUN, "sma timeframe=7x", 'timeframe: "7x" is not valid; use one of 1h, 4h, 1d.'),
        (RUN, "sma A B C D E", "symbols: at most 4 are allowed, 5 given."),
        (RUN, "sma start=2005", f"start: 2005 is not valid; {A_DATE}"),
        (RUN, "sma start=2005-02-30", f'start: "2005-02-30" is not valid; {A_DATE}'),
        (RUN, "sma start=x", f'start: "x" is not valid; {A_DATE}'),
        (RUN, "sma start=86400", f"start: 86400 is not valid; {A_DATE}"),
        (CLOSED, "a size=0", "size: 0 is not valid; it must be at least 1."),
        (CLOSED, "a size=x", 'size: "x" is not valid; it must be a whole number or one of all.'),
        (COMPARE, "a", "strategies: at least 2 are needed, 1 given."),
        (COMPARE, "a b seeds=1,x", 'seeds: "x" is not valid; it must be a whole number.'),
        (CLOSED, "a 99", "count: 99 is not valid; it must be at most 10."),
        (CLOSED, "a 1.5", "count: 1.5 is not valid; it must be a whole number."),
        (CLOSED, "a count=" + "9" * 4900, 'count: "9999'),
        (CLOSED, "a 1 fast 3 4", '3 is too much: /rename takes at most 3 values without a name.'),
        (CLOSED, "a speed=5", "speed: 5 is not valid; use one of slow, fast."),
        (CLOSED, "a level=7", "level: 7 is not valid; use one of 1, 2, 3."),
        (CLOSED, "a limit=x", 'limit: "x" is not valid; it must be a number.'),
        (CLOSED, "a at=x", 'at: "x" is not valid; it must be a date and time such as 2005-01-31T'),
        (CLOSED, "damn", "title: mind your words."),
        (CLOSED, "a 10 level=3", "count 10 and level 3 do not go together."),
        (CLOSED, "0" * 21, f"title: {'0' * 21} is not valid; it must have at most 20 characters."),
        (CLOSED, "a titel=b", 'Unknown parameter "titel" of /rename.'),
        (CLOSED, "a b=c", 'Unknown parameter "b" of /rename.'),
        (CLOSED, "a 이름=값", 'Unknown parameter "이름" of /rename.'),
        (HELP, "x", '"x" is too much: /help takes no values without a name.'),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_named_in_plain_words(
    spec: CommandSpec[Any], line: str, message: str
) -> None:
    with pytest.raises(BadParameterError) as caught:
        typed(spec, line)
    assert caught.value.message.startswith(message)
    assert caught.value.hint is not None
    assert re.search(r"(Example|Usage): /", caught.value.hint)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("", f"Usage: {RUN_USAGE}"),
        ("sma fee=2", f"Example: {RUN.example}"),
        ("sma timeframe=1dd", f'Did you mean "1d"? Example: {RUN.example}'),
    ],
)
def test_the_hint_says_what_to_do(line: str, hint: str) -> None:
    with pytest.raises(BadParameterError) as caught:
        typed(RUN, line)
    assert caught.value.hint == hint


def test_a_mistyped_name_is_corrected() -> None:
    with pytest.raises(BadParameterError) as caught:
        typed(CLOSED, "a titel=b")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith('Did you mean "title"? Usage: /rename <title> [count]')


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"strategy_id": ["a"]}, "strategy_id: give one value."),
        ({"strategy_id": {"a": 1}}, "strategy_id: give one value."),
        ({"strategy": "a", "symbols": [["b"]]}, "symbols: give one value or a list of values."),
        ({"strategy": "a", "symbols": [None]}, "symbols: give one value or a list of values."),
        ({"args": ["a", None]}, "args: give one value or a list of values."),
        ({"args": [{"a": 1}]}, "args: give one value or a list of values."),
        ({"strategy": "a", "params": {"b": {"c": 1}}}, "b: give one value."),
        ({"strategy": "a", "params": 5}, "params: give each one as name=value."),
        ({"strategy": "a", "params": {"params": {"params": 1}}}, "params: give one value."),
        ({"strategy": "a", "b c": 1}, 'Unknown parameter "b c" of /run_backtest.'),
        ({"strategy": "a", "": 1}, 'Unknown parameter "" of /run_backtest.'),
        ({"strategy": "a", "strategyId": "b"}, "strategy: given more than once."),
        ({"strategy": "a", "fee": 2}, "fee: 2 is not valid; it must be less than 1."),
    ],
)
def test_a_programs_mistakes_are_named_too(parameters: dict[str, JsonValue], message: str) -> None:
    with pytest.raises(BadParameterError) as caught:
        bind_values(RUN, parameters)
    assert caught.value.message == message


def test_an_echoed_value_is_short_and_has_no_control_characters() -> None:
    with pytest.raises(BadParameterError) as caught:
        bind_values(RUN, {"strategy": "a", "fee": "\x1b[31m\u202e\n" + "y" * 5000})
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 120


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (
            {"strategy_id": "sma_crossover", "symbols": ["AAPL"], "start": "2005-01-01"},
            "/run_backtest sma_crossover AAPL start=2005-01-01",
        ),
        ({"args": ["sma", "A", "B"], "fresh": True}, "/run_backtest sma A B --fresh"),
        ({"args": ["sma"], "fresh": False}, "/run_backtest sma fresh=false"),
        ({"args": ["sma"], "short_window": 20.0}, "/run_backtest sma short_window=20"),
        ({"symbols": ["A", "B"], "fee": 0.5}, "/run_backtest symbols=A,B fee=0.5"),
        ({"strategy": "내 전략"}, '/run_backtest "내 전략"'),
        ({"strategy": 'say "hi" now'}, "/run_backtest 'say \"hi\" now'"),
        ({"strategy": "a=b"}, '/run_backtest "a=b"'),
        ({"strategy": "--fee"}, '/run_backtest "--fee"'),
        ({"strategy": ""}, '/run_backtest ""'),
        ({"strategy": "s", "symbols": ["a, b"]}, "/run_backtest s symbols='[\"a, b\"]'"),
        ({"strategy": None}, "/run_backtest"),
    ],
)
def test_the_room_sees_the_line_a_person_would_type(
    parameters: dict[str, JsonValue], text: str
) -> None:
    assert to_text(RUN, parameters) == text


@pytest.mark.parametrize(
    "item", ["a,\n\u0303", '"', "[", "a b", "", "'x' \"y\" z", " a ", "{x", "삼성, 전자", "\\"]
)
def test_an_odd_item_of_a_list_survives_the_rooms_line(item: str) -> None:
    parameters: dict[str, JsonValue] = {"strategy": "s", "symbols": [item, "b"]}
    values = bind_values(RUN, parameters)
    assert values.symbols == (item, "b")
    assert bind(RUN, parse(to_text(RUN, parameters))) == values


ODD = st.text(alphabet="aé가1 =:-—–/\\\"'“”’」[]{},\n\u0338\u0301", max_size=8)
TEXT = st.one_of(st.text(max_size=12), ODD, st.sampled_from(["삼성전자", "don't", "a b", "--x"]))
SCALAR: st.SearchStrategy[JsonValue] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), TEXT
)
VALUE: st.SearchStrategy[JsonValue] = st.one_of(
    SCALAR, st.lists(SCALAR, max_size=3), st.dictionaries(TEXT, SCALAR, max_size=2)
)
GOOD_RUN = st.fixed_dictionaries(
    {"strategy": TEXT},
    optional={
        "symbols": st.one_of(TEXT, st.lists(TEXT, max_size=4)),
        "args": st.lists(TEXT, max_size=2),
        "start": st.dates().map(date.isoformat),
        "fee": st.floats(0, 0.99),
        "timeframe": st.sampled_from(["1h", "1D"]),
        "fresh": st.booleans(),
        "params": st.dictionaries(TEXT, st.one_of(st.integers(), st.floats(-1e9, 1e9)), max_size=2),
        "short_window": st.integers(),
    },
)
NAMES = st.one_of(
    st.sampled_from(["title", "count", "args", "strategy", "symbols", "params", "fresh"]), TEXT
)


@given(GOOD_RUN)
@settings(max_examples=400, deadline=None)
def test_the_rooms_line_typed_again_means_the_same(parameters: dict[str, JsonValue]) -> None:
    try:
        values = bind_values(RUN, parameters)
    except BadParameterError:
        return
    assert bind(RUN, parse(to_text(RUN, parameters))) == values


@given(st.sampled_from([RUN, CLOSED, COMPARE]), st.dictionaries(NAMES, VALUE, max_size=4))
@settings(max_examples=400, deadline=None)
def test_any_json_is_understood_or_refused_in_words_and_the_line_agrees(
    spec: CommandSpec[Any], parameters: dict[str, JsonValue]
) -> None:
    try:
        values = bind_values(spec, parameters)
    except AppError as error:
        refusal = error.message
    else:
        assert bind(spec, parse(to_text(spec, parameters))) == values
        return
    assert refusal.isprintable()
    assert len(refusal) < 300


@given(
    st.sampled_from([RUN, CLOSED, COMPARE]),
    st.one_of(st.text(), ODD, st.lists(ODD).map(" ".join)),
)
@settings(max_examples=400, deadline=None)
def test_any_line_is_understood_or_refused_in_words(spec: CommandSpec[Any], line: str) -> None:
    try:
        typed(spec, line)
    except AppError as error:
        refusal = error
    else:
        return
    assert refusal.message.isprintable()
    assert refusal.hint

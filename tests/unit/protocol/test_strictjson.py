import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatops.protocol.strictjson import MAX_DEPTH, StrictJsonError, dumps, loads

INT64 = 2**63


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    return opening * depth + closing * depth


def objects(depth: int) -> str:
    return '{"a":' * (depth - 1) + "{}" + "}" * (depth - 1)


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-INT64, INT64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
unhurried = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
"""How fast the machine is says nothing about the code."""

values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4)
)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("frame", ["{}", "[{}]", '{{"metadata":{{"x":{}}}}}'])
def test_words_that_are_no_json_numbers_are_refused_by_name(word: str, frame: str) -> None:
    with pytest.raises(StrictJsonError, match=f"^{word} is not a JSON number"):
        loads(frame.format(word))


@pytest.mark.parametrize("digits", ["1e999", "-1e999", "[1.0e400]", '{"a":-2E9999}'])
def test_a_number_that_would_become_infinite_is_refused(digits: str) -> None:
    with pytest.raises(StrictJsonError, match="too large"):
        loads(digits)


@pytest.mark.parametrize("number", [INT64 - 1, -INT64, 0, 2**53 + 1])
def test_whole_numbers_of_64_bits_are_kept_exactly(number: int) -> None:
    assert loads(f'{{"seq":{number}}}') == {"seq": number}


@pytest.mark.parametrize("digits", [str(INT64), str(-INT64 - 1), "9" * 5000, "-" + "1" * 21])
def test_a_whole_number_beyond_64_bits_is_refused(digits: str) -> None:
    with pytest.raises(StrictJsonError, match="64 bits"):
        loads(f"[{digits}]")


def test_the_smallest_floats_are_numbers() -> None:
    assert loads("[1e-999,-0.0,1.7976931348623157e308]") == [0.0, 0.0, 1.7976931348623157e308]


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":2}', '[{"b":{"a":1,"x":0,"a":1}}]', '{"a":1,"\\u0061":2}', '{"":1,"":1}'],
)
def test_a_name_twice_in_one_object_is_refused(text: str) -> None:
    with pytest.raises(StrictJsonError, match="same name twice"):
        loads(text)


def test_the_same_name_in_two_objects_is_no_repetition() -> None:
    assert loads('[{"a":{"a":1}},{"a":2}]') == [{"a": {"a": 1}}, {"a": 2}]


@pytest.mark.parametrize("text", [nested(MAX_DEPTH), objects(MAX_DEPTH)])
def test_sixteen_levels_are_read(text: str) -> None:
    assert dumps(loads(text)) == text


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 900, 20_000])
@pytest.mark.parametrize("form", [nested, objects])
def test_more_levels_are_refused_in_words_however_many(depth: int, form: Any) -> None:
    with pytest.raises(StrictJsonError, match=f"deeper than {MAX_DEPTH} levels"):
        loads(form(depth))


def test_brackets_side_by_side_and_in_texts_are_not_depth() -> None:
    wide: list[list[dict[str, int]]] = [[{}] for _ in range(200)]
    assert loads(dumps(wide)) == wide
    assert loads(dumps({"content": "[" * 500})) == {"content": "[" * 500}


@pytest.mark.parametrize(
    "text",
    [
        r'"\ud83d"',
        r'"\ude00\ud83d"',
        r'{"\udfff":1}',
        r'[{"a":["x\uD800y"]}]',
        r'"\ud83d\ud83d\ude00"',
    ],
)
def test_half_of_a_surrogate_pair_is_refused(text: str) -> None:
    with pytest.raises(StrictJsonError, match="surrogate"):
        loads(text)


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert loads(r'"\ud83d\ude00"') == "😀"
    assert loads(r'{"\ud55c\uad6d":"\\ud83d"}') == {"한국": r"\ud83d"}


def test_korean_and_emoji_travel_as_themselves() -> None:
    text = '{"content":"삼성전자 백테스트 📈"}'
    assert dumps(loads(text)) == text


@pytest.mark.parametrize("text", ["", "{", '{"a":}', "[1,]", "hello", "{'a':1}", '"\n"', "[1] 2"])
def test_what_is_no_json_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(StrictJsonError, match=r"not JSON \(character \d+\)"):
        loads(text)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_no_client_could_read_is_written_as_undefined(value: float) -> None:
    assert dumps({"metrics": [value, 1.5]}) == '{"metrics":[null,1.5]}'


@pytest.mark.parametrize("value", [datetime(2026, 1, 2, tzinfo=UTC), {1, 2}, b"x", "\ud83d", 2**64])
def test_what_is_no_json_of_the_wire_is_not_written(value: Any) -> None:
    with pytest.raises(TypeError):
        dumps({"at": value})


def test_json_is_written_without_spaces() -> None:
    assert dumps({"ok": True, "items": [1, None]}) == '{"ok":true,"items":[1,null]}'


@unhurried
@given(values)
def test_what_is_written_is_read_back_the_same(value: Any) -> None:
    text = dumps(value)
    assert loads(text) == json.loads(text) == value


@unhurried
@given(values)
def test_escaped_text_reads_as_plain_text_does(value: Any) -> None:
    assert loads(json.dumps(value, ensure_ascii=True)) == value


@given(st.text(max_size=60) | st.text('[]{}":,0123456789eE+-.\\udDabntfrsl ', max_size=60))
def test_any_text_is_either_read_or_refused_and_never_breaks_the_reader(text: str) -> None:
    try:
        value = loads(text)
    except StrictJsonError:
        return
    assert loads(dumps(value)) == value

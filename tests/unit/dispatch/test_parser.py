import contextlib
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatops.dispatch.parser import is_command, literal, parse
from chatops.errors import AppError, BadParameterError, UnknownCommandError


def words(line: str) -> list[str | tuple[str, str | None]]:
    """Positional words as text, named ones as pairs; ``None`` is a bare flag."""
    found: list[str | tuple[str, str | None]] = []
    for word in parse(f"/x {line}").words:
        found.append((word.name, word.value) if word.name else str(word.value))
    return found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sma AAPL", ["sma", "AAPL"]),
        ("start=2005-01-01", [("start", "2005-01-01")]),
        ("--fee 0.001", [("fee", None), "0.001"]),
        ("--fee=0.001", [("fee", "0.001")]),
        ("--fee:0.001", [("fee", "0.001")]),
        ("fee:0.001", [("fee", "0.001")]),
        ("--fresh", [("fresh", None)]),
        ("--fresh --fee=1", [("fresh", None), ("fee", "1")]),
        ("fee=", [("fee", "")]),
        ("a=b=c", [("a", "b=c")]),
        ("'a b' \"c d\"", ["a b", "c d"]),
        ("name='a b'", [("name", "a b")]),
        ('--name "a b"', [("name", None), "a b"]),
        ('--name="a b"', [("name", "a b")]),
        ('name:"a b"', [("name", "a b")]),
        ("'' \"\"", ["", ""]),
        ("Short-Window=20 shortWindow=20", [("short_window", "20"), ("short_window", "20")]),
        # quotes of phones, word processors and languages
        ("“a b” „a b“ ‘a b’ «a b» »a b« 「a b」 『a b』 ＂a b＂", ["a b"] * 8),
        ("“a b\"  'a b’", ["a b", "a b"]),
        # quotes that are none
        ("don't can’t 5'10", ["don't", "can’t", "5'10"]),
        ("'don't stop'", ["don't stop"]),
        ('"say "hi"" end', ['say "hi"', "end"]),
        (r'"say \"hi\" \\ now" C:\new', [r'say "hi" \ now', r"C:\new"]),
        ('"a=b" "--fee" "NASDAQ:AAPL"', ["a=b", "--fee", "NASDAQ:AAPL"]),
        # dashes
        ("—fee 1 –fee=1", [("fee", None), "1", ("fee", "1")]),
        ("––fee −−fee ‐‐fee", [("fee", None)] * 3),
        ("−5 –5 -5 x=−0.5", ["-5", "-5", "-5", ("x", "-0.5")]),
        ("2024–01–31 20240101–20240630", ["2024-01-31", "20240101-20240630"]),
        ("a — b -- c - d", ["a", "—", "b", "--", "c", "-", "d"]),
        ("well-known state–of", ["well-known", "state–of"]),
        # full width
        ("fee＝0.001 fee：0.001　다음", [("fee", "0.001"), ("fee", "0.001"), "다음"]),
        # Korean
        ("name=삼성전자", [("name", "삼성전자")]),
        ("이름=값 --이름 「삼성 전자」", [("이름", "값"), ("이름", None), "삼성 전자"]),
        ("“삼성 전자” '현대 차'", ["삼성 전자", "현대 차"]),
        ("\u1112\u1161\u11ab=\u1112\u1161\u11ab", [("한", "한")]),
        ("'\u1112\u1161\u11ab' \u1112\u1161\u11ab", ["한", "한"]),
        # what looks like a pair and is none
        ("10:30 2005-01-01T10:30 https://a.b/c?d=e", ["10:30", "2005-01-01T10:30", "https://a.b/c?d=e"]),
        ("note: abc 5=5 =5 :x C:\\dir", ["note:", "abc", "5=5", "=5", ":x", "C:\\dir"]),
        ("a.b=c --a.b", ["a.b=c", "--a.b"]),
        # JSON
        ('s=["a b", "c"] t', [("s", '["a b", "c"]'), "t"]),
        ("[1, 2] [x y {z", ["[1, 2]", "[x", "y", "{z"]),
    ],
)  # fmt: skip
def test_a_line_is_taken_apart_by_the_conventions(line: str, expected: list[object]) -> None:
    assert words(line) == expected


def test_a_name_with_colon_can_still_turn_out_to_be_a_positional_word() -> None:
    loose = [word.loose for word in parse('/x NASDAQ:AAPL fee=1 --fee:1 a:"b c"').words]
    assert loose == ["NASDAQ:AAPL", None, None, None]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("/run_backtest", "run_backtest"),
        ("/Run-Backtest x", "run_backtest"),
        ("  runBacktest\tx ", "run_backtest"),
        ("／run_backtest　x", "run_backtest"),
        ("/전략 x", "전략"),
        ("/\u110c\u1165\u11ab\u1105\u1163\u11a8", "전략"),
    ],
)
def test_the_name_has_one_canonical_form(line: str, name: str) -> None:
    assert parse(line).name == name


@pytest.mark.parametrize("line", ["/", "/ ", "/ run", "", "  ", "／", "/　x"])
def test_a_slash_alone_is_no_command_and_says_where_help_is(line: str) -> None:
    with pytest.raises(UnknownCommandError) as caught:
        parse(line)
    assert caught.value.hint == "Type /help for all commands."


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("/x 'a b", "character 4, 'a b,"),
        ('/x y name="a b', 'character 11, "a b,'),
        ("/x 「삼성 전자", "character 4, 「삼성 전자,"),
        ('/x "a"b', 'character 4, "a"b,'),
    ],
)
def test_a_quote_without_end_is_shown_where_it_opens(line: str, place: str) -> None:
    with pytest.raises(BadParameterError) as caught:
        parse(line)
    assert place in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("content", "command", "said"),
    [
        ("/help", True, "/help"),
        ("／help", True, "／help"),
        ("/", True, "/"),
        ("//help", False, "/help"),
        ("／／help", False, "／help"),
        ("///x", False, "//x"),
        ("//", False, "/"),
        ("help", False, "help"),
        (" /help", False, " /help"),
        ("", False, ""),
    ],
)
def test_one_slash_is_a_command_and_two_are_a_literal_slash(
    content: str, command: bool, said: str
) -> None:
    assert is_command(content) is command
    assert literal(content) == said


SYNTAX = st.text(alphabet="ab가1 =:-—–/\\\"'“”‘’「」«»[]{},\n\t　＝：.", max_size=60)


@settings(deadline=None)
@given(st.one_of(st.text(), SYNTAX, st.text(st.characters()), SYNTAX.map("/x ".__add__)))
@example("[" * 5000)
@example("/x " + "[" * 4997)
def test_no_text_gives_anything_but_words_or_an_error_in_words(text: str) -> None:
    said = "nothing"
    try:
        parse(text)
    except AppError as error:
        said = error.message
    assert said
    assert said.isprintable()


UNITS = (
    "[", "[ ", '["', '[" ', "a=[ ", "--", "-a ", "—", '"', '" ', "a:", "a=", "'a ", '{"a":', "\\",
    "가", "\u0301", "a\u0301", "a-", "1e9,", "　", '"a',
)  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_work_stays_small_for_the_longest_message(unit: str) -> None:
    text = "/x " + (unit * 5000)[:4990]
    begin = time.perf_counter()
    with contextlib.suppress(AppError):
        parse(text)
    assert time.perf_counter() - begin < 0.25

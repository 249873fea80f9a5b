"""Figures of real runs in answers: filled in, borne out, or marked; in pieces as in one."""

import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from chatops.assistant import figures as module
from chatops.assistant.figures import UNKNOWN, UNVERIFIED, Figures
from chatops.assistant.numerals import numerals
from chatops.assistant.results import MISSING, SUMMARY, Result, find, listed, words
from chatops.backtests.answers import METRICS, figure
from tests.unit.assistant.runs import results


def known() -> Figures:
    figures = Figures()
    for place, data in enumerate(results(), 1):
        figures.add_result(f"r{place}", data)
    figures.add_text("Ann: try short_window=10 with long_window=200, I want 12% or $5,000 more")
    return figures


KNOWN = known()


def written(*pieces: str, figures: Figures = KNOWN) -> str:
    writer = figures.writer()
    return "".join(map(writer.feed, pieces)) + writer.close()


# ---------------------------------------------------------------- references


def test_a_reference_is_filled_in_as_people_write_the_figure() -> None:
    metrics = results()[0]["metrics"]
    assert written("It made {{r1.total_return}}, Sharpe {{ R1.Sharpe-Ratio }}.") == (
        f"It made {figure('total_return', metrics['total_return'])}, "
        f"Sharpe {figure('sharpe_ratio', metrics['sharpe_ratio'])}."
    )


def test_every_figure_that_is_listed_can_be_referred_to_and_is_the_one_it_says() -> None:
    for place, data in enumerate(results(), 1):
        for name, wording in listed(f"r{place}", data):
            path = name.partition(".")[2]
            assert words(find(data, path), path.split(".")) == wording
            assert written(f"{{{{{name}}}}}") == wording


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("r4.AAPL.sharpe_ratio", "bySymbol.AAPL.sharpe_ratio"),
        ("r4.metrics.sharpe_ratio", "metrics.sharpe_ratio"),
        ("r4.benchmark.max_drawdown", "benchmark.max_drawdown"),
        ("r5.macd.total_return", "strategies.1.metrics.total_return"),
        ("r5.macd · IBM.total_return", "strategies.1.metrics.total_return"),
        ("r5.strategies.1.metrics.total_return", "strategies.1.metrics.total_return"),
        ("r5.momentum_aapl_msft.trades", "strategies.3.metrics.trades"),
        ("r5.monteCarlo.macd.probabilityOfLoss", "monteCarlo.members.1.probabilityOfLoss"),
        ("r5.macd.bear.sharpe_ratio", "regimes.members.1.regimes.bear.sharpe_ratio"),
    ],
)
def test_ways_to_name_a_figure(reference: str, path: str) -> None:
    handle, _, _ = reference.partition(".")
    value: Any = results()[int(handle[1:]) - 1]
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    shown = words(value, path.split("."))
    assert shown is not None
    assert written(f"{{{{{reference}}}}}") == shown


def test_parts_of_one_are_shown_in_percent_and_counts_as_they_are() -> None:
    simulated = results()[4]["monteCarlo"]["members"][0]
    assert written("{{r5.monteCarlo.sma_crossover.probability_of_drawdown30}}") == (
        f"{simulated['probabilityOfDrawdown30'] * 100:.2f} %"
    )
    assert written("{{r1.bars}} {{r1.strategy.params.short_window}} {{r1.start}}") == (
        f"{results()[0]['bars']:,} 20 {results()[0]['start']}"
    )
    assert written("{{r5.macd.ranks.total_return}}") in "1234"
    assert written("{{r1.benchmark.win_rate}}") == "–"


@pytest.mark.parametrize(
    "text",
    [
        "{{r1.nothing}}",
        "{{r9.sharpe_ratio}}",
        "{{sharpe_ratio}}",
        "{{}}",
        "{{r1}}",
        "{{r1.metrics}}",
        "{{r1.sharpe_ratio",
        "{{r1.sharpe_ratio}",
        "{{{{",
        "{{" + "x" * 500,
    ],
)
def test_an_unknown_reference_is_a_clear_mark_and_never_braces(text: str) -> None:
    writer = KNOWN.writer()
    shown = writer.feed(f"a {text}") + writer.close()
    assert UNKNOWN in shown
    assert "{" not in shown
    assert not any(one.verified for one in writer.figures)


def test_what_a_name_means_twice_means_nothing() -> None:
    data = {"strategies": [{"strategyId": "a", "name": "a · X"}, {"strategyId": "a", "name": "b"}]}
    assert find(data, "a") is MISSING
    assert find(data, "a · X") is data["strategies"][0]


def test_a_unit_that_the_model_adds_is_not_shown_twice() -> None:
    plain = written("{{r1.win_rate}}")
    assert written("{{r1.win_rate}}%") == written("{{r1.win_rate}} %") == plain
    assert written("{{{r1.win_rate}}}") == written("{r1.win_rate}") == plain


def test_braces_of_code_stay() -> None:
    code = 'x = {"a": {}} or {run: y} and { z }'
    assert written(code) == code


def test_metadata_says_what_was_filled_in_and_what_is_borne_out() -> None:
    writer = KNOWN.writer()
    writer.feed("{{r1.trades}} and {{r1.x}} and 0.123456 and 12%")
    writer.close()
    trades = figure("trades", results()[0]["metrics"]["trades"])
    assert [one.to_wire() for one in writer.figures] == [
        {"text": trades, "ref": "r1.trades", "verified": True},
        {"text": UNKNOWN, "ref": "r1.x", "verified": False},
        {"text": "0.123456", "verified": False},
        {"text": "12%", "verified": True},
    ]


# ---------------------------------------------------------------- numbers that the model types

NO_FIGURES = [
    "1. first\n2. second\n12. twelfth\n13) next",
    "From 2000-03-01 to 2013-03-01, in 2008, since March 2009, on Jan 31, 2005 and 31 January.",
    "2008년 9월 22일부터, 3분기, 12월에, 12위",
    "Runs bt_1a2b3c99 and cmp_77, symbol BRK2, GPT-4, gpt-4o, v1.2, numpy 2.4.6, 760fdcb7",
    "A 50-day and a 200-day average, 20일 이동평균",
    "the 2 best of 3 strategies, 5 years, 3개 전략, 두 가지 중 1번",
    "Try `/run_backtest sma_crossover short_window=37 fee=0.0025` or `/history 50`.",
    "95% VaR, VaR 95, CVaR(95%), with 95 % confidence; 252 trading days",
    "[chart](/api/v1/backtests/bt_12/chart.png?size=1200) https://example.org/2.5/77",
    "at 14:30 and 09:15:59 on 12/31/2005",
    "| 1 | macd |\n| 12 | rsi |",
    "Windows of 10 and 200 days, 10/200, +12 %, 12.0%, $5,000 and 5k",
    "1m, 15m, 4h, 1d bars; the 21st, 32nd; S&P 500, Nasdaq-100, COVID-19, Q3 2008, 2000–2013",
    "About 13 years (3,270 bars), 100,000 USD at first, a fee of 0.1% (0.001), 1,000 paths",
]


@pytest.mark.parametrize("text", NO_FIGURES)
def test_what_is_no_figure_of_a_run_is_left_alone(text: str) -> None:
    assert written(text) == text


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("a Sharpe of 7.77", "7.77"),
        ("a Sharpe ratio of 9", "9"),
        ("it made -777.77 % in all", "777.77 %"),
        ("수익률은 777.7%입니다", "777.7%"),
        ("거래는 777회", "777"),
        ("| trades | 777 |", "777"),
        ("Trades: 8", "8"),
        ("```\nreturn  777.7 %\n```", "777.7 %"),
        ("final equity $7,777,777.77.", "7,777,777.77"),
        ("about $7.77M", "7.77M"),
        ("**777.7%**", "777.7%"),
        ("7 trades", "7"),
        ("1,998 trades", "1,998"),
        ("1998 trades", "1998"),
        ("777 bps", "777 bps"),
        ("7.77", "7.77"),
        ("fullwidth １２.７７％", "１２.７７％"),
        ("sharpe_ratio=7.77", "7.77"),
    ],
)
def test_a_figure_that_nothing_bears_out_is_marked_right_after_it(text: str, marked: str) -> None:
    figures = Figures()
    figures.add_result("r1", results()[0])
    assert written(text, figures=figures) == text.replace(marked, marked + UNVERIFIED)


def test_a_mark_is_not_doubled() -> None:
    assert written("7.77 (unverified)") == "7.77 (unverified)"


def test_a_sign_that_is_written_has_to_be_right() -> None:
    fall = f"{abs(results()[0]['metrics']['max_drawdown']) * 100:.2f}"
    for right in (f"-{fall} %", f"−{fall}%", f"–{fall}%", f"a fall of {fall} %", f"fall - {fall}%"):
        assert UNVERIFIED not in written(right)
    assert written(f"+{fall}%") == f"+{fall}%{UNVERIFIED}"


# ---------------------------------------------------------------- correct and altered answers

_SHOWN = {
    "total_return": ("total return", "총수익률"),
    "annual_return": ("annual return", "연수익률"),
    "volatility": ("volatility", "변동성"),
    "sharpe_ratio": ("Sharpe ratio", "샤프 비율"),
    "sortino_ratio": ("Sortino", "소르티노"),
    "calmar_ratio": ("Calmar ratio", "칼마 비율"),
    "max_drawdown": ("maximum drawdown", "최대 낙폭"),
    "var_95": ("VaR 95", "VaR 95"),
    "cvar_95": ("CVaR (95%)", "CVaR"),
    "win_rate": ("win rate", "승률"),
    "profit_factor": ("profit factor", "손익비"),
    "trades": ("trades", "거래"),
    "exposure": ("exposure", "노출도"),
    "final_equity": ("final equity", "최종 자산"),
}
_PERCENT = (
    "The {en} was {0:.2f}%.",
    "{en}: {0:.2f} %",
    "{en} {0:.1f}%, over 13 years",
    "**{en}**: **{0:.2f}%**",
    "| {en} | {0:.2f} % | see above |",
    "- {en} of {0:.1f} percent for 1 of 3 symbols",
    "In 2008 its {en} ({0:.2f}%) stood out.",
    "`{en}={0:.2f}%`",
    "{en}은 {0:.2f}%입니다.",
    "{ko}: {0:.1f}%였고, 2000년부터입니다",
    "{ko}이 {0:.2f} 퍼센트로",
    "약 {0:.1f}%의 {ko}",
    "```\n{en}    {0:,.2f} %\n```",
    "1. {en}\t{0:.2f}％",
    "around {0:,.1f} % of {en} since 2000-03-01",
    "({0:.3f}%)",
    "a {en} of {1:.4f} as a fraction",
)
_PLAIN = (
    "The {en} was {0:.2f}.",
    "{en}: {0:.2f}",
    "{en} ≈ {0:.1f}, so so",
    "**{en}** **{0:.2f}** in 13 years",
    "| {en} | {0:.2f} | {0:.2f} |",
    "{en} of {0:.3f} (2000-03-01 to 2013-03-01)",
    "{ko}은 {0:.2f}이고",
    "{ko} {0:.1f}, 거래는 다음과 같습니다.",
    "```\n{en}  {0:.2f}\n```",
    "2) {en}={0:.2f};",
    "\u2022 {en}\u00a0{0:.2f}",
    "{ko}가 {0:.2f}배로",
)
_COUNTS = (
    "{0:,d} trades",
    "Trades: {0:d}",
    "It closed **{0:d}** trades in 13 years.",
    "| trades | {0:d} |",
    "거래는 {0:d}회였습니다.",
    "총 {0:d}건의 거래",
    "거래 횟수: {0:d}",
    "after {0:d} round-trip trades, see bt_0c0ffee12",
)
_MONEY = (
    "It ended with ${0:,.2f}.",
    "final equity: {0:,.2f} USD",
    "final equity of {0:,.0f}, from $100,000",
    "final equity {0:.2f}",
    "최종 자산은 {0:,.0f}달러입니다",
    "최종 자산: ₩{0:,.0f}",
    "| equity | ${0:,.0f} |",
    "equity of {2:.1f}k",
    "equity of ${3:.3f}M today",
    "equity of {3:.2f} million",
    "약 {4:.1f}만 달러",
)


def sentences(runs: tuple[dict[str, Any], ...]) -> Iterator[tuple[str, str]]:
    """Yield correct sentences, each with the figure in it as it was written."""
    sets = [one["metrics"] for one in runs if "metrics" in one]
    sets += [one["benchmark"] for one in runs if "benchmark" in one]
    sets += [m for one in runs for m in (one.get("bySymbol") or {}).values()]
    sets += [m["metrics"] for one in runs for m in one.get("strategies", ())]
    for metrics in sets:
        for name in METRICS:
            value = metrics[name]
            if value is None:
                continue
            percent = figure(name, value).endswith("%")
            forms: tuple[str, ...] = _PERCENT if percent else _PLAIN
            forms = {"trades": _COUNTS, "final_equity": _MONEY}.get(name, forms)
            en, ko = _SHOWN[name]
            for form in forms:
                shown = abs(value) * (100 if percent else 1)
                used = re.search(r"\{\d:[^}]*\}", form)
                assert used is not None
                numbers = (shown, abs(value), shown / 1e3, shown / 1e6, shown / 1e4)
                yield form.format(*numbers, en=en, ko=ko), used[0].format(*numbers)


def test_no_figure_of_a_correct_answer_is_marked() -> None:
    texts = [text for text, _ in sentences(results())]
    assert len(texts) > 1_500
    assert [text for text in texts if written(text) != text] == []
    summaries = [results()[4][name] for name in ("summary", "recommendation", "reasoning")]
    assert [text for text in summaries if written(text) != text] == []
    assert len({*_PERCENT, *_PLAIN, *_COUNTS, *_MONEY}) >= 40


def test_every_altered_figure_is_marked() -> None:
    """One digit of each figure is changed; the whole answer stands around it."""
    draw = random.Random(20_251_121)
    figures = Figures()
    for handle, data in zip(("r1", "r2"), results(), strict=False):
        figures.add_result(handle, data)
    marked = passed = 0
    for text, number in sentences(results()[:2]):
        for altered in _altered(number, draw):
            answer = text.replace(number, altered)
            shown = written(answer, figures=figures)
            assert shown.replace(UNVERIFIED, "") == answer
            if UNVERIFIED in shown:
                marked += 1
            else:
                passed += 1
                assert _coincides(altered, answer), answer
    assert marked > 2_000
    assert passed < 0.02 * marked


def _altered(number: str, draw: random.Random) -> Iterator[str]:
    places = [i for i, c in enumerate(number) if c.isdigit()]
    first = places[0]
    for place in draw.sample(places, min(3, len(places))):
        digits = [d for d in "0123456789" if d != number[place]]
        digit = draw.choice(digits[1:] if place == first else digits)
        yield number[:place] + digit + number[place + 1 :]


def _coincides(altered: str, answer: str) -> bool:
    """Whether another figure of the runs, or their length, is just so when it is written like this.

    It looks at the raw values, not at what the program made of them.
    """
    value = float(altered.replace(",", ""))
    decimals = len(altered.partition(".")[2])
    around = answer.partition(altered)[2][:12]
    scale = next(
        (
            s
            for w, s in (("k", 1e3), ("M", 1e6), ("million", 1e6), ("만", 1e4))
            if around.strip().startswith(w)
        ),
        1.0,
    )
    half = 0.5 * 10.0**-decimals * scale * 1.0001
    return any(
        abs(abs(raw) * times - value * scale) <= half + extra
        for raw in _numbers([results()[0], results()[1]])
        for times, extra in ((1, 0.005 * scale if scale == 1 else 0), (100, 0.005))
    ) or value in (13.0, 4748.0)


def _numbers(node: Any) -> list[float]:
    if isinstance(node, dict):
        aside = ("points", "drawdownPoints", "fan", "provenance")
        return [n for key, child in node.items() if key not in aside for n in _numbers(child)]
    if isinstance(node, list):
        return [float(len(node)), *(n for child in node for n in _numbers(child))]
    return [float(node)] if isinstance(node, int | float) else []


# ---------------------------------------------------------------- pieces


def _answer() -> str:
    draw = random.Random(7)
    lines = [text for text, _ in sentences(results())]
    draw.shuffle(lines)
    filled = [
        "{{r1.total_return}} %",
        "{{r9.x}}",
        "{{r5.macd.trades}}.",
        "{{broken} x",
        "{a: 7.77}",
    ]
    return "\n".join([*lines[:25], *filled, *NO_FIGURES, "a 7.77 b 777,777 c 0.7777", "{{r1.sha"])


def test_every_cut_of_a_text_gives_the_same() -> None:
    text = _answer()
    writer = KNOWN.writer()
    whole = writer.feed(text) + writer.close()
    assert written(*text) == whole
    for at in range(0, len(text), 17):
        assert written(text[:at], text[at:]) == whole
    draw = random.Random(11)
    for _ in range(30):
        cuts = sorted(draw.sample(range(len(text)), draw.randrange(1, 200)))
        again = KNOWN.writer()
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert "".join(map(again.feed, pieces)) + again.close() == whole
        assert again.figures == writer.figures


def test_words_are_shown_at_once_and_a_figure_when_it_is_whole() -> None:
    writer = KNOWN.writer()
    assert writer.feed("The Sharpe ratio") == "The Sharpe ratio"
    assert writer.feed(" is {{r1.sharpe") == " is "
    assert writer.feed("_ratio}} for sure") != ""
    assert writer.feed(" word7 ") == " word7 "
    assert writer.feed(" 0") == " "
    assert writer.close() == "0"


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_written_arrives(seed: int) -> None:
    draw = random.Random(seed)
    alphabet = "0123456789.,%-−–+$₩rR|: \n\t/=만천kM한글abcVaR()[]*_`٣¼²½①🙂"
    text = "".join(draw.choices(alphabet, k=600))
    shown = written(text)
    assert written(*text) == shown
    assert shown.replace(UNVERIFIED, "") == text
    braces = "".join(draw.choices(alphabet + "{}" * 20, k=600))
    assert written(*braces) == written(braces)


@pytest.mark.parametrize("text", ["9" * 5_000, "1." + "0" * 5_000, "{" * 500, "1,000" * 500])
def test_endless_numbers_do_no_harm(text: str) -> None:
    assert written(f"a {text}\nb").endswith("\nb")


def test_a_fault_of_ours_marks_the_figure_and_the_answer_arrives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "is_figure", broken)
    monkeypatch.setattr(Figures, "fill", broken)
    assert written("a 12.5 % b {{r1.trades}} c") == f"a 12.5{UNVERIFIED} % b {UNKNOWN} c"


# ---------------------------------------------------------------- summaries


def test_a_summary_is_small_and_has_a_reference_for_each_figure_it_shows() -> None:
    for place, data in enumerate(results(), 1):
        summary = Result(f"r{place}", "text", data).summary()
        assert len(summary) <= SUMMARY
        shown = re.findall(r'"\{\{([^}]+)\}\}":"([^"]+)"', summary)
        assert len(shown) >= 16
        assert [written(f"{{{{{name}}}}}") for name, _ in shown] == [word for _, word in shown]
        assert data["backtestId"] in summary


def test_a_summary_of_words_says_where_it_goes_on() -> None:
    text = 'a "quoted" line\n' * 500
    result = Result("r1", text, {})
    summary = result.summary()
    assert len(summary) <= SUMMARY
    offset = int(re.findall(r"offset (\d+)", summary)[0])
    assert (result.read("text", offset) or "").startswith(text[offset : offset + 50])


def test_numbers_of_a_text_are_found_with_their_values() -> None:
    found = [
        (one.text, one.magnitude, one.sign, one.percent)
        for one, _, _ in numerals("-12.5 %, $1,234.5 12만 3,456 약 7만 3.5k 50 bps .83 +4")
    ]
    assert found == [
        ("12.5 %", 12.5, -1, True),
        ("1,234.5", 1234.5, 0, False),
        ("12만 3,456", 123456.0, 0, False),
        ("7만", 70000.0, 0, False),
        ("3.5k", 3500.0, 0, False),
        ("50 bps", 0.5, 0, True),
        ("83", 0.83, 0, False),
        ("4", 4.0, 1, False),
    ]

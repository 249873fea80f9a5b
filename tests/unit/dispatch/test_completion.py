import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatops.dispatch.completion import complete, rank
from chatops.dispatch.registry import Registry
from chatops.dispatch.spec import Candidate, CommandContext, CommandSpec
from tests.unit.dispatch.conftest import CONTEXT, REGISTRY, RUN, RunParameters, echo


async def values(text: str) -> list[str]:
    return [item.value for item in await complete(REGISTRY, CONTEXT, text)]


FREE = ["strategy=", "symbols=", "start=", "fee=", "timeframe=", "--fresh"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # names
        ("/", ["/help", "/run_backtest", "/compare_strategies", "/rename"]),
        ("/r", ["/run_backtest", "/rename", "/compare_strategies"]),
        ("/run-b", ["/run_backtest"]),
        ("／RUN", ["／run_backtest"]),
        ("/strat", ["/compare_strategies"]),
        ("/cmps", ["/compare_strategies"]),
        ("/rb", ["/rb"]),
        ("/백", ["/백테스트"]),
        ("/전략", []),
        # values by position, then names
        ("/rb s", [f"/rb {word}" for word in
            ("sma_crossover", "rsi", "strategy=", "symbols=", "start=", "--fresh")]),
        ("/rb 내", ['/rb "내 전략"']),
        ('/rb "내 ', ['/rb "내 전략"']),
        ("/rb '내 전략' 삼", ["/rb '내 전략' 삼성전자"]),
        ("/rb rsi AAPL MS", ["/rb rsi AAPL MSFT"]),
        ("/rb rsi AAPL,MS", ["/rb rsi AAPL,MSFT"]),
        ("/rb AAPL strategy=r", ["/rb AAPL strategy=rsi", "/rb AAPL strategy=sma_crossover"]),
        # values after a name
        ("/rb rsi timeframe=4", ["/rb rsi timeframe=4h"]),
        ("/rb rsi timeframe:4", ["/rb rsi timeframe:4h"]),
        ("/rb rsi --timeframe ", [f"/rb rsi --timeframe {t}" for t in ("1h", "4h", "1d")]),
        ("/rb rsi --timeframe 4", ["/rb rsi --timeframe 4h"]),
        ("/rb rsi fresh=", ["/rb rsi fresh=true", "/rb rsi fresh=false"]),
        ("/rb strategyId='내", ['/rb strategyId="내 전략"']),
        ("/rb rsi symbols=GOOG,A", ["/rb rsi symbols=GOOG,AAPL"]),
        ("/rename x speed=", ["/rename x speed=slow", "/rename x speed=fast"]),
        ("/rename x level=", ["/rename x level=1", "/rename x level=2", "/rename x level=3"]),
        # names of parameters
        ("/rb rsi --f", ["/rb rsi --fee=", "/rb rsi --fresh", "/rb rsi --timeframe="]),
        ("/rb rsi --", [f"/rb rsi --{word}" for word in
            ("symbols=", "start=", "fee=", "timeframe=", "fresh")]),
        ("/rb rsi fee=0 AAPL fee", []),
        ("/rb sma_crossover AAPL short-w", ["/rb sma_crossover AAPL short_window="]),
        ("/rb sma_crossover AAPL short_window=5 windo",
            ["/rb sma_crossover AAPL short_window=5 long_window="]),
        ("/rb rsi AAPL short_w", []),
        ('/rb rsi "st', ["/rb rsi MSFT"]),
        # nothing to say
        ("hello", []), ("", []), ("//run", []), ("/nothing x", []), ("/rb x nothing=", []),
        ("/rb rsi start=", []), ("/help ", []),
    ],
)  # fmt: skip
async def test_the_last_word_is_completed(text: str, expected: list[str]) -> None:
    assert await values(text) == expected


async def test_an_empty_word_offers_values_before_names() -> None:
    expected = ["/rb sma_crossover", "/rb rsi", '/rb "내 전략"', *(f"/rb {name}" for name in FREE)]
    assert await values("/rb ") == expected


async def test_an_item_has_the_word_alone_and_says_what_it_is() -> None:
    name, *_ = await complete(REGISTRY, CONTEXT, "/run")
    assert (name.label, name.detail) == ("/run_backtest", "Run a strategy over prices")
    value, *_ = await complete(REGISTRY, CONTEXT, "/rb sma")
    assert (value.label, value.detail) == ("sma_crossover", "two averages")
    parameter, *_ = await complete(REGISTRY, CONTEXT, "/rb rsi AAPL fe")
    assert (parameter.label, parameter.detail) == ("fee=", "Fraction of each side")


def test_a_prefix_comes_before_a_substring_and_that_before_a_subsequence() -> None:
    assert [rank("ab", name) for name in ("ABC", "cab", "axb", "ba")] == [0, 1, 2, None]


async def test_there_are_never_more_than_twenty() -> None:
    async def many(ctx: CommandContext, raw: object) -> list[Candidate]:
        return [Candidate(f"s{n}") for n in range(500)]

    spec = CommandSpec(
        name="many",
        family="x",
        summary="Many",
        parameters=RunParameters,
        run=echo,
        example="/many",
        completers={"strategy": many},
        extra_names=many,
    )
    registry = Registry([spec])
    assert len(await complete(registry, CONTEXT, "/many s")) == 20
    assert len(await complete(registry, CONTEXT, "/many a b s")) == 20


async def test_a_completer_sees_what_was_given_so_far() -> None:
    seen: list[dict[str, object]] = []

    async def watch(ctx: CommandContext, raw: object) -> list[Candidate]:
        assert isinstance(raw, dict)
        seen.append(raw)
        return []

    spec = CommandSpec(
        name="watch",
        family="x",
        summary="Watch",
        parameters=RunParameters,
        run=echo,
        example="/watch",
        completers={"timeframe": watch},
    )
    await complete(Registry([spec]), CONTEXT, "/watch rsi A,B x=1 --fee 2 timeframe=")
    assert seen == [{"strategy": "rsi", "symbols": ["A", "B"], "fee": "2", "x": "1"}]


@settings(deadline=None)
@given(
    st.one_of(
        st.text(),
        st.text(alphabet="/rb re'\"“「=:,- \t　—[{가", max_size=30),
        st.text(alphabet="a =:'\"-,[ ", max_size=20).map("/run_backtest ".__add__),
    )
)
async def test_no_input_breaks_completion(text: str) -> None:
    items = await complete(REGISTRY, CONTEXT, text)
    assert len(items) <= 20
    assert all(item.value and item.label for item in items)


async def test_the_names_of_the_registry_are_the_ones_offered() -> None:
    names = {RUN.name, "help", "rename", "compare_strategies"}
    assert {value.lstrip("/") for value in await values("/")} == names

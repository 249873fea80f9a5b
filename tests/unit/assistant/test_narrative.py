"""Figures of a report: what stands in the results is believed, everything else is not."""

import pytest

from chatops.assistant.narrative import unfounded

FACTS = """\
sma_crossover ranks first: Sharpe ratio 0.84, total return 1,234.5 %, maximum drawdown -23.45 %.
Place 2: momentum: trades 17, final equity 112,345.67, var_95 -1.90 %
From 2011-01-03 to 2012-12-31. 41.3 % of 1,000 paths."""


@pytest.mark.parametrize(
    "text",
    [
        "sma_crossover returned 1,234.5 %, or 1234.5%, with a Sharpe ratio of 0.84 (0.8).",
        "Its drawdown of 23.45 % (about 23.5%, or 23 %) is deeper than −1.9 %.",
        "Since 2011 it made 17 trades and ended with 112,346; VaR95 and top5 are names.",
        "41.3 % of 1000 paths, from 2011-01-03 on.",
    ],
)
def test_figures_of_the_results_are_believed(text: str) -> None:
    assert unfounded(text, FACTS) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("A Sharpe ratio of 0.85.", ["0.85"]),
        ("A return of 1,243.5 %.", ["1,243.5 %"]),
        ("A drawdown of 32.45 %, not 23.45 %.", ["32.45 %"]),
        ("It made 18 trades.", ["18"]),
        ("More exact than told: 0.844.", ["0.844"]),
        ("1,000,000 paths.", ["1,000,000"]),
    ],
)
def test_figures_that_stand_nowhere_are_named(text: str, wrong: list[str]) -> None:
    assert unfounded(text, FACTS) == wrong

"""What the tables of a comparison say, in sentences; every number in them stands in a table.

Careful on purpose: a lead that chance could have made is called that, and the past no promise.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chatops.backtests.analysis.members import Member
from chatops.backtests.analysis.ranking import SCORED

SHORT_LIMIT = 500
LONG_LIMIT = 1000
CLEAR_LEAD = 0.9
"""Share of the Monte Carlo paths on which the first must end above the second to be called so."""

_NO_PROMISE = "Past results are no promise of future ones."
_UNDEFINED = "undefined"


def write_verdict(tables: Mapping[str, Any], runs: Sequence[Member]) -> dict[str, str]:
    """``summary`` and ``recommendation`` of 50 to 500 characters, ``reasoning`` of 50 to 1,000.

    Args:
        tables: ``strategies, ranking, correlation, monteCarlo, regimes`` of the comparison.
        runs: The members, in the order of ``strategies``.
    """
    order = _order(tables)
    return {
        "summary": _fit(_summary(tables, runs, order), SHORT_LIMIT),
        "recommendation": _fit(_recommendation(tables, order), SHORT_LIMIT),
        "reasoning": _fit(_reasoning(tables, runs, order), LONG_LIMIT),
    }


def _order(tables: Mapping[str, Any]) -> list[int]:
    """Indices of the strategies from first to last place; names are unique."""
    names = [each["name"] for each in tables["strategies"]]
    return [names.index(row["name"]) for row in tables["ranking"]]


def _summary(tables: Mapping[str, Any], runs: Sequence[Member], order: Sequence[int]) -> list[str]:
    start, end = (np.datetime_as_string(runs[0].ts[i], unit="D") for i in (0, -1))
    first, second = (tables["strategies"][index] for index in order[:2])
    sentences = [
        f"From {start} to {end} ({len(runs[0].ts):,} common bars) {first['name']} ranks first of"
        f" {len(runs)}: {_figures(first['metrics'])}.",
        f"{second['name']} is second: {_figures(second['metrics'])}.",
    ]
    if any(run.cut for run in runs):
        sentences.append("The runs cover different dates; only the common ones are compared.")
    if len(order) > 2:
        last = tables["strategies"][order[-1]]
        sentences.append(f"{last['name']} is last: {_figures(last['metrics'])}.")
    return sentences


def _recommendation(tables: Mapping[str, Any], order: Sequence[int]) -> list[str]:
    first, second = (tables["strategies"][index] for index in order[:2])
    ahead = tables["monteCarlo"]["ahead"]["matrix"][order[0]][order[1]]
    lead = f"it ends above {second['name']} on {_chance(ahead)} of the Monte Carlo paths"
    best = max(each["metrics"]["total_return"] or 0.0 for each in tables["strategies"])
    if best <= 0:
        opening = "None of these earned money over these dates: prefer none of them."
    elif (first["metrics"]["total_return"] or 0.0) <= 0:
        opening = f"{first['name']} ranks first by risk but did not earn money; {lead}."
    elif ahead >= CLEAR_LEAD:
        opening = f"On these figures prefer {first['name']}: {lead}."
    else:
        opening = (
            f"No clear preference: {first['name']} ranks first, but {lead}, so its lead is within"
            " the noise of the simulation."
        )
    risk = tables["monteCarlo"]["members"][order[0]]
    return [
        opening,
        f"Be ready for its risk: {_chance(risk['probabilityOfDrawdown30'])} of the paths fall by"
        f" more than 30 %, {_chance(risk['probabilityOfLoss'])} end with a loss.",
        _NO_PROMISE,
    ]


def _reasoning(
    tables: Mapping[str, Any], runs: Sequence[Member], order: Sequence[int]
) -> list[str]:
    words = ", ".join(name.replace("_", " ") for name in SCORED)
    scores = ", ".join(f"{row['name']} {row['score']:.1f}" for row in tables["ranking"])
    sentences = [f"The score is the mean of the ranks in {words}: {scores}."]
    if any(run.cut for run in runs):
        cut = ", ".join(run.name for run in runs if run.cut)
        sentences.append(f"Shortened to the common dates: {cut}.")
    sentences += _risk_sentences(tables, order)
    sentences += _correlation_sentence(tables)
    sentences += _regime_sentences(tables)
    return sentences


def _risk_sentences(tables: Mapping[str, Any], order: Sequence[int]) -> list[str]:
    simulated = tables["monteCarlo"]
    parts = [
        f"{simulated['members'][index]['name']}"
        f" {_percent(simulated['members'][index]['terminalReturn']['5'])} to"
        f" {_percent(simulated['members'][index]['terminalReturn']['95'])}"
        for index in order[:2]
    ]
    metrics = tables["strategies"][order[0]]["metrics"]
    return [
        f"Over {simulated['paths']:,} paths of {simulated['bars']:,} bars, 90 % of the total"
        f" returns lie in: {'; '.join(parts)}.",
        f"On its worst 5 % of bars {tables['strategies'][order[0]]['name']} returned"
        f" {_percent(metrics['cvar_95'])} on average (CVaR).",
    ]


def _correlation_sentence(tables: Mapping[str, Any]) -> list[str]:
    labels, matrix = tables["correlation"]["labels"], tables["correlation"]["matrix"]
    pairs = [
        (matrix[i][j], labels[i], labels[j])
        for i in range(len(labels))
        for j in range(i + 1, len(labels))
        if matrix[i][j] is not None
    ]
    if not pairs:
        return []
    value, one, other = min(pairs)
    return [f"The least alike are {one} and {other}: their returns correlate at {value:.2f}."]


def _regime_sentences(tables: Mapping[str, Any]) -> list[str]:
    sentences = []
    for regime in ("bear", "bull"):
        known = [
            (each["regimes"][regime]["annual_return"], each["name"])
            for each in tables["regimes"]["members"]
            if each["regimes"][regime]["annual_return"] is not None
        ]
        if known:
            value, name = max(known)
            sentences.append(
                f"Best in {regime} markets: {name} with {_percent(value)} a year of such days."
            )
    return sentences


def _figures(metrics: Mapping[str, Any]) -> str:
    sharpe = metrics["sharpe_ratio"]
    return (
        f"Sharpe ratio {_UNDEFINED if sharpe is None else f'{sharpe:.2f}'},"
        f" total return {_percent(metrics['total_return'])},"
        f" maximum drawdown {_percent(metrics['max_drawdown'])}"
    )


def _percent(value: float | None) -> str:
    return _UNDEFINED if value is None else f"{value * 100:,.1f} %"


def _chance(value: float) -> str:
    return f"{value * 100:.1f} %"


def _fit(sentences: Sequence[str], limit: int) -> str:
    """As many of the sentences, in order, as the limit holds; one that does not fit is left out."""
    text = ""
    for sentence in sentences:
        longer = f"{text} {sentence}".strip()
        if len(longer) <= limit:
            text = longer
    return text

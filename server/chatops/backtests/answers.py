"""What a person and a program are told about a job: its result's text and data.

Text is Markdown with the figures in a code block, so that it reads well in any chat client.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from chatops.backtests.job import Asker, Job
from chatops.backtests.proof import verdict_text
from chatops.dispatch.result import CommandResult

FRACTIONS = frozenset(
    {
        "total_return",
        "annual_return",
        "volatility",
        "max_drawdown",
        "var_95",
        "cvar_95",
        "win_rate",
        "exposure",
    }
)
"""Metrics that are shown in percent; on the wire they are fractions."""

_HEADLINE = (
    ("total_return", "total return"),
    ("annual_return", "annual return"),
    ("sharpe_ratio", "Sharpe"),
    ("sortino_ratio", "Sortino"),
    ("calmar_ratio", "Calmar"),
    ("max_drawdown", "max drawdown"),
    ("volatility", "volatility"),
    ("var_95", "VaR 95"),
    ("cvar_95", "CVaR 95"),
    ("win_rate", "win rate"),
    ("profit_factor", "profit factor"),
    ("trades", "trades"),
    ("exposure", "exposure"),
    ("final_equity", "final equity"),
)
METRICS = tuple(name for name, _ in _HEADLINE)

_FIGURE = re.compile(r"–?|-?[\d,.]+( ?(%|s|KiB|× \w+))?")


def figure(name: str, value: float | int | None) -> str:
    """Return a metric as people write it; an undefined one is a dash."""
    if value is None:
        return "–"
    if name in FRACTIONS:
        return f"{value * 100:,.2f} %"
    if name == "trades":
        return f"{value:d}" if isinstance(value, int) else f"{value:,.0f}"
    return f"{value:,.2f}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as an aligned text table in a code block.

    The first row is the heading. Columns of figures stand to the right, all else to the left.
    """
    if not rows:
        return ""
    columns = list(zip(*rows, strict=True))
    widths = [max(map(_width, column)) for column in columns]
    right = [all(_FIGURE.fullmatch(cell) for cell in column[1:]) for column in columns]
    lines = []
    for row in rows:
        cells = []
        for cell, width, is_figure in zip(row, widths, right, strict=True):
            space = " " * (width - _width(cell))
            cells.append(space + cell if is_figure else cell + space)
        lines.append("  ".join(cells).rstrip())
    return "```\n" + "\n".join(lines) + "\n```"


def _width(text: str) -> int:
    """Return how many columns of a terminal the text takes: two for each Korean letter."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def run_text(job: Job, title: str) -> str:
    """Return a completed backtest in words: what ran, its figures beside buy and hold."""
    data = job.summary or {}
    head = f"**{title}**, {data['start']} to {data['end']} ({data['bars']} bars)"
    by_symbol: Mapping[str, Mapping[str, Any]] = data.get("bySymbol") or {}
    columns = [("strategy", data["metrics"]), ("buy & hold", data["benchmark"])]
    columns += [(symbol, metrics) for symbol, metrics in list(by_symbol.items())[:5]]
    rows = [["", *(title for title, _ in columns)]]
    rows += [
        [label, *(figure(name, metrics.get(name)) for _, metrics in columns)]
        for name, label in _HEADLINE
    ]
    fall = data.get("drawdown")
    lines = [head, table(rows)]
    if fall:
        end = fall["recovery"] or "not recovered"
        lines.append(f"Deepest drawdown: {fall['peak']} → {fall['trough']} → {end}.")
    lines.append(f"Id `{job.id}` · proof `{job.fingerprint[:12]}` · `/rerun {job.id}` repeats it.")
    return "\n".join(lines)


def comparison_text(job: Job) -> str:
    """Return a completed comparison in words: ranking, figures, recommendation and reasons."""
    data = job.summary or {}
    order = [row["strategyId"] for row in data["ranking"]]
    members = data["strategies"]
    names = [row["name"] for row in data["ranking"]]
    by_name = {member["name"]: member["metrics"] for member in members}
    rows = [["", *(f"{place}. {name}" for place, name in enumerate(names, 1))]]
    rows += [
        [label, *(figure(metric, by_name[name].get(metric)) for name in names)]
        for metric, label in _HEADLINE
    ]
    lines = [f"**{job.title}**", table(rows)] if order else [f"**{job.title}**"]
    lines += [data["summary"], f"**Recommendation.** {data['recommendation']}", data["reasoning"]]
    return "\n\n".join(lines)


def answer(job: Job, asker: Asker) -> CommandResult:
    """Return the end of the command that asked for the job."""
    if job.state != "completed" or job.summary is None:
        message = last_word(job, asker)
        hint = job.failure.hint if job.failure else f"Type /rerun {job.id} to run it again."
        code = job.failure.code if job.failure else job.state
        error = {"code": code, "message": message, "hint": hint}
        text = f"{message} {hint}" if hint else message
        return CommandResult(text, {"backtestId": job.id, "error": error}, success=False)
    text = job_text(job, asker)
    if asker.joined != "created":
        text = f"{shared_word(job, asker)}\n\n{text}"
    elif repeated := job.summary.get("rerunOf"):
        text = f"{verdict_text(repeated)}\n\n{text}"
    return CommandResult(text, result_data(job, asker))


def job_text(job: Job, asker: Asker | None = None) -> str:
    """Return a completed job in words, under the title its asker gave it."""
    title = job.title if asker is None else title_for(job, asker)
    return run_text(job, title) if job.kind == "backtest" else comparison_text(job)


def title_for(job: Job, asker: Asker) -> str:
    """Return the job's title with the name of the strategy that this asker asked for."""
    named: str = job.spec.get("strategy_id", "")
    if asker.strategy is None or asker.strategy[0] == named:
        return job.title
    return job.title.replace(named, asker.strategy[0], 1)


def result_data(job: Job, asker: Asker | None = None) -> dict[str, Any]:
    """Return the ``data`` of a completed job's result, for the asker if there is one."""
    summary = dict(job.summary or {})
    if asker is not None and asker.joined != "created":
        summary.pop("rerunOf", None)  # who only joined has repeated nothing
    if asker is not None and asker.strategy is not None and "strategy" in summary:
        name, version = asker.strategy
        summary["strategy"] = {**summary["strategy"], "id": name, "version": version}
    return {
        "backtestId": job.id,
        **summary,
        "links": links(job),
        "fingerprint": job.fingerprint,
        "reused": asker is not None and asker.joined == "reused",
    }


def links(job: Job) -> dict[str, str]:
    """Return the paths of a job's downloads on this server."""
    base = f"/api/v1/backtests/{job.id}"
    names = {"chart": "chart.png", "report": "result.json"}
    if job.kind == "backtest":
        names |= {"equity": "equity.csv", "trades": "trades.csv"}
    else:
        names = {"chart": "chart.png", "report": "comparison.json", "metrics": "metrics.csv"}
    return {"self": base, **{key: f"{base}/{name}" for key, name in names.items()}}


def last_word(job: Job, asker: Asker) -> str:
    """Return what the final progress of the job says."""
    if job.state != "completed":
        return ending(job, title_for(job, asker))
    return shared_word(job, asker) if asker.joined == "reused" else f"{title_for(job, asker)}: done"


def ending(job: Job, title: str | None = None) -> str:
    """Say why an ended job has no result."""
    name = title or job.title
    if job.state == "cancelled":
        who = job.ended_by.name if job.ended_by else "the server"
        return f"{name} was cancelled by {who}."
    reason = job.failure.message if job.failure else "No reason is known."
    return f"{name} {'failed' if job.state == 'failed' else 'was interrupted'}: {reason}"


def shared_word(job: Job, asker: Asker) -> str:
    """Say that the asker got the result of an identical run."""
    who = "you" if asker.person.id == job.requested_by.id else job.requested_by.name
    asked = title_for(job, asker)
    name = "" if asked == job.title else f" ({job.title})"
    if asker.joined == "joined":
        return f"The same run{name} was under way for {who}; this is its result."
    when = f"{job.created_at:%Y-%m-%d %H:%M} UTC"
    return f"This is the result of {job.id}{name}, an identical run for {who} on {when}."

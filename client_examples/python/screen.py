"""What a session looks like in a terminal, and as plain lines where there is none."""

import re
import shutil
from datetime import datetime
from io import StringIO
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from streams import Writing

Payload = dict[str, Any]

_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "bright_red")
_ENDS = {
    "completed": ("✔", "green"),
    "reused": ("✔", "cyan"),
    "cancelled": ("■", "yellow"),
    "interrupted": ("■", "yellow"),
    "failed": ("✘", "red"),
}
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FENCE = re.compile(r"^```[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
_LOSS = re.compile(r"(?<![\w.])[-−][\d,.]+ ?%")


def width() -> int:
    """Columns of the terminal."""
    return shutil.get_terminal_size((100, 24)).columns


def height() -> int:
    """Lines of the terminal."""
    return shutil.get_terminal_size((100, 24)).lines


def ansi(*what: RenderableType) -> str:
    """Return each of them as text with the terminal's colour codes."""
    console = Console(
        file=StringIO(), force_terminal=True, color_system="standard", width=width() - 1
    )
    with console.capture() as captured:
        for one in what:
            console.print(one)
    return captured.get()


def person(author: Payload | None) -> Text:
    """A name in a colour that stays the same for this person."""
    if author is None or author["id"] == "assistant":
        return Text(author["name"] if author else "chatops", "bold")
    colour = _COLOURS[sum(author["id"].encode()) % len(_COLOURS)]
    return Text(author["name"], f"bold {colour}")


def body(text: str) -> RenderableType:
    """Markdown as chat means it: a line break is a break, a code block a table of figures."""
    parts: list[RenderableType] = []
    for number, part in enumerate(_FENCE.split(text)):
        if not part.strip():
            continue
        if number % 2:
            figures = Text(part.rstrip("\n"), no_wrap=True, overflow="ellipsis")
            figures.highlight_regex(_LOSS, "red")
            parts.append(Padding(figures, (1, 0, 1, 2)))
        else:
            breaks = re.sub(r"(?<!\n)\n(?!\n)", "  \n", part.strip("\n"))
            parts.append(Markdown(breaks, inline_code_theme=None))
    return Group(*parts)


def here(presence: Payload) -> str:
    """Who is in the room, and how many if they are too many to name."""
    members = presence["members"]
    names = ", ".join(one["name"] for one in members)
    return f"{presence.get('total', len(members))} here: {names}"


def banner(session_id: str, url: str) -> RenderableType:
    """The first line: where one is, and the keys to know."""
    return Text.assemble(
        ("chatops ", "bold cyan"),
        (session_id, "bold"),
        (f" · {url} · /help · Tab completes · Ctrl-C stops an answer · Ctrl-D leaves", "dim"),
    )


def message(entry: Payload) -> RenderableType:
    """A message: when, who, what, and of an answer how it came about."""
    content = entry["content"]
    metadata = entry.get("metadata") or {}
    said = Text(content, "bold bright_white") if "commandId" in metadata else body(content)
    if entry["role"] == "system":
        said = Text(content, "dim italic")
    elif entry["role"] == "assistant":
        said = Group(*map(_step, metadata.get("steps", ())), said, *_foot(metadata))
    return _row(clock(entry["timestamp"]), person(entry.get("author")), said)


def writing(one: Writing) -> RenderableType:
    """An answer as far as it is written, and what its writer does now."""
    parts = [body(safe(one.text))] if one.text else []
    doing = f"⚙ {safe(one.doing)}" if one.doing else "…"
    return _row("     ", Text("assistant", "bold"), Group(*parts, Text(doing, "dim cyan")))


def answer_id(entry: Payload) -> str | None:
    """Id of the message that has what a question's result says again."""
    found: str | None = (entry.get("data") or {}).get("messageId")
    return found


def words(entry: Payload) -> str:
    """What a command has to say in the end: of a question, its answer."""
    return str((entry.get("data") or {}).get("answer", entry["message"]))


def safe(what: Any) -> Any:
    """The same without control characters: what others say must not steer this terminal."""
    if isinstance(what, str):
        return _CONTROLS.sub("�", what)
    if isinstance(what, list):
        return [safe(one) for one in what]
    if isinstance(what, dict):
        return {key: safe(value) for key, value in what.items()}
    return what


def last_lines(text: str, count: int) -> str:
    """The end of what may be too long to show while it grows."""
    lines = text.splitlines(keepends=True)
    return "".join(lines if len(lines) <= count else ["…\n", *lines[-max(count - 1, 1) :]])


def result(entry: Payload) -> RenderableType:
    """The end of a command, framed."""
    good = entry["success"]
    title = Text(
        f" {'✔' if good else '✘'} {entry['command']} ", "bold green" if good else "bold red"
    )
    title.truncate(max(width() - 8, 20), overflow="ellipsis")
    took = entry["durationMs"] / 1000
    foot = Text(f" {entry['requestedBy']['name']} · {took:.1f} s ", "dim")
    return Panel(
        body(words(entry)),
        title=title,
        title_align="left",
        subtitle=foot,
        subtitle_align="right",
        box=box.ROUNDED,
        border_style="green" if good else "red",
        expand=False,
        padding=(0, 1),
    )


def problem(error: Payload) -> RenderableType:
    """What went wrong, and what to do."""
    text = Text.assemble(("✘ ", "bold red"), (error.get("message", "Something went wrong."), "red"))
    if error.get("hint"):
        text.append(f"\n  {error['hint']}", "yellow")
    return text


def note(text: str) -> RenderableType:
    """A line of the program itself."""
    return Text(f"· {text}", "dim italic")


def ended(job: Payload) -> RenderableType:
    """The line that stays when a job's bar goes."""
    sign, colour = _ENDS.get(job.get("outcome") or job["status"], ("·", "white"))
    text = job.get("message") or job["backtestId"]
    return Text.assemble((f"{sign} ", f"bold {colour}"), (text, colour), (f"  {_who(job)}", "dim"))


def state(job: Payload) -> str:
    """Phase, place in the queue and time to go, in words."""
    words = [job["phase"]]
    if job.get("queuePosition"):
        words.append(f"no. {job['queuePosition']} in the queue")
    if job.get("etaSeconds") is not None:
        minutes, seconds = divmod(job["etaSeconds"], 60)
        words.append(f"{minutes}:{seconds:02} to go")
    return " · ".join(words)


def bars(jobs: list[Payload]) -> RenderableType:
    """One bar a job."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=40)
    table.add_column(width=24)
    table.add_column(width=5, justify="right", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for job in jobs:
        table.add_row(
            Text(_title(job), "bold"),
            ProgressBar(total=100, completed=job["progress"], width=24, finished_style="green"),
            Text(f"{job['progress']} %", "cyan"),
            Text(f"{state(job)} · {_who(job)}", "dim"),
        )
    return table


def _row(when: str, who: Text, said: RenderableType) -> RenderableType:
    row = Table.grid(padding=(0, 1))
    row.add_column(no_wrap=True)
    row.add_column(no_wrap=True)
    row.add_column(ratio=1)
    row.add_row(Text(when, "dim"), who, said)
    return row


def _step(step: Payload) -> RenderableType:
    """A command that the assistant ran for its answer."""
    sign, colour = ("✔", "green") if step["success"] else ("✘", "red")
    line = Text.assemble(
        (f"{sign} ", colour),
        (step["command"], "cyan"),
        (f"  {step['durationMs'] / 1000:.1f} s", "dim"),
    )
    return Group(line, Text(f"  {step['summary']}", "dim", no_wrap=True, overflow="ellipsis"))


def _foot(metadata: Payload) -> list[RenderableType]:
    """What a reader of an answer must know: which figures nothing bears out, and whose it is."""
    feet: list[RenderableType] = []
    unverified = [one["text"] for one in metadata.get("figures", ()) if not one["verified"]]
    if unverified:
        figures = ", ".join(dict.fromkeys(unverified))
        feet.append(Text(f"⚠ no result bears out: {figures}", "yellow"))
    if model := metadata.get("model"):
        again = " · given before" if metadata.get("cached") else ""
        feet.append(Text(f"{model}{again}", "dim"))
    return feet


def clock(timestamp: str) -> str:
    """The wire's time as hours and minutes here."""
    return datetime.fromisoformat(timestamp).astimezone().strftime("%H:%M")


def _title(job: Payload) -> str:
    """What runs: the message without the phase that it ends with."""
    text = job.get("message") or job["backtestId"]
    return str(text).rsplit(": ", 1)[0]


def _who(job: Payload) -> str:
    return str(job["requestedBy"]["name"])


def progress_line(job: Payload) -> str:
    """Where a job stands, as a line of text."""
    return f"[{job['progress']:3d} %] {_title(job)}: {state(job)} ({_who(job)})"

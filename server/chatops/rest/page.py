"""The plain front page: what runs here, and how to connect."""

from html import escape
from importlib.resources import files
from typing import Any


def front_page(facts: dict[str, Any]) -> str:
    """Return the page with the server's facts filled in."""
    rows = "\n".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in facts.items()
    )
    return _asset("index.html").replace("<!-- facts -->", rows)


def style_sheet() -> str:
    """Return the page's style sheet."""
    return _asset("style.css")


def _asset(name: str) -> str:
    return files("chatops.rest").joinpath("assets", name).read_text(encoding="utf-8")

"""The pages: what runs here and how to connect, and where the HTTP interface is tried."""

from html import escape
from importlib.resources import files
from typing import Any


def front_page(facts: dict[str, Any]) -> str:
    """Return the page with the server's facts filled in."""
    rows = "\n".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in facts.items()
    )
    return asset("index.html").replace("<!-- facts -->", rows)


def asset(name: str) -> str:
    """Return a file of the pages."""
    return files("chatops.rest").joinpath("assets", name).read_text(encoding="utf-8")

"""What a check of the installation found, in words for an operator; never a secret."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``chatops doctor``.

    Attributes:
        check: What was looked at, a word or two.
        state: ``failed`` is what keeps the server from its work, ``warning`` what will hurt.
        found: What is so.
        advice: What to do, or None when nothing is.
    """

    check: str
    state: State
    found: str
    advice: str | None = None


def ok(check: str, found: str) -> Finding:
    """Return that nothing is to be done."""
    return Finding(check, "ok", found)


def warning(check: str, found: str, advice: str) -> Finding:
    """Return that it works, and what had better be done."""
    return Finding(check, "warning", found, advice)


def failed(check: str, found: str, advice: str) -> Finding:
    """Return that it does not work, and what must be done."""
    return Finding(check, "failed", found, advice)


def without_secrets(url: str) -> str:
    """Return scheme, hosts and path of an address; user, password and options stay behind.

    An address that cannot be taken apart for sure is shown as its scheme alone.
    """
    scheme, found, rest = url.partition("://")
    if not found:
        return "***"
    before, _, after = rest.rpartition("@")
    if "?" in before:
        return f"{scheme}://***"
    return f"{scheme}://{after.partition('?')[0]}"

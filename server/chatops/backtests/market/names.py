"""How symbols and files of bars are called; knows no library, so that the server may import it."""

import re
from pathlib import Path

from chatops.backtests.requests import TIMEFRAMES
from chatops.errors import BadParameterError

BUNDLED_FOLDER = Path(__file__).parent / "bundled"
"""Prices that come with the package; a file of the same name in the user's folder hides them."""

SUFFIX = ".parquet"

# No slash, no backslash and no leading dot: a symbol can never name a file of another folder.
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9._^=-]{0,31}")


def is_symbol(text: str) -> bool:
    """Whether ``text`` may be a symbol as it stands (upper case)."""
    return _SYMBOL.fullmatch(text) is not None


def check_symbol(text: str) -> str:
    """The symbol itself.

    Raises:
        BadParameterError: It is not a symbol.
    """
    if not is_symbol(text):
        raise BadParameterError(
            f"{text[:40]!r} is not a symbol.",
            "A symbol has 1 to 32 characters: capital letters, digits and . _ ^ = - after the first"
            " one.",
        )
    return text


def check_timeframe(text: str) -> str:
    """The timeframe itself.

    Raises:
        BadParameterError: It is not one of ``TIMEFRAMES``.
    """
    if text not in TIMEFRAMES:
        raise BadParameterError(
            f"{text[:40]!r} is not a timeframe.", f"Use one of {', '.join(TIMEFRAMES)}."
        )
    return text


def bars_path(folder: Path, symbol: str, timeframe: str) -> Path:
    """The file ``<SYMBOL>.<timeframe>.parquet`` in ``folder``.

    Raises:
        BadParameterError: Symbol or timeframe is malformed.
    """
    return folder / f"{check_symbol(symbol)}.{check_timeframe(timeframe)}{SUFFIX}"


def split_stem(stem: str) -> tuple[str, str | None]:
    """Symbol and timeframe of a file's name without its ending; no timeframe if it names none.

    ``"BRK.B.1d"`` is ``("BRK.B", "1d")``. The symbol is upper case and not checked.
    """
    symbol, dot, timeframe = stem.rpartition(".")
    if dot and timeframe.lower() in TIMEFRAMES:
        return symbol.upper(), timeframe.lower()
    return stem.upper(), None

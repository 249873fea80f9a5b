"""Results of tools as a model reads them: a small summary with references, the rest on demand.

A reference names a figure by the way to it in the result: ``r1.sharpe_ratio``,
``r1.benchmark.total_return``, ``r2.macd.max_drawdown``, ``r2.correlation.macd_aapl.rsi_aapl``.
Case and punctuation do not count, and what only groups (``metrics``, ``bySymbol``) may be left out.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from chatops.backtests.answers import FRACTIONS, METRICS, figure
from chatops.dispatch.wording import shorten, snake
from chatops.protocol.strictjson import dumps

SUMMARY = 1_500
"""Characters of what a model is told of a result at once."""

PAGE = 3_000
"""Characters of what it may read more at once."""

MISSING: Any = object()

CURVES = frozenset({"points", "drawdownPoints", "fan", "provenance"})
"""What holds numbers in a mass, or none of a run; nothing there is a figure until it is read."""

_FACTS = 600
_MORE = 200
_GROUPS = ("metrics", "bySymbol", "strategies", "ranking", "members", "regimes", "backtests")
_LABELS = ("strategyId", "name", "symbol", "backtestId", "id")
_ASIDE = CURVES | {"fingerprint", "links", "engine", "ranks", "correlation", "monteCarlo"}
_ASIDE |= {"regimes", "summary", "reasoning"}
_SETTINGS = frozenset({"params", "cash", "fee", "lookback", "threshold"})
_PARTS = FRACTIONS | {"share", "fee", "threshold", "historic_drawdown", "terminal_return", "ahead"}
_HEADLINES = ("total_return", "sharpe_ratio", "max_drawdown", "trades", "win_rate", "annual_return")
_ORDER = {name: place for place, name in enumerate(dict.fromkeys((*_HEADLINES, *METRICS)))}

Path = tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """What a tool gave.

    Attributes:
        handle: What the model calls it, ``r1``.
        text: For a person.
        data: For a program; JSON values.
    """

    handle: str
    text: str
    data: Mapping[str, Any]

    @cached_property
    def figures(self) -> list[tuple[str, str]]:
        """The figures with their references, the most telling ones first."""
        return listed(self.handle, self.data)

    def summary(self) -> str:
        """Return compact JSON of at most ``SUMMARY`` characters."""
        told: dict[str, Any] = {"result": self.handle, "success": True}
        if not self.figures:
            return self._worded(told)
        told["facts"] = _facts(self.data)
        told["figures"] = shown = {}
        room = SUMMARY - _MORE - len(dumps(told))
        for name, wording in self.figures:
            room -= len(name) + len(wording) + 10
            if room < 0:
                break
            shown[f"{{{{{name}}}}}"] = wording
        rest = ", ".join(key for key in self.data if key not in told["facts"])
        left = len(self.figures) - len(shown)
        told["more"] = shorten(f"by read_result: {left} more figures; {rest}", _MORE - 20)
        return dumps(told)

    def _worded(self, told: dict[str, Any]) -> str:
        """Return the summary of a result without figures: its text, as much as there is room."""
        length = len(self.text)
        while len(dumps(told | {"text": self.text[:length]})) > SUMMARY - 100:
            length = min(length - 1, SUMMARY) * 9 // 10  # what JSON escapes takes more room
        told["text"] = self.text[:length]
        if length < len(self.text):
            told["more"] = f'by read_result: path "text", offset {length}'
        return dumps(told)

    def read(self, path: str, offset: int) -> str | None:
        """Return a page of the text (``text``) or of the data; None if nothing is there."""
        found = self.text if path == "text" else find(self.data, path)
        if found is MISSING:
            return None
        whole = found if isinstance(found, str) else dumps(found)
        page = whole[offset : offset + PAGE]
        if offset + PAGE >= len(whole):
            return page
        return f"{page}\n[{len(whole)} characters; more from offset {offset + PAGE}]"


def find(data: Any, path: str) -> Any:
    """Return what is at the path, or ``MISSING``; the empty path is all."""
    return _find(data, [_word(part) for part in path.split(".")] if path else [])


def words(value: Any, path: Sequence[str]) -> str | None:
    """Return a figure as people write it, or None if it is none."""
    if value is None or (isinstance(value, str) and len(value) <= 100):
        return figure("", value) if value is None else value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if is_part(path):
        return figure("total_return", value)
    return f"{value:,d}" if isinstance(value, int) else figure(path[-1], value)


def is_part(path: Sequence[str]) -> bool:
    """Whether the figure there is a part of one, which people write in percent."""
    names = [snake(name) for name in path]
    return "ranks" not in names and any(
        name in _PARTS or name.startswith("probability_") for name in names
    )


def leaves(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield each value with the names that lead to it; curves and proofs are left out."""
    if isinstance(node, dict | list):
        for name, child in _children(node):
            if name not in CURVES:
                yield from leaves(child, (*path, name))
    else:
        yield path, node


def listed(handle: str, data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the figures with their references, the most telling ones first."""
    ways = [(path, _short(path), value) for path, value in leaves(data)]
    count = Counter(short for _, short, _ in ways)
    found = []
    for path, short, value in ways:
        if _is_figure(path, value):
            # Where two would have one name, what groups them tells them apart.
            name = short if count[short] == 1 else tuple(map(_word, path))
            order = (len(name), _ORDER.get(path[-1], len(_ORDER)))
            found.append((order, ".".join([handle, *name]), words(value, path) or ""))
    return [(name, wording) for _, name, wording in sorted(found, key=lambda one: one[0])]


def _short(path: Path) -> Path:
    return tuple(_word(name) for name in path if name not in _GROUPS)


def _is_figure(path: Path, value: Any) -> bool:
    if not _SETTINGS.isdisjoint(path) or "ranks" in path:
        return False
    is_metric = path[-1] in METRICS and isinstance(value, int)
    return isinstance(value, float) or (is_metric and not isinstance(value, bool))


@lru_cache(maxsize=4096)
def _word(name: str) -> str:
    """Return a name as it is compared."""
    return re.sub(r"[\W_]+", "_", snake(name)).strip("_")


def _children(node: Any) -> list[tuple[str, Any]]:
    """Return what is below, each under a name of its own."""
    if isinstance(node, dict):
        if node.keys() >= {"labels", "matrix"}:
            rows = (dict(zip(node["labels"], row, strict=False)) for row in node["matrix"])
            return list(zip(node["labels"], rows, strict=False))
        return list(node.items())
    for label in _LABELS:
        names = [str(item[label]) for item in node if isinstance(item, dict) and item.get(label)]
        if len(set(map(_word, names))) == len(node):
            return list(zip(names, node, strict=True))
    return [(str(place), item) for place, item in enumerate(node)]


def _by_name(node: Any) -> dict[str, Any]:
    """Return what is below by every name that means one thing alone."""
    if isinstance(node, dict):
        return {_word(name): child for name, child in (*node.items(), *_children(node))}
    if not isinstance(node, list):
        return {}
    named = [(str(place), item) for place, item in enumerate(node)]
    for item in (one for one in node if isinstance(one, dict)):
        names = {_word(str(item[label])) for label in _LABELS if item.get(label)}
        named += [(name, item) for name in names]
    count = Counter(name for name, _ in named)
    return {name: item for name, item in named if count[name] == 1}


def _find(node: Any, parts: list[str]) -> Any:
    if not parts:
        return node
    children = _by_name(node)
    for length in range(1, len(parts) + 1):  # a name may have dots of its own
        name = "_".join(parts[:length])
        if name in children and (found := _find(children[name], parts[length:])) is not MISSING:
            return found
    if isinstance(node, dict):
        for group in _GROUPS:
            if group in node and (found := _find(node[group], parts)) is not MISSING:
                return found
    return MISSING


def _facts(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is no figure, as much as there is room for."""
    told: dict[str, Any] = {}
    for width, text in ((8, 200), (5, 120), (5, 60), (3, 40), (1, 20)):
        told = _pruned(data, (), width, text) or {}
        if len(dumps(told)) <= _FACTS:
            break
    return told


def _pruned(node: Any, path: Path, width: int, text: int) -> Any:
    """Return the node without figures and what is read on demand; None if nothing is left."""
    if isinstance(node, dict):
        kept = {
            name: told
            for name, child in node.items()
            if name not in _ASIDE
            and (told := _pruned(child, (*path, name), width, text)) not in (None, {}, [])
        }
        return dict(list(kept.items())[: 3 * width])
    if isinstance(node, list):
        return [_pruned(item, path, width, text) for item in node[:width]]
    if isinstance(node, str):
        return shorten(node, text)
    return None if _is_figure(path or ("",), node) else node

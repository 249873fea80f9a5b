"""What could stand at the end of an unfinished command line."""

from collections.abc import Iterable, Sequence
from typing import Any

from chatops.dispatch.allotment import Allotment, allot
from chatops.dispatch.binding import quote
from chatops.dispatch.parser import Word, is_command, name_start, scan
from chatops.dispatch.registry import Registry
from chatops.dispatch.signature import Kind, Parameter, Signature, signature_of
from chatops.dispatch.spec import Candidate, CommandContext, CommandSpec, Completer, Completion
from chatops.dispatch.usage import kind_words
from chatops.dispatch.wording import DASHES, key, nfc, plain, shorten, snake
from chatops.errors import UnknownCommandError

MAX_ITEMS = 20
MAX_DETAIL = 80


async def complete(registry: Registry, ctx: CommandContext, text: str) -> list[Completion]:
    """Return at most 20 completions of the last word of ``text``, the likeliest first.

    Names are ranked by prefix, then substring, then subsequence. Odd input has no completions.
    Cancelling it is safe. What a completer of the command raises passes through.
    """
    if not is_command(text):
        return []
    begin = name_start(text)
    name = text[begin:].split(maxsplit=1)[:1]
    if not name or text[begin : begin + 1].isspace() or text == text[:begin] + name[0]:
        return _command_names(registry, text[:begin], "".join(name))
    try:
        spec = registry.find(name[0])
    except UnknownCommandError:
        return []
    return await _Line(spec, ctx, text, begin + len(name[0])).complete()


def rank(typed: str, option: str) -> int | None:
    """Return 0 for a prefix, 1 for a substring, 2 for a subsequence, None for no match."""
    word, name = nfc(typed).lower(), option.lower()
    if name.startswith(word):
        return 0
    if word in name:
        return 1
    letters = iter(name)
    return 2 if all(letter in letters for letter in word) else None


def _best(typed: str, candidates: Iterable[Candidate]) -> list[Candidate]:
    ranked = [(rank(typed, c.value), c) for c in {c.value: c for c in candidates}.values()]
    matching = [(place, c) for place, c in ranked if place is not None]
    # The sort is stable: among equals the order of the completer stays.
    return [c for _, c in sorted(matching, key=lambda pair: pair[0])][:MAX_ITEMS]


def _command_names(registry: Registry, slash: str, typed: str) -> list[Completion]:
    found: list[tuple[int, Completion]] = []
    for spec in (spec for family in registry.specs().values() for spec in family):
        places = [(rank(snake(typed), name), name) for name in (spec.name, *spec.aliases)]
        matching = [(place, name) for place, name in places if place is not None]
        if matching:
            place, name = min(matching, key=lambda pair: pair[0])
            item = Completion(f"{slash}{name}", f"/{name}", shorten(spec.summary, MAX_DETAIL))
            found.append((place, item))
    return [item for _, item in sorted(found, key=lambda pair: pair[0])][:MAX_ITEMS]


class _Line:
    """One unfinished line of a known command."""

    def __init__(
        self, spec: CommandSpec[Any], ctx: CommandContext, text: str, after_name: int
    ) -> None:
        self._spec = spec
        self._ctx = ctx
        self._text = text
        self._signature: Signature = signature_of(spec.parameters)
        found = scan(text, after_name)
        words = list(found.words)
        unfinished = bool(words) and (found.open_quote is not None or not text[-1].isspace())
        self._last = words.pop() if unfinished else Word("", start=len(text), value_start=len(text))
        self._flag = self._open_flag(words)
        given = allot(self._signature, words[:-1] if self._flag else words)
        self._given: Allotment = given
        self._raw: dict[str, Any] = {
            p.name: texts if p.kind is Kind.LIST else texts[0]
            for p in self._signature.parameters
            if (texts := given.fields.get(p.name)) is not None
        } | given.extra

    def _open_flag(self, words: Sequence[Word]) -> Parameter | None:
        """Return the parameter whose ``--name`` stands last and waits for its value."""
        last = words[-1] if words else None
        if last is None or last.name is None or last.value is not None:
            return None
        parameter = self._signature.find(last.name)
        return parameter if parameter and parameter.kind is not Kind.FLAG else None

    async def complete(self) -> list[Completion]:
        last = self._last
        if last.name is not None and last.value is not None:
            parameter = self._signature.find(last.name)
            return await self._values(parameter, last.value) if parameter else []
        if last.value is None:
            return await self._names(last.name or "", "--")
        if last.value and not last.value.strip(DASHES):
            return await self._names("", "--")
        typed = last.value
        if self._flag:
            return await self._values(self._flag, typed)
        values = await self._values(self._next_positional(), typed)
        quoted = self._text[last.value_start : last.value_start + 1] not in ("", typed[:1])
        names = [] if quoted else await self._names(typed, "")
        return [*values, *names][:MAX_ITEMS]

    def _next_positional(self) -> Parameter | None:
        for parameter in self._signature.positional:
            if parameter.kind is Kind.LIST or parameter.name not in self._given.fields:
                return parameter
        return None

    async def _values(self, parameter: Parameter | None, typed: str) -> list[Completion]:
        if parameter is None:
            return []
        done, comma, part = (
            typed.rpartition(",") if parameter.kind is Kind.LIST else ("", "", typed)
        )
        candidates = await self._candidates(parameter)
        head = self._text[: self._last.value_start]
        return [
            Completion(
                head + quote(f"{done}{comma}{c.value}"), c.value, shorten(c.detail, MAX_DETAIL)
            )
            for c in _best(part, candidates)
        ]

    async def _candidates(self, parameter: Parameter) -> Sequence[Candidate]:
        completer = self._spec.completers.get(parameter.name)
        if completer is not None:
            return await self._ask(completer)
        if parameter.choices:
            return [Candidate(plain(choice)) for choice in parameter.choices]
        if parameter.types == (bool,):
            return [Candidate("true"), Candidate("false")]
        return []

    async def _ask(self, completer: Completer) -> Sequence[Candidate]:
        return await completer(self._ctx, dict(self._raw))

    async def _names(self, typed: str, dashes: str) -> list[Completion]:
        """Return the names that are still free, with ``=`` or, for a flag, ``--``."""
        free = [
            p
            for p in self._signature.parameters
            if p.kind is not Kind.OPEN and p.name not in self._given.fields
        ]
        labels: dict[str, str] = {}
        candidates: list[Candidate] = []
        for p in free:
            labels[p.name] = f"--{p.name}" if p.kind is Kind.FLAG else f"{dashes}{p.name}="
            candidates.append(Candidate(p.name, p.description or kind_words(p)))
        if self._spec.extra_names is not None:
            taken = {key(name) for name in self._given.extra}
            for extra in await self._ask(self._spec.extra_names):
                if key(extra.value) not in taken:
                    labels[extra.value] = f"{dashes}{extra.value}="
                    candidates.append(extra)
        head = self._text[: self._last.start]
        return [
            Completion(head + labels[c.value], labels[c.value], shorten(c.detail, MAX_DETAIL))
            for c in _best(snake(typed), candidates)
        ]

"""Puts an answer together from the pieces in which it comes.

Nothing of a piece is believed before it has been looked at: providers leave out what they like,
and the library checks nothing.
"""

from dataclasses import dataclass, field, replace
from typing import Any, get_args

from chatops.assistant.messages import Completion, Delta, Finish, Tokens, ToolCall

_MAX_TOKENS = 10**9


class MalformedError(ValueError):
    """A piece is not of the interface."""


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class Hearing:
    """What has been heard of one answer.

    Attributes:
        anything: Whether anything has come at all.
        finish: Why the answer ended, or None where it has not.
        broken: Whether it broke off: then its tool calls are not to be trusted.
    """

    def __init__(self) -> None:
        self.anything = False
        self.broken = False
        self.finish: Finish | None = None
        self._usage: Tokens | None = None
        self._said: list[str] = []
        self._calls: dict[int, _Call] = {}

    def take(self, chunk: Any) -> Delta | None:
        """Add a piece, as JSON values; return the text in it, if there is any.

        Raises:
            MalformedError: It is not of the interface.
        """
        choices = _object(chunk).get("choices")
        if not isinstance(choices, list):
            raise MalformedError("a chunk without choices")
        self.anything = True
        if (usage := chunk.get("usage")) is not None:
            self._usage = _tokens(_object(usage))
        # The piece that has the usage has no choice.
        return self._take_choice(_object(choices[0])) if choices else None

    def _take_choice(self, choice: dict[str, Any]) -> Delta | None:
        reason = choice.get("finish_reason")
        delta = choice.get("delta")
        # Some leave the delta out of the last piece.
        heard = None if delta is None and reason is not None else self._take_delta(_object(delta))
        if reason is not None:
            self.finish = _finish(reason)
        return heard

    def _take_delta(self, delta: dict[str, Any]) -> Delta | None:
        for fragment in _list(delta.get("tool_calls")):
            self._join(_object(fragment))
        text = _text(delta.get("content")) or _text(delta.get("refusal"))
        if not text:
            return None
        self._said.append(text)
        return Delta(text)

    def completion(self) -> Completion:
        """Return what has been heard; tool calls only of a whole answer: half of one could run."""
        calls: tuple[ToolCall, ...] = ()
        if self.finish in ("stop", "tool_calls") and not self.broken:
            calls = tuple(self._call(index) for index in sorted(self._calls))
            if len({call.id for call in calls}) < len(calls):  # each has a result of its own
                calls = tuple(replace(one, id=f"{one.id}_{n}") for n, one in enumerate(calls))
        return Completion(
            text="".join(self._said),
            tool_calls=calls,
            finish=self.finish,
            usage=self._usage,
            pieces=len(self._said),
        )

    def _call(self, index: int) -> ToolCall:
        call = self._calls[index]
        return ToolCall(call.id or f"call_{index}", call.name, "".join(call.arguments))

    def _join(self, fragment: dict[str, Any]) -> None:
        index = fragment.get("index")
        if type(index) is not int:  # from those that send each call in one piece
            index = len(self._calls)
        call = self._calls.setdefault(index, _Call())
        function = _object(fragment.get("function"))
        call.id = call.id or _text(fragment.get("id"))
        call.name = call.name or _text(function.get("name"))
        if not call.name:
            raise MalformedError("a tool call without a name")
        call.arguments.append(_text(function.get("arguments")))


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedError("no object where one must be")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list | None):
        raise MalformedError("no list where one must be")
    return value or []


def _text(value: Any) -> str:
    """Return text that can be written: JSON can hold halves of characters. None is no text."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedError("no text where some must be")
    if value.isascii():
        return value
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _finish(reason: Any) -> Finish | None:
    if reason == "function_call":
        return "tool_calls"
    if reason == "error":  # so some say that they have broken off
        return None
    if reason in get_args(Finish):
        known: Finish = reason
        return known
    # Others have words of their own for an end like any other.
    return "stop"


def _tokens(usage: dict[str, Any]) -> Tokens:
    details = usage.get("prompt_tokens_details")
    cached = None if details is None else _object(details).get("cached_tokens")
    told = _count(usage.get("prompt_tokens"))
    return Tokens(
        input=told,
        output=_count(usage.get("completion_tokens")),
        cached=min(_count(cached or 0), told),
    )


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_TOKENS:
        raise MalformedError("a usage that counts nothing")
    return value

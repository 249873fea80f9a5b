"""Puts an answer together from the pieces in which it comes.

The library checks no piece: what a provider leaves out is missing, and what it makes up is there.
So nothing of a piece is believed before it has been looked at.
"""

from dataclasses import dataclass, field
from typing import Any, get_args

from chatops.assistant.messages import Completion, Delta, Finish, Tokens, ToolCall


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
        self._text: list[str] = []
        self._calls: dict[int, _Call] = {}

    def take(self, chunk: Any) -> Delta | None:
        """Add a piece; return the text in it, if there is any.

        Raises:
            MalformedError: It is not of the interface.
        """
        choices = getattr(chunk, "choices", None)
        if not isinstance(choices, list):
            raise MalformedError("a chunk without choices")
        self.anything = True
        if (usage := getattr(chunk, "usage", None)) is not None:
            self._usage = _tokens(usage)
        # The piece that has the usage has no choice.
        return self._take_choice(choices[0]) if choices else None

    def _take_choice(self, choice: Any) -> Delta | None:
        delta = getattr(choice, "delta", None)
        if (reason := getattr(choice, "finish_reason", None)) is not None:
            self.finish = _finish(reason)
        elif delta is None:
            raise MalformedError("a choice without anything")
        if delta is None:  # some leave it out of the last piece
            return None
        fragments = getattr(delta, "tool_calls", None) or []
        if not (hasattr(delta, "content") and isinstance(fragments, list)):
            raise MalformedError("a delta that is none")
        for fragment in fragments:
            self._join(fragment)
        text = getattr(delta, "content", None) or getattr(delta, "refusal", None) or ""
        if not isinstance(text, str):
            raise MalformedError("text that is no text")
        if not text:
            return None
        text = _sound(text)
        self._text.append(text)
        return Delta(text)

    def completion(self) -> Completion:
        """Return what has been heard; tool calls only of a whole answer: half of one could run."""
        calls: tuple[ToolCall, ...] = ()
        if self.finish in ("stop", "tool_calls") and not self.broken:
            calls = tuple(self._call(index) for index in sorted(self._calls))
        return Completion(
            text="".join(self._text),
            tool_calls=calls,
            finish=self.finish,
            usage=self._usage,
            pieces=len(self._text),
        )

    def _call(self, index: int) -> ToolCall:
        call = self._calls[index]
        return ToolCall(call.id or f"call_{index}", call.name, "".join(call.arguments))

    def _join(self, fragment: Any) -> None:
        index = getattr(fragment, "index", None)
        if not isinstance(index, int):  # from those that send each call in one piece
            index = len(self._calls)
        call = self._calls.setdefault(index, _Call())
        function = getattr(fragment, "function", None)
        name = getattr(function, "name", None) or ""
        arguments = getattr(function, "arguments", None) or ""
        call_id = getattr(fragment, "id", None) or ""
        if not (isinstance(name, str) and isinstance(arguments, str) and isinstance(call_id, str)):
            raise MalformedError("a tool call that is none")
        call.id = call.id or call_id
        call.name = call.name or name
        if not call.name:
            raise MalformedError("a tool call without a name")
        call.arguments.append(_sound(arguments))


def _sound(text: str) -> str:
    """Return text that can be written: JSON can hold halves of characters."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


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


def _tokens(usage: Any) -> Tokens:
    details = getattr(usage, "prompt_tokens_details", None)
    counts = (
        getattr(usage, "prompt_tokens", None),
        getattr(usage, "completion_tokens", None),
        getattr(details, "cached_tokens", None) or 0,
    )
    if not all(type(count) is int and count >= 0 for count in counts):
        raise MalformedError("a usage that counts nothing")
    told, said, cached = (int(count or 0) for count in counts)
    return Tokens(input=told, output=said, cached=min(cached, told))

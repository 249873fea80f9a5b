"""What is said to a model and what it says: our own types, so nobody else sees a library's."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]

Finish = Literal["stop", "length", "tool_calls", "content_filter"]
"""Why a model ended: it was done, it met the limit of tokens, it wants tools, it was silenced."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to have a tool run.

    Attributes:
        id: What the tool's answer refers to.
        name: Of the tool.
        arguments: JSON text as the model wrote it, so perhaps not JSON.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation.

    Attributes:
        role: Who says it.
        content: What is said.
        tool_calls: Of the role ``assistant``: the tools it wants to have run.
        tool_call_id: Of the role ``tool``: the call that it answers.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """What a model may ask to have run.

    Attributes:
        name: Letters, digits, ``_`` and ``-``, at most 64.
        description: When to use it.
        parameters: JSON schema of its arguments.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a model.

    Attributes:
        messages: The conversation, oldest first.
        tools: What the model may ask to have run.
        must_call: It is to ask for tools, and to say nothing.
        temperature: 0 to 2; left out for models that take none.
        max_tokens: The most tokens that the answer may have; never more than the model can give.
    """

    messages: Sequence[Message]
    tools: Sequence[Tool] = ()
    must_call: bool = False
    temperature: float = 0.7
    max_tokens: int = 1_000


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of an answer's text; never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one call.

    Attributes:
        input: Of the prompt, the cached ones included.
        output: Of the answer, those of hidden reasoning included.
        cached: Of the prompt, those that the provider had read before.
    """

    input: int = 0
    output: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model has said, whole or so far.

    Attributes:
        text: Its words.
        tool_calls: The tools it wants to have run, in its order; only of a whole answer.
        finish: Why it ended, or None where it has not.
        usage: Tokens as the provider counted them, or None where it has not said.
        pieces: Number of deltas.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish | None = None
    usage: Tokens | None = None
    pieces: int = 0


_FENCE = re.compile(r"^```(?:json)?\s*(.*?)\s*```$", re.DOTALL)


def unfenced(text: str) -> str:
    """Return what a model was asked to answer alone, without the code block it likes to make."""
    fenced = _FENCE.match(text.strip())
    return fenced[1] if fenced else text.strip()

"""A command as data: everything that parsing, help, completion and a model's tool list need."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from chatops.access.identity import Person
from chatops.dispatch.result import Outcome


class Parameters(BaseModel):
    """Base of every command's parameters.

    Fields are positional in the order of their definition unless marked :data:`NAMED_ONLY`; a
    field that holds a tuple or list takes the positional words that are left, so what follows it
    is given by name, as booleans always are. Types are scalars (text, numbers, booleans, dates,
    literals, enums), lists of them, and one :data:`OPEN` dict. ``description`` and
    ``examples`` of a field are shown in help; ``alias`` words are further names it answers to
    (``Field(validation_alias=AliasChoices("strategy", "strategy_id"))``).
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False
    )


NAMED_ONLY: dict[str, Any] = {"named_only": True}
"""``Field(json_schema_extra=NAMED_ONLY)``: given by name, never by position."""

OPEN: dict[str, Any] = {"open": True}
"""``Field(json_schema_extra=OPEN)``: a ``dict`` that collects named words no field claims."""


@dataclass(frozen=True, slots=True)
class CommandContext:
    """Who runs the command, where and since when."""

    person: Person
    session_id: str
    command_id: str
    command: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Completion:
    """One thing that could stand at the end of the input.

    Attributes:
        value: The whole input with the last word completed.
        label: The completed word alone.
        detail: What it is, one line.
    """

    value: str
    label: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value a parameter could take, and what it is."""

    value: str
    detail: str = ""


Completer = Callable[[CommandContext, Mapping[str, Any]], Awaitable[Sequence[Candidate]]]
"""Gives the values of one parameter; the mapping holds the raw words given so far by field name."""

P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True, slots=True)
class CommandSpec(Generic[P]):
    """One command.

    Attributes:
        name: snake_case; ``-`` is accepted for ``_``, case does not matter.
        family: Heading under which help lists it.
        summary: One line, at most 80 characters, no full stop.
        parameters: Model of its arguments.
        run: Does it. Raises :class:`~chatops.errors.AppError` for what the caller did wrong.
        example: One line that can be copied and works on the bundled data.
        aliases: Other names.
        private: True when neither the command nor its result is of the room's business.
        check: Raises what the caller got wrong (an unknown name, a date without data) before the
            room sees the command; it changes nothing.
        completers: Values by field name; literals and booleans complete by themselves.
        tool: Whether a model may run it, as the person who asked.
        free_text: The one parameter, a tuple of text, that takes all that follows the name as it
            stands, quotes and equals signs included.
        asks: Whether it is a question to the assistant, whose answer is its result.
        extra_names: Gives further parameter names that fit what has been typed (for an
            :data:`OPEN` field).
    """

    name: str
    family: str
    summary: str
    parameters: type[P]
    run: Callable[[CommandContext, P], Awaitable[Outcome]]
    example: str
    aliases: tuple[str, ...] = ()
    private: bool = False
    check: Callable[[CommandContext, P], Awaitable[object]] | None = None
    completers: Mapping[str, Completer] = field(default_factory=dict)
    extra_names: Completer | None = None
    tool: bool = True
    free_text: str | None = None
    asks: bool = False

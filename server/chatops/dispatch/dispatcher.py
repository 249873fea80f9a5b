"""The one path of every face, and later of a model's tool calls, from words to an outcome."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import JsonValue

from chatops.access.identity import Person
from chatops.access.permissions import Action, Target
from chatops.dispatch.binding import allot_both, bind, render, validate
from chatops.dispatch.completion import complete
from chatops.dispatch.parser import name_start, parse
from chatops.dispatch.registry import Registry
from chatops.dispatch.result import Outcome
from chatops.dispatch.spec import CommandContext, CommandSpec, Completion, Parameters
from chatops.errors import BadParameterError
from chatops.protocol.base import MAX_CONTENT

Authorize = Callable[[Person, Action, Target], None]


@dataclass(frozen=True, slots=True)
class Call:
    """A command that was understood and not yet run.

    Attributes:
        spec: The command.
        parameters: Its checked parameters.
        text: What the room sees: the line as typed, or the line that says the same.
    """

    spec: CommandSpec[Any]
    parameters: Parameters
    text: str


class Dispatcher:
    """Understands and runs commands. Holds no state of its own."""

    def __init__(self, registry: Registry, authorize: Authorize) -> None:
        self._registry = registry
        self._authorize = authorize

    def resolve_text(self, text: str) -> Call:
        """Understand a typed line.

        Raises:
            UnknownCommandError: No such command.
            BadParameterError: A parameter is wrong, or a quote is never closed.
        """
        if (call := self._free_text(text)) is not None:
            return call
        parsed = parse(text)
        spec = self._registry.find(parsed.name)
        return Call(spec, bind(spec, parsed), parsed.text)

    def resolve_values(
        self, command: str, parameters: Mapping[str, JsonValue] | None = None
    ) -> Call:
        """Understand a program's request.

        Args:
            command: The name, with or without its slash; words may follow it as in a typed line.
            parameters: Named values, ``{"args": [...]}``, or both; a value given here replaces
                the one given in ``command``.

        Raises:
            UnknownCommandError: No such command.
            BadParameterError: A parameter is wrong, or the line is too long for the room.
        """
        if not parameters and (free := self._free_text(command)) is not None:
            return free
        parsed = parse(command)
        spec = self._registry.find(parsed.name)
        if not parameters and parsed.words:
            line = f"/{parsed.text[name_start(parsed.text) :]}"
            return Call(spec, bind(spec, parsed), line)
        given = allot_both(spec, parsed.words, parameters or {})
        call = Call(spec, validate(spec, given), render(spec, given))
        if spec.free_text is not None:
            words = given.fields.get(spec.free_text, ())
            call = replace(call, text=f"/{spec.name} {' '.join(words)}")
        if len(call.text) > MAX_CONTENT:
            raise BadParameterError(
                f"This command has {len(call.text)} characters, more than {MAX_CONTENT}.",
                "Give fewer or shorter values.",
            )
        return call

    def _free_text(self, text: str) -> Call | None:
        """Return a command that takes the rest of its line as it stands, if the line is one."""
        words = text.strip().split(maxsplit=1)
        if len(words) < 2 or not self._registry.knows(words[0]):
            return None
        spec = self._registry.find(words[0])
        if spec.free_text is None:
            return None
        given = spec.parameters.model_validate({spec.free_text: words[1:]})
        return Call(spec, given, f"/{spec.name} {words[1]}")

    async def check(self, ctx: CommandContext, call: Call) -> None:
        """Refuse what :meth:`run` would refuse, before anybody sees the command.

        Raises:
            AppError: The person may not run it, or got something wrong.
        """
        self._may_run(ctx, call)
        if call.spec.check is not None:
            await call.spec.check(ctx, call.parameters)

    async def complete(self, ctx: CommandContext, text: str) -> list[Completion]:
        """Return what could stand at the end of an unfinished line, the likeliest first."""
        return await complete(self._registry, ctx, text)

    async def run(self, ctx: CommandContext, call: Call) -> Outcome:
        """Run an understood command as ``ctx.person``.

        Cancelling it cancels the command. Errors of the command pass through: an
        :class:`~chatops.errors.AppError` is for the person, all else is a fault of ours.

        Raises:
            NotAllowedError: The person may not run it.
        """
        self._may_run(ctx, call)
        return await call.spec.run(ctx, call.parameters)

    def _may_run(self, ctx: CommandContext, call: Call) -> None:
        target = Target(session_id=ctx.session_id, name=f"/{call.spec.name}")
        self._authorize(ctx.person, Action.RUN_COMMAND, target)

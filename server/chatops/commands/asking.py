"""/ask, /stop, /assistant: what a room does with the assistant."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from chatops.access.permissions import Action, Target, authorize
from chatops.assistant.asking import AskOptions
from chatops.commands.toolbox import Toolbox
from chatops.dispatch.result import CommandResult, Deferred
from chatops.dispatch.spec import CommandContext, CommandSpec, Parameters
from chatops.sessions.model import AssistantMode


class AskAssistant(Parameters):
    """A question."""

    question: tuple[str, ...] = Field(min_length=1, description="What you want to know")


class Nothing(Parameters):
    """No parameters."""


class AssistantWhen(Parameters):
    """Which messages are answered."""

    mode: AssistantMode | None = Field(
        None, description="Answer every message, only those to it, or none; without it: say which"
    )


class Asking:
    """The family of the assistant."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    def specs(self) -> Sequence[CommandSpec[Any]]:
        """Return its commands."""
        return [
            CommandSpec(
                name="ask",
                family="Assistant",
                summary="Ask the assistant, also where it answers only when addressed",
                parameters=AskAssistant,
                run=self.ask,
                check=self.may_ask,
                example="/ask Which of the two strategies lost less in 2022?",
                tool=False,
                free_text="question",
                asks=True,
            ),
            CommandSpec(
                name="stop",
                family="Assistant",
                summary="End the answer that is being given; what was said stays",
                parameters=Nothing,
                run=self.stop,
                example="/stop",
                tool=False,
            ),
            CommandSpec(
                name="assistant",
                family="Assistant",
                summary="Choose which messages the assistant answers here",
                parameters=AssistantWhen,
                run=self.when,
                example="/assistant addressed",
                tool=False,
            ),
        ]

    async def may_ask(self, ctx: CommandContext, _given: AskAssistant) -> None:
        """Refuse a question that nobody would answer."""
        await self._tools.questions.check(ctx.session_id, AskOptions())
        await self._tools.questions.check_place(ctx.session_id, ctx.person)

    async def ask(self, ctx: CommandContext, _given: AskAssistant) -> Deferred:
        """Begin the turn; the message that asks is stored."""
        self._tools.questions.asked(ctx.session_id)
        return Deferred(ctx.command_id)

    async def stop(self, ctx: CommandContext, _given: Nothing) -> CommandResult:
        """End the answer."""
        stopped = await self._tools.turns.stop(ctx.session_id, ctx.person)
        words = "The answer has been stopped." if stopped else "No answer is being given."
        return CommandResult(words, {"stopped": stopped})

    async def when(self, ctx: CommandContext, given: AssistantWhen) -> CommandResult:
        """Change the mode, or say which it is."""
        sessions = self._tools.sessions
        if given.mode is None:
            mode = await sessions.mode(ctx.session_id)
        else:
            mode = given.mode
            authorize(ctx.person, Action.SET_ASSISTANT, Target(session_id=ctx.session_id))
            await sessions.set_mode(ctx.session_id, ctx.person, mode)
        on = "" if self._tools.turns.available else " There is no language model: it is off."
        return CommandResult(f"The assistant's mode here is **{mode}**.{on}", {"mode": mode})

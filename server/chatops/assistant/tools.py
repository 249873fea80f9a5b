"""Commands as the model's tools: run as the person who asked, and told back in few words."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from pydantic import JsonValue

from chatops.access.identity import Person
from chatops.assistant.figures import Figures
from chatops.assistant.messages import Tool, ToolCall
from chatops.assistant.results import PAGE, Result
from chatops.backtests.answers import answer
from chatops.backtests.jobs.service import Jobs
from chatops.dispatch.dispatcher import Dispatcher
from chatops.dispatch.registry import Registry
from chatops.dispatch.result import CommandResult, Deferred
from chatops.dispatch.schema import tool_schema
from chatops.dispatch.spec import CommandContext
from chatops.dispatch.wording import shorten, shown
from chatops.errors import (
    AppError,
    BadParameterError,
    InternalError,
    LimitExceededError,
    NotFoundError,
    UnknownCommandError,
)
from chatops.protocol.base import new_sorted_id, utc_now
from chatops.protocol.events import Step
from chatops.protocol.strictjson import StrictJsonError, dumps, loads

log = structlog.get_logger(__name__)

MOST_CALLS = 24
"""Tools that one turn may run; a model that wants more has lost its way."""

_LONGEST_LINE = 200

READ = Tool(
    "read_result",
    "Read more of a result of this turn",
    {
        "type": "object",
        "properties": {
            "handle": {"type": "string", "description": "Such as r1"},
            "path": {
                "type": "string",
                "description": 'Part of it, such as monteCarlo.members.0; "text" is its text',
            },
            "offset": {"type": "integer", "minimum": 0, "description": "Characters to skip"},
        },
        "required": ["handle"],
        "additionalProperties": False,
    },
)


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What came of a call.

    Attributes:
        content: What the model is told.
        step: What the room is shown.
    """

    content: str
    step: Step


class Tools:
    """The commands that a model may run.

    Attributes:
        offered: What it is told of them.
    """

    def __init__(
        self, registry: Registry, dispatcher: Dispatcher, jobs: Jobs, *, wait_s: float
    ) -> None:
        """Make it; a job is waited for ``wait_s``, and goes on after that."""
        self.dispatcher = dispatcher
        self.jobs = jobs
        self.wait_s = wait_s
        every = (spec for family in registry.specs().values() for spec in family)
        self.offered: tuple[Tool, ...] = (
            *(
                Tool(spec.name, spec.summary, tool_schema(spec))
                for spec in every
                if spec.tool and not spec.private
            ),
            READ,
        )

    def for_turn(self, person: Person, session_id: str, figures: Figures) -> "Toolbelt":
        """Return the tools of one turn; what they give becomes known to ``figures``."""
        return Toolbelt(self, person, session_id, figures)


class Toolbelt:
    """The tools in one turn.

    Attributes:
        steps: The calls so far, in the order in which they ended.
    """

    def __init__(self, tools: Tools, person: Person, session_id: str, figures: Figures) -> None:
        self.steps: list[Step] = []
        self._tools = tools
        self._names = {tool.name for tool in tools.offered}
        self._person = person
        self._session_id = session_id
        self._figures = figures
        self._results: dict[str, Result] = {}

    async def run(self, call: ToolCall) -> ToolOutcome:
        """Do what the model asks for, as the person of the turn; raises nothing.

        Cancelling it cancels the command, and leaves its step; a job that it started belongs to
        the room, and goes on.
        """
        began_s = time.monotonic()
        arguments: dict[str, JsonValue] = {}
        line, success = shorten(f"/{call.name}", _LONGEST_LINE), False
        content, word = "", "It was stopped."
        try:
            if len(self.steps) >= MOST_CALLS:
                raise LimitExceededError(
                    f"One answer may run {MOST_CALLS} tools at most.", "Answer with what you have."
                )
            arguments = _arguments(call.arguments)
            if call.name == READ.name:
                line = shorten(" ".join([READ.name, *map(str, arguments.values())]), _LONGEST_LINE)
                content = self._read(arguments)
                word, success = "read", True
            else:
                line, result = await self._command(call.name, arguments)
                content, word = self._told(result)
                success = result.success
        except AppError as error:
            content, word = _failed(str(error)), error.message
        except Exception:  # a command that breaks must not take the answer with it
            log.exception("tool_failed", tool=call.name)
            broken = InternalError("This command failed inside the server.", "Do without it.")
            content, word = _failed(str(broken)), broken.message
        finally:
            step = Step(
                command=line,
                arguments=arguments,
                summary=shorten(word, _LONGEST_LINE),
                duration_ms=round((time.monotonic() - began_s) * 1000),
                success=success,
            )
            if len(self.steps) <= MOST_CALLS:  # the first that is refused is shown
                self.steps.append(step)
        return ToolOutcome(content, step)

    async def _command(
        self, name: str, arguments: Mapping[str, JsonValue]
    ) -> tuple[str, CommandResult]:
        """Run a command to its end; return its line and its result."""
        if name not in self._names:
            raise UnknownCommandError(
                f"There is no tool {shown(name)}.", f"Use one of {', '.join(sorted(self._names))}."
            )
        dispatcher = self._tools.dispatcher
        call = dispatcher.resolve_values(name, arguments)
        self._figures.add_text(call.text, said=False)
        ctx = CommandContext(
            self._person, self._session_id, new_sorted_id("cmd"), call.text, utc_now()
        )
        try:
            await dispatcher.check(ctx, call)
            outcome = await dispatcher.run(ctx, call)
            if isinstance(outcome, Deferred):
                outcome = await self._end(outcome.job_id, ctx)
        except AppError as error:
            outcome = CommandResult(str(error), success=False)
        return call.text, outcome

    async def _end(self, job_id: str, ctx: CommandContext) -> CommandResult:
        """Wait for the end of the job that the command asked for."""
        try:
            async with asyncio.timeout(self._tools.wait_s):
                job = await self._tools.jobs.ended(job_id)
        except TimeoutError:
            return CommandResult(
                f"{job_id} has not ended after {self._tools.wait_s:g} s. It goes on, and the room "
                "will see its result; do not wait for it."
            )
        asker = next(one for one in job.askers if one.command_id == ctx.command_id)
        return answer(job, asker)

    def _told(self, result: CommandResult) -> tuple[str, str]:
        """Return what the model, and what the room, is told of a result."""
        if not result.success:
            self._figures.add_text(result.message, said=False)
            return _failed(result.message), result.message
        handle = f"r{len(self._results) + 1}"
        kept = Result(handle, result.message, result.data or {})
        self._results[handle] = kept
        self._figures.add_result(handle, kept.data)
        if not kept.figures:
            self._figures.add_text(kept.text, said=False)
        lines = (line.replace("**", "") for line in result.message.splitlines())
        return kept.summary(), next((line for line in lines if line.strip("` ")), "done")

    def _read(self, arguments: Mapping[str, JsonValue]) -> str:
        """Return more of an earlier result."""
        handle, path, offset = (arguments.get(name) for name in ("handle", "path", "offset"))
        result = self._results.get(str(handle))
        if result is None:
            raise NotFoundError(
                f"There is no result {shown(handle)} in this turn.",
                f"There are: {', '.join(self._results) or 'none'}.",
            )
        start = offset if isinstance(offset, int) and offset > 0 else 0
        page = result.read(str(path or ""), start)
        if page is None:
            raise NotFoundError(
                f"{handle} has nothing at {shown(path)}.",
                f"It has: text, {', '.join(result.data)}.",
            )
        self._figures.add_text(page[:PAGE], said=False)
        return page


def _arguments(text: str) -> dict[str, JsonValue]:
    """Return what a model gives for a tool's parameters."""
    try:
        found = loads(text) if text.strip() else {}
    except StrictJsonError as error:
        raise BadParameterError(f"The arguments are not JSON: {error}", "Send an object.") from None
    if not isinstance(found, dict):
        raise BadParameterError("The arguments are no JSON object.", "Send an object.")
    return found


def _failed(message: str) -> str:
    return dumps({"success": False, "error": shorten(message, 1_000)})

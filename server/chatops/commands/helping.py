"""/help: every command in a line, or one command in full. Seen only by its caller."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from chatops.dispatch.registry import Registry
from chatops.dispatch.result import CommandResult
from chatops.dispatch.spec import Candidate, CommandContext, CommandSpec, Parameters
from chatops.dispatch.usage import describe, one_line, parameter_rows, usage_line


class HelpParameters(Parameters):
    """What to explain."""

    command: str | None = Field(None, description="Command to explain; without it, all of them")


class Help:
    """The help family; ``registry`` is set when all commands are known."""

    registry: Registry

    def specs(self) -> Sequence[CommandSpec[Any]]:
        """Return its commands."""
        return [
            CommandSpec(
                name="help",
                family="Help",
                summary="List the commands, or explain one",
                parameters=HelpParameters,
                run=self.help,
                example="/help run_backtest",
                aliases=("h", "commands"),
                private=True,
                check=self.known,
                completers={"command": self.names},
            )
        ]

    async def names(self, _ctx: CommandContext, _given: Mapping[str, Any]) -> Sequence[Candidate]:
        """Complete the name of a command."""
        every = (spec for family in self.registry.specs().values() for spec in family)
        return [Candidate(spec.name, spec.summary) for spec in every]

    async def known(self, _ctx: CommandContext, given: HelpParameters) -> None:
        """Refuse the name of no command."""
        if given.command is not None:
            self.registry.find(given.command)

    async def help(self, _ctx: CommandContext, given: HelpParameters) -> CommandResult:
        """Explain."""
        if given.command is not None:
            spec = self.registry.find(given.command)
            data = {
                "name": spec.name,
                "summary": spec.summary,
                "usage": usage_line(spec),
                "aliases": list(spec.aliases),
                "example": spec.example,
                "parameters": parameter_rows(spec),
            }
            return CommandResult(describe(spec), data)
        lines: list[str] = []
        rows: list[dict[str, Any]] = []
        for family, specs in self.registry.specs().items():
            lines += ["", f"**{family}**", *(f"`{one_line(spec)}`" for spec in specs)]
            rows += [
                {"name": s.name, "family": family, "summary": s.summary, "usage": usage_line(s)}
                for s in specs
            ]
        lines += ["", "`/help <command>` explains one. Text without a slash goes to the room."]
        return CommandResult("\n".join(lines).strip(), {"commands": rows})

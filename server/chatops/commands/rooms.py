"""/history, /export, /whoami, /members, /rename."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from chatops.access.permissions import Action, Target, authorize
from chatops.backtests.answers import links, table
from chatops.commands.toolbox import Toolbox
from chatops.commands.values import Values
from chatops.dispatch.result import CommandResult
from chatops.dispatch.spec import NAMED_ONLY, CommandContext, CommandSpec, Parameters
from chatops.errors import NotFoundError
from chatops.protocol.base import rfc3339
from chatops.sessions.export import line_of


class Nothing(Parameters):
    """No parameters."""


class ShowHistory(Parameters):
    """How much of the log."""

    limit: int = Field(20, ge=1, le=200, description="How many entries")


class ExportWhat(Parameters):
    """What to download, in which form."""

    id: str | None = Field(None, description="Id of a backtest; without it, this session")
    format: Literal["markdown", "json"] = Field(
        "markdown", description="Form of the session's log", json_schema_extra=NAMED_ONLY
    )


class RenameSession(Parameters):
    """A new title."""

    title: str = Field(min_length=1, max_length=120, description="New title; quote several words")


class Rooms:
    """The family of the session itself."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools
        self._values = Values(tools)

    def specs(self) -> Sequence[CommandSpec[Any]]:
        """Return its commands."""
        family = "Session"
        return [
            CommandSpec(
                name="history",
                family=family,
                summary="Show the newest entries of this session's log",
                parameters=ShowHistory,
                run=self.history,
                example="/history 50",
            ),
            CommandSpec(
                name="export",
                family=family,
                summary="Give links to download this session or a backtest",
                parameters=ExportWhat,
                run=self.export,
                check=self.find,
                example="/export format=json",
                completers={"id": self._values.recent_jobs},
            ),
            CommandSpec(
                name="whoami",
                family=family,
                summary="Say who you are to this server",
                parameters=Nothing,
                run=self.whoami,
                example="/whoami",
                tool=False,
            ),
            CommandSpec(
                name="members",
                family=family,
                summary="List who is in this session",
                parameters=Nothing,
                run=self.members,
                example="/members",
                aliases=("who",),
                tool=False,
            ),
            CommandSpec(
                name="rename",
                family=family,
                summary="Give this session a title",
                parameters=RenameSession,
                run=self.rename,
                example='/rename "Monday research"',
            ),
        ]

    async def history(self, ctx: CommandContext, given: ShowHistory) -> CommandResult:
        """Show the newest entries, less the one that asks for them."""
        await self._tools.sessions.get(ctx.session_id, ctx.person)
        entries = await self._tools.sessions.read_newest(ctx.session_id, given.limit + 1)
        shown = [entry for entry in entries if entry.command_id != ctx.command_id][-given.limit :]
        lines = [line_of(entry) for entry in shown]
        data = {"first": shown[0].seq if shown else None, "last": shown[-1].seq if shown else None}
        return CommandResult("\n".join(lines) or "Nothing has been said yet.", data)

    async def find(self, ctx: CommandContext, given: ExportWhat) -> dict[str, str]:
        """Return the links of what is to be exported."""
        if given.id is None:
            base = f"/api/v1/sessions/{ctx.session_id}/export"
            return {"session": f"{base}?format={given.format}"}
        job = await self._tools.job_store.get(given.id)
        if job is None or job.state != "completed":
            raise NotFoundError(
                f'There is no completed backtest "{given.id[:64]}".',
                "Type /backtests to see those there are.",
            )
        base = links(job)["self"]
        names = await self._tools.job_store.file_names(job.id)
        return {name: f"{base}/{name}" for name in names}

    async def export(self, ctx: CommandContext, given: ExportWhat) -> CommandResult:
        """Give the links."""
        found = await self.find(ctx, given)
        lines = [f"- [{name}]({path})" for name, path in found.items()]
        return CommandResult("\n".join(["Downloads on this server:", *lines]), {"links": found})

    async def whoami(self, ctx: CommandContext, _given: Nothing) -> CommandResult:
        """Name the caller."""
        person = ctx.person
        return CommandResult(
            f"You are **{person.name}** (`{person.id}`). Nobody has proved who they are: "
            "on this server a name is what its client gives.",
            {"id": person.id, "name": person.name},
        )

    async def members(self, ctx: CommandContext, _given: Nothing) -> CommandResult:
        """List who is here."""
        people = self._tools.sessions.people(ctx.session_id)
        rows = [["name", "since (UTC)"]]
        rows += [[one.person.name, f"{one.since:%Y-%m-%d %H:%M}"] for one in people]
        data = [
            {"id": one.person.id, "name": one.person.name, "since": rfc3339(one.since)}
            for one in people
        ]
        return CommandResult(table(rows), {"members": data})

    async def rename(self, ctx: CommandContext, given: RenameSession) -> CommandResult:
        """Change the title; the log says who did it."""
        session = await self._tools.sessions.get(ctx.session_id, ctx.person)
        target = Target(session.id, owner_id=session.owner.id, name=session.title)
        authorize(ctx.person, Action.RENAME_SESSION, target)
        title = " ".join(given.title.split())
        await self._tools.sessions.rename(session.id, ctx.person, title)
        return CommandResult(f"This session is now called **{title}**.", {"title": title})

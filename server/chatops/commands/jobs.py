"""/jobs, /cancel, /failed_backtests."""

from collections.abc import Sequence
from typing import Any

from pydantic import AliasChoices, Field

from chatops.access.permissions import Action, Target, authorize
from chatops.backtests.answers import table
from chatops.backtests.job import Job
from chatops.backtests.ports import JobFilter
from chatops.commands.toolbox import Toolbox
from chatops.commands.values import Values
from chatops.dispatch.result import CommandResult
from chatops.dispatch.spec import CommandContext, CommandSpec, Parameters
from chatops.errors import NotFoundError
from chatops.protocol.base import rfc3339


class Nothing(Parameters):
    """No parameters."""


class CancelJob(Parameters):
    """Which job to stop."""

    id: str | None = Field(
        None,
        description="Id of the job; without it, your newest one in this session",
        validation_alias=AliasChoices("id", "backtest_id", "backtestId"),
    )


class Latest(Parameters):
    """How many to list."""

    limit: int = Field(10, ge=1, le=100, description="How many")


class JobCommands:
    """The family of jobs."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools
        self._values = Values(tools)

    def specs(self) -> Sequence[CommandSpec[Any]]:
        """Return its commands."""
        family = "Jobs"
        return [
            CommandSpec(
                name="jobs",
                family=family,
                summary="List what waits and runs, on the whole server",
                parameters=Nothing,
                run=self.list_active,
                example="/jobs",
                aliases=("queue",),
            ),
            CommandSpec(
                name="cancel",
                family=family,
                summary="Stop a job",
                parameters=CancelJob,
                run=self.cancel,
                check=self.find,
                example="/cancel",
                aliases=("stop_backtest",),
                completers={"id": self._values.active_jobs},
            ),
            CommandSpec(
                name="failed_backtests",
                family=family,
                summary="List jobs that failed, were cancelled or interrupted, and why",
                parameters=Latest,
                run=self.failed,
                example="/failed_backtests",
            ),
        ]

    async def list_active(self, _ctx: CommandContext, _given: Nothing) -> CommandResult:
        """List active jobs in the order of their start."""
        standing = self._tools.jobs.standing()
        if not standing:
            return CommandResult("Nothing waits or runs.", {"jobs": []})
        rows = [["id", "run", "by", "phase", "done", "queue", "ETA"]]
        data = []
        for now in standing:
            eta = None if now.eta_s is None else round(now.eta_s)
            rows.append(
                [
                    now.job.id,
                    now.job.title,
                    now.job.requested_by.name,
                    now.job.phase,
                    f"{now.job.fraction:.0%}",
                    str(now.position or "–"),
                    "–" if eta is None else f"{eta} s",
                ]
            )
            data.append(
                {
                    "backtestId": now.job.id,
                    "title": now.job.title,
                    "requestedBy": now.job.requested_by.name,
                    "phase": now.job.phase,
                    "progress": int(now.job.fraction * 100),
                    "queuePosition": now.position,
                    "etaSeconds": eta,
                }
            )
        return CommandResult(table(rows), {"jobs": data})

    async def find(self, ctx: CommandContext, given: CancelJob) -> Job:
        """Return the active job that is meant."""
        mine = [
            now.job
            for now in self._tools.jobs.standing()
            if now.job.id == given.id
            or (
                given.id is None
                and any(
                    a.person.id == ctx.person.id and a.session_id == ctx.session_id
                    for a in now.job.askers
                )
            )
        ]
        if not mine:
            named = f'No job "{given.id[:64]}"' if given.id else "No job of yours"
            raise NotFoundError(
                f"{named} is waiting or running.", "Type /jobs to see those that are."
            )
        job = max(mine, key=lambda job: job.created_at)
        authorize(ctx.person, Action.CANCEL_JOB, Target(job.session_id, name=job.id))
        return job

    async def cancel(self, ctx: CommandContext, given: CancelJob) -> CommandResult:
        """Stop the job; its own final progress says when it has stopped."""
        job = await self.find(ctx, given)
        await self._tools.jobs.cancel(job.id, ctx.person)
        return CommandResult(f"{job.title} ({job.id}) is being stopped.", {"backtestId": job.id})

    async def failed(self, _ctx: CommandContext, given: Latest) -> CommandResult:
        """List jobs without a result."""
        jobs = await self._tools.job_store.list_jobs(
            JobFilter(states=("failed", "cancelled", "interrupted"), limit=given.limit)
        )
        if not jobs:
            return CommandResult("No job has failed.", {"backtests": []})
        rows = [["id", "run", "ended", "by", "why"]]
        rows += [[j.id, j.title, j.state, j.requested_by.name, _why(j)] for j in jobs]
        data = [
            {
                "backtestId": job.id,
                "title": job.title,
                "state": job.state,
                "reason": _why(job),
                "requestedBy": job.requested_by.name,
                "endedAt": rfc3339(job.ended_at) if job.ended_at else None,
            }
            for job in jobs
        ]
        return CommandResult(table(rows), {"backtests": data})


def _why(job: Job) -> str:
    if job.failure is not None:
        return job.failure.message
    return f"cancelled by {job.ended_by.name}" if job.ended_by else job.state

"""Starting a planned run for a command: the askers, the job, the parts of a comparison."""

from collections.abc import Sequence
from dataclasses import replace

from chatops.backtests.job import Asker
from chatops.backtests.jobs.service import Jobs
from chatops.backtests.planning import Plan
from chatops.backtests.requests import BacktestRequest
from chatops.dispatch.result import Deferred
from chatops.dispatch.spec import CommandContext
from chatops.errors import AppError


async def start(
    jobs: Jobs, ctx: CommandContext, plan: Plan, *, fresh: bool, repeats: str | None = None
) -> Deferred:
    """Submit one run for the command; ``repeats`` is the job it is to be compared with."""
    job = plan.job(ctx.person, ctx.session_id, (_asker(ctx, plan),))
    stored = await jobs.submit(replace(job, repeats=repeats), fresh=fresh)
    return Deferred(stored.id)


async def start_comparison(
    jobs: Jobs,
    ctx: CommandContext,
    members: Sequence[Plan],
    whole: Plan,
    *,
    fresh: bool,
    repeats: str | None = None,
) -> Deferred:
    """Submit the runs of a comparison, then the comparison that waits for them.

    When they are not all taken, those that nobody else wants are stopped again.
    """
    parts: list[str] = []
    try:
        for member in members:
            part = await jobs.submit(member.job(ctx.person, ctx.session_id, ()), fresh=fresh)
            parts.append(part.id)
        job = whole.job(ctx.person, ctx.session_id, (_asker(ctx, whole),), tuple(parts))
        stored = await jobs.submit(replace(job, repeats=repeats), fresh=fresh)
    except AppError:
        await jobs.abandon(parts, ctx.person)
        raise
    return Deferred(stored.id)


def _asker(ctx: CommandContext, plan: Plan) -> Asker:
    strategy = None
    if isinstance(plan.request, BacktestRequest):
        strategy = plan.request.strategy_id, plan.request.strategy_version
    return Asker(
        command_id=ctx.command_id,
        session_id=ctx.session_id,
        person=ctx.person,
        command=ctx.command,
        asked_at=ctx.started_at,
        strategy=strategy,
    )

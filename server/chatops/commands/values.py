"""Values that parameters can take, for completion."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from chatops.backtests.ports import JobFilter
from chatops.backtests.strategies.catalogue import STRATEGY_TYPES
from chatops.commands.toolbox import Toolbox
from chatops.dispatch.spec import Candidate, CommandContext
from chatops.errors import NotFoundError

Given = Mapping[str, Any]


class Values:
    """Completers over the toolbox."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    async def strategies(self, _ctx: CommandContext, _given: Given) -> Sequence[Candidate]:
        """Presets and saved strategies."""
        return [Candidate(s.id, s.description) for s in await self._tools.book.everything()]

    async def strategy_types(self, _ctx: CommandContext, _given: Given) -> Sequence[Candidate]:
        """Rules that a strategy can be built on."""
        return [Candidate(kind.name, kind.summary) for kind in STRATEGY_TYPES.values()]

    async def symbols(self, _ctx: CommandContext, _given: Given) -> Sequence[Candidate]:
        """Symbols with prices."""
        sets = await asyncio.to_thread(self._tools.catalogue.data_sets)
        spans = {
            one.symbol: f"{one.first:%Y-%m-%d} to {one.last:%Y-%m-%d}"
            for one in sets
            if one.first and one.last
        }
        return [Candidate(symbol, detail) for symbol, detail in spans.items()]

    async def active_jobs(self, _ctx: CommandContext, _given: Given) -> Sequence[Candidate]:
        """Jobs that wait or run."""
        return [Candidate(now.job.id, now.job.title) for now in self._tools.jobs.standing()]

    async def recent_jobs(self, _ctx: CommandContext, _given: Given) -> Sequence[Candidate]:
        """The newest jobs."""
        found = await self._tools.job_store.list_jobs(JobFilter(limit=20))
        return [Candidate(job.id, f"{job.title}, {job.state}") for job in found]

    async def strategy_parameters(self, _ctx: CommandContext, given: Given) -> Sequence[Candidate]:
        """Names of the parameters of the strategy that has been typed."""
        named = given.get("strategy") or given.get("type") or given.get("name")
        if not isinstance(named, str):
            return []
        try:
            strategy = await self._tools.book.find(named)
        except NotFoundError:
            return []
        return [
            Candidate(info.name, f"{info.description}, now {strategy.params[info.name]:g}")
            for info in STRATEGY_TYPES[strategy.type].parameter_infos()
        ]

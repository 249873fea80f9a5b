"""/status and /cache_status: the server itself."""

import asyncio
from collections.abc import Sequence
from typing import Any

from chatops.backtests.answers import table
from chatops.backtests.planning import span
from chatops.commands.jobs import Nothing
from chatops.commands.toolbox import Toolbox
from chatops.dispatch.result import CommandResult
from chatops.dispatch.spec import CommandContext, CommandSpec


class Server:
    """The family of the server."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    def specs(self) -> Sequence[CommandSpec[Any]]:
        """Return its commands."""
        return [
            CommandSpec(
                name="status",
                family="Server",
                summary="Say what this server is doing",
                parameters=Nothing,
                run=self.status,
                example="/status",
            ),
            CommandSpec(
                name="cache_status",
                family="Server",
                summary="Say which prices there are and how often they were at hand",
                parameters=Nothing,
                run=self.cache_status,
                example="/cache_status",
                tool=False,
            ),
        ]

    async def status(self, _ctx: CommandContext, _given: Nothing) -> CommandResult:
        """Show the server's facts."""
        facts = self._tools.server_facts()
        rows = [[name, str(value)] for name, value in facts.items()]
        return CommandResult(table([["fact", "now"], *rows]), facts)

    async def cache_status(self, _ctx: CommandContext, _given: Nothing) -> CommandResult:
        """Show data sets, their sizes and the hit rate of the workers' caches."""
        sets = await asyncio.to_thread(self._tools.catalogue.data_sets)
        usable = [one for one in sets if one.problem is None]
        hits, misses = self._tools.jobs.cache_counts()
        asked = hits + misses
        rate = hits / asked if asked else None
        rows = [["symbol", "bars", "from", "to", "size"]]
        data = []
        for one in usable:
            days = span(one)
            size = f"{one.size_bytes / 1024:,.0f} KiB"
            bars = f"{one.rows:,} × {one.timeframe}"
            rows.append([one.symbol, bars, str(days.first), str(days.last), size])
            data.append(
                {
                    "symbol": one.symbol,
                    "timeframe": one.timeframe,
                    "rows": one.rows,
                    "first": str(days.first),
                    "last": str(days.last),
                    "bytes": one.size_bytes,
                }
            )
        total = sum(one.size_bytes for one in usable)
        rows_total = sum(one.rows for one in usable)
        lines = [
            f"{rows_total:,} bars of {len({one.symbol for one in usable})} symbols, "
            f"{total / 1024:,.0f} KiB on disk.",
            table(rows),
            f"Prices were in a worker's memory {hits} of {asked} times"
            + (f" ({rate:.0%})." if rate is not None else "."),
        ]
        broken = [{"file": one.path.name, "problem": one.problem} for one in sets if one.problem]
        lines += [f"Broken: {row['file']}: {row['problem']}" for row in broken]
        facts = {
            "rows": rows_total,
            "bytes": total,
            "hits": hits,
            "misses": misses,
            "hitRate": rate,
            "dataSets": data,
            "broken": broken,
        }
        return CommandResult("\n".join(lines), facts)

"""The commands, one file a family. What a command is stands in ``dispatch``."""

from chatops.commands import (
    asking,
    backtests,
    comparing,
    helping,
    jobs,
    rooms,
    server,
    strategies,
    usage,
)
from chatops.commands.toolbox import Toolbox
from chatops.dispatch.registry import Registry

__all__ = ["Toolbox", "build_registry"]


def build_registry(tools: Toolbox) -> Registry:
    """Return every command, in the order in which help lists them."""
    help_ = helping.Help()
    families = (
        help_,
        backtests.Backtests(tools),
        comparing.Comparing(tools),
        jobs.JobCommands(tools),
        strategies.Strategies(tools),
        asking.Asking(tools),
        rooms.Rooms(tools),
        usage.Usage(tools),
        server.Server(tools),
    )
    registry = Registry([spec for family in families for spec in family.specs()])
    help_.registry = registry
    return registry

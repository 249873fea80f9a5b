"""/strategies and /strategy show, create, edit, delete."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import AliasChoices, Field

from chatops.backtests.answers import table
from chatops.backtests.ports import SavedStrategy
from chatops.backtests.strategies.catalogue import STRATEGY_TYPES
from chatops.commands.toolbox import Toolbox
from chatops.commands.values import Values
from chatops.dispatch.result import CommandResult
from chatops.dispatch.spec import NAMED_ONLY, OPEN, CommandContext, CommandSpec, Parameters
from chatops.errors import BadParameterError
from chatops.protocol.base import rfc3339


class FindStrategies(Parameters):
    """Which strategies to list."""

    filter: str = Field("", description="Part of the name or type")


class OneStrategy(Parameters):
    """What to do with which strategy."""

    action: Literal["show", "create", "edit", "delete"] = Field(description="What to do")
    name: str = Field(
        description="Name of the strategy",
        validation_alias=AliasChoices("name", "strategy", "strategy_id", "strategyId"),
    )
    type: str | None = Field(None, description="Rule to build on, for create")
    description: str | None = Field(
        None, max_length=500, description="What it is for", json_schema_extra=NAMED_ONLY
    )
    params: dict[str, str] = Field(
        default_factory=dict, description="Parameters of the rule", json_schema_extra=OPEN
    )


class DescribedStrategy(Parameters):
    """What a strategy is to do."""

    description: tuple[str, ...] = Field(min_length=1, description="In your own words")


class Strategies:
    """The family of strategies."""

    def __init__(self, tools: Toolbox) -> None:
        self._book = tools.book
        self._builder = tools.builder
        self._questions = tools.questions
        self._values = Values(tools)

    def specs(self) -> Sequence[CommandSpec[Any]]:
        """Return its commands."""
        family = "Strategies"
        return [
            CommandSpec(
                name="strategies",
                family=family,
                summary="List the strategies: a preset of each rule, and saved ones",
                parameters=FindStrategies,
                run=self.list_all,
                example="/strategies",
            ),
            CommandSpec(
                name="strategy",
                family=family,
                summary="Show, create, edit or delete a strategy",
                parameters=OneStrategy,
                run=self.one,
                check=self.check,
                example="/strategy create fast_cross sma_crossover short_window=10 long_window=30",
                completers={
                    "name": self._values.strategies,
                    "type": self._values.strategy_types,
                },
                extra_names=self._values.strategy_parameters,
            ),
            CommandSpec(
                name="build_strategy",
                family=family,
                summary="Have the assistant make a strategy of what you describe",
                parameters=DescribedStrategy,
                run=self.build,
                check=self.may_build,
                example="/build_strategy Buy when the 10 day average rises above the 30 day one",
                aliases=("build",),
                tool=False,
                free_text="description",
            ),
        ]

    async def list_all(self, _ctx: CommandContext, given: FindStrategies) -> CommandResult:
        """List presets and saved strategies."""
        wanted = given.filter.lower()
        found = [
            s for s in await self._book.everything() if wanted in s.id.lower() or wanted in s.type
        ]
        rows = [["name", "type", "parameters", "owner"]]
        rows += [[s.id, s.type, _params(s), s.owner.name] for s in found]
        return CommandResult(table(rows), {"strategies": [_data(s) for s in found]})

    async def check(self, ctx: CommandContext, given: OneStrategy) -> SavedStrategy:
        """Return the strategy as it is, or as it would be; refuse what cannot be done."""
        if given.action == "create":
            if given.type is None:
                raise BadParameterError(
                    "A new strategy needs a rule to build on.",
                    f"Use one of {', '.join(STRATEGY_TYPES)}.",
                )
            drafted = self._book.draft(
                ctx.person, given.name, given.type, given.params, given.description or ""
            )
            await self._book.check_free(drafted.id)
            return drafted
        if given.type is not None:
            raise BadParameterError(
                "The rule of a strategy cannot be changed.",
                f"Create another: /strategy create my_name {given.type}",
            )
        if given.action == "edit":
            return await self._book.edited(ctx.person, given.name, given.params, given.description)
        if given.action == "delete":
            return await self._book.editable(ctx.person, given.name)
        return await self._book.find(given.name)

    async def one(self, ctx: CommandContext, given: OneStrategy) -> CommandResult:
        """Do it."""
        strategy = await self.check(ctx, given)
        if given.action == "create":
            await self._book.create(strategy)
        elif given.action == "edit":
            await self._book.save(strategy)
        elif given.action == "delete":
            await self._book.delete(strategy)
            return CommandResult(
                f"{strategy.id} is deleted; its results stay.", {"strategy": _data(strategy)}
            )
        return _shown(strategy)

    async def may_build(self, _ctx: CommandContext, _given: DescribedStrategy) -> None:
        """Refuse where there is no model."""
        self._questions.check_model()

    async def build(self, ctx: CommandContext, given: DescribedStrategy) -> CommandResult:
        """Have the model choose rule and parameters; save what is valid."""
        described = " ".join(given.description)
        strategy = await self._builder.build(ctx.person, ctx.session_id, described)
        await self._book.create(strategy)
        return _shown(strategy)


def _shown(strategy: SavedStrategy) -> CommandResult:
    lines = [
        f"**{strategy.id}** · {strategy.type} · version {strategy.version} · {strategy.owner.name}",
        strategy.description,
        _explained(strategy),
        f"Run it: `/run_backtest {strategy.id} AAPL`",
    ]
    return CommandResult("\n".join(filter(None, lines)), {"strategy": _data(strategy)})


def _params(strategy: SavedStrategy) -> str:
    return " ".join(f"{name}={value:g}" for name, value in strategy.params.items()) or "–"


def _explained(strategy: SavedStrategy) -> str:
    infos = STRATEGY_TYPES[strategy.type].parameter_infos()
    rows = [
        [info.name, f"{strategy.params[info.name]:g}", info.allowed, info.description]
        for info in infos
    ]
    return table([["parameter", "value", "allowed", "meaning"], *rows]) if rows else ""


def _data(strategy: SavedStrategy) -> dict[str, Any]:
    return {
        "strategyId": strategy.id,
        "type": strategy.type,
        "params": strategy.params,
        "owner": strategy.owner.name,
        "version": strategy.version,
        "description": strategy.description,
        "changedAt": rfc3339(strategy.changed_at),
    }

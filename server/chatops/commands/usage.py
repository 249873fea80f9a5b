"""/usage and /models: what the language model was used for, what it cost, and which there are."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field

from chatops.assistant.money import shown
from chatops.assistant.spending import Left, budgets_left, whole
from chatops.assistant.usage import UsageFilter, UsageTotal
from chatops.backtests.answers import table
from chatops.commands.toolbox import Toolbox
from chatops.dispatch.result import CommandResult
from chatops.dispatch.spec import (
    NAMED_ONLY,
    Candidate,
    CommandContext,
    CommandSpec,
    Parameters,
)
from chatops.protocol.base import utc_now

_WHOSE = {"person": "you", "session": "this session", "day": "everybody"}


class ShowUsage(Parameters):
    """Which calls to count, and how to group them."""

    by: Literal["person", "session", "service", "model", "day"] = Field(
        "service", description="One row for each of these"
    )
    since: date | None = Field(None, description="First day, UTC", json_schema_extra=NAMED_ONLY)
    here: bool = Field(False, description="Only this session", json_schema_extra=NAMED_ONLY)


class ShowModels(Parameters):
    """Whose models."""

    service: str | None = Field(None, description="Only those that this service may use")


class Usage:
    """The family of the assistant's models and money."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    def specs(self) -> Sequence[CommandSpec[Any]]:
        """Return its commands."""
        return [
            CommandSpec(
                name="usage",
                family="Assistant",
                summary="Say what the assistant cost, and what its policies saved",
                parameters=ShowUsage,
                run=self.usage,
                example="/usage by=model",
            ),
            CommandSpec(
                name="models",
                family="Assistant",
                summary="List the language models, their prices, and who may use them",
                parameters=ShowModels,
                run=self.models,
                check=self.check_service,
                example="/models chatops_advanced",
                completers={"service": self._services},
            ),
        ]

    async def usage(self, ctx: CommandContext, given: ShowUsage) -> CommandResult:
        """Show totals and what is left of the budgets."""
        since = None if given.since is None else datetime.combine(given.since, time(), UTC)
        which = UsageFilter(since=since, session_id=ctx.session_id if given.here else None)
        totals = await self._tools.usage.totals(given.by, which)
        left = await budgets_left(
            self._tools.limits, self._tools.usage, ctx.person.id, ctx.session_id, utc_now()
        )
        data = {
            "by": given.by,
            "rows": [_data(one) for one in totals],
            "total": _data(whole(totals)),
            "budgets": [
                {
                    "whose": one.whose,
                    "limitUsd": f"{one.limit_usd:f}",
                    "leftUsd": f"{one.left_usd:f}",
                }
                for one in left
            ],
        }
        lines = [_usage_text(given.by, totals), *_left_lines(left)]
        return CommandResult("\n\n".join(lines), data)

    async def check_service(self, _ctx: CommandContext, given: ShowModels) -> None:
        """Refuse a service that is none."""
        if given.service is not None:
            self._tools.policies.policy(given.service)

    async def models(self, _ctx: CommandContext, given: ShowModels) -> CommandResult:
        """List models."""
        policies = self._tools.policies
        services = policies.by_service if given.service is None else [given.service]
        allowed = {
            service: [one.model_id for one in policies.allowed_models(service)]
            for service in services
        }
        models = [
            one
            for one in policies.catalogue.values()
            if given.service is None or one.model_id in allowed[given.service]
        ]
        rows = [["model", "tier", "$ / 1M in", "$ / 1M out", "services"]]
        rows += [
            [
                one.model_id,
                one.tier.value,
                f"{one.input_price_per_1m:f}",
                f"{one.output_price_per_1m:f}",
                ", ".join(service for service in services if one.model_id in allowed[service]),
            ]
            for one in models
        ]
        lines: list[str] = []
        data: dict[str, Any] = {
            "models": [one.model_dump(mode="json") for one in models],
            "services": {},
        }
        for service in services:
            default, chooser = policies.policy(service).default_model, policies.tools_model(service)
            tools = None if chooser is None else chooser.model_id
            after = "" if tools is None else f", after {tools} has chosen the tools"
            lines.append(f"{service} uses {default} by default{after}.")
            data["services"][service] = {
                "allowed": allowed[service],
                "default": default,
                "tools": tools,
            }
        return CommandResult("\n".join([table(rows), *lines]), data)

    async def _services(self, _ctx: CommandContext, _given: object) -> Sequence[Candidate]:
        policies = self._tools.policies.by_service.values()
        return [Candidate(one.service_name, one.default_model) for one in policies]


def _usage_text(by: str, totals: Sequence[UsageTotal]) -> str:
    if not totals:
        return "The assistant has not been asked anything yet."
    sum_ = whole(totals)
    rows = [[by, "calls", "input", "cached", "output", "cost", "dearest", "saved"]]
    rows += [
        [
            one.label,
            f"{one.calls:,}",
            f"{one.tokens.input:,}",
            f"{one.tokens.cached:,}",
            f"{one.tokens.output:,}",
            shown(one.cost_usd),
            shown(one.dearest_usd),
            _percent(one),
        ]
        for one in [*totals, sum_]
    ]
    lines = [
        table(rows),
        f"The models that were used cost {shown(sum_.saved_usd)} less than the dearest that the"
        " policies allow.",
    ]
    if sum_.estimated:
        lines.append(
            f"Of {sum_.estimated:,} calls the provider did not tell the tokens; they are estimated."
        )
    return "\n".join(lines)


def _left_lines(left: Sequence[Left]) -> list[str]:
    parts = [f"{_WHOSE[one.whose]} {shown(one.left_usd)} of {shown(one.limit_usd)}" for one in left]
    return [f"Left for today (UTC): {', '.join(parts)}."] if parts else []


def _percent(total: UsageTotal) -> str:
    if total.dearest_usd == 0:
        return "–"
    return f"{total.saved_usd / total.dearest_usd * Decimal(100):.1f} %"


def _data(total: UsageTotal) -> dict[str, Any]:
    return {
        "key": total.key,
        "label": total.label,
        "calls": total.calls,
        "estimated": total.estimated,
        "inputTokens": total.tokens.input,
        "cachedTokens": total.tokens.cached,
        "outputTokens": total.tokens.output,
        "costUsd": f"{total.cost_usd:f}",
        "dearestUsd": f"{total.dearest_usd:f}",
        "savedUsd": f"{total.saved_usd:f}",
    }

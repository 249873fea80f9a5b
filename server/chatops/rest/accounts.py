"""Models and money over HTTP: which models there are, who may use them, what was spent."""

from datetime import UTC, date, datetime, time

from chatops.assistant.catalogue import Capability, ModelConfig
from chatops.assistant.spending import budgets_left, whole
from chatops.assistant.usage import UsageFilter, UsageTotal
from chatops.protocol.base import utc_now
from chatops.rest.bodies import (
    BudgetLeft,
    Model,
    Models,
    ModelsQuery,
    ServiceModels,
    UsageQuery,
    UsageReport,
    UsageRow,
)
from chatops.rest.operations import Call, Operation
from chatops.rest.services import Services

MODELS = "/api/v1/gen-ai/models"


class Accounts:
    """The operations on models and usage."""

    def __init__(self, services: Services) -> None:
        self._policies = services.policies
        self._usage = services.usage
        self._limits = services.limits

    def operations(self) -> list[Operation]:
        """Return them."""
        tag = "Models and usage"
        return [
            Operation("GET", MODELS, tag, "List the models", self.models, Models, ModelsQuery),
            Operation(
                "GET",
                f"{MODELS}/{{service_name}}",
                tag,
                "Say which models a service may use",
                self.service_models,
                ServiceModels,
                errors=(404,),
            ),
            Operation(
                "GET",
                "/api/v1/usage",
                tag,
                "Say what the models were used for, and what it cost",
                self.usage,
                UsageReport,
                UsageQuery,
            ),
        ]

    async def models(self, call: Call) -> Models:
        """List the models of a tier, or all."""
        found = [_model(one) for one in self._policies.catalogue.of_tier(call.query.tier)]
        return Models(models=found, total=len(found))

    async def service_models(self, call: Call) -> ServiceModels:
        """Say which models a service may use."""
        service = call.part("service_name")
        return ServiceModels(
            service_name=service,
            allowed_models=[one.model_id for one in self._policies.allowed_models(service)],
            default_model=self._policies.policy(service).default_model,
        )

    async def usage(self, call: Call) -> UsageReport:
        """Add up what was used."""
        query: UsageQuery = call.query
        which = UsageFilter(
            since=_moment(query.since),
            before=_moment(query.before),
            person_id=query.person_id,
            session_id=query.session_id,
            service=query.service,
        )
        totals = await self._usage.totals(query.by, which)
        left = await budgets_left(
            self._limits, self._usage, call.person.id, query.session_id or "", utc_now()
        )
        return UsageReport(
            by=query.by,
            rows=[_row(one) for one in totals],
            total=_row(whole(totals)),
            budgets=[
                BudgetLeft.model_validate(one)
                for one in left
                if one.whose != "session" or query.session_id
            ],
        )


def _model(one: ModelConfig) -> Model:
    fields = one.model_dump()
    return Model(**{**fields, "capabilities": [c for c in Capability if c in one.capabilities]})


def _row(total: UsageTotal) -> UsageRow:
    return UsageRow(
        key=total.key,
        label=total.label,
        calls=total.calls,
        estimated=total.estimated,
        input_tokens=total.tokens.input,
        cached_tokens=total.tokens.cached,
        output_tokens=total.tokens.output,
        cost_usd=total.cost_usd,
        dearest_usd=total.dearest_usd,
        saved_usd=total.saved_usd,
    )


def _moment(given: datetime | date | None) -> datetime | None:
    """Return a day or a time as a moment; what names no zone is UTC."""
    if given is None:
        return None
    at = given if isinstance(given, datetime) else datetime.combine(given, time())
    return at if at.tzinfo else at.replace(tzinfo=UTC)

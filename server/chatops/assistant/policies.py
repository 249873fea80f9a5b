"""Who may use which model: one policy for each service."""

from collections.abc import Mapping
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from chatops.assistant.catalogue import Capability, Catalogue, ModelConfig, Tier
from chatops.assistant.messages import Tokens
from chatops.dispatch.wording import shorten
from chatops.errors import ModelNotAllowedError, NotFoundError


class ServiceModelPolicy(BaseModel):
    """Which models a service may use.

    Attributes:
        service_name: The service.
        allowed_tiers: Tiers of the models it may use.
        default_model: Id of the model it uses when nobody chooses.
        required_capabilities: What a model must be able to do.
        tools_model: Id of the model that chooses the tools before the default one answers, without
            them; None: each model chooses its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    service_name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    allowed_tiers: frozenset[Tier] = Field(min_length=1)
    default_model: str
    required_capabilities: frozenset[Capability] = frozenset()
    tools_model: str | None = None

    def objection(self, model: ModelConfig, *also: Capability) -> str | None:
        """Return why the service may not use the model, or None if it may.

        Args:
            model: The model.
            also: What it must be able to do besides.
        """
        if model.tier not in self.allowed_tiers:
            tiers = [tier.value for tier in Tier if tier in self.allowed_tiers]
            return f"its tier {model.tier.value} is not among {', '.join(tiers)}"
        missing = [
            each.value
            for each in Capability
            if each in self.required_capabilities.union(also) - model.capabilities
        ]
        return f"it lacks {' and '.join(missing)}" if missing else None


_EVERYDAY = frozenset({Tier.MINI, Tier.STANDARD, Tier.ADVANCED})

BUILT_IN = (
    ServiceModelPolicy(
        service_name="strategy_builder",
        allowed_tiers=_EVERYDAY,
        default_model="gpt-4o-mini",
        required_capabilities=frozenset({Capability.CODE_GENERATION}),
    ),
    ServiceModelPolicy(
        service_name="narrative_report",
        allowed_tiers=frozenset({Tier.STANDARD, Tier.ADVANCED, Tier.PREMIUM}),
        default_model="gpt-4o",
        required_capabilities=frozenset({Capability.ANALYSIS}),
    ),
    ServiceModelPolicy(
        service_name="chatops_advanced",
        allowed_tiers=_EVERYDAY,
        default_model="gpt-4o",
        required_capabilities=frozenset({Capability.CHAT, Capability.FUNCTION_CALLING}),
        tools_model="gpt-4o-mini",
    ),
)
"""The policies to begin with."""


class Policies:
    """The policies by service, over one catalogue.

    Attributes:
        catalogue: The models there are.
        by_service: The policies.
    """

    def __init__(self, catalogue: Catalogue, *policies: ServiceModelPolicy) -> None:
        self.catalogue = catalogue
        self.by_service: Mapping[str, ServiceModelPolicy] = {
            policy.service_name: policy for policy in policies
        }

    def policy(self, service: str) -> ServiceModelPolicy:
        """Return the policy of a service.

        Raises:
            NotFoundError: There is no such service.
        """
        try:
            return self.by_service[service]
        except KeyError:
            raise NotFoundError(
                f'There is no service "{service}".', f"There are {', '.join(self.by_service)}."
            ) from None

    def validate_model_for_service(self, model_id: str | None, service: str) -> ModelConfig:
        """Return the model if the service may use it; None stands for its default model.

        Raises:
            ModelNotAllowedError: It may not; the message says why, the hint what it may use.
            NotFoundError: There is no such service.
        """
        policy = self.policy(service)
        model_id = policy.default_model if model_id is None else model_id
        model = self.catalogue.get(model_id)
        why = "there is no such model" if model is None else policy.objection(model)
        if model is None or why is not None:
            names = ", ".join(one.model_id for one in self.allowed_models(service))
            raise ModelNotAllowedError(
                f"Model {shorten(model_id, 100)} not allowed for service {service}: {why}.",
                f"It may use {names}.",
            )
        return model

    def tools_model(self, service: str) -> ModelConfig | None:
        """Return the model that chooses the tools for the default model of a service.

        None where that chooses them itself.

        Raises:
            NotFoundError: There is no such service.
        """
        policy = self.policy(service)
        if policy.tools_model in (None, policy.default_model):
            return None
        return self.validate_model_for_service(policy.tools_model, service)

    def allowed_models(self, service: str) -> list[ModelConfig]:
        """Return the models that a service may use, in the order of the catalogue.

        Raises:
            NotFoundError: There is no such service.
        """
        policy = self.policy(service)
        return [one for one in self.catalogue.values() if policy.objection(one) is None]

    def dearest_usd(self, service: str, tokens: Tokens) -> Decimal:
        """Return what the same tokens cost on the dearest model that the service may use.

        Raises:
            NotFoundError: There is no such service.
        """
        return max(
            (one.cost_usd(tokens) for one in self.allowed_models(service)), default=Decimal(0)
        )

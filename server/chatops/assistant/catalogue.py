"""The models there are: what each can, what it costs, and what it lacks."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from chatops.assistant.messages import Tokens
from chatops.assistant.money import PRICE_DECIMALS, from_pico


class Tier(StrEnum):
    """How dear and how able a model is, roughly."""

    MINI = "MINI"
    STANDARD = "STANDARD"
    ADVANCED = "ADVANCED"
    PREMIUM = "PREMIUM"


class Capability(StrEnum):
    """What a model can do."""

    CHAT = "CHAT"
    CODE_GENERATION = "CODE_GENERATION"
    ANALYSIS = "ANALYSIS"
    REASONING = "REASONING"
    VISION = "VISION"
    FUNCTION_CALLING = "FUNCTION_CALLING"


def _not_float(value: Any) -> Any:
    if isinstance(value, float | bool):
        raise ValueError("must be written as a decimal number, for a float is not exact")
    return value


Price = Annotated[
    Decimal,
    BeforeValidator(_not_float),
    Field(ge=0, le=1_000_000, decimal_places=PRICE_DECIMALS, allow_inf_nan=False),
]
"""US dollars for a million tokens."""


class ModelConfig(BaseModel):
    """One row of the catalogue.

    Attributes:
        model_id: The provider's name for it.
        tier: How dear and how able it is, roughly.
        capabilities: What it can do. Without ``FUNCTION_CALLING`` it is given no tools.
        input_price_per_1m: US dollars for a million tokens of input.
        output_price_per_1m: US dollars for a million tokens of output.
        max_tokens: The most tokens of output that it gives in one answer.
        supports_rag: Whether passages that were looked up may be put into its prompt.
        description: What it is good for, one sentence.
        cached_input_price_per_1m: US dollars for a million tokens of input that the provider had
            read before; None: as other input.
        supports_temperature: Whether it takes a ``temperature``.
        supports_system_role: Whether it takes messages of the role ``system``.
        uses_max_completion_tokens: Whether the limit of its output is called
            ``max_completion_tokens``, and not ``max_tokens``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_id: str = Field(min_length=1, max_length=200, pattern=r"^[!-~]+$")
    tier: Tier
    capabilities: frozenset[Capability] = Field(min_length=1)
    input_price_per_1m: Price
    output_price_per_1m: Price
    max_tokens: int = Field(ge=1, le=10_000_000)
    supports_rag: bool
    description: str = Field(min_length=1, max_length=500)
    cached_input_price_per_1m: Price | None = None
    supports_temperature: bool = True
    supports_system_role: bool = True
    uses_max_completion_tokens: bool = False

    @property
    def supports_tools(self) -> bool:
        """Whether it may be given tools."""
        return Capability.FUNCTION_CALLING in self.capabilities

    def cost_usd(self, tokens: Tokens) -> Decimal:
        """Return what the tokens cost on this model, exactly."""
        cached = min(max(tokens.cached, 0), tokens.input)
        cached_price = self.cached_input_price_per_1m
        if cached_price is None:
            cached_price = self.input_price_per_1m
        return from_pico(
            (tokens.input - cached) * _pico_per_token(self.input_price_per_1m)
            + cached * _pico_per_token(cached_price)
            + tokens.output * _pico_per_token(self.output_price_per_1m)
        )


def _pico_per_token(price: Decimal) -> int:
    return int(price.scaleb(PRICE_DECIMALS))


class Catalogue(Mapping[str, ModelConfig]):
    """The models by their ids, in the order of their rows."""

    def __init__(self, *models: ModelConfig) -> None:
        self._models = {model.model_id: model for model in models}

    def __getitem__(self, model_id: str) -> ModelConfig:
        return self._models[model_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def with_rows(self, *models: ModelConfig) -> "Catalogue":
        """Return a catalogue in which the rows stand as well, or in place of those of their ids."""
        return Catalogue(*{**self._models, **{one.model_id: one for one in models}}.values())

    def of_tier(self, tier: Tier | None) -> list[ModelConfig]:
        """Return the models of a tier, or all."""
        return [one for one in self._models.values() if tier is None or one.tier is tier]


_GENERAL = frozenset(set(Capability) - {Capability.REASONING})

BUILT_IN = Catalogue(
    ModelConfig(
        model_id="gpt-4o-mini",
        tier=Tier.MINI,
        capabilities=_GENERAL,
        input_price_per_1m=Decimal("0.15"),
        output_price_per_1m=Decimal("0.60"),
        cached_input_price_per_1m=Decimal("0.075"),
        max_tokens=16_384,
        supports_rag=True,
        description="Small and cheap; for configurations and short answers.",
    ),
    ModelConfig(
        model_id="gpt-4o",
        tier=Tier.STANDARD,
        capabilities=_GENERAL,
        input_price_per_1m=Decimal("2.50"),
        output_price_per_1m=Decimal("10.00"),
        cached_input_price_per_1m=Decimal("1.25"),
        max_tokens=16_384,
        supports_rag=True,
        description="The everyday model; for conversations with tools and for reports.",
    ),
    ModelConfig(
        model_id="gpt-4-turbo",
        tier=Tier.ADVANCED,
        capabilities=_GENERAL,
        input_price_per_1m=Decimal("10.00"),
        output_price_per_1m=Decimal("30.00"),
        max_tokens=4_096,
        supports_rag=True,
        description="An older large model; for long analyses in one piece.",
    ),
    ModelConfig(
        model_id="o1-preview",
        tier=Tier.PREMIUM,
        capabilities=frozenset(
            {
                Capability.CHAT,
                Capability.CODE_GENERATION,
                Capability.ANALYSIS,
                Capability.REASONING,
            }
        ),
        input_price_per_1m=Decimal("15.00"),
        output_price_per_1m=Decimal("60.00"),
        cached_input_price_per_1m=Decimal("7.50"),
        max_tokens=32_768,
        supports_rag=True,
        description="Thinks before it answers; for hard questions, slowly and without tools.",
        supports_temperature=False,
        supports_system_role=False,
        uses_max_completion_tokens=True,
    ),
)
"""The models to begin with, at the prices of their provider."""

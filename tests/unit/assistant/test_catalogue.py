"""Models and what they cost."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chatops.assistant.catalogue import BUILT_IN, Capability, Catalogue, ModelConfig, Tier
from chatops.assistant.messages import Tokens
from chatops.assistant.money import from_pico, shown, to_pico


@pytest.mark.parametrize(
    ("model_id", "tier", "input_price", "output_price"),
    [
        ("gpt-4o-mini", "MINI", "0.15", "0.60"),
        ("gpt-4o", "STANDARD", "2.50", "10.00"),
        ("gpt-4-turbo", "ADVANCED", "10.00", "30.00"),
        ("o1-preview", "PREMIUM", "15.00", "60.00"),
    ],
)
def test_the_models_to_begin_with(
    model_id: str, tier: str, input_price: str, output_price: str
) -> None:
    model = BUILT_IN[model_id]
    assert model.tier == tier
    assert model.input_price_per_1m == Decimal(input_price)
    assert model.output_price_per_1m == Decimal(output_price)
    million = Tokens(input=1_000_000, output=1_000_000)
    assert model.cost_usd(million) == Decimal(input_price) + Decimal(output_price)


def test_there_are_four_and_one_of_each_tier() -> None:
    assert list(BUILT_IN) == ["gpt-4o-mini", "gpt-4o", "gpt-4-turbo", "o1-preview"]
    assert [[one.model_id for one in BUILT_IN.of_tier(tier)] for tier in Tier] == [
        ["gpt-4o-mini"],
        ["gpt-4o"],
        ["gpt-4-turbo"],
        ["o1-preview"],
    ]
    assert len(BUILT_IN.of_tier(None)) == 4


def test_the_reasoning_model_lacks_what_it_lacks() -> None:
    o1 = BUILT_IN["o1-preview"]
    assert Capability.REASONING in o1.capabilities
    assert not o1.supports_tools
    assert not o1.supports_temperature
    assert not o1.supports_system_role
    assert o1.uses_max_completion_tokens
    for name in ("gpt-4o-mini", "gpt-4o", "gpt-4-turbo"):
        other = BUILT_IN[name]
        assert other.supports_tools
        assert other.supports_temperature
        assert other.supports_system_role
        assert not other.uses_max_completion_tokens


def test_cached_tokens_cost_less_where_there_is_a_price_for_them() -> None:
    tokens = Tokens(input=3_000, output=7, cached=1_024)
    assert BUILT_IN["gpt-4o"].cost_usd(tokens) == Decimal("0.00629")
    assert BUILT_IN["gpt-4-turbo"].cost_usd(tokens) == Decimal("0.03021")


def test_more_cached_tokens_than_tokens_cost_as_if_all_were_cached() -> None:
    gpt = BUILT_IN["gpt-4o"]
    assert gpt.cost_usd(Tokens(input=10, cached=99)) == gpt.cost_usd(Tokens(input=10, cached=10))


prices = st.decimals(0, 1_000_000, places=6)
counts = st.integers(0, 10**7)


@given(prices, prices, prices, counts, counts, counts)
def test_every_cost_is_exact_and_can_be_kept(
    fresh: Decimal, cached_price: Decimal, output: Decimal, told: int, said: int, cached: int
) -> None:
    model = ModelConfig(
        model_id="m",
        tier=Tier.MINI,
        capabilities=frozenset({Capability.CHAT}),
        input_price_per_1m=fresh,
        output_price_per_1m=output,
        cached_input_price_per_1m=cached_price,
        max_tokens=1,
        supports_rag=False,
        description="d",
    )
    cost = model.cost_usd(Tokens(told, said, min(cached, told)))
    exact = (
        (told - min(cached, told)) * int(fresh * 10**6)
        + min(cached, told) * int(cached_price * 10**6)
        + said * int(output * 10**6)
    )
    assert to_pico(cost) == exact
    assert from_pico(to_pico(cost)) == cost
    assert str(from_pico(exact)) == str(cost)


def test_a_model_cannot_be_changed_and_knows_no_other_field() -> None:
    with pytest.raises(ValidationError):
        BUILT_IN["gpt-4o"].max_tokens = 1  # type: ignore[misc]  # that is what is tested
    with pytest.raises(ValidationError):
        ModelConfig.model_validate({**BUILT_IN["gpt-4o"].model_dump(), "color": "red"})


def test_a_row_of_a_known_id_takes_the_place_of_the_old_one() -> None:
    cheap = BUILT_IN["gpt-4o"].model_copy(update={"input_price_per_1m": Decimal(1)})
    other = cheap.model_copy(update={"model_id": "llama"})
    changed = BUILT_IN.with_rows(cheap, other)
    assert list(changed) == ["gpt-4o-mini", "gpt-4o", "gpt-4-turbo", "o1-preview", "llama"]
    assert changed["gpt-4o"].input_price_per_1m == 1
    assert BUILT_IN["gpt-4o"].input_price_per_1m == Decimal("2.5")
    assert isinstance(changed, Catalogue)


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        ("0", "$0"),
        ("1", "$1.00"),
        ("1234.5", "$1,234.50"),
        ("0.5", "$0.50"),
        ("0.0123", "$0.012"),
        ("0.04", "$0.04"),
        ("0.0996", "$0.10"),
        ("0.00000123", "$0.0000012"),
    ],
)
def test_amounts_are_shown_with_two_figures_at_least(usd: str, text: str) -> None:
    assert shown(Decimal(usd)) == text


def test_a_part_of_a_pico_dollar_cannot_be_kept() -> None:
    with pytest.raises(ValueError, match="pico"):
        to_pico(Decimal("0.0000000000001"))

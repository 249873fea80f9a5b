"""Which service may use which model, and the operator's file of both."""

from decimal import Decimal
from pathlib import Path

import pytest

from chatops.assistant.catalogue import BUILT_IN, Capability, Tier
from chatops.assistant.catalogue_file import load_policies
from chatops.assistant.messages import Tokens
from chatops.errors import BadParameterError, ModelNotAllowedError, NotFoundError

DEFAULT = load_policies(None)


@pytest.mark.parametrize(
    ("service", "default", "allowed"),
    [
        ("strategy_builder", "gpt-4o-mini", ["gpt-4o-mini", "gpt-4o", "gpt-4-turbo"]),
        ("narrative_report", "gpt-4o", ["gpt-4o", "gpt-4-turbo", "o1-preview"]),
        ("chatops_advanced", "gpt-4o", ["gpt-4o-mini", "gpt-4o", "gpt-4-turbo"]),
    ],
)
def test_the_policies_to_begin_with(service: str, default: str, allowed: list[str]) -> None:
    assert DEFAULT.policy(service).default_model == default
    assert [one.model_id for one in DEFAULT.allowed_models(service)] == allowed
    assert DEFAULT.validate_model_for_service(None, service).model_id == default
    for model_id in allowed:
        assert DEFAULT.validate_model_for_service(model_id, service) is BUILT_IN[model_id]


def test_the_tools_of_a_conversation_are_chosen_by_a_cheaper_model(tmp_path: Path) -> None:
    assert DEFAULT.tools_model("chatops_advanced") is BUILT_IN["gpt-4o-mini"]
    assert DEFAULT.tools_model("strategy_builder") is None
    path = tmp_path / "models.toml"
    row = '[policies.chatops_advanced]\nallowed_tiers = ["MINI"]\ndefault_model = "gpt-4o-mini"\n'
    for text in (row, row + 'tools_model = "gpt-4o-mini"'):
        path.write_text(text)
        assert load_policies(path).tools_model("chatops_advanced") is None


@pytest.mark.parametrize(
    ("model_id", "service", "reason"),
    [
        (
            "o1-preview",
            "chatops_advanced",
            "its tier PREMIUM is not among MINI, STANDARD, ADVANCED",
        ),
        ("gpt-4o-mini", "narrative_report", "its tier MINI is not among"),
        ("gpt-9", "strategy_builder", "there is no such model"),
        ("", "strategy_builder", "there is no such model"),
    ],
)
def test_a_model_that_is_not_allowed_is_refused_with_the_reason(
    model_id: str, service: str, reason: str
) -> None:
    with pytest.raises(ModelNotAllowedError) as refused:
        DEFAULT.validate_model_for_service(model_id, service)
    expected = f"Model {model_id} not allowed for service {service}: {reason}"
    assert refused.value.message.startswith(expected)
    assert refused.value.http_status == 400
    assert "gpt-4o" in str(refused.value.hint)


def test_a_model_that_lacks_a_capability_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(
        "[policies.chatops_advanced]\n"
        'allowed_tiers = ["STANDARD", "PREMIUM"]\n'
        'default_model = "gpt-4o"\n'
        'required_capabilities = ["CHAT", "VISION", "FUNCTION_CALLING"]\n'
    )
    policies = load_policies(path)
    with pytest.raises(ModelNotAllowedError, match="it lacks VISION and FUNCTION_CALLING"):
        policies.validate_model_for_service("o1-preview", "chatops_advanced")


def test_an_unknown_service_is_not_found() -> None:
    with pytest.raises(NotFoundError, match='no service "poetry"') as missing:
        DEFAULT.validate_model_for_service("gpt-4o", "poetry")
    assert "strategy_builder" in str(missing.value.hint)


def test_the_dearest_allowed_model_is_what_savings_are_held_against() -> None:
    tokens = Tokens(input=1_000, output=100)
    assert DEFAULT.dearest_usd("chatops_advanced", tokens) == Decimal("0.013")
    assert DEFAULT.dearest_usd("narrative_report", tokens) == Decimal("0.021")


MODEL = """
[models."llama-3.3-70b"]
tier = "MINI"
capabilities = ["CHAT", "CODE_GENERATION", "FUNCTION_CALLING"]
input_price_per_1m = 0.10
output_price_per_1m = 1
max_tokens = 8192
supports_rag = true
description = "Ours."
"""


def test_a_file_adds_models_and_replaces_policies(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(
        MODEL
        + '[models."gpt-4o"]\ntier = "PREMIUM"\ncapabilities = ["CHAT", "ANALYSIS"]\n'
        + 'input_price_per_1m = "9.000001"\noutput_price_per_1m = 9\nmax_tokens = 1\n'
        + 'supports_rag = false\ndescription = "Dear now."\nsupports_temperature = false\n'
        + '[policies.chatops_advanced]\nallowed_tiers = ["MINI"]\n'
        + 'default_model = "llama-3.3-70b"\nrequired_capabilities = ["FUNCTION_CALLING"]\n'
        + '[policies.poetry]\nallowed_tiers = ["PREMIUM"]\ndefault_model = "o1-preview"\n',
        encoding="utf-8",
    )
    policies = load_policies(path)
    llama = policies.catalogue["llama-3.3-70b"]
    assert (llama.tier, llama.input_price_per_1m) == (Tier.MINI, Decimal("0.10"))
    assert llama.supports_temperature
    assert policies.catalogue["gpt-4o"].input_price_per_1m == Decimal("9.000001")
    assert policies.catalogue["gpt-4o"].capabilities == {Capability.CHAT, Capability.ANALYSIS}
    assert not policies.catalogue["gpt-4o"].supports_temperature
    assert [one.model_id for one in policies.allowed_models("chatops_advanced")] == [
        "gpt-4o-mini",
        "llama-3.3-70b",
    ]
    assert [one.model_id for one in policies.allowed_models("poetry")] == ["gpt-4o", "o1-preview"]
    assert policies.policy("strategy_builder") == DEFAULT.policy("strategy_builder")


WRONG = {
    "no TOML": ("models = [", "it is not TOML"),
    "twice": (MODEL + MODEL, "it is not TOML"),
    "another table": ("[model.x]\n", "[model]: there are only [models] and [policies]"),
    "no table": ("models = 7", "[models]: it must be a table"),
    "a row that is none": ("[models]\nx = 7", '[models."x"]: it must be a table'),
    "a field missing": (
        MODEL.replace("max_tokens = 8192\n", ""),
        '[models."llama-3.3-70b"]: max_tokens: is missing',
    ),
    "a field too many": (
        MODEL + "max_tokens_out = 1",
        '[models."llama-3.3-70b"]: max_tokens_out: is no field of such a row',
    ),
    "an unknown tier": (MODEL.replace('"MINI"', '"TINY"'), "tier: Input should be 'MINI'"),
    "an unknown capability": (MODEL.replace('"CHAT"', '"SING"'), "capabilities.0: Input should"),
    "a price below nothing": (MODEL.replace("0.10", "-0.10"), "input_price_per_1m: Input should"),
    "a price too fine": (MODEL.replace("0.10", "0.1000001"), "no more than 6 decimal places"),
    "a price that is none": (MODEL.replace("0.10", "nan"), "input_price_per_1m: "),
    "a price without end": (MODEL.replace("0.10", "inf"), "input_price_per_1m: "),
    "a price that is true": (MODEL.replace("0.10", "true"), "must be written as a decimal"),
    "another id": (MODEL + 'model_id = "x"', "model_id is 'x', but the row's name is its id"),
    "no such default": (
        '[policies.poetry]\nallowed_tiers = ["MINI"]\ndefault_model = "gpt-9"',
        "[policies.poetry]: the default model gpt-9 cannot be used: there is no such model",
    ),
    "a default that is not allowed": (
        '[policies.poetry]\nallowed_tiers = ["MINI"]\ndefault_model = "gpt-4o"',
        "[policies.poetry]: the default model gpt-4o cannot be used: its tier STANDARD",
    ),
    "no such model for tools": (
        '[policies.poetry]\nallowed_tiers = ["MINI"]\ndefault_model = "gpt-4o-mini"\n'
        'tools_model = ""',
        "[policies.poetry]: the tools model  cannot be used: there is no such model",
    ),
    "a model for tools that is not allowed": (
        '[policies.poetry]\nallowed_tiers = ["MINI"]\ndefault_model = "gpt-4o-mini"\n'
        'tools_model = "gpt-4o"',
        "[policies.poetry]: the tools model gpt-4o cannot be used: its tier STANDARD",
    ),
    "a model for tools that has none": (
        '[policies.poetry]\nallowed_tiers = ["PREMIUM"]\ndefault_model = "o1-preview"\n'
        'tools_model = "o1-preview"',
        "[policies.poetry]: the tools model o1-preview cannot be used: it lacks FUNCTION_CALLING",
    ),
    "a row that breaks a policy": (
        MODEL.replace("llama-3.3-70b", "gpt-4o"),
        "[policies.narrative_report]: the default model gpt-4o cannot be used",
    ),
    "a service that cannot be named": (
        '[policies."Poetry!"]\nallowed_tiers = ["MINI"]\ndefault_model = "gpt-4o-mini"',
        '[policies."Poetry!"]: service_name: ',
    ),
}


@pytest.mark.parametrize(("text", "told"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_told_with_the_row_and_what_is_wrong(
    tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "models.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadParameterError) as refused:
        load_policies(path)
    assert refused.value.message.startswith(str(path))
    assert told in refused.value.message
    assert "docs/topics/assistant.md" in str(refused.value.hint)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.toml", tmp_path):
        with pytest.raises(BadParameterError, match="cannot be read") as refused:
            load_policies(path)
        assert str(path) in refused.value.message
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9")
    with pytest.raises(BadParameterError, match="it is not UTF-8"):
        load_policies(tmp_path / "latin.toml")

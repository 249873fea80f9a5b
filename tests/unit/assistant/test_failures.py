"""What a provider's refusal means, and in which words it is told."""

from typing import get_args

import pytest

from chatops.assistant.failures import FailureKind, ModelFailedError, kind_of, retry_after_s

KINDS = get_args(FailureKind)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_words_of_its_own(kind: FailureKind) -> None:
    error = ModelFailedError(kind, model="gpt-9")
    assert error.message.endswith(".")
    assert error.hint
    assert error.hint.endswith(".")
    assert "{" not in str(error)
    others = {ModelFailedError(other, model="gpt-9").message for other in KINDS if other != kind}
    assert error.message not in others


@pytest.mark.parametrize(
    ("status", "code", "error_type", "text", "kind"),
    [
        (429, "insufficient_quota", "insufficient_quota", "", "quota"),
        (429, None, "insufficient_quota", "", "quota"),
        (429, None, None, "", "rate_limit"),
        (400, "context_length_exceeded", None, "", "context_too_long"),
        (422, None, None, "prompt is too long: 9 > 8", "context_too_long"),
        (404, "model_not_found", None, "", "unknown_model"),
        (404, None, None, "", "wrong_address"),
        (500, None, None, "context length", "provider_error"),
        (599, None, None, "", "provider_error"),
        (418, None, None, "", "refused"),
        (None, None, None, "context length", "provider_error"),
    ],
)
def test_codes_come_before_the_status(
    status: int | None, code: str | None, error_type: str | None, text: str, kind: FailureKind
) -> None:
    assert kind_of(status, code, error_type, text) == kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "0.5", "retry-after-ms": "70"}, 0.07),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-3"}, None),
    ],
)
def test_the_wait_that_a_provider_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers.get) == seconds

"""What a person is told when a call of the model fails: one sentence for each kind of failure.

The provider's own words go nowhere: they may quote the key, or what people wrote.
"""

import re
from collections.abc import Callable, Mapping
from typing import Literal

from chatops.assistant.messages import Completion
from chatops.errors import UpstreamFailedError

FailureKind = Literal[
    "quota",
    "rate_limit",
    "wrong_key",
    "forbidden",
    "unknown_model",
    "wrong_address",
    "context_too_long",
    "refused",
    "unreachable",
    "timeout",
    "provider_error",
    "cut",
    "malformed",
    "content_filter",
]

_OPERATOR = "Whoever runs this server must"

_WORDS: Mapping[FailureKind, tuple[str, str]] = {
    "quota": (
        "The account at the language model's provider has no credit left.",
        f"{_OPERATOR} look at its billing; everything but the assistant works meanwhile.",
    ),
    "rate_limit": (
        "The language model is asked more often than its provider allows.",
        "Try again in a moment.",
    ),
    "wrong_key": (
        "The language model's provider does not accept this server's key.",
        f"{_OPERATOR} check OPENAI_API_KEY.",
    ),
    "forbidden": (
        'The language model\'s provider does not let this server use "{model}".',
        f"{_OPERATOR} ask the provider for access, or choose another model.",
    ),
    "unknown_model": (
        'The language model\'s provider has no model "{model}".',
        f"Choose another model; {_OPERATOR.lower()} look at the file of models.",
    ),
    "wrong_address": (
        "There is no language model at the address that this server has for it.",
        f"{_OPERATOR} check OPENAI_BASE_URL.",
    ),
    "context_too_long": (
        "This conversation is longer than the language model can read.",
        "Ask a shorter question, or ask it in a new session.",
    ),
    "refused": (
        "The language model's provider did not accept the request.",
        f"{_OPERATOR} look at the log, which has the provider's code.",
    ),
    "unreachable": (
        "The language model's provider cannot be reached.",
        "Try again in a moment; everything but the assistant works meanwhile.",
    ),
    "timeout": (
        "The language model did not answer in time.",
        "Try again, or ask a shorter question.",
    ),
    "provider_error": (
        "The language model's provider has a fault of its own.",
        "Try again in a moment.",
    ),
    "cut": (
        "The language model's answer broke off.",
        "Ask again; what had come until then is kept.",
    ),
    "malformed": (
        "The language model's provider sent something that cannot be understood.",
        f"Ask again; if it goes on, {_OPERATOR.lower()} check OPENAI_BASE_URL.",
    ),
    "content_filter": (
        "The language model's provider has withheld the answer because of its content.",
        "Ask in other words.",
    ),
}


class ModelFailedError(UpstreamFailedError):
    """A call of the model failed.

    Attributes:
        kind: What went wrong.
        said: What the model had said until then.
    """

    def __init__(
        self,
        kind: FailureKind,
        *,
        model: str = "",
        retry_after_s: float | None = None,
        said: Completion | None = None,
    ) -> None:
        message, hint = _WORDS[kind]
        if kind == "rate_limit" and retry_after_s is not None:
            hint = f"Try again in {max(retry_after_s, 1):.0f} s."
        super().__init__(message.format(model=model), hint, retry_after_s=retry_after_s)
        self.kind: FailureKind = kind
        self.said = said or Completion()


_BY_CODE: Mapping[str, FailureKind] = {
    "insufficient_quota": "quota",
    "billing_hard_limit_reached": "quota",
    "rate_limit_exceeded": "rate_limit",
    "invalid_api_key": "wrong_key",
    "model_not_found": "unknown_model",
    "context_length_exceeded": "context_too_long",
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "server_error": "provider_error",
}

_TOO_LONG = re.compile(r"context[ _](length|window)|prompt is too long|too many tokens", re.I)
"""Some providers have no code for it."""


def kind_of(status: int | None, code: str | None, error_type: str | None, text: str) -> FailureKind:
    """Return what a provider's refusal means.

    Args:
        status: Of the HTTP answer; None if the error came inside a stream.
        code: The provider's code.
        error_type: The provider's type.
        text: The provider's message, which is only looked at.
    """
    for word in (code, error_type):
        if isinstance(word, str) and word in _BY_CODE:
            return _BY_CODE[word]
    if status in (400, 413, 422) and (status == 413 or _TOO_LONG.search(text)):
        return "context_too_long"
    by_status: dict[int, FailureKind] = {
        401: "wrong_key",
        402: "quota",
        403: "forbidden",
        404: "wrong_address",
        405: "wrong_address",
        408: "timeout",
        429: "rate_limit",
    }
    if status in by_status:
        return by_status[status]
    return "provider_error" if status is None or status >= 500 else "refused"


def retry_after_s(header: Callable[[str], str | None]) -> float | None:
    """Return the seconds that a provider asks to wait, or None; dates are not understood."""
    for name, divisor in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(header(name) or "") / divisor
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    return None

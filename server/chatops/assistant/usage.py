"""What calls of the model used: a record of each, and totals of them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

from chatops.access.identity import Person
from chatops.assistant.failures import FailureKind
from chatops.assistant.messages import Completion, Request, Tokens
from chatops.protocol.strictjson import dumps

Outcome = Literal["completed", "stopped"] | FailureKind
"""How a call ended: with an answer, because somebody stopped it, or by a failure."""

GroupBy = Literal["person", "session", "service", "model", "day"]

_BYTES_PER_TOKEN = 4
_FRAME_TOKENS = 8
"""What a message or a tool costs besides its text, at most, and what every prompt begins with."""


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """One call of the model.

    Attributes:
        id: Its key; a record is kept once.
        person: Who asked.
        session_id: The room.
        service: Whose policy chose the model.
        model_id: The model.
        tokens: As the provider counted them, or an estimate.
        measured: Whether the provider counted them. It does not where an answer broke off.
        cost_usd: What they cost, exactly.
        dearest_usd: What the same tokens would have cost on the dearest model of the policy.
        latency_ms: From the call to the end of the answer.
        first_ms: From the call to the first piece of the answer; None if there was none.
        at: When the call began, aware, in UTC.
        outcome: How it ended.
    """

    id: str
    person: Person
    session_id: str
    service: str
    model_id: str
    tokens: Tokens
    measured: bool
    cost_usd: Decimal
    dearest_usd: Decimal
    latency_ms: int
    first_ms: int | None
    at: datetime
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """Which records to count; None means any.

    Attributes:
        since: Not before this moment.
        before: Before this moment.
        person_id: Who asked.
        session_id: The room.
        service: The service.
    """

    since: datetime | None = None
    before: datetime | None = None
    person_id: str | None = None
    session_id: str | None = None
    service: str | None = None


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """The sum of some records.

    Attributes:
        key: What they have in common: an id, a name, or a UTC day as ``2026-11-03``.
        label: The same for a person to read: of people the newest name, else the key.
        calls: How many records.
        estimated: How many of them the provider did not count.
        tokens: Their tokens.
        cost_usd: What they cost, exactly.
        dearest_usd: What they would have cost on the dearest models of their policies.
    """

    key: str
    label: str
    calls: int
    estimated: int
    tokens: Tokens
    cost_usd: Decimal
    dearest_usd: Decimal

    @property
    def saved_usd(self) -> Decimal:
        """What the policies saved against the dearest models that they allow."""
        return self.dearest_usd - self.cost_usd


@dataclass(frozen=True, slots=True)
class Spent:
    """Money spent since some moment.

    Attributes:
        person_usd: By the person.
        session_usd: In the session.
        everybody_usd: By all.
    """

    person_usd: Decimal
    session_usd: Decimal
    everybody_usd: Decimal


def day_of(at: datetime) -> str:
    """Return the UTC day of a moment, as ``2026-11-03``."""
    return at.astimezone(UTC).date().isoformat()


def most_tokens(request: Request, output_tokens: int) -> Tokens:
    """Return the most tokens that a call can use.

    A token stands for at least one byte of text, so a prompt has no more tokens than bytes.
    """
    return Tokens(input=_bytes(request) + _frames(request), output=output_tokens)


def likely_tokens(request: Request, said: Completion) -> Tokens:
    """Estimate the tokens of a call whose answer broke off, where the provider did not count.

    Four bytes a token is usual for English and for Korean alike; providers stream about a token
    at a time, so the pieces are counted too.
    """
    heard = len(said.text.encode()) + sum(len(call.arguments) for call in said.tool_calls)
    return Tokens(
        input=-(-_bytes(request) // _BYTES_PER_TOKEN) + _frames(request) // 2,
        output=max(said.pieces, -(-heard // _BYTES_PER_TOKEN)),
    )


def _bytes(request: Request) -> int:
    said = sum(
        len(message.content.encode())
        + sum(len(call.name) + len(call.arguments.encode()) for call in message.tool_calls)
        for message in request.messages
    )
    return said + sum(
        len(tool.name) + len(tool.description.encode()) + len(dumps(tool.parameters).encode())
        for tool in request.tools
    )


def _frames(request: Request) -> int:
    calls = sum(len(message.tool_calls) for message in request.messages)
    return _FRAME_TOKENS * (1 + len(request.messages) + len(request.tools) + calls)

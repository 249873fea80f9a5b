"""What was spent, put together for people: sums of totals, and what the budgets have left."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

from chatops.assistant.budgets import Limits
from chatops.assistant.messages import Tokens
from chatops.assistant.ports import UsageStore
from chatops.assistant.usage import UsageTotal


@dataclass(frozen=True, slots=True)
class Left:
    """What a budget has left today (UTC).

    Attributes:
        whose: Whose budget: the person's, the session's, or that of all for the day.
        limit_usd: US dollars for a day.
        left_usd: What of them is not spent; never negative.
    """

    whose: Literal["person", "session", "day"]
    limit_usd: Decimal
    left_usd: Decimal


def whole(totals: Sequence[UsageTotal]) -> UsageTotal:
    """Return the sum of totals."""
    return UsageTotal(
        key="total",
        label="total",
        calls=sum(one.calls for one in totals),
        estimated=sum(one.estimated for one in totals),
        tokens=Tokens(
            sum(one.tokens.input for one in totals),
            sum(one.tokens.output for one in totals),
            sum(one.tokens.cached for one in totals),
        ),
        cost_usd=sum((one.cost_usd for one in totals), Decimal(0)),
        dearest_usd=sum((one.dearest_usd for one in totals), Decimal(0)),
    )


async def budgets_left(
    limits: Limits, store: UsageStore, person_id: str, session_id: str, now: datetime
) -> list[Left]:
    """Return what those budgets have left that are limited.

    Raises:
        StoreUnavailableError: It could not be found out.
    """
    if not limits.any:
        return []
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    spent = await store.spent(midnight, person_id, session_id)
    rows: tuple[tuple[Literal["person", "session", "day"], Decimal, Decimal], ...] = (
        ("person", limits.person_usd, spent.person_usd),
        ("session", limits.session_usd, spent.session_usd),
        ("day", limits.day_usd, spent.everybody_usd),
    )
    return [
        Left(whose, limit, max(limit - used, Decimal(0))) for whose, limit, used in rows if limit
    ]

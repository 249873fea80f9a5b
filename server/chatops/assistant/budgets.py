"""Budgets: what may be spent on the model in one day (UTC), checked before the money is spent.

A call reserves the most that it can cost. What is reserved counts as spent until the call has
ended, and then its true cost does; so calls of one node, however many at once, never overspend
together. Several nodes see each other's calls once those have ended: together they may overspend
by what is reserved on the others.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from chatops.assistant.money import shown
from chatops.assistant.ports import UsageStore
from chatops.assistant.usage import Spent
from chatops.errors import BudgetUsedError
from chatops.protocol.base import utc_now

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Limits:
    """US dollars that may be spent in one UTC day; 0: as many as one likes.

    Attributes:
        person_usd: By one person.
        session_usd: In one session.
        day_usd: By all people together.
    """

    person_usd: Decimal = _NOTHING
    session_usd: Decimal = _NOTHING
    day_usd: Decimal = _NOTHING

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return bool(self.person_usd or self.session_usd or self.day_usd)


@dataclass(slots=True, eq=False)
class Reservation:
    """Money that a call may spend, and then the money that it has spent.

    Attributes:
        person_id: Who asked.
        session_id: The room.
        at: When; the budgets of that UTC day are meant.
        usd: The most that the call can cost; once it is settled, what it cost.
        settled: Whether the true cost is known.
        stored: Whether the store's totals have it.
    """

    person_id: str
    session_id: str
    at: datetime
    usd: Decimal
    settled: bool = False
    stored: bool = False


class Budgets:
    """The budgets of one node, over a store that all nodes share."""

    def __init__(
        self, limits: Limits, store: UsageStore, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._limits = limits
        self._store = store
        self._now = now
        self._held: set[Reservation] = set()
        self._lock = asyncio.Lock()

    async def reserve(self, person_id: str, session_id: str, most_usd: Decimal) -> Reservation:
        """Set aside the most that a call can cost.

        Cancellation reserves nothing. Without any limit it waits for nothing.

        Raises:
            BudgetUsedError: A budget does not have that much left; ``retry_after_s`` says when it
                begins anew, unless it is enough that other answers end.
            StoreUnavailableError: It could not be found out what was spent.
        """
        if not self._limits.any:
            return Reservation(person_id, session_id, self._now(), most_usd)
        # One at a time: a reservation may go only when every total read since knows its record.
        async with self._lock:
            now = self._now()
            midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            in_store = {one for one in self._held if one.stored}
            spent = await self._store.spent(midnight, person_id, session_id)
            over = {one for one in self._held if one.settled and one.at < midnight}
            self._held -= in_store | over
            wanted = Reservation(person_id, session_id, now, most_usd)
            held = [one for one in self._held if one.at >= midnight]
            self._check(wanted, spent, held, (midnight + timedelta(days=1) - now).total_seconds())
            self._held.add(wanted)
        return wanted

    def settle(self, reservation: Reservation, cost_usd: Decimal) -> None:
        """Put the true cost in the place of what was reserved. Only the first call counts."""
        if not reservation.settled:
            reservation.usd, reservation.settled = cost_usd, True

    def stored(self, reservation: Reservation) -> None:
        """Say that the store's totals have the call, or that it cost nothing."""
        reservation.stored = True

    def _check(
        self, wanted: Reservation, spent: Spent, held: list[Reservation], frees_in_s: float
    ) -> None:
        mine = [one for one in held if one.person_id == wanted.person_id]
        here = [one for one in held if one.session_id == wanted.session_id]
        limits = self._limits
        for name, limit, spent_usd, others in (
            ("Your budget", limits.person_usd, spent.person_usd, mine),
            ("The budget of this session", limits.session_usd, spent.session_usd, here),
            ("The budget of all people together", limits.day_usd, spent.everybody_usd, held),
        ):
            if limit:
                _check_one(name, limit, spent_usd, others, wanted.usd, frees_in_s)


def _check_one(
    name: str,
    limit: Decimal,
    in_store: Decimal,
    held: list[Reservation],
    most: Decimal,
    frees_in_s: float,
) -> None:
    spent = in_store + sum((one.usd for one in held if one.settled), _NOTHING)
    reserved = sum((one.usd for one in held if not one.settled), _NOTHING)
    if spent + reserved + most <= limit:
        return
    whose = f"{name} for the assistant, {shown(limit)} a day"
    if most > limit:
        raise BudgetUsedError(
            f"{whose}, is less than the {shown(most)} that this one answer may cost.",
            "Ask a shorter question or choose a cheaper model; the budget is a setting.",
        )
    if spent + most <= limit:
        raise BudgetUsedError(
            f"{whose}, is held by answers that are under way.",
            "Try again when they have ended.",
        )
    hours, minutes = divmod(int(frees_in_s) // 60, 60)
    raise BudgetUsedError(
        f"{whose}, is used up: {shown(spent)} are spent, and this answer may cost {shown(most)}.",
        f"It begins anew at 00:00 UTC, in {hours} h {minutes} min.",
        retry_after_s=frees_in_s,
    )

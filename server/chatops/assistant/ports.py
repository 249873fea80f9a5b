"""What the assistant needs from outside; the docstrings are the contract."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from chatops.assistant.usage import GroupBy, Spent, UsageFilter, UsageRecord, UsageTotal


class UsageStore(Protocol):
    """The durable record of what calls of the model used.

    Money is kept and added exactly. Raises ``StoreUnavailableError`` when the store is away.
    """

    async def append(self, record: UsageRecord) -> None:
        """Store the record; on return it is durable, and every total has it.

        A repeat with the same id changes nothing, whatever else it says. What the session and the
        person are, or whether they still exist, is not looked at.
        """
        ...

    async def totals(self, by: GroupBy, which: UsageFilter) -> Sequence[UsageTotal]:
        """Return the sums of the records, one for each person, session, service, model or day.

        Days are those of UTC, oldest first; all else begins with the greatest cost, and goes by
        key where costs are equal. Empty if there is no record.
        """
        ...

    async def spent(self, since: datetime, person_id: str, session_id: str) -> Spent:
        """Return what was spent since a moment: by the person, in the session, and by all.

        The three are of one moment: every record that was appended before the call is in them.
        """
        ...

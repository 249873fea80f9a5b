"""What the assistant needs from outside; the docstrings are the contract."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from chatops.access.identity import Person
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


FLOOR_LEASE_S = 5.0
"""How long a node may be silent before its turn is another's to end."""


@dataclass(frozen=True, slots=True)
class Saying:
    """What is being answered, and how far the answer has come.

    Attributes:
        turn: Id of the message that is answered; empty before one was chosen.
        message_id: Id that the answer will have.
        text: What has been said so far.
        about: What is kept with the answer: the model, the tools' runs, the figures; JSON values.
    """

    turn: str = ""
    message_id: str = ""
    text: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Floor:
    """The right to answer in one session.

    Attributes:
        session_id: The session.
        fence: One higher each time that the floor is taken or seized.
        saying: What its holder said of itself last.
        stopped_by: Who wants the answer to end.
    """

    session_id: str
    fence: int
    saying: Saying = Saying()
    stopped_by: Person | None = None


class FloorStore(Protocol):
    """Who answers in which session: one at a time, over all nodes.

    The floor is held under a lease of ``FLOOR_LEASE_S``, by the store's own clock where nodes share
    it; on one machine leases end with the process. It outlives no session: when one is deleted, so
    is its floor. Raises ``StoreUnavailableError`` when the store is away.
    """

    async def take(self, session_id: str) -> int | None:
        """Take the floor for the length of a lease; return its fence.

        None while it is held, and also while it was held by one who has vanished: that turn is to
        be ended first, see :meth:`lapsed`. None, too, if there is no such session. Of many callers
        one gets it.
        """
        ...

    async def keep(self, session_id: str, fence: int, saying: Saying) -> Floor | None:
        """Begin the lease anew and say how far the answer is; return the floor as it is then.

        ``stopped_by`` stays until another turn is begun: a ``saying`` of another turn clears it.
        None if the floor is not held under this fence any longer; nothing is changed then.
        """
        ...

    async def give_back(self, session_id: str, fence: int) -> None:
        """Let others have the floor. Does nothing if it is not held under this fence."""
        ...

    async def stop(self, session_id: str, person: Person, message_id: str | None = None) -> bool:
        """Note that the person wants the answer that is being given to end.

        With ``message_id``, that one alone. Returns False, and changes nothing, if none is being
        given, by a holder whose lease runs. The first who says so is kept.
        """
        ...

    async def saying(self, session_id: str) -> Floor | None:
        """Return the floor of a session if somebody holds it and their lease runs, else None."""
        ...

    async def lapsed(self) -> Sequence[Floor]:
        """Return the floors that are held by nobody who lives: the lease is over."""
        ...

    async def seize(self, session_id: str, fence: int) -> int | None:
        """Take a lapsed floor as it is, its saying included; return the new fence.

        None if it is not lapsed or not under this fence any more. Of many callers one gets it.
        """
        ...


class AnswerCache(Protocol):
    """Answers that may be given again. It may forget; nobody relies on it.

    Raises nothing: a cache that is away has nothing.
    """

    async def get(self, key: str) -> str | None:
        """Return what was put under the key, if it is still fresh."""
        ...

    async def put(self, key: str, value: str, ttl_s: float) -> None:
        """Keep the value for so many seconds, or less."""
        ...

"""What sessions need from outside; the docstrings are the contract (see ``tests/contracts``)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from chatops.sessions.model import Appended, Entry, Head, Hint, NewEntry, Session, SessionChange

MOST_OPEN_QUESTIONS = 1_000
"""Told at once by :meth:`SessionStore.open_questions`."""


class SessionStore(Protocol):
    """The durable log. Every method raises ``StoreUnavailableError`` when the store is away."""

    async def get_session(self, session_id: str) -> Session | None:
        """Return the session, or None."""
        ...

    async def create_session(self, session: Session) -> tuple[Session, bool]:
        """Create it unless it exists; return the stored one and whether it is new.

        Atomic: of many callers with one id, exactly one creates.
        """
        ...

    async def append(
        self, session_id: str, entry: NewEntry, *, change: SessionChange | None = None
    ) -> Appended:
        """Store the entry with the next number, durably, before returning.

        Numbers of a session are 1, 2, 3, ... without holes, and no reader ever sees n + 1 before
        n. Of calls on one node, the one that began first is stored first. The same (session,
        author, key) is stored once; a repeat returns the first entry, and changes nothing.
        ``change``, when given, is made in the same transaction.
        Cancellation: the entry may or may not be stored; repeat with the same key to find out.

        Raises:
            NotFoundError: There is no such session.
            StoreUnavailableError: Surely not stored, or unknown; repeat with the same key.
        """
        ...

    def heard(self, session_id: str, epoch: str, seq: int) -> None:
        """Take note that another node has stored entries up to ``seq``. Nobody waits.

        Only what is truly stored may be told. It saves a store that is shared a try or a read.
        """
        ...

    async def read(self, session_id: str, after_seq: int, limit: int) -> Sequence[Entry]:
        """Return at most ``limit`` entries after ``after_seq``, oldest first."""
        ...

    async def read_newest(self, session_id: str, limit: int) -> Sequence[Entry]:
        """Return the newest ``limit`` entries, oldest first."""
        ...

    async def find(self, session_id: str, author_id: str, key: str) -> Entry | None:
        """Return the entry that was stored under this key of the author, or None."""
        ...

    async def heads(self, session_ids: Sequence[str]) -> Mapping[str, Head]:
        """Return where each log ends, of those sessions that exist."""
        ...

    async def open_commands(self) -> Sequence[Entry]:
        """Return every message that asks for a command, has none of its result, and is nobody's.

        Nobody's is what a server stored that is gone: one that has not said for a while, to the
        store, that it lives. Oldest first.
        """
        ...

    async def open_questions(self, session_id: str | None = None) -> Sequence[Entry]:
        """Return the messages that ask for an answer which is not stored, oldest first.

        Of one session, or of all; ``MOST_OPEN_QUESTIONS`` of them. Sessions that are gone have
        none, nor have messages that :meth:`trim` has deleted.
        """
        ...

    async def trim(self, session_id: str, keep: int) -> None:
        """Delete all but the newest ``keep`` entries; ``first_seq`` moves, numbers stay."""
        ...

    async def expire(self, before: datetime) -> Sequence[str]:
        """Delete sessions whose newest entry (or creation) is older; return their ids."""
        ...


class RoomChannel(Protocol):
    """The connections of this node and the rooms they are in.

    Plain functions: nothing here waits, so nothing can come between a snapshot and what follows it.
    """

    def enter(self, connection_id: str, session_id: str) -> None:
        """Let the connection receive the room's events from now on. A repeat does nothing."""
        ...

    def leave(self, connection_id: str, session_id: str) -> None:
        """Stop the room's events to the connection. Unknown ones are ignored."""
        ...

    def emit(self, session_id: str, event: str, payload: bytes) -> None:
        """Hand the event, whose payload is JSON, to every connection in the room.

        In the order of calls. Never raises because of a slow client.
        """
        ...


class Bus(Protocol):
    """What carries hints between nodes: fast, and trusted with nothing.

    It may lose, repeat, delay and reorder hints. Plain functions: nobody waits for another node.
    """

    @property
    def alone(self) -> bool:
        """Whether there is no other node; nothing is carried then."""
        ...

    @property
    def healthy(self) -> bool:
        """Whether hints have come through of late."""
        ...

    def attach(
        self,
        hear: Callable[[Hint], None],
        doubt: Callable[[str | None], None],
        gone: Callable[[str], None],
    ) -> None:
        """Say whom to tell. Called once, before anything else.

        Args:
            hear: Takes a hint of another node; never one's own.
            doubt: Called when hints may have been lost: of one session, or, with None, of all.
            gone: Takes the name of a node that has been silent for long.
        """
        ...

    def publish(self, hint: Hint) -> None:
        """Tell the other nodes; what does not fit into a bounded queue is dropped."""
        ...

    def follow(self, session_id: str) -> None:
        """Hear of the session from now on; ``doubt`` is called when that has begun."""
        ...

    def unfollow(self, session_id: str) -> None:
        """Hear no more of the session. Unknown ones are ignored."""
        ...

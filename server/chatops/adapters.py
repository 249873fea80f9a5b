"""What every store and every bus is to the composition root."""

from collections.abc import Callable
from typing import Protocol

from chatops.assistant.ports import AnswerCache, FloorStore, UsageStore
from chatops.backtests.ports import JobStore, Signals, StrategyStore
from chatops.sessions.ports import Bus, SessionStore


class Store(Protocol):
    """What every store is to the composition root.

    Attributes:
        kind: Its name for a person.
    """

    kind: str

    @property
    def sessions(self) -> SessionStore:
        """The rooms and their logs."""
        ...

    @property
    def jobs(self) -> JobStore:
        """The record of jobs."""
        ...

    @property
    def usage(self) -> UsageStore:
        """What calls of language models used."""
        ...

    @property
    def floors(self) -> FloorStore:
        """Who answers in which session."""
        ...

    @property
    def strategies(self) -> StrategyStore:
        """Saved strategies."""
        ...

    async def open(self) -> None:
        """Make it ready, or raise ``StoreUnavailableError``."""
        ...

    async def close(self) -> None:
        """Commit what is pending and let go."""
        ...

    async def ping(self) -> None:
        """Return when it takes a write and gives a read, or raise ``StoreUnavailableError``."""
        ...

    async def secret(self) -> bytes:
        """Return the key of all nodes that share it; it seals what they say to each other."""
        ...


class Cluster(Bus, Signals, Protocol):
    """What every bus is to the composition root."""

    @property
    def alone(self) -> bool:
        """Whether there is no other node."""
        ...

    @property
    def healthy(self) -> bool:
        """Whether other nodes are heard."""
        ...

    @property
    def nodes(self) -> int:
        """How many nodes are known to live."""
        ...

    def open(self, key: bytes) -> None:
        """Begin to talk and to listen."""
        ...

    def attach_used(self, heard: Callable[[dict[str, int]], None]) -> None:
        """Say whom to tell how much people used of their allowances on other nodes."""
        ...

    def tell_used(self, used: dict[str, int]) -> None:
        """Tell the other nodes how much people used here."""
        ...

    async def close(self) -> None:
        """Say goodbye."""
        ...


class Answers(AnswerCache, Protocol):
    """What every cache of answers is to the composition root."""

    def open(self, key: bytes) -> None:
        """Believe from now on what nodes with this key have put there."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...

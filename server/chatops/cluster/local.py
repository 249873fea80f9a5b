"""A node without a bus: alone, or beside others that it shares only the store with."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from chatops.backtests.ports import Signals
from chatops.sessions.model import Hint
from chatops.sessions.ports import Bus, RoomChannel


class Alone:
    """The bus and the signals of a server that is alone."""

    alone = True
    healthy = True
    nodes = 1

    def open(self, key: bytes) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    def attach(
        self,
        hear: Callable[[Hint], None],
        doubt: Callable[[str | None], None],
        gone: Callable[[str], None],
    ) -> None:
        """Tell nobody."""

    def attach_jobs(self, changed: Callable[[str], None]) -> None:
        """Tell nobody."""

    def attach_used(self, heard: Callable[[dict[str, int]], None]) -> None:
        """Tell nobody."""

    def tell_used(self, used: dict[str, int]) -> None:
        """Do nothing."""

    def publish(self, hint: Hint) -> None:
        """Do nothing."""

    def follow(self, session_id: str) -> None:
        """Do nothing."""

    def unfollow(self, session_id: str) -> None:
        """Do nothing."""

    def job_changed(self, job_id: str) -> None:
        """Do nothing."""


class Unconnected(Alone):
    """Other nodes may share the store, and nothing is heard of them: rooms follow the store."""

    alone = False
    healthy = False


class NoConnections:
    """The rooms of a node without faces: whatever it has to tell, other nodes show."""

    def enter(self, connection_id: str, session_id: str) -> None:
        """Do nothing."""

    def leave(self, connection_id: str, session_id: str) -> None:
        """Do nothing."""

    def emit(self, session_id: str, event: str, payload: bytes) -> None:
        """Do nothing."""


if TYPE_CHECKING:
    _channel: RoomChannel = NoConnections()
    _bus: Bus = Alone()
    _signals: Signals = Alone()

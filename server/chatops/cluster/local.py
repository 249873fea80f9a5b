"""One node and no other: nothing to tell, nobody to hear."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from chatops.backtests.ports import Signals
from chatops.sessions.model import Hint
from chatops.sessions.ports import Bus


class Alone:
    """The bus and the signals of a server that is alone."""

    alone = True
    healthy = True

    def attach(
        self,
        hear: Callable[[Hint], None],
        doubt: Callable[[str | None], None],
        gone: Callable[[str], None],
    ) -> None:
        """Tell nobody."""

    def attach_jobs(self, changed: Callable[[str], None]) -> None:
        """Tell nobody."""

    def publish(self, hint: Hint) -> None:
        """Do nothing."""

    def follow(self, session_id: str) -> None:
        """Do nothing."""

    def unfollow(self, session_id: str) -> None:
        """Do nothing."""

    def job_changed(self, job_id: str) -> None:
        """Do nothing."""


if TYPE_CHECKING:
    _bus: Bus = Alone()
    _signals: Signals = Alone()

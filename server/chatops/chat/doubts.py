"""Commands of which nobody knows whether they are stored, because the store went away meanwhile."""

import asyncio
from collections.abc import Callable

import structlog

from chatops.errors import StoreUnavailableError
from chatops.sessions.model import NewEntry
from chatops.sessions.service import Sessions
from chatops.tasks import Supervisor

log = structlog.get_logger(__name__)

LOOKS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds before each look at a store that answers: what it was sent may still be on its way."""

_MOST = 1_000


class Doubts:
    """Looks whether such a command was stored after all, and has it run once if it was.

    A retry of its sender settles it sooner where it comes to this node. One that comes to another
    node finds the command stored and leaves it to this one; if this one dies, the command is ended
    like any other that a dead node left.
    """

    def __init__(self, sessions: Sessions, supervisor: Supervisor) -> None:
        self._sessions = sessions
        self._supervisor = supervisor
        self._open: set[str] = set()

    def add(self, session_id: str, entry: NewEntry, run: Callable[[], None]) -> None:
        """Look for the entry from time to time, and ``run`` its command when it is there."""
        command_id = entry.command_id or ""
        if len(self._open) >= _MOST:
            log.warning("command_forgotten", command_id=command_id)
            return
        self._open.add(command_id)
        self._supervisor.start(
            self._look_for(session_id, entry, command_id, run), f"doubt {command_id}"
        )

    def settle(self, command_id: str) -> bool:
        """Return whether the command was in doubt; who asks is to run it, and nobody else will."""
        known = command_id in self._open
        self._open.discard(command_id)
        return known

    async def _look_for(
        self, session_id: str, entry: NewEntry, command_id: str, run: Callable[[], None]
    ) -> None:
        looks = list(LOOKS_S)
        try:
            while looks and command_id in self._open:
                await asyncio.sleep(looks[0])
                try:
                    stored = await self._sessions.stored(session_id, entry)
                except StoreUnavailableError:
                    continue
                looks.pop(0)
                if stored is None:
                    continue
                # Under the same key another request may have been stored, which was run then.
                if stored.command_id == command_id and self.settle(command_id):
                    run()
                return
        finally:
            self._open.discard(command_id)

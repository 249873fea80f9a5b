"""Progress to rooms: on change, at most once a second for each job and room, by one node only."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from chatops.backtests.job import Asker, Job
from chatops.backtests.jobs.board import Board, Standing
from chatops.backtests.ports import Announcer, JobStore
from chatops.errors import StoreUnavailableError
from chatops.tasks import Supervisor

EVERY_S = 1.0

_RETRY_S = 0.1

_STORE = ""
"""In the place of a room: what other nodes show of a job that runs here, they read in the store."""

Facts = tuple[object, ...]


@dataclass(slots=True)
class _Told:
    """What a room knows of a job and since when, in seconds of the monotonic clock."""

    facts: Facts
    at_s: float


@dataclass(slots=True)
class _Telling:
    """The telling of one job: whether something is new, and what each room knows."""

    due: bool = False
    working: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    rooms: dict[str, _Told] = field(default_factory=dict)


class ProgressReports:
    """Tells the rooms of a job's askers where it stands, until it has ended.

    Of a running job the node tells that runs it, of a waiting one that on which it was asked for.
    """

    def __init__(
        self,
        store: JobStore,
        announcer: Announcer,
        supervisor: Supervisor,
        board: Board,
        doubt: Callable[[str], None],
        *,
        alone: bool,
    ) -> None:
        """Make it.

        Args:
            store: Gives each change that is told a version of its own.
            announcer: Tells the rooms.
            supervisor: Runs what waits for the next second.
            board: Where the jobs stand.
            doubt: Called with the id of a job of which the store knows more than the board.
            alone: Whether no other node reads in the store how far a job is.
        """
        self._store = store
        self._announcer = announcer
        self._supervisor = supervisor
        self._board = board
        self._doubt = doubt
        self._alone = alone
        self._telling: dict[str, _Telling] = {}

    def soon(self, job_id: str) -> None:
        """Tell each room as soon as a second has passed since it was told last."""
        if not self._board.tells(job_id):
            return
        telling = self._telling.setdefault(job_id, _Telling())
        telling.due = True
        if not telling.working:
            telling.working = True
            self._supervisor.start(self._tell_while_due(job_id, telling), f"progress {job_id}")

    def joined(self, job_id: str) -> None:
        """As :meth:`soon`, but a room that has heard nothing of the job yet is told at once."""
        self.soon(job_id)
        if telling := self._telling.get(job_id):
            telling.wake.set()

    def taken_over(self, job: Job) -> None:
        """Wait a second before the first word: another node told the job's rooms until now."""
        telling = self._telling.setdefault(job.id, _Telling())
        now_s = time.monotonic()
        for room in {asker.session_id for asker in job.askers}:
            telling.rooms[room] = _Told((), now_s)

    def forget(self, job_id: str) -> None:
        """Say no more of the job, which has ended."""
        self._telling.pop(job_id, None)

    def _standing(self, job_id: str) -> Standing | None:
        return self._board.standing(job_id) if self._board.tells(job_id) else None

    async def _tell_while_due(self, job_id: str, telling: _Telling) -> None:
        try:
            while telling.due and (now := self._standing(job_id)):
                telling.due = False
                telling.wake.clear()
                try:
                    await self._tell(now, telling)
                except StoreUnavailableError:
                    telling.due = True
                with suppress(TimeoutError):
                    async with asyncio.timeout(_pause_s(telling)):
                        await telling.wake.wait()
        finally:
            telling.working = False

    async def _tell(self, now: Standing, telling: _Telling) -> None:
        facts = _facts(now)
        rooms: dict[str, Asker | None] = {}
        for one in now.job.askers:
            rooms.setdefault(one.session_id, one)
        if now.job.state == "running" and not self._alone:
            rooms[_STORE] = None  # it knows of the start, so the rest has time
            telling.rooms.setdefault(_STORE, _Told((), time.monotonic()))
        late = {
            room: asker
            for room, asker in rooms.items()
            if (told := telling.rooms.get(room)) is None or told.facts != facts
        }
        ready = {
            room: asker
            for room, asker in late.items()
            if (told := telling.rooms.get(room)) is None or told.at_s + EVERY_S <= time.monotonic()
        }
        telling.due = telling.due or len(ready) < len(late)
        if not ready:
            return
        # A room's first word has the version that the job was stored with, and needs no other.
        version: int | None = now.job.version
        if _STORE in ready or ready.keys() & telling.rooms.keys():
            version = await self._store_progress(now.job.id)
        for room, asker in ready.items():
            if version is None or self._standing(now.job.id) is None:
                telling.due = True  # another attempt began meanwhile, or it has ended
                return
            telling.rooms[room] = _Told(facts, time.monotonic())
            if asker is not None:
                shown = replace(now.job, version=version)
                await self._announcer.progress(shown, asker, now.position, now.eta_s)

    async def _store_progress(self, job_id: str) -> int | None:
        """Store where the job stands; return its new version, None if the attempt is over."""
        job = self._board.get(job_id)  # as its worker told it: what is shown is reckoned from that
        if job is None:
            return None
        if job.state == "queued":
            kept = await self._store.progress(job.id, job.attempt, "queued", 0.0, "")
        else:
            kept = await self._store.progress(
                job.id, job.attempt, job.phase, job.fraction, job.note
            )
        if kept is None:
            self._doubt(job.id)
            return None
        return kept.version


def _pause_s(telling: _Telling) -> float:
    """Return the seconds until the next room may be told."""
    now_s = time.monotonic()
    return max(min((t.at_s + EVERY_S - now_s for t in telling.rooms.values()), default=0), _RETRY_S)


def _facts(now: Standing) -> Facts:
    return now.job.phase, round(now.job.fraction, 2), now.position, now.job.attempt

"""Progress to rooms: on change, at most once a second for each job and room."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from chatops.backtests.job import Asker, Job
from chatops.backtests.jobs.board import Standing
from chatops.backtests.ports import Announcer, JobStore
from chatops.errors import StoreUnavailableError
from chatops.tasks import Supervisor

EVERY_S = 1.0

_RETRY_S = 0.1

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
    """Tells the rooms of a job's askers where it stands, until it has ended."""

    def __init__(
        self,
        store: JobStore,
        announcer: Announcer,
        supervisor: Supervisor,
        standing: Callable[[str], Standing | None],
    ) -> None:
        """Make it; ``standing`` gives where a job stands, None once it has ended."""
        self._store = store
        self._announcer = announcer
        self._supervisor = supervisor
        self._standing = standing
        self._telling: dict[str, _Telling] = {}

    def soon(self, job_id: str) -> None:
        """Tell each room as soon as a second has passed since it was told last."""
        telling = self._telling.setdefault(job_id, _Telling())
        telling.due = True
        if not telling.working:
            telling.working = True
            self._supervisor.start(self._tell_while_due(job_id, telling), f"progress {job_id}")

    def joined(self, job_id: str) -> None:
        """As :meth:`soon`, but a room that has heard nothing of the job yet is told at once."""
        self.soon(job_id)
        self._telling[job_id].wake.set()

    def forget(self, job_id: str) -> None:
        """Say no more of the job, which has ended."""
        self._telling.pop(job_id, None)

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
        rooms: dict[str, Asker] = {}
        for asker in now.job.askers:
            told = telling.rooms.get(asker.session_id)
            if told is None or told.facts != facts:
                rooms.setdefault(asker.session_id, asker)
        early = {
            room
            for room in rooms
            if (told := telling.rooms.get(room)) and told.at_s + EVERY_S > time.monotonic()
        }
        telling.due = telling.due or bool(early)
        ready = [asker for room, asker in rooms.items() if room not in early]
        if not ready:
            return
        # A room's first word has the version that the job was stored with, and needs no other.
        version: int | None = now.job.version
        if any(asker.session_id in telling.rooms for asker in ready):
            version = await self._version_of(now.job)
        for asker in ready:
            if version is None or self._standing(now.job.id) is None:
                telling.due = True  # another attempt began meanwhile, or it has ended
                return
            telling.rooms[asker.session_id] = _Told(facts, time.monotonic())
            shown = replace(now.job, version=version)
            await self._announcer.progress(shown, asker, now.position, now.eta_s)

    async def _version_of(self, job: Job) -> int | None:
        """Store where the job stands; return its new version, None if the attempt is over."""
        if job.state == "queued":
            kept = await self._store.progress(job.id, job.attempt, "queued", 0.0, "")
        else:
            kept = await self._store.progress(
                job.id, job.attempt, job.phase, job.fraction, job.note
            )
        return None if kept is None else kept.version


def _pause_s(telling: _Telling) -> float:
    """Return the seconds until the next room may be told."""
    now_s = time.monotonic()
    return max(min((t.at_s + EVERY_S - now_s for t in telling.rooms.values()), default=0), _RETRY_S)


def _facts(now: Standing) -> Facts:
    return now.job.phase, round(now.job.fraction, 2), now.position, now.job.attempt

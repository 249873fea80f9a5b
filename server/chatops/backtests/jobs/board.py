"""The active jobs of this node in memory: which is next, and where each stands."""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from chatops.backtests.job import Job, JobKind
from chatops.backtests.jobs.schedule import fair_order, running_eta_s, typical_s, waiting_eta_s
from chatops.backtests.work import Phase, Progress
from chatops.protocol.base import utc_now

MEMBERS_SHARE = 0.8
"""Part of a comparison that is done when its runs have ended."""

REMEMBERED = 20
"""Durations from which the usual one is taken."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an active job stands now.

    Attributes:
        job: The job, with the newest phase and fraction known, as shown to people.
        position: 1 for the job that starts next; None for one that runs, and for a comparison
            whose runs have not ended.
        eta_s: Seconds until it will have ended, None if nothing is known.
    """

    job: Job
    position: int | None
    eta_s: float | None


class Board:
    """Active jobs and the slots that run them. No I/O; every method returns at once."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._active: dict[str, Job] = {}
        self._running: set[str] = set()
        self._last_turn: dict[str, int] = {}
        self._took_s: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    # ---------------------------------------------------------------- changing

    def put(self, job: Job) -> None:
        """Take the job as it is; it takes the place of what was known of it."""
        self._active[job.id] = job

    def joined(self, stored: Job) -> bool:
        """Add the askers of a job that is here; return False if it is not here (any more)."""
        known = self._active.get(stored.id)
        if known is None:
            return False
        if stored.version > known.version:
            self._active[stored.id] = replace(known, askers=stored.askers, version=stored.version)
        return True

    def drop(self, job_id: str) -> None:
        """Forget the job, which has ended."""
        self._active.pop(job_id, None)

    def progressed(self, job_id: str, got: Progress) -> bool:
        """Take note of a worker's progress; return whether it changes anything."""
        job = self._active.get(job_id)
        if job is None or (got.phase, got.fraction) == (job.phase, job.fraction):
            return False
        fraction = max(got.fraction, job.fraction)
        self._active[job_id] = replace(job, phase=got.phase, fraction=fraction, note=got.message)
        return True

    def stored(self, job_id: str, version: int) -> None:
        """Take note of the version the store has now."""
        if job := self._active.get(job_id):
            self._active[job_id] = replace(job, version=max(version, job.version))

    def begin(self) -> Job | None:
        """Give the next job a slot and return it; None when no slot or no job is left."""
        order = self.order() if len(self._running) < self._slots else []
        for job in order[:1]:
            self._running.add(job.id)
            self._take_turn(job.requested_by.id)
            return job
        return None

    def free(self, job_id: str) -> None:
        """Take the job's slot back. A repeat does nothing."""
        self._running.discard(job_id)

    def took(self, kind: JobKind, seconds: float) -> None:
        """Remember how long a job ran."""
        self._took_s[kind].append(seconds)

    # ---------------------------------------------------------------- looking

    def get(self, job_id: str) -> Job | None:
        """Return the active job, or None."""
        return self._active.get(job_id)

    def runs(self, job_id: str) -> bool:
        """Whether the job has a slot."""
        return job_id in self._running

    def ids(self) -> list[str]:
        """Return the ids of all active jobs."""
        return list(self._active)

    def waiting_for(self, job_id: str) -> list[str]:
        """Return the ids of the active comparisons that need the job's result."""
        return [other.id for other in self._active.values() if job_id in other.depends_on]

    def unwanted(self, job_id: str) -> bool:
        """Whether nobody asked for this active job and no comparison needs it."""
        job = self._active.get(job_id)
        return job is not None and not job.askers and not self.waiting_for(job_id)

    def order(self) -> list[Job]:
        """Return the waiting jobs that could start, in the order in which they will."""
        waiting = [job for job in self._active.values() if job.id not in self._running]
        ready = [job for job in waiting if not self._members(job)]
        return fair_order(ready, self._in_work(), self._last_turn)

    def owed(self) -> set[str]:
        """Return the ids of the commands that wait for an active job."""
        return {asker.command_id for job in self._active.values() for asker in job.askers}

    def everything(self) -> list[Standing]:
        """Return where every job stands: running ones first, then in the order of their start."""
        order = self.order()
        found = [self._stand(job, order) for job in self._active.values()]

        def place(one: Standing) -> tuple[float, float]:
            runs = one.job.id in self._running
            last = float("inf")  # comparisons that wait for their runs
            position = 0 if runs else one.position or last
            return position, one.job.created_at.timestamp()

        return sorted(found, key=place)

    def standing(self, job_id: str) -> Standing | None:
        """Return where one active job stands, or None."""
        job = self._active.get(job_id)
        return None if job is None else self._stand(job, self.order())

    # ---------------------------------------------------------------- reckoning

    def _take_turn(self, person_id: str) -> None:
        """Remember who was served last, of those who still have jobs."""
        here = {job.requested_by.id for job in self._active.values()}
        newest = max(self._last_turn.values(), default=0) + 1
        kept = {person: turn for person, turn in self._last_turn.items() if person in here}
        self._last_turn = {**kept, person_id: newest}

    def _in_work(self) -> list[Job]:
        return [self._active[job_id] for job_id in self._running if job_id in self._active]

    def _members(self, job: Job) -> list[Job]:
        return [self._active[part] for part in job.depends_on if part in self._active]

    def _usual_s(self) -> dict[str, float | None]:
        return {kind: typical_s(self._took_s[kind]) for kind in ("backtest", "comparison")}

    def _stand(self, job: Job, order: Sequence[Job]) -> Standing:
        if job.id in self._running:
            return Standing(_shown(job), None, self._left_s(job))
        if parts := self._members(job):
            return self._stand_of_waiting_comparison(job, parts, order)
        position = 1 + next((i for i, other in enumerate(order) if other.id == job.id), len(order))
        left = [self._left_s(other) for other in self._in_work()]
        eta_s = waiting_eta_s(position, self._slots, self._usual_s(), job.kind, left)
        return Standing(_shown(job), position, eta_s)

    def _left_s(self, job: Job) -> float | None:
        elapsed_s = (utc_now() - (job.started_at or job.created_at)).total_seconds()
        return running_eta_s(elapsed_s, job.fraction, self._usual_s()[job.kind])

    def _stand_of_waiting_comparison(
        self, job: Job, parts: Sequence[Job], order: Sequence[Job]
    ) -> Standing:
        done = len(job.depends_on) - len(parts) + sum(part.fraction for part in parts)
        mean = done / len(job.depends_on)
        phase: Phase = "running" if mean else "queued"
        shown = replace(job, phase=phase, fraction=MEMBERS_SHARE * mean)
        etas = [self._stand(part, order).eta_s for part in parts]
        own = self._usual_s()["comparison"]
        known = [eta for eta in etas if eta is not None]
        complete = own is not None and len(known) == len(etas)
        return Standing(shown, None, max(known) + own if complete and own is not None else None)


def _shown(job: Job) -> Job:
    """Return the job with its fraction of the whole; a comparison's runs are the greater part."""
    if not job.depends_on:
        return job
    return replace(job, fraction=MEMBERS_SHARE + (1.0 - MEMBERS_SHARE) * job.fraction)

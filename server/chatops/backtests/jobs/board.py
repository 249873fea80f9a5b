"""The active jobs in memory, whichever node runs them: which is next, and where each stands."""

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

ENDS_REMEMBERED = 2_000
"""A look at the store that began before a job ended may still bring it; it is known for so long."""


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
    """Active jobs, and the slots of this node that run some of them.

    A view of the whole cluster's jobs; the store has the truth. No I/O; every method returns at
    once.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._active: dict[str, Job] = {}
        self._here: dict[str, int | None] = {}
        self._asked_here: set[str] = set()
        self._ended: dict[str, None] = {}
        self._last_turn: dict[str, int] = {}
        self._took_s: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    # ---------------------------------------------------------------- changing

    def put(self, job: Job) -> bool:
        """Take what the store says of an active job; return False if that is out of date.

        What the worker of this node said last is newer than the store, and is kept.
        """
        known = self._active.get(job.id)
        if job.id in self._ended or (known is not None and known.version > job.version):
            return False
        if known is not None and known.attempt == job.attempt and self.runs(job.id):
            told = known.phase, max(known.fraction, job.fraction), known.note
            job = replace(job, phase=told[0], fraction=told[1], note=told[2])
        elif job.state == "running" and (known is None or known.attempt < job.attempt):
            self._take_turn(job)
        self._active[job.id] = job
        return True

    def asked_here(self, job_id: str) -> None:
        """Remember that this node speaks for the job while it waits."""
        self._asked_here.add(job_id)

    def drop(self, job_id: str) -> None:
        """Forget the job, which has ended, and take it for ended whoever still says otherwise."""
        self._active.pop(job_id, None)
        self._asked_here.discard(job_id)
        self._ended[job_id] = None
        while len(self._ended) > ENDS_REMEMBERED:
            del self._ended[next(iter(self._ended))]

    def lose(self, job_id: str) -> None:
        """Forget the job until the store speaks of it again."""
        self._active.pop(job_id, None)

    def progressed(self, job_id: str, got: Progress) -> bool:
        """Take note of a worker's progress; return whether it changes anything."""
        job = self._active.get(job_id)
        if job is None or (got.phase, got.fraction) == (job.phase, job.fraction):
            return False
        fraction = max(got.fraction, job.fraction)
        self._active[job_id] = replace(job, phase=got.phase, fraction=fraction, note=got.message)
        return True

    def begin(self) -> Job | None:
        """Give the next job a slot and return it; None when no slot or no job is left."""
        order = self.order() if len(self._here) < self._slots else []
        for job in order[:1]:
            self._here[job.id] = None
            self._take_turn(job)
            return job
        return None

    def started(self, job: Job) -> None:
        """Note which attempt the job's slot is for."""
        self._here[job.id] = job.attempt

    def free(self, job_id: str) -> None:
        """Take the job's slot back. A repeat does nothing."""
        self._here.pop(job_id, None)

    def took(self, kind: JobKind, seconds: float) -> None:
        """Remember how long a job ran."""
        self._took_s[kind].append(seconds)

    # ---------------------------------------------------------------- looking

    def get(self, job_id: str) -> Job | None:
        """Return the active job, or None."""
        return self._active.get(job_id)

    def has_slot(self, job_id: str) -> bool:
        """Whether this node has given the job a slot, and not yet taken it back."""
        return job_id in self._here

    def runs(self, job_id: str) -> bool:
        """Whether the job's present attempt is this node's."""
        job = self._active.get(job_id)
        return job is not None and job.state == "running" and self._here.get(job_id) == job.attempt

    def tells(self, job_id: str) -> bool:
        """Whether this node tells the rooms about the job: of all nodes only one does."""
        job = self._active.get(job_id)
        if job is None:
            return False
        return job_id in self._asked_here if job.state == "queued" else self.runs(job_id)

    def ids(self) -> list[str]:
        """Return the ids of all active jobs."""
        return list(self._active)

    def busy(self) -> int:
        """Return how many of this node's slots are taken."""
        return len(self._here)

    def waiting_for(self, job_id: str) -> list[str]:
        """Return the ids of the active comparisons that need the job's result."""
        return [other.id for other in self._active.values() if job_id in other.depends_on]

    def unwanted(self, job_id: str) -> bool:
        """Whether nobody asked for this active job and no comparison needs it."""
        job = self._active.get(job_id)
        return job is not None and not job.askers and not self.waiting_for(job_id)

    def order(self) -> list[Job]:
        """Return the waiting jobs that could start, in the order in which they will."""
        waiting = [job for job in self._active.values() if not self._at_work(job)]
        ready = [job for job in waiting if not self._members(job)]
        return fair_order(ready, self._in_work(), self._last_turn)

    def everything(self) -> list[Standing]:
        """Return where every job stands: running ones first, then in the order of their start."""
        order = self.order()
        found = [self._stand(job, order) for job in self._active.values()]

        def place(one: Standing) -> tuple[float, float]:
            last = float("inf")  # comparisons that wait for their runs
            position = 0 if self._at_work(one.job) else one.position or last
            return position, one.job.created_at.timestamp()

        return sorted(found, key=place)

    def standing(self, job_id: str) -> Standing | None:
        """Return where one active job stands, or None."""
        job = self._active.get(job_id)
        return None if job is None else self._stand(job, self.order())

    # ---------------------------------------------------------------- reckoning

    def _take_turn(self, job: Job) -> None:
        """Remember who was served last, of those who still have jobs."""
        here = {job.requested_by.id for job in self._active.values()}
        newest = max(self._last_turn.values(), default=0) + 1
        kept = {person: turn for person, turn in self._last_turn.items() if person in here}
        self._last_turn = {**kept, job.requested_by.id: newest}

    def _at_work(self, job: Job) -> bool:
        return job.state == "running" or job.id in self._here

    def _in_work(self) -> list[Job]:
        return [job for job in self._active.values() if self._at_work(job)]

    def _members(self, job: Job) -> list[Job]:
        return [self._active[part] for part in job.depends_on if part in self._active]

    def _usual_s(self) -> dict[str, float | None]:
        return {kind: typical_s(self._took_s[kind]) for kind in ("backtest", "comparison")}

    def _stand(self, job: Job, order: Sequence[Job]) -> Standing:
        if self._at_work(job):
            return Standing(_shown(job), None, self._left_s(job))
        if parts := self._members(job):
            return self._stand_of_waiting_comparison(job, parts, order)
        position = 1 + next((i for i, other in enumerate(order) if other.id == job.id), len(order))
        left = [self._left_s(other) for other in self._in_work()]
        # How many slots the other nodes have is not known, but those that are taken are there.
        slots = len(left) + max(self._slots - len(self._here), 0)
        eta_s = waiting_eta_s(position, max(slots, 1), self._usual_s(), job.kind, left)
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

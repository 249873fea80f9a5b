"""A job, who asked for it, and what became of it."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from chatops.access.identity import Person
from chatops.backtests.work import Phase

JobKind = Literal["backtest", "comparison"]
JobState = Literal["queued", "running", "completed", "failed", "cancelled", "interrupted"]
ACTIVE: tuple[JobState, ...] = ("queued", "running")


@dataclass(frozen=True, slots=True)
class Asker:
    """A command in some room that waits for the job; it is owed one result.

    Attributes:
        command_id: The command.
        session_id: Its room.
        person: Who typed it.
        command: Its text.
        asked_at: When, UTC.
        joined: How the command met the job: it made it, joined it while it ran, or found it done.
        strategy: Name and version of the strategy that was asked for. Runs with equal parameters
            are one job, so this may not be the one the job was made for.
    """

    command_id: str
    session_id: str
    person: Person
    command: str
    asked_at: datetime
    joined: Literal["created", "joined", "reused"] = "created"
    strategy: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job has no result, in words for a person."""

    code: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One run.

    Attributes:
        id: ``bt_`` or ``cmp_`` and 12 characters.
        kind: What a worker does with it.
        title: One line for a person.
        fingerprint: Equal fingerprints give equal results.
        provenance: What the fingerprint is made of: code, data, engine, settings.
        spec: The request as JSON values.
        requested_by: Who asked first.
        session_id: Where it was asked first.
        created_at: When, UTC.
        depends_on: Jobs whose results this one reads; it waits until all have ended.
        repeats: The earlier job whose result this one is to be compared with.
        state: Where it stands.
        phase: What the worker is doing.
        fraction: Part done, 0..1.
        note: The worker's word on it.
        attempt: Number of starts; also the fence: a write under an older number is refused.
        version: Grows with each change.
        started_at: When the present attempt began.
        ended_at: When it reached a final state.
        ended_by: Who cancelled it.
        failure: Why it has no result.
        summary: The result's JSON values, when completed.
        askers: The commands that wait for it, or were answered by it.
    """

    id: str
    kind: JobKind
    title: str
    fingerprint: str
    provenance: dict[str, Any]
    spec: dict[str, Any]
    requested_by: Person
    session_id: str
    created_at: datetime
    depends_on: tuple[str, ...] = ()
    repeats: str | None = None
    state: JobState = "queued"
    phase: Phase = "queued"
    fraction: float = 0.0
    note: str = ""
    attempt: int = 0
    version: int = 1
    started_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: Person | None = None
    failure: Failure | None = None
    summary: dict[str, Any] | None = None
    askers: tuple[Asker, ...] = field(default=())

    @property
    def is_active(self) -> bool:
        """Whether it has still to end."""
        return self.state in ACTIVE

    def changed(self, **fields: Any) -> "Job":
        """Return a copy with ``fields`` changed and the version one higher."""
        return replace(self, version=self.version + 1, **fields)

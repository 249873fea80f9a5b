"""What backtests need from outside; the docstrings are the contract (see ``tests/contracts``)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from chatops.access.identity import Person
from chatops.backtests.job import Asker, Failure, Job, JobState
from chatops.backtests.work import Phase, Progress, Report, Task

LEASE_S = 10.0
"""How long a worker may be silent before its job is somebody else's."""


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list; None means any. Newest first."""

    session_id: str | None = None
    states: tuple[JobState, ...] | None = None
    kind: Literal["backtest", "comparison"] | None = None
    strategy: str | None = None
    symbol: str | None = None
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Proof:
    """What a result really came from, where it is not what was planned."""

    fingerprint: str
    provenance: dict[str, Any]


class JobStore(Protocol):
    """The durable record of jobs. Raises ``StoreUnavailableError`` when the store is away."""

    async def submit(self, job: Job, *, fresh: bool, queue_limit: int) -> Job:
        """Store the job, or attach its askers to an equal one.

        Atomic. Without ``fresh``, an active job with the same fingerprint is joined (the oldest, if
        there are several), else the newest completed one is reused: its askers grow by those of
        ``job``, marked ``joined`` or ``reused``, its version is one higher, and it is returned. A
        ``job`` without askers (a comparison's member) changes nothing there. With ``fresh``, or
        when there is no equal job, ``job`` is stored and returned.
        A repeat with the same asker's ``command_id``, or with the same job id, returns the job it
        met first and changes nothing, ``fresh`` or not.

        Raises:
            QueueFullError: ``queue_limit`` jobs are queued and a new one would be needed.
        """
        ...

    async def get(self, job_id: str) -> Job | None:
        """Return the job with its summary, or None."""
        ...

    async def list_jobs(self, which: JobFilter) -> Sequence[Job]:
        """Return jobs, newest first."""
        ...

    async def active(self) -> Sequence[Job]:
        """Return every queued or running job, oldest first."""
        ...

    async def start(self, job_id: str, at: datetime) -> Job | None:
        """Queued → running, attempt one higher. None if it is not queued any more.

        Of many callers on many nodes one gets the job, and with it a lease of the store's length:
        who does not :meth:`renew` it in time has lost the job.
        """
        ...

    async def renew(self, job_id: str, attempt: int) -> Job | None:
        """Begin the lease anew; ``ended_by`` of what is returned is who wants the job stopped.

        None if the attempt is over: another has the job, or it has ended.
        """
        ...

    async def lapsed(self) -> Sequence[Job]:
        """Return the running jobs whose lease is over: nobody works on them."""
        ...

    async def cancel(self, job_id: str, person: Person, at: datetime) -> Job | None:
        """End a queued job as cancelled, or note on a running one who wants it stopped.

        Atomic. None if it has ended, or there is none. A repeat changes nothing more.
        """
        ...

    async def progress(
        self, job_id: str, attempt: int, phase: Phase, fraction: float, note: str
    ) -> Job | None:
        """Record where an active job stands. None if the attempt is over.

        A queued job takes only the phase ``queued``: its version grows, and a worker that lost it
        cannot change it.
        """
        ...

    async def requeue(self, job_id: str, attempt: int) -> Job | None:
        """Running → queued, because its worker is gone. None if that attempt is over."""
        ...

    async def finish(
        self,
        job_id: str,
        attempt: int | None,
        state: Literal["completed", "failed", "cancelled", "interrupted"],
        at: datetime,
        *,
        summary: Mapping[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
        failure: Failure | None = None,
        ended_by: Person | None = None,
        proof: Proof | None = None,
    ) -> Job | None:
        """End the job with its result and files, in one transaction.

        ``proof``, when given, takes the place of the fingerprint and provenance that the job was
        submitted with. ``attempt`` None ends it whatever the attempt (cancelling a queued job).
        None is returned when it has ended already or another attempt owns it: the caller's result
        is then dropped.
        """
        ...

    async def owed(self) -> Sequence[Job]:
        """Return ended jobs some of whose askers have not been answered, oldest first.

        Their ``askers`` hold only the unanswered ones.
        """
        ...

    async def answered(self, job_id: str, command_id: str) -> None:
        """Remember that the asker has its result. A repeat does nothing."""
        ...

    async def file(self, job_id: str, name: str) -> bytes | None:
        """Return a download of a completed job, or None."""
        ...

    async def file_names(self, job_id: str) -> Sequence[str]:
        """Return the names of a job's downloads, sorted."""
        ...

    async def durations_s(self, kind: str, limit: int) -> Sequence[float]:
        """Return how long the newest completed jobs of a kind ran, in seconds, newest first."""
        ...


@dataclass(frozen=True, slots=True)
class SavedStrategy:
    """A named configuration of a strategy type.

    Attributes:
        id: snake_case name, unique over the server.
        type: Key of ``STRATEGY_TYPES``.
        params: Every parameter of the type.
        owner: Who saved it; only they change it.
        version: 1, 2, ...; one higher at each change.
        description: What it is for.
        changed_at: When it was saved last, UTC.
    """

    id: str
    type: str
    params: dict[str, int | float]
    owner: Person
    version: int
    description: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class PriceFile:
    """A file of prices that somebody sent.

    Attributes:
        name: Its name, without a folder; the ending tells its form, the rest may be the symbol.
        content: Its bytes.
        symbol: The symbol, or which one of a file with several.
        timeframe: Length of a bar, if the times do not tell.
        allow_jumps: Accept jumps that look like splits.
        replace: Whether it may stand in the place of other prices of its symbols.
    """

    name: str
    content: bytes
    symbol: str | None = None
    timeframe: str | None = None
    allow_jumps: bool = False
    replace: bool = False


class PriceImporter(Protocol):
    """Brings prices into the folder that workers read."""

    async def import_prices(self, file: PriceFile) -> Sequence[Mapping[str, Any]]:
        """Check the file and write its prices; without blocking the loop.

        Nothing is written unless all of it passes, and what is there just so is left alone, so a
        repeat does nothing. Cancelled, it may have written some of several symbols, each whole.

        Returns:
            What ``market.uploads.import_upload`` does.

        Raises:
            AppError: What that raises.
            UpstreamFailedError: The import broke off.
        """
        ...


class StrategyStore(Protocol):
    """Saved strategies. Raises ``StoreUnavailableError`` when the store is away."""

    async def list_strategies(self) -> Sequence[SavedStrategy]:
        """Return all, by id."""
        ...

    async def get_strategy(self, strategy_id: str) -> SavedStrategy | None:
        """Return it, or None."""
        ...

    async def put_strategy(self, strategy: SavedStrategy, *, replaces: int) -> bool:
        """Store it if the present version is ``replaces`` (0: there is none); else return False."""
        ...

    async def delete_strategy(self, strategy_id: str, *, version: int) -> bool:
        """Delete it if the present version is ``version``; else return False."""
        ...


class Signals(Protocol):
    """Tells the other nodes that a job has changed. May be lost; plain functions, nobody waits."""

    @property
    def alone(self) -> bool:
        """Whether there is no other node."""
        ...

    @property
    def healthy(self) -> bool:
        """Whether signals have come through of late."""
        ...

    def attach_jobs(self, changed: Callable[[str], None]) -> None:
        """Say whom to tell the id of a job that changed on another node."""
        ...

    def job_changed(self, job_id: str) -> None:
        """Tell the other nodes."""
        ...


class WorkerLostError(Exception):
    """The worker process died in the middle of a task; ``reason`` says how, for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Workers(Protocol):
    """Runs tasks outside the event loop, never more at once than :attr:`slots`."""

    @property
    def slots(self) -> int:
        """How many tasks may run at once."""
        ...

    async def run(self, task: Task, on_progress: Callable[[Progress], None]) -> Report:
        """Run the task in a worker process and return its report.

        ``on_progress`` is called on the event loop, in order. Cancelling this call stops the
        worker: cooperatively at first, by force when it does not answer in 2 s.

        Raises:
            AppError: The task cannot be done; the words are for a person.
            Cancelled: :meth:`cancel` stopped it.
            WorkerLostError: The process died.
        """
        ...

    def cancel(self, job_id: str) -> bool:
        """Ask a running task to stop; whether it was running here."""
        ...

    def cache_counts(self) -> tuple[int, int]:
        """Return how often prices were in a worker's memory, and how often they were read."""
        ...


class Tickets(Protocol):
    """Calls workers of other processes; a ticket says that there may be work, not which."""

    def offer(self, ready: int) -> None:
        """See that at least ``ready`` tickets wait to be taken; those that wait already count.

        A plain function: nobody waits for it, and a ticket may be lost. Tickets too many do no
        harm: who takes one and finds no work is done.
        """
        ...


class Announcer(Protocol):
    """Tells rooms about jobs."""

    async def progress(
        self, job: Job, asker: Asker, queue_position: int | None, eta_s: float | None
    ) -> None:
        """Show where an active job stands, in the asker's room. May be lost."""
        ...

    async def ended(self, job: Job, asker: Asker) -> None:
        """Store the result for an asker's room, which sees the final progress with it.

        Safe to repeat: the result is stored once for each command.
        """
        ...

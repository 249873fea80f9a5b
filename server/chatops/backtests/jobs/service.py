"""Jobs from the asking to the answer: submit, schedule, watch, cancel, recover.

Every change is in the store before anybody hears of it, and what a room is owed is in the store
too, so a new process continues where a dead one stopped; see ``docs/topics/jobs.md``.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeVar

import structlog

from chatops.access.identity import SYSTEM, Person
from chatops.backtests.job import Failure, Job
from chatops.backtests.jobs.schedule import fair_order, running_eta_s, typical_s, waiting_eta_s
from chatops.backtests.ports import (
    Announcer,
    JobStore,
    WorkerLostError,
    Workers,
)
from chatops.backtests.work import Cancelled, Phase, Progress, Report, Task
from chatops.errors import (
    AppError,
    InternalError,
    NotFoundError,
    ShuttingDownError,
    StoreUnavailableError,
    UpstreamFailedError,
)
from chatops.protocol.base import utc_now
from chatops.tasks import Supervisor

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 2
"""A job whose worker or server died is run once more; after that it ends as interrupted."""

_REPORT_EVERY_S = 1.0
_MEMBERS_SHARE = 0.8

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an active job stands now.

    Attributes:
        job: The job, with the newest phase and fraction known.
        position: 1 for the job that starts next, None for one that runs.
        eta_s: Seconds until it will have ended, None if nothing is known.
    """

    job: Job
    position: int | None
    eta_s: float | None


class Jobs:
    """The jobs of this node."""

    def __init__(
        self,
        store: JobStore,
        workers: Workers,
        announcer: Announcer,
        supervisor: Supervisor,
        *,
        queue_limit: int,
    ) -> None:
        self._store = store
        self._workers = workers
        self._announcer = announcer
        self._supervisor = supervisor
        self._queue_limit = queue_limit
        self._active: dict[str, Job] = {}
        self._running: set[str] = set()
        self._reporting: set[str] = set()
        self._unreported: set[str] = set()
        self._cancelled_by: dict[str, Person] = {}
        self._usual_s: dict[str, float | None] = {}
        self._closing = False
        self.cache_counts = (0, 0)

    # ---------------------------------------------------------------- life

    async def open(self) -> None:
        """Take up what an earlier process left: answer what is owed, run again what was running."""
        for kind in ("backtest", "comparison"):
            self._usual_s[kind] = typical_s(await self._store.durations_s(kind, 20))
        for job in await self._store.active():
            if job.state == "running":
                await self._worker_gone(job, "the server stopped while it ran")
            else:
                self._active[job.id] = job
        for job in await self._store.owed():
            await self._answer(job)
        self._schedule()

    async def close(self) -> None:
        """Start nothing more. What runs is stopped with its task and taken up at the next start."""
        self._closing = True

    # ---------------------------------------------------------------- asking

    async def submit(self, job: Job, *, fresh: bool = False) -> Job:
        """Store the job, or attach its askers to an equal one; see :meth:`JobStore.submit`.

        A job that had ended already answers its asker at once.

        Raises:
            QueueFullError: Too many wait.
            ShuttingDownError: The server is going away.
        """
        if self._closing:
            raise ShuttingDownError("The server is going away.", "Try again in a few seconds.")
        stored = await self._store.submit(job, fresh=fresh, queue_limit=self._queue_limit)
        if stored.is_active:
            self._active[stored.id] = stored
            self._schedule()
            now = self._stand(stored, self._order())
            await self._announcer.progress(stored, now.position, now.eta_s)
            self._report_soon(stored.id, after_s=_REPORT_EVERY_S)
        else:
            for asker in stored.askers:
                if any(asker.command_id == new.command_id for new in job.askers):
                    await self._answer_one(stored, asker.command_id)
        return stored

    async def cancel(self, job_id: str, person: Person) -> Job:
        """Stop the job; whoever asked for it is told who stopped it.

        A queued job ends here; a running one ends when its worker has stopped. A comparison takes
        those of its runs with it that nobody else asked for.

        Raises:
            NotFoundError: No job of this id is active.
        """
        job = self._active.get(job_id)
        if job is None:
            raise NotFoundError(
                f'No job "{job_id}" is waiting or running.', "Type /jobs to see those that are."
            )
        self._cancelled_by[job_id] = person
        if job_id in self._running:
            self._workers.cancel(job_id)
        else:
            await self._end(job, None, "cancelled", ended_by=person)
        for part in job.depends_on:
            if self._only_for(part, job_id):
                await self.cancel(part, person)
        return job

    # ---------------------------------------------------------------- looking

    def standing(self) -> list[Standing]:
        """Return every active job, running ones first, then in the order of their start."""
        order = self._order()
        found = [self._stand(job, order) for job in self._active.values()]
        return sorted(found, key=lambda one: (one.position or 0, one.job.created_at))

    def of_session(self, session_id: str) -> list[tuple[Standing, Person]]:
        """Return the active jobs that somebody in the session asked for, with that person."""
        return [
            (now, asker.person)
            for now in self.standing()
            for asker in [a for a in now.job.askers if a.session_id == session_id][:1]
        ]

    def owed(self) -> set[str]:
        """Return the ids of the commands that an active job will answer."""
        return {asker.command_id for job in self._active.values() for asker in job.askers}

    def usual_s(self, kind: Literal["backtest", "comparison"]) -> float | None:
        """Return how long such a job usually runs, in seconds."""
        return self._usual_s.get(kind)

    # ---------------------------------------------------------------- running

    def _order(self) -> list[Job]:
        waiting = [job for job in self._active.values() if job.id not in self._running]
        ready = [job for job in waiting if not self._members(job)]
        return fair_order(ready, self._in_work())

    def _in_work(self) -> list[Job]:
        return [self._active[job_id] for job_id in self._running if job_id in self._active]

    def _members(self, job: Job) -> list[Job]:
        return [self._active[part] for part in job.depends_on if part in self._active]

    def _schedule(self) -> None:
        if self._closing:
            return
        for job in self._order()[: self._workers.slots - len(self._running)]:
            self._running.add(job.id)
            self._supervisor.start(self._run(job), f"job {job.id}")

    async def _run(self, job: Job) -> None:
        try:
            started = await self._insist(lambda: self._store.start(job.id, utc_now()))
            if started is None:  # it was cancelled meanwhile
                self._active.pop(job.id, None)
                return
            self._active[job.id] = started
            await self._work(started)
        finally:
            self._running.discard(job.id)
            self._schedule()

    async def _work(self, job: Job) -> None:
        try:
            task = await self._insist(lambda: self._task(job))
            if job.id in self._cancelled_by:  # before there was a worker to tell
                raise Cancelled
            report = await self._workers.run(task, lambda got: self._progressed(job.id, got))
        except Cancelled:
            by = self._cancelled_by.get(job.id, SYSTEM)
            await self._end(job, job.attempt, "cancelled", ended_by=by)
        except WorkerLostError as lost:
            if canceller := self._cancelled_by.get(job.id):
                await self._end(job, job.attempt, "cancelled", ended_by=canceller)
            else:
                await self._worker_gone(job, lost.reason)
        except AppError as error:
            await self._end(job, job.attempt, "failed", failure=_failure(error))
        except Exception:  # a fault of ours must not leave a job without an end
            log.exception("job_failed", job=job.id)
            ours = InternalError("The server failed while it ran this.", "Try it once more.")
            await self._end(job, job.attempt, "failed", failure=_failure(ours))
        else:
            await self._end(job, job.attempt, "completed", report=report)

    async def _task(self, job: Job) -> Task:
        """Return what the worker needs; a comparison gets the results of its runs."""
        inputs, files = [], {}
        for index, part in enumerate(job.depends_on):
            run = await self._store.get(part)
            if run is None or run.summary is None:
                reason = run.failure.message if run and run.failure else "it was stopped"
                title = run.title if run else part
                raise UpstreamFailedError(f"The run {title} has no result: {reason}")
            inputs.append(run.summary)
            files[f"{index}/equity.csv"] = await self._store.file(part, "equity.csv") or b""
        return Task(job_id=job.id, kind=job.kind, spec=job.spec, inputs=inputs, files=files)

    async def _worker_gone(self, job: Job, reason: str) -> None:
        """Run the job once more, or end it, because nobody works on it any longer."""
        log.warning("worker_lost", job=job.id, attempt=job.attempt, reason=reason)
        if job.attempt < MAX_ATTEMPTS:
            again = await self._insist(lambda: self._store.requeue(job.id, job.attempt))
            if again is not None:
                self._active[job.id] = again
                self._report_soon(job.id)
        else:
            failure = Failure(
                code="interrupted",
                message=f"It was interrupted {job.attempt} times and will not be tried again.",
                hint=f"Type /rerun {job.id} to run it anew.",
            )
            await self._end(job, job.attempt, "interrupted", failure=failure)

    async def _end(
        self,
        job: Job,
        attempt: int | None,
        state: Literal["completed", "failed", "cancelled", "interrupted"],
        *,
        report: Report | None = None,
        failure: Failure | None = None,
        ended_by: Person | None = None,
    ) -> None:
        finish = partial(
            self._store.finish,
            job.id,
            attempt,
            state,
            utc_now(),
            summary=report.summary if report else None,
            files=report.files if report else None,
            failure=failure,
            ended_by=ended_by,
        )
        ended = await self._insist(finish)
        self._active.pop(job.id, None)
        self._running.discard(job.id)
        self._cancelled_by.pop(job.id, None)
        if ended is None:
            return
        log.info("job_ended", job=job.id, state=state, attempt=ended.attempt)
        if state == "completed":
            self._usual_s[job.kind] = typical_s(await self._store.durations_s(job.kind, 20))
        await self._answer(ended)
        for waiting in list(self._active):
            self._report_soon(waiting)
        self._schedule()

    # ---------------------------------------------------------------- telling

    async def _answer(self, job: Job) -> None:
        for asker in job.askers:
            await self._answer_one(job, asker.command_id)

    async def _answer_one(self, job: Job, command_id: str) -> None:
        for asker in job.askers:
            if asker.command_id == command_id:
                await self._insist(partial(self._announcer.ended, job, asker))
                await self._insist(partial(self._store.answered, job.id, command_id))

    def _progressed(self, job_id: str, got: Progress) -> None:
        job = self._active.get(job_id)
        if job is not None and (got.phase, got.fraction) != (job.phase, job.fraction):
            self._active[job_id] = replace(
                job,
                phase=got.phase,
                fraction=max(got.fraction, job.fraction),
                note=got.message,
            )
            self._report_soon(job_id)
            for other in self._active.values():
                if job_id in other.depends_on:
                    self._report_soon(other.id)

    def _report_soon(self, job_id: str, after_s: float = 0.0) -> None:
        """Tell the rooms as soon as a second has passed since they were told last."""
        self._unreported.add(job_id)
        if job_id not in self._reporting:
            self._reporting.add(job_id)
            self._supervisor.start(self._report(job_id, after_s), f"progress {job_id}")

    async def _report(self, job_id: str, after_s: float) -> None:
        told: tuple[object, ...] = ()
        try:
            await asyncio.sleep(after_s)
            while job_id in self._unreported and (job := self._active.get(job_id)):
                self._unreported.discard(job_id)
                now = self._stand(job, self._order())
                facts = (now.job.phase, round(now.job.fraction, 2), now.position, now.job.attempt)
                if facts != told:
                    told = facts
                    with suppress(StoreUnavailableError):  # the next one will say it
                        await self._tell(now)
                await asyncio.sleep(_REPORT_EVERY_S)
        finally:
            self._reporting.discard(job_id)
            self._unreported.discard(job_id)

    async def _tell(self, now: Standing) -> None:
        job = now.job
        kept = await self._store.progress(job.id, job.attempt, job.phase, job.fraction, job.note)
        if kept is not None and job.id in self._active:
            self._active[job.id] = replace(self._active[job.id], version=kept.version)
            await self._announcer.progress(kept, now.position, now.eta_s)

    async def _insist(self, act: Callable[[], Awaitable[T]]) -> T:
        """Repeat until the store takes it: what becomes of a job must not be lost."""
        wait_s = 0.2
        while True:
            try:
                return await act()
            except StoreUnavailableError:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, 5.0)

    # ---------------------------------------------------------------- reckoning

    def _stand(self, job: Job, order: Sequence[Job]) -> Standing:
        usual = self._usual_s.get(job.kind)
        if job.id in self._running:
            started = job.started_at or job.created_at
            elapsed = (utc_now() - started).total_seconds()
            return Standing(job, None, running_eta_s(elapsed, job.fraction, usual))
        if parts := self._members(job):
            done = len(job.depends_on) - len(parts) + sum(part.fraction for part in parts)
            fraction = _MEMBERS_SHARE * done / len(job.depends_on)
            phase: Phase = "running" if fraction else "queued"
            return Standing(replace(job, phase=phase, fraction=fraction), None, None)
        position = 1 + next((i for i, other in enumerate(order) if other.id == job.id), 0)
        left = [self._stand(other, order).eta_s for other in self._in_work()]
        eta = waiting_eta_s(position, self._workers.slots, self._usual_s, job.kind, left)
        return Standing(job, position, eta)

    def _only_for(self, part: str, job_id: str) -> bool:
        run = self._active.get(part)
        others = (o for o in self._active.values() if o.id != job_id and part in o.depends_on)
        return run is not None and not run.askers and not any(others)


def _failure(error: AppError) -> Failure:
    return Failure(code=error.code, message=error.message, hint=error.hint)

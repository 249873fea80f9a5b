"""Jobs from the asking to the answer: submit, schedule, watch, cancel, recover.

Every change is in the store before anybody hears of it, and what a room is owed is in the store
too, so a new process continues where a dead one stopped; see ``docs/topics/jobs.md``.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeVar

import structlog

from chatops.access.identity import SYSTEM, Person
from chatops.backtests.answers import ending
from chatops.backtests.job import Failure, Job
from chatops.backtests.jobs.board import REMEMBERED, Board, Standing
from chatops.backtests.jobs.progress import ProgressReports
from chatops.backtests.ports import Announcer, JobStore, Proof, WorkerLostError, Workers
from chatops.backtests.proof import verdict
from chatops.backtests.provenance import fingerprint
from chatops.backtests.work import Cancelled, Progress, Report, Task
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

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _End:
    """How a job ended."""

    state: Literal["completed", "failed", "cancelled", "interrupted"]
    report: Report | None = None
    failure: Failure | None = None
    ended_by: Person | None = None


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
        self._board = Board(workers.slots)
        self._progress = ProgressReports(store, announcer, supervisor, self._board.standing)
        self._cancelled_by: dict[str, Person] = {}
        self._closing = False

    # ---------------------------------------------------------------- life

    async def open(self) -> None:
        """Take up what an earlier process left: answer what is owed, run again what was running."""
        kinds: tuple[Literal["backtest", "comparison"], ...] = ("backtest", "comparison")
        for kind in kinds:
            for seconds in reversed(await self._store.durations_s(kind, REMEMBERED)):
                self._board.took(kind, seconds)
        found = await self._store.active()
        for job in found:
            self._board.put(job)
        for job in found:
            if job.state == "running":
                await self._lost(job, "the server stopped while it ran")
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
        if not stored.is_active:
            mine = {asker.command_id for asker in job.askers}
            await self._answer(
                replace(stored, askers=tuple(a for a in stored.askers if a.command_id in mine))
            )
            return stored
        # One that is of another id and not here has ended meanwhile, and has answered everybody.
        if not self._board.joined(stored) and stored.id == job.id:
            self._board.put(stored)
        self._schedule()
        self._progress.joined(stored.id)
        return stored

    async def cancel(self, job_id: str, person: Person) -> Job:
        """Stop the job; whoever asked for it is told who stopped it.

        A queued job ends here; a running one ends when its worker has stopped. A comparison takes
        those of its runs with it that nobody else asked for.

        Raises:
            NotFoundError: No job of this id is active.
        """
        job = self._board.get(job_id)
        if job is None:
            raise NotFoundError(
                f'No job "{job_id}" is waiting or running.', "Type /jobs to see those that are."
            )
        self._cancelled_by[job_id] = person
        if self._board.runs(job_id):
            self._workers.cancel(job_id)
        else:
            await self._end(job, None, _End("cancelled", ended_by=person))
        await self.abandon(job.depends_on, person)
        return job

    async def abandon(self, job_ids: Sequence[str], person: Person) -> None:
        """Stop those of the jobs that nobody asked for and no comparison needs (any more)."""
        for job_id in job_ids:
            if self._board.unwanted(job_id):
                await self.cancel(job_id, person)

    # ---------------------------------------------------------------- looking

    def standing(self) -> list[Standing]:
        """Return every active job, running ones first, then in the order of their start."""
        return self._board.everything()

    def of_session(self, session_id: str) -> list[tuple[Standing, Person]]:
        """Return the active jobs that somebody in the session asked for, with that person."""
        return [
            (now, asker.person)
            for now in self.standing()
            for asker in [a for a in now.job.askers if a.session_id == session_id][:1]
        ]

    def owed(self) -> set[str]:
        """Return the ids of the commands that an active job will answer."""
        return self._board.owed()

    def cache_counts(self) -> tuple[int, int]:
        """Return how often prices were in a worker's memory, and how often they were read."""
        return self._workers.cache_counts()

    # ---------------------------------------------------------------- running

    def _schedule(self) -> None:
        while not self._closing and (job := self._board.begin()):
            self._supervisor.start(self._run(job), f"job {job.id}")

    async def _run(self, job: Job) -> None:
        try:
            started = await self._insist(lambda: self._store.start(job.id, utc_now()))
            if started is None:  # it was cancelled meanwhile
                self._board.drop(job.id)
                return
            self._board.put(started)
            self._progress.soon(job.id)
            if end := await self._work(started):
                await self._end(started, started.attempt, end)
        except Exception:  # a fault of ours must not leave a job without an end
            log.exception("job_failed", job=job.id)
            await self._end(job, None, _End("failed", failure=_OURS))
        finally:
            self._board.free(job.id)
            self._schedule()

    async def _work(self, job: Job) -> _End | None:
        """Have a worker do the job; None if it is not at its end, because the worker is gone."""
        try:
            task = await self._insist(lambda: self._task(job))
            if job.id in self._cancelled_by:  # before there was a worker to tell
                raise Cancelled
            report = await self._workers.run(task, lambda got: self._progressed(job.id, got))
        except Cancelled:
            return _End("cancelled", ended_by=self._cancelled_by.get(job.id, SYSTEM))
        except WorkerLostError as lost:
            if canceller := self._cancelled_by.get(job.id):
                return _End("cancelled", ended_by=canceller)
            if not self._closing:
                await self._lost(job, lost.reason)
            return None
        except AppError as error:
            return _End("failed", failure=_failure(error))
        return _End("completed", report=report)

    async def _task(self, job: Job) -> Task:
        """Return what the worker needs; a comparison gets the results of its runs."""
        inputs, files = [], {}
        for index, part in enumerate(job.depends_on):
            run = await self._store.get(part)
            if run is None or run.summary is None:
                raise UpstreamFailedError(
                    ending(run) if run else f"The run {part} is gone.",
                    f"Type /rerun {job.id} to try all of it again.",
                )
            inputs.append(run.summary)
            files[f"{index}/equity.csv"] = await self._store.file(part, "equity.csv") or b""
        return Task(job_id=job.id, kind=job.kind, spec=job.spec, inputs=inputs, files=files)

    async def _lost(self, job: Job, reason: str) -> None:
        """Run the job once more, or end it, because nobody works on it any longer."""
        log.warning("worker_lost", job=job.id, attempt=job.attempt, reason=reason)
        if job.attempt < MAX_ATTEMPTS:
            again = await self._insist(lambda: self._store.requeue(job.id, job.attempt))
            if again is not None:
                self._board.put(again)
                self._progress.soon(job.id)
        else:
            failure = Failure(
                code="interrupted",
                message=f"its worker stopped {job.attempt} times, so it is not tried again.",
                hint=f"Type /rerun {job.id} to run it anew.",
            )
            await self._end(job, job.attempt, _End("interrupted", failure=failure))

    async def _end(self, job: Job, attempt: int | None, end: _End) -> None:
        """Store the end of the job, then answer everybody who waits for it."""
        summary, proof = await self._result(job, end.report) if end.report else (None, None)
        finish = partial(
            self._store.finish,
            job.id,
            attempt,
            end.state,
            utc_now(),
            summary=summary,
            files=end.report.files if end.report else None,
            failure=end.failure,
            ended_by=end.ended_by,
            proof=proof,
        )
        ended = await self._insist(finish)
        self._board.drop(job.id)
        self._board.free(job.id)
        self._progress.forget(job.id)
        self._cancelled_by.pop(job.id, None)
        if ended is not None:
            log.info("job_ended", job=job.id, state=end.state, attempt=ended.attempt)
            if end.state == "completed" and ended.started_at and ended.ended_at:
                taken = ended.ended_at - ended.started_at
                self._board.took(job.kind, taken.total_seconds())
        self._schedule()
        for waiting in self._board.ids():
            self._progress.soon(waiting)
        if ended is not None:
            await self._answer(ended)

    async def _result(self, job: Job, report: Report) -> tuple[dict[str, Any], Proof | None]:
        """Return the summary to be stored, and the proof if it is not the one that was planned.

        Data may have changed between the planning and the loading; only the worker knows which it
        was.
        """
        summary = dict(report.summary)
        true: dict[str, Any] = summary.get("provenance", job.provenance)
        if job.repeats is not None:
            verdict = await self._insist(lambda: self._verdict(job, summary))
            summary |= {"rerunOf": verdict} if verdict else {}
        proof = None if true == job.provenance else Proof(fingerprint(true), true)
        return summary, proof

    async def _verdict(self, job: Job, summary: dict[str, Any]) -> dict[str, Any] | None:
        """Compare the result with that of the job it repeats, run by run."""
        before = await self._store.get(job.repeats or "")
        if before is None:
            return None
        runs = []
        for old_id, new_id in zip(before.depends_on, job.depends_on, strict=False):
            old, new = await self._store.get(old_id), await self._store.get(new_id)
            if old is not None and new is not None:
                runs.append((old, new))
        return verdict(before, summary, runs)

    # ---------------------------------------------------------------- telling

    async def _answer(self, job: Job) -> None:
        """Give every asker of an ended job the result. A repeat changes nothing."""
        for asker in job.askers:
            await self._insist(partial(self._announcer.ended, job, asker))
            await self._insist(partial(self._store.answered, job.id, asker.command_id))

    def _progressed(self, job_id: str, got: Progress) -> None:
        if self._board.progressed(job_id, got):
            self._progress.soon(job_id)
            for comparison in self._board.waiting_for(job_id):
                self._progress.soon(comparison)

    async def _insist(self, act: Callable[[], Awaitable[T]]) -> T:
        """Repeat until the store takes it: what becomes of a job must not be lost."""
        wait_s = 0.2
        while True:
            try:
                return await act()
            except StoreUnavailableError:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, 5.0)


def _failure(error: AppError) -> Failure:
    return Failure(code=error.code, message=error.message, hint=error.hint)


_OURS = _failure(InternalError("The server failed while it ran this.", "Try it once more."))

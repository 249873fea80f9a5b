"""Running one job on this node: taking it, keeping it, and what becomes of it."""

import asyncio
from collections.abc import Callable

import structlog

from chatops.access.identity import SYSTEM
from chatops.backtests.answers import ending
from chatops.backtests.job import Failure, Job
from chatops.backtests.jobs.ends import End, Ends, insist
from chatops.backtests.jobs.view import View
from chatops.backtests.ports import JobStore, WorkerLostError, Workers
from chatops.backtests.work import Cancelled, Progress, Task
from chatops.errors import AppError, InternalError, StoreUnavailableError, UpstreamFailedError
from chatops.protocol.base import utc_now
from chatops.tasks import Supervisor

log = structlog.get_logger(__name__)

RENEW_EVERY_S = 1.0
"""Also how soon a node sees, without any signal, that somebody wants its job stopped."""


class Runner:
    """Runs the jobs to which the board has given a slot.

    Other nodes may want the same job, and may take one from this node that was silent for too
    long. The store decides, and nothing is stored for an attempt that is over.
    """

    def __init__(
        self,
        store: JobStore,
        workers: Workers,
        view: View,
        ends: Ends,
        supervisor: Supervisor,
        closing: Callable[[], bool],
    ) -> None:
        """Make it; while ``closing``, a job whose worker stops is left to other nodes."""
        self._store = store
        self._workers = workers
        self._view = view
        self._ends = ends
        self._supervisor = supervisor
        self._closing = closing

    async def run(self, job: Job) -> bool:
        """Run the job to its end; return False if another node was faster, or it had ended.

        When it returns, the slot is free.
        """
        started: Job | None = None
        board = self._view.board
        try:
            started = await insist(lambda: self._store.start(job.id, utc_now()))
            if started is None:
                await insist(lambda: self._view.refresh(job.id))
            else:
                log.info("job_started", job=job.id, attempt=started.attempt)
                board.started(started)
                self._view.changed(started)
                await self._attempt(started)
        except Exception:  # a fault of ours must not leave a job without an end
            log.exception("job_failed", job=job.id)
            board.lose(job.id)  # if even its end cannot be stored, it is not begun at once again
            attempt = None if started is None else started.attempt
            await self._ends.end(job, attempt, End("failed", failure=_OURS))
        finally:
            board.free(job.id)
        return started is not None

    async def _attempt(self, job: Job) -> None:
        lease = self._supervisor.start(self._keep(job), f"lease {job.id}")
        try:
            end = await self._work(job)
            if end is not None and self._holds(job):
                await self._ends.end(job, job.attempt, end)
        finally:
            lease.cancel()

    async def _keep(self, job: Job) -> None:
        """Renew the lease until cancelled, or until the attempt is over."""
        held: Job | None = job
        while held is not None:
            await asyncio.sleep(RENEW_EVERY_S)
            try:
                held = await self._store.renew(job.id, job.attempt)
                if held is None:
                    log.warning("job_lost", job=job.id, attempt=job.attempt)
                    await self._view.refresh(job.id)
                else:
                    self._view.take(held)
            except StoreUnavailableError:
                held = job  # nobody else can take it now either

    async def _work(self, job: Job) -> End | None:
        """Have a worker do the job; None if it is not at its end, because the worker is gone."""
        try:
            task = await insist(lambda: self._task(job))
            if not self._holds(job) or self._now(job).ended_by:
                raise Cancelled  # before there was a worker to tell
            report = await self._workers.run(task, lambda got: self._progressed(job, got))
        except Cancelled:
            canceller = self._now(job).ended_by
            return End("cancelled", ended_by=canceller or SYSTEM)
        except WorkerLostError as lost:
            await self._worker_lost(job, lost.reason)
            return None
        except AppError as error:
            return End("failed", failure=_failure(error))
        return End("completed", report=report)

    async def _worker_lost(self, job: Job, reason: str) -> None:
        if not self._holds(job):
            return
        now = self._now(job)
        if self._closing() and now.ended_by is None:
            await self._ends.release(job)
        else:
            await self._ends.lost(now, reason)

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

    def _progressed(self, job: Job, got: Progress) -> None:
        if self._holds(job) and self._view.board.progressed(job.id, got):
            self._view.progress.soon(job.id)
            for comparison in self._view.board.waiting_for(job.id):
                self._view.progress.soon(comparison)

    def _holds(self, job: Job) -> bool:
        """Whether the attempt is still this node's, as far as is known."""
        return self._view.board.runs(job.id) and self._now(job).attempt == job.attempt

    def _now(self, job: Job) -> Job:
        return self._view.board.get(job.id) or job


def _failure(error: AppError) -> Failure:
    return Failure(code=error.code, message=error.message, hint=error.hint)


_OURS = _failure(InternalError("The server failed while it ran this.", "Try it once more."))

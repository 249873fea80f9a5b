"""How jobs end: the record first, then an answer to everybody who waits for it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

import structlog

from chatops.access.identity import Person
from chatops.backtests.job import Failure, Job
from chatops.backtests.jobs.view import View
from chatops.backtests.ports import Announcer, JobStore, Proof
from chatops.backtests.proof import verdict
from chatops.backtests.provenance import fingerprint
from chatops.backtests.work import Report
from chatops.errors import StoreUnavailableError
from chatops.protocol.base import utc_now

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 2
"""A job whose worker or server died is run once more; after that it ends as interrupted."""

_LONGEST_PAUSE_S = 2.0

T = TypeVar("T")


async def insist(act: Callable[[], Awaitable[T]]) -> T:
    """Repeat until the store takes it: what becomes of a job must not be lost."""
    wait_s = 0.2
    while True:
        try:
            return await act()
        except StoreUnavailableError:
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_PAUSE_S)


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended."""

    state: Literal["completed", "failed", "cancelled", "interrupted"]
    report: Report | None = None
    failure: Failure | None = None
    ended_by: Person | None = None


class Ends:
    """Ends jobs. The store's fence decides: an attempt that is over ends nothing."""

    def __init__(self, store: JobStore, announcer: Announcer, view: View) -> None:
        self._store = store
        self._announcer = announcer
        self._view = view

    async def end(self, job: Job, attempt: int | None, end: End) -> None:
        """Store the end of the job, then answer everybody who waits for it.

        Nothing happens when the attempt is over; ``attempt`` None ends the job in any case.
        """
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
        ended = await insist(finish)
        self._view.board.free(job.id)
        if ended is None:
            await insist(lambda: self._view.refresh(job.id))
        else:
            await self.ended(ended)

    async def ended(self, job: Job) -> None:
        """Tell everybody of an end that this node has just stored."""
        log.info("job_ended", job=job.id, state=job.state, attempt=job.attempt)
        self._view.changed(job)
        await insist(lambda: self.answer(job))

    async def lost(self, job: Job, reason: str) -> None:
        """Run the job once more, or end it, because nobody works on it any longer."""
        log.warning("worker_lost", job=job.id, attempt=job.attempt, reason=reason)
        if job.ended_by is not None:
            await self.end(job, job.attempt, End("cancelled", ended_by=job.ended_by))
        elif job.attempt < MAX_ATTEMPTS:
            await self.release(job)
        else:
            failure = Failure(
                code="interrupted",
                message=f"its worker stopped {job.attempt} times, so it is not tried again.",
                hint=f"Type /rerun {job.id} to run it anew.",
            )
            await self.end(job, job.attempt, End("interrupted", failure=failure))

    async def release(self, job: Job) -> None:
        """Let the job wait again for whoever takes it; nothing if the attempt is over."""
        again = await insist(lambda: self._store.requeue(job.id, job.attempt))
        if again is None:
            await insist(lambda: self._view.refresh(job.id))
            return
        if (canceller := again.ended_by) is not None:  # somebody wanted it stopped meanwhile
            ended = await insist(lambda: self._store.cancel(job.id, canceller, utc_now()))
            if ended is not None and not ended.is_active:
                await self.ended(ended)
                return
        self._view.changed(again)

    async def answer(self, job: Job) -> None:
        """Give every asker of an ended job the result. A repeat changes nothing.

        Raises:
            StoreUnavailableError: Some may have no answer; repeat it.
        """
        for asker in job.askers:
            await self._announcer.ended(job, asker)
            await self._store.answered(job.id, asker.command_id)

    async def _result(self, job: Job, report: Report) -> tuple[dict[str, Any], Proof | None]:
        """Return the summary to be stored, and the proof if it is not the one that was planned.

        Data may have changed between the planning and the loading; only the worker knows which it
        was.
        """
        summary = dict(report.summary)
        true: dict[str, Any] = summary.get("provenance", job.provenance)
        if job.repeats is not None:
            verdict = await insist(lambda: self._verdict(job, summary))
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

"""What rooms are told about jobs: progress while they run, one result for each asker at the end."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chatops.access.identity import Person
from chatops.backtests.answers import answer, last_word, title_for
from chatops.backtests.job import Asker, Job
from chatops.backtests.ports import Announcer
from chatops.errors import NotFoundError
from chatops.protocol.events import BacktestProgress
from chatops.sessions.entries import author_of, command_result
from chatops.sessions.model import Preface
from chatops.sessions.service import Sessions


class JobReports:
    """The announcer of jobs: wire events out of job records."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def progress(
        self, job: Job, asker: Asker, queue_position: int | None, eta_s: float | None
    ) -> None:
        """Show where the job stands, in the asker's room."""
        shown = replace(job, title=title_for(job, asker))
        payload = progress_payload(shown, asker.session_id, asker.person, queue_position, eta_s)
        self._sessions.emit(asker.session_id, "backtestProgress", payload)

    async def ended(self, job: Job, asker: Asker) -> None:
        """Store the result; the final progress goes with it, so it is seen wherever that is."""
        result = command_result(
            answer(job, asker),
            command_id=asker.command_id,
            command=asker.command,
            session_id=asker.session_id,
            person=asker.person,
            asked_at=asker.asked_at,
        )
        last = Preface("backtestProgress", final_payload(job, asker))
        try:
            await self._sessions.append(asker.session_id, replace(result, preface=last))
        except NotFoundError:
            return  # the session expired meanwhile: nobody is left to be told


def progress_payload(
    job: Job, session_id: str, person: Person, queue_position: int | None, eta_s: float | None
) -> dict[str, Any]:
    """Return the ``backtestProgress`` of an active job for one room."""
    return BacktestProgress(
        backtest_id=job.id,
        progress=min(int(job.fraction * 100), 99),
        status="running",
        message=f"{job.title}: {job.note or job.phase}",
        session_id=session_id,
        phase=job.phase,
        queue_position=queue_position,
        eta_seconds=None if eta_s is None else max(round(eta_s), 0),
        requested_by=author_of(person),
        version=job.version,
    ).to_wire()


def final_payload(job: Job, asker: Asker) -> dict[str, Any]:
    """Return the last ``backtestProgress`` of an ended job for one asker."""
    done = job.state == "completed"
    return BacktestProgress.model_validate(
        {
            "backtest_id": job.id,
            "progress": 100 if done else min(int(job.fraction * 100), 99),
            "status": "completed" if done else "failed",
            "message": last_word(job, asker),
            "session_id": asker.session_id,
            "phase": "done",
            "requested_by": author_of(asker.person),
            "outcome": "reused" if done and asker.joined == "reused" else job.state,
            "version": job.version,
        }
    ).to_wire()


if TYPE_CHECKING:
    _: type[Announcer] = JobReports

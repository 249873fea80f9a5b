"""Jobs in MongoDB."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from chatops.access.identity import Person
from chatops.backtests.job import ACTIVE, Failure, Job
from chatops.backtests.ports import LEASE_S, JobFilter, JobStore, Proof
from chatops.backtests.work import Phase
from chatops.errors import StoreUnavailableError
from chatops.stores.mongo_database import MongoDatabase
from chatops.stores.mongo_job_documents import job_of, label
from chatops.stores.mongo_results import Results
from chatops.stores.mongo_submit import submit
from chatops.stores.values import failure_json, from_time, person_json, to_json, to_time

_ACTIVE = {"$in": list(ACTIVE)}
_OLDEST_FIRST = [("createdAt", 1), ("number", 1)]
_NEWEST_FIRST = [("createdAt", -1), ("number", -1)]


class MongoJobStore:
    """The record of jobs of many nodes; the contract is :class:`JobStore`.

    ``start`` sets the phase ``loading`` and begins the fraction anew, ``requeue`` sets the phase
    ``queued``, ``finish`` the phase ``done``. Each is one update that names the attempt it belongs
    to. Leases run by the clock of the database.
    """

    def __init__(self, database: MongoDatabase, *, lease_s: float = LEASE_S) -> None:
        self._database = database
        self._results = Results(database)
        self._lease = {"$add": ["$$NOW", int(lease_s * 1000)]}
        # One gate for all nodes is behind it: who waits here meets nobody of this node there.
        self._submitting = asyncio.Lock()
        # Ends of which the database has not said whether it took them.
        self._unsure: dict[tuple[str, int | None], set[str]] = {}

    async def submit(self, job: Job, *, fresh: bool, queue_limit: int) -> Job:
        """Store the job, or attach its askers to an equal one."""
        async with self._submitting:
            met = await submit(self._database, job, fresh=fresh, queue_limit=queue_limit)
        return await self._job(met)

    async def get(self, job_id: str) -> Job | None:
        """Return the job with its summary, or None."""
        found = await self._database.first("jobs", {"_id": job_id})
        return None if found is None else await self._job(found)

    async def list_jobs(self, which: JobFilter) -> Sequence[Job]:
        """Return jobs with their summaries, newest first.

        A job belongs to the session that asked first and to those of all its askers, a comparison
        to the strategies and symbols of all its members.
        """
        if which.limit <= 0:
            return []
        return await self._jobs(_conditions(which), _NEWEST_FIRST, limit=which.limit)

    async def active(self) -> Sequence[Job]:
        """Return every queued or running job, oldest first."""
        return await self._jobs({"state": _ACTIVE}, _OLDEST_FIRST)

    async def start(self, job_id: str, at: datetime) -> Job | None:
        """Queued → running, attempt one higher. None if it is not queued any more."""
        begun = {
            "state": "running",
            "phase": "loading",
            "fraction": 0.0,
            "note": "",
            "attempt": {"$add": ["$attempt", 1]},
            "startedAt": to_time(at),
            "leaseUntil": self._lease,
            "version": {"$add": ["$version", 1]},
        }
        return await self._change({"_id": job_id, "state": "queued"}, [{"$set": begun}])

    async def renew(self, job_id: str, attempt: int) -> Job | None:
        """Begin the lease anew. None if the attempt is over."""
        which = {"_id": job_id, "attempt": attempt, "state": "running"}
        return await self._change(which, [{"$set": {"leaseUntil": self._lease}}])

    async def lapsed(self) -> Sequence[Job]:
        """Return the running jobs whose lease is over."""
        over = {"state": "running", "$expr": {"$lt": ["$leaseUntil", "$$NOW"]}}
        return await self._jobs(over, _OLDEST_FIRST)

    async def cancel(self, job_id: str, person: Person, at: datetime) -> Job | None:
        """End a queued job as cancelled, or note on a running one who wants it stopped."""

        def if_queued(then: str, otherwise: str) -> dict[str, Any]:
            return {"$cond": [{"$eq": ["$state", "queued"]}, then, otherwise]}

        marked = {
            "endedBy": {"$ifNull": ["$endedBy", {"$literal": person_json(person)}]},
            "phase": if_queued("done", "$phase"),
            "endedAt": if_queued(to_time(at), "$endedAt"),
            "state": if_queued("cancelled", "$state"),
            "version": {"$add": ["$version", 1]},
        }
        return await self._change({"_id": job_id, "state": _ACTIVE}, [{"$set": marked}])

    async def progress(
        self, job_id: str, attempt: int, phase: Phase, fraction: float, note: str
    ) -> Job | None:
        """Record where an active job stands. None if that attempt is over."""
        state = _ACTIVE if phase == "queued" else "running"
        return await self._change(
            {"_id": job_id, "attempt": attempt, "state": state},
            {
                "$set": {"phase": phase, "fraction": fraction, "note": note},
                "$inc": {"version": 1},
            },
        )

    async def requeue(self, job_id: str, attempt: int) -> Job | None:
        """Running → queued, because its worker is gone. None if that attempt is over."""
        waiting = {
            "state": "queued",
            "phase": "queued",
            "fraction": 0.0,
            "note": "",
            "startedAt": None,
            "leaseUntil": None,
        }
        return await self._change(
            {"_id": job_id, "attempt": attempt, "state": "running"},
            {"$set": waiting, "$inc": {"version": 1}},
        )

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
        """End the job with its result; files are written before, and seen from then on.

        A repeat after ``StoreUnavailableError``, of this process, finds out whether the first one
        was done after all, and then returns the job.
        """
        which: dict[str, Any] = {"_id": job_id, "state": _ACTIVE}
        if attempt is not None:
            which |= {"attempt": attempt, "state": "running"}
        end: dict[str, Any] = {
            "state": state,
            "phase": "done",
            "note": "",
            "endedAt": to_time(at),
            "endedBy": person_json(ended_by),
            "failure": failure_json(failure),
            "leaseUntil": None,
            "result": secrets.token_hex(8),
        }
        if state == "completed":
            end["fraction"] = 1.0
        if proof is not None:
            end |= {"fingerprint": proof.fingerprint, "provenance": to_json(proof.provenance)}
        unsure = self._unsure.pop((job_id, attempt), set())
        try:
            done = await self._end(which, end, summary, files)
            return await self._ended_before(job_id, unsure) if done is None else done
        except (StoreUnavailableError, asyncio.CancelledError):
            again = self._unsure.setdefault((job_id, attempt), set())
            again |= unsure | {end["result"]}
            raise

    async def _end(
        self,
        which: dict[str, Any],
        end: dict[str, Any],
        summary: Mapping[str, Any] | None,
        files: Mapping[str, bytes] | None,
    ) -> Job | None:
        job_id, result = which["_id"], end["result"]
        if await self._database.first("jobs", which, fields={"_id": 1}) is None:
            return None
        kept = await self._results.put(job_id, result, summary, files)
        end |= {"summary": kept, "longSummary": summary is not None and kept is None}
        done = await self._change(which, {"$set": end, "$inc": {"version": 1}})
        await self._tidy(job_id, result, won=done is not None)
        return done

    async def _ended_before(self, job_id: str, results: set[str]) -> Job | None:
        """Return the job if it has one of the results, of which that was not known."""
        if not results:
            return None
        found = await self._database.first(
            "jobs", {"_id": job_id, "result": {"$in": sorted(results)}}
        )
        return None if found is None else await self._job(found)

    async def _tidy(self, job_id: str, result: str, *, won: bool) -> None:
        try:
            if won:
                await self._results.delete_others(job_id, result=result)
            else:
                await self._results.delete(job_id, result=result)
        except StoreUnavailableError:
            return  # it is never read, whether it is there or not

    async def owed(self) -> Sequence[Job]:
        """Return ended jobs some of whose askers have not been answered, oldest first."""
        which = {"askers.answered": False, "state": {"$nin": list(ACTIVE)}}
        return await self._jobs(which, _OLDEST_FIRST, unanswered=True)

    async def answered(self, job_id: str, command_id: str) -> None:
        """Remember that the asker has its result. A repeat does nothing."""
        await self._database.call(
            lambda: self._database["jobs"].update_one(
                {"_id": job_id, "askers.commandId": command_id},
                {"$set": {"askers.$.answered": True}},
            ),
            "save",
        )

    async def file(self, job_id: str, name: str) -> bytes | None:
        """Return a download of a completed job, or None."""
        result = await self._result_of(job_id)
        return None if result is None else await self._results.file(job_id, result, name)

    async def file_names(self, job_id: str) -> Sequence[str]:
        """Return the names of a job's downloads, sorted."""
        result = await self._result_of(job_id)
        return [] if result is None else await self._results.file_names(job_id, result)

    async def _result_of(self, job_id: str) -> str | None:
        found = await self._database.first("jobs", {"_id": job_id}, fields={"result": 1})
        return None if found is None else found.get("result")

    async def durations_s(self, kind: str, limit: int) -> Sequence[float]:
        """Return how long the newest completed jobs of a kind ran, in seconds, newest first."""
        if limit <= 0:
            return []
        found = await self._database.find(
            "jobs",
            {"kind": kind, "state": "completed", "startedAt": {"$ne": None}},
            fields={"startedAt": 1, "endedAt": 1},
            sort=[("endedAt", -1)],
            limit=limit,
        )
        return [
            (from_time(one["endedAt"]) - from_time(one["startedAt"])).total_seconds()
            for one in found
        ]

    async def _change(
        self, which: Mapping[str, Any], update: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    ) -> Job | None:
        """Run the fenced update; return the job if it still applied, else None."""
        from pymongo import ReturnDocument

        changed: dict[str, Any] | None = await self._database.call(
            lambda: self._database["jobs"].find_one_and_update(
                which, update, return_document=ReturnDocument.AFTER
            ),
            "save",
        )
        return None if changed is None else await self._job(changed)

    async def _jobs(
        self,
        which: Mapping[str, Any],
        sort: Sequence[tuple[str, int]],
        *,
        limit: int = 0,
        unanswered: bool = False,
    ) -> list[Job]:
        found = await self._database.find("jobs", which, sort=sort, limit=limit)
        return [await self._job(one, unanswered=unanswered) for one in found]

    async def _job(self, document: dict[str, Any], *, unanswered: bool = False) -> Job:
        if document.get("longSummary"):
            text = await self._results.summary(document["_id"], document["result"])
            document = document | {"summary": text}
        return job_of(document, unanswered=unanswered)


def _conditions(which: JobFilter) -> dict[str, Any]:
    """Return the filter as a query."""
    conditions: dict[str, Any] = {}
    if which.kind is not None:
        conditions["kind"] = which.kind
    if which.states is not None:
        conditions["state"] = {"$in": list(which.states)}
    wanted = {"session": which.session_id, "strategy": which.strategy, "symbol": which.symbol}
    labels = [label(name, value) for name, value in wanted.items() if value is not None]
    if labels:
        conditions["labels"] = {"$all": labels}
    return conditions


if TYPE_CHECKING:
    _: type[JobStore] = MongoJobStore

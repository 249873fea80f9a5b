"""Submitting a job: one transaction at a time over all nodes."""

from typing import Any, Literal

from chatops.backtests.job import ACTIVE, Job
from chatops.errors import QueueFullError
from chatops.stores.mongo_database import MongoDatabase
from chatops.stores.mongo_job_documents import asker_documents, asker_labels, job_document


async def submit(
    database: MongoDatabase, job: Job, *, fresh: bool, queue_limit: int
) -> dict[str, Any]:
    """Store the job, or attach its askers to an equal one; return the document.

    The transaction first writes the gate, so of two at the same moment one begins again.

    Raises:
        QueueFullError: So many are queued, and a new one would be needed.
        StoreUnavailableError: It may or may not be done; a repeat finds out.
    """
    from pymongo import ReturnDocument

    jobs, meta = database["jobs"], database["meta"]

    async def work(transaction: Any) -> dict[str, Any]:
        gate = await meta.find_one_and_update(
            {"_id": "jobs"},
            {"$inc": {"number": 1}},
            return_document=ReturnDocument.AFTER,
            session=transaction,
        )
        if (met := await _met(jobs, job, transaction)) is not None:
            return met
        if not fresh and (equal := await _join(jobs, job, transaction)) is not None:
            return equal
        queued = await jobs.count_documents({"state": "queued"}, session=transaction)
        if queued >= queue_limit:
            raise QueueFullError(
                f"{queued} jobs wait already, and no more are taken.",
                "Try again when some of them have ended, or cancel one with /cancel.",
            )
        document = job_document(job, gate["number"])
        await jobs.insert_one(document, session=transaction)
        return document

    return await database.transaction(work)


async def _met(jobs: Any, job: Job, transaction: Any) -> dict[str, Any] | None:
    """Return the job that this very submission made or met before, or None."""
    for asker in job.askers:
        met: dict[str, Any] | None = await jobs.find_one(
            {"askers.commandId": asker.command_id}, session=transaction
        )
        if met is not None:
            return met
    same: dict[str, Any] | None = await jobs.find_one({"_id": job.id}, session=transaction)
    return same


async def _join(jobs: Any, job: Job, transaction: Any) -> dict[str, Any] | None:
    """Attach the askers to an equal job: the oldest active one, else the newest completed one."""
    from pymongo import ReturnDocument

    joined: Literal["joined", "reused"] = "joined"
    equal: dict[str, Any] | None = await jobs.find_one(
        {"fingerprint": job.fingerprint, "state": {"$in": list(ACTIVE)}},
        sort=[("createdAt", 1), ("number", 1)],
        session=transaction,
    )
    if equal is None:
        joined = "reused"
        equal = await jobs.find_one(
            {"fingerprint": job.fingerprint, "state": "completed"},
            sort=[("endedAt", -1), ("number", -1)],
            session=transaction,
        )
    if equal is None or not job.askers:
        return equal
    changed: dict[str, Any] = await jobs.find_one_and_update(
        {"_id": equal["_id"]},
        {
            "$push": {"askers": {"$each": asker_documents(job.askers, joined)}},
            "$addToSet": {"labels": {"$each": asker_labels(job.askers)}},
            "$inc": {"version": 1},
        },
        return_document=ReturnDocument.AFTER,
        session=transaction,
    )
    return changed

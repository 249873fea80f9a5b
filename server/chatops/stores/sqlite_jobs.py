"""Jobs in SQLite."""

import asyncio
import sqlite3
import time
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from chatops.access.identity import Person
from chatops.backtests.job import Failure, Job
from chatops.backtests.ports import LEASE_S, JobFilter, JobStore, Proof
from chatops.backtests.work import Phase
from chatops.errors import QueueFullError
from chatops.stores.sqlite_database import SqliteDatabase
from chatops.stores.sqlite_job_rows import (
    find_job,
    insert_askers,
    insert_job,
    job_of,
    replace_proof,
)
from chatops.stores.values import failure_json, from_time, person_json, to_json, to_time

_OWED = """
SELECT * FROM jobs
WHERE id IN (SELECT job_id FROM job_askers WHERE answered = 0)
  AND state NOT IN ('queued', 'running')
ORDER BY created_at, number
"""

_FINISH = """
UPDATE jobs
SET state = ?, phase = 'done', fraction = CASE ? WHEN 'completed' THEN 1.0 ELSE fraction END,
    note = '', ended_at = ?, ended_by = ?, failure = ?, summary = ?, version = version + 1
WHERE id = ? AND (
    (? IS NULL AND state IN ('queued', 'running')) OR (attempt = ? AND state = 'running')
)
"""


class SqliteJobStore:
    """The record of jobs on one machine; the contract is :class:`JobStore`.

    ``start`` sets the phase ``loading`` and begins the fraction anew, ``requeue`` sets the phase
    ``queued``, ``finish`` the phase ``done``.
    """

    def __init__(self, database: SqliteDatabase, *, lease_s: float = LEASE_S) -> None:
        self._database = database
        self._lease_s = lease_s
        # Leases end with the process: it is the only one that works on this file's jobs.
        self._leases: dict[str, float] = {}

    async def submit(self, job: Job, *, fresh: bool, queue_limit: int) -> Job:
        """Store the job, or attach its askers to an equal one."""

        def submit(connection: sqlite3.Connection) -> Job:
            if (met := _met(connection, job)) is not None:
                return met
            if not fresh and (equal := _join(connection, job)) is not None:
                return equal
            queued = connection.execute(
                "SELECT count(*) FROM jobs WHERE state = 'queued'"
            ).fetchone()[0]
            if queued >= queue_limit:
                raise QueueFullError(
                    f"{queued} jobs wait already, and no more are taken.",
                    "Try again when some of them have ended, or cancel one with /cancel.",
                )
            insert_job(connection, job)
            return find_job(connection, "id = ?", (job.id,)) or job

        return await self._database.write(submit)

    async def get(self, job_id: str) -> Job | None:
        """Return the job with its summary, or None."""
        return await self._database.read(
            lambda connection: find_job(connection, "id = ?", (job_id,))
        )

    async def list_jobs(self, which: JobFilter) -> Sequence[Job]:
        """Return jobs with their summaries, newest first.

        A job belongs to the session that asked first and to those of all its askers, a comparison
        to the strategies and symbols of all its members.
        """
        conditions, arguments = _conditions(which)
        query = (
            f"SELECT * FROM jobs WHERE {' AND '.join(conditions)}"  # noqa: S608 - constants
            " ORDER BY created_at DESC, number DESC LIMIT ?"
        )
        return await self._database.read(
            lambda connection: _jobs(connection, query, (*arguments, max(which.limit, 0)))
        )

    async def active(self) -> Sequence[Job]:
        """Return every queued or running job, oldest first."""
        return await self._database.read(
            lambda connection: _jobs(
                connection,
                "SELECT * FROM jobs WHERE state IN ('queued', 'running')"
                " ORDER BY created_at, number",
            )
        )

    async def start(self, job_id: str, at: datetime) -> Job | None:
        """Queued → running, attempt one higher. None if it is not queued any more."""
        started = await self._change(
            job_id,
            "UPDATE jobs SET state = 'running', phase = 'loading', fraction = 0, note = '',"
            " attempt = attempt + 1, started_at = ?, version = version + 1"
            " WHERE id = ? AND state = 'queued'",
            (to_time(at), job_id),
        )
        if started is not None:
            self._leases[job_id] = time.monotonic() + self._lease_s
        return started

    async def renew(self, job_id: str, attempt: int) -> Job | None:
        """Begin the lease anew. None if the attempt is over."""
        job = await self.get(job_id)
        if job is None or job.state != "running" or job.attempt != attempt:
            self._leases.pop(job_id, None)
            return None
        self._leases[job_id] = time.monotonic() + self._lease_s
        return job

    async def lapsed(self) -> Sequence[Job]:
        """Return the running jobs whose lease is over, or was of an earlier server."""
        now_s = time.monotonic()
        return [
            job
            for job in await self.active()
            if job.state == "running" and self._leases.get(job.id, 0.0) < now_s
        ]

    async def cancel(self, job_id: str, person: Person, at: datetime) -> Job | None:
        """End a queued job as cancelled, or note on a running one who wants it stopped."""
        return await self._change(
            job_id,
            "UPDATE jobs SET ended_by = coalesce(ended_by, ?), version = version + 1,"
            " phase = CASE state WHEN 'queued' THEN 'done' ELSE phase END,"
            " ended_at = CASE state WHEN 'queued' THEN ? ELSE ended_at END,"
            " state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END"
            " WHERE id = ? AND state IN ('queued', 'running')",
            (person_json(person) or "", to_time(at), job_id),
        )

    async def progress(
        self, job_id: str, attempt: int, phase: Phase, fraction: float, note: str
    ) -> Job | None:
        """Record where an active job stands. None if that attempt is over."""
        return await self._change(
            job_id,
            "UPDATE jobs SET phase = ?, fraction = ?, note = ?, version = version + 1"
            " WHERE id = ? AND attempt = ? AND (state = 'running' OR state = 'queued' AND ?)",
            (phase, fraction, note, job_id, attempt, phase == "queued"),
        )

    async def requeue(self, job_id: str, attempt: int) -> Job | None:
        """Running → queued, because its worker is gone. None if that attempt is over."""
        return await self._change(
            job_id,
            "UPDATE jobs SET state = 'queued', phase = 'queued', fraction = 0, note = '',"
            " started_at = NULL, version = version + 1"
            " WHERE id = ? AND attempt = ? AND state = 'running'",
            (job_id, attempt),
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
        """End the job with its result and files, in one transaction."""
        # This takes long enough to hold up the event loop, or the writer and all who wait for it.
        result, packed = await asyncio.to_thread(_pack, summary, files)

        def finish(connection: sqlite3.Connection) -> Job | None:
            ended = connection.execute(
                _FINISH,
                (
                    state,
                    state,
                    to_time(at),
                    person_json(ended_by),
                    failure_json(failure),
                    result,
                    job_id,
                    attempt,
                    attempt,
                ),
            ).rowcount
            if not ended:
                return None
            if proof is not None:
                replace_proof(connection, job_id, proof)
            connection.executemany(
                "INSERT INTO job_files (job_id, name, body) VALUES (?, ?, ?)",
                [(job_id, name, body) for name, body in packed],
            )
            return find_job(connection, "id = ?", (job_id,))

        return await self._database.write(finish)

    async def owed(self) -> Sequence[Job]:
        """Return ended jobs some of whose askers have not been answered, oldest first."""
        return await self._database.read(
            lambda connection: [
                job_of(connection, row, unanswered=True)
                for row in connection.execute(_OWED).fetchall()
            ]
        )

    async def answered(self, job_id: str, command_id: str) -> None:
        """Remember that the asker has its result. A repeat does nothing."""
        await self._database.write(
            lambda connection: (
                connection.execute(
                    "UPDATE job_askers SET answered = 1 WHERE job_id = ? AND command_id = ?",
                    (job_id, command_id),
                ).rowcount
            )
        )

    async def file(self, job_id: str, name: str) -> bytes | None:
        """Return a download of a completed job, or None."""

        def body(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute(
                "SELECT body FROM job_files WHERE job_id = ? AND name = ?", (job_id, name)
            ).fetchone()
            return None if row is None else zlib.decompress(row["body"])

        return await self._database.read(body)

    async def file_names(self, job_id: str) -> Sequence[str]:
        """Return the names of a job's downloads, sorted."""
        return await self._database.read(
            lambda connection: [
                row["name"]
                for row in connection.execute(
                    "SELECT name FROM job_files WHERE job_id = ? ORDER BY name", (job_id,)
                )
            ]
        )

    async def durations_s(self, kind: str, limit: int) -> Sequence[float]:
        """Return how long the newest completed jobs of a kind ran, in seconds, newest first."""
        return await self._database.read(
            lambda connection: [
                (from_time(row["ended_at"]) - from_time(row["started_at"])).total_seconds()
                for row in connection.execute(
                    "SELECT started_at, ended_at FROM jobs WHERE kind = ? AND state = 'completed'"
                    " AND started_at IS NOT NULL ORDER BY ended_at DESC LIMIT ?",
                    (kind, max(limit, 0)),
                )
            ]
        )

    async def _change(
        self, job_id: str, update: str, arguments: tuple[str | int | float, ...]
    ) -> Job | None:
        """Run the fenced ``update``; return the job if it still applied, else None."""

        def change(connection: sqlite3.Connection) -> Job | None:
            if connection.execute(update, arguments).rowcount == 0:
                return None
            return find_job(connection, "id = ?", (job_id,))

        return await self._database.write(change)


def _met(connection: sqlite3.Connection, job: Job) -> Job | None:
    """Return the job that this very submission made or met before, or None."""
    for asker in job.askers:
        met = find_job(
            connection,
            "id = (SELECT job_id FROM job_askers WHERE command_id = ?)",
            (asker.command_id,),
        )
        if met is not None:
            return met
    return find_job(connection, "id = ?", (job.id,))


def _join(connection: sqlite3.Connection, job: Job) -> Job | None:
    """Attach the askers to an equal job: the oldest active one, else the newest completed one."""
    joined: Literal["joined", "reused"] = "joined"
    equal = find_job(
        connection,
        "fingerprint = ? AND state IN ('queued', 'running') ORDER BY created_at, number",
        (job.fingerprint,),
    )
    if equal is None:
        joined = "reused"
        equal = find_job(
            connection,
            "fingerprint = ? AND state = 'completed' ORDER BY ended_at DESC, number DESC",
            (job.fingerprint,),
        )
    if equal is None or not job.askers:
        return equal
    insert_askers(connection, equal.id, job.askers, joined)
    connection.execute("UPDATE jobs SET version = version + 1 WHERE id = ?", (equal.id,))
    return find_job(connection, "id = ?", (equal.id,))


def _conditions(which: JobFilter) -> tuple[list[str], list[str]]:
    """Return the SQL conditions of a filter and their arguments."""
    conditions = ["TRUE"]
    arguments: list[str] = []
    if which.kind is not None:
        conditions.append("kind = ?")
        arguments.append(which.kind)
    if which.states is not None:
        conditions.append(f"state IN ({', '.join('?' * len(which.states))})")
        arguments += which.states
    labels = {"session": which.session_id, "strategy": which.strategy, "symbol": which.symbol}
    for label, value in labels.items():
        if value is not None:
            conditions.append("id IN (SELECT job_id FROM job_labels WHERE label = ? AND value = ?)")
            arguments += [label, value]
    return conditions, arguments


def _jobs(
    connection: sqlite3.Connection, query: str, arguments: tuple[str | int, ...] = ()
) -> list[Job]:
    # Fetched at once: each job reads its askers, and nested statements would hold two cursors.
    return [job_of(connection, row) for row in connection.execute(query, arguments).fetchall()]


def _pack(
    summary: Mapping[str, Any] | None, files: Mapping[str, bytes] | None
) -> tuple[str | None, list[tuple[str, bytes]]]:
    """Return the columns of a result: the summary as JSON, the files compressed."""
    packed = [(name, zlib.compress(body)) for name, body in (files or {}).items()]
    return None if summary is None else to_json(summary), packed


if TYPE_CHECKING:
    _: type[JobStore] = SqliteJobStore

"""Jobs and their askers as rows."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Literal

from chatops.access.identity import Person
from chatops.backtests.job import Asker, Failure, Job
from chatops.backtests.ports import Proof
from chatops.stores.labels import labels_of
from chatops.stores.values import (
    from_json,
    from_optional_time,
    from_time,
    to_json,
    to_time,
)

_INSERT_JOB = """
INSERT INTO jobs (id, kind, fingerprint, created_at, asked, state, phase, fraction, note, attempt,
                  version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_INSERT_ASKER = """
INSERT INTO job_askers (command_id, job_id, session_id, person_id, person_name, command, asked_at,
                        joined, strategy)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def insert_job(connection: sqlite3.Connection, job: Job) -> None:
    """Store a job that is new, with its askers and all that it is found by."""
    asked = {
        "title": job.title,
        "provenance": job.provenance,
        "spec": job.spec,
        "requested_by": [job.requested_by.id, job.requested_by.name],
        "session_id": job.session_id,
        "depends_on": job.depends_on,
        "repeats": job.repeats,
    }
    connection.execute(
        _INSERT_JOB,
        (
            job.id,
            job.kind,
            job.fingerprint,
            to_time(job.created_at),
            to_json(asked),
            job.state,
            job.phase,
            job.fraction,
            job.note,
            job.attempt,
            job.version,
        ),
    )
    _label(connection, job.id, labels_of(job))
    insert_askers(connection, job.id, job.askers)


def insert_askers(
    connection: sqlite3.Connection,
    job_id: str,
    askers: Iterable[Asker],
    joined: Literal["joined", "reused"] | None = None,
) -> None:
    """Add askers to a stored job, marked ``joined`` unless that is None."""
    for asker in askers:
        connection.execute(
            _INSERT_ASKER,
            (
                asker.command_id,
                job_id,
                asker.session_id,
                asker.person.id,
                asker.person.name,
                asker.command,
                to_time(asker.asked_at),
                joined or asker.joined,
                None if asker.strategy is None else to_json(asker.strategy),
            ),
        )
        _label(connection, job_id, {("session", asker.session_id)})


def _label(connection: sqlite3.Connection, job_id: str, labels: set[tuple[str, str]]) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO job_labels (label, value, job_id) VALUES (?, ?, ?)",
        [(label, value, job_id) for label, value in sorted(labels)],
    )


def replace_proof(connection: sqlite3.Connection, job_id: str, proof: Proof) -> None:
    """Give a stored job the fingerprint and provenance that its result really has."""
    row = connection.execute("SELECT asked FROM jobs WHERE id = ?", (job_id,)).fetchone()
    asked = {**from_json(row["asked"]), "provenance": proof.provenance}
    connection.execute(
        "UPDATE jobs SET fingerprint = ?, asked = ? WHERE id = ?",
        (proof.fingerprint, to_json(asked), job_id),
    )


def job_of(connection: sqlite3.Connection, row: sqlite3.Row, *, unanswered: bool = False) -> Job:
    """Return the job of a row of ``jobs`` with its askers, or only the unanswered ones."""
    asked = from_json(row["asked"])
    ended_by, failure, summary = (
        None if row[name] is None else from_json(row[name])
        for name in ("ended_by", "failure", "summary")
    )
    return Job(
        id=row["id"],
        kind=row["kind"],
        title=asked["title"],
        fingerprint=row["fingerprint"],
        provenance=asked["provenance"],
        spec=asked["spec"],
        requested_by=Person(*asked["requested_by"]),
        session_id=asked["session_id"],
        created_at=from_time(row["created_at"]),
        depends_on=tuple(asked["depends_on"]),
        repeats=asked["repeats"],
        state=row["state"],
        phase=row["phase"],
        fraction=row["fraction"],
        note=row["note"],
        attempt=row["attempt"],
        version=row["version"],
        started_at=from_optional_time(row["started_at"]),
        ended_at=from_optional_time(row["ended_at"]),
        ended_by=None if ended_by is None else Person(*ended_by),
        failure=None if failure is None else Failure(**failure),
        summary=summary,
        askers=_askers(connection, row["id"], unanswered=unanswered),
    )


def _askers(connection: sqlite3.Connection, job_id: str, *, unanswered: bool) -> tuple[Asker, ...]:
    return tuple(
        Asker(
            command_id=row["command_id"],
            session_id=row["session_id"],
            person=Person(row["person_id"], row["person_name"]),
            command=row["command"],
            asked_at=from_time(row["asked_at"]),
            joined=row["joined"],
            strategy=None if row["strategy"] is None else tuple(from_json(row["strategy"])),
        )
        for row in connection.execute(
            "SELECT * FROM job_askers WHERE job_id = ? AND answered <= ? ORDER BY number",
            (job_id, 0 if unanswered else 1),
        )
    )


def find_job(
    connection: sqlite3.Connection, where: str, arguments: Sequence[str | int]
) -> Job | None:
    """Return the first job for which ``where`` (constant SQL; may end in ORDER BY) holds."""
    row = connection.execute(
        f"SELECT * FROM jobs WHERE {where} LIMIT 1",  # noqa: S608 - constants of this package
        arguments,
    ).fetchone()
    return None if row is None else job_of(connection, row)

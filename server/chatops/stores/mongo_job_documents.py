"""Jobs and their askers as documents."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from chatops.access.identity import Person
from chatops.backtests.job import Asker, Failure, Job
from chatops.stores.labels import labels_of
from chatops.stores.values import from_json, from_optional_time, from_time, to_json, to_time


def job_document(job: Job, number: int) -> dict[str, Any]:
    """Return the document of a job that is new; ``number`` is its place among all jobs."""
    asked = {
        "title": job.title,
        "spec": job.spec,
        "requested_by": [job.requested_by.id, job.requested_by.name],
        "session_id": job.session_id,
        "depends_on": job.depends_on,
        "repeats": job.repeats,
    }
    labels = [f"{label}:{value}" for label, value in sorted(labels_of(job))]
    return {
        "_id": job.id,
        "number": number,
        "kind": job.kind,
        "fingerprint": job.fingerprint,
        "provenance": to_json(job.provenance),
        "createdAt": to_time(job.created_at),
        "asked": to_json(asked),
        "labels": [*labels, *(new for new in asker_labels(job.askers) if new not in labels)],
        "state": job.state,
        "phase": job.phase,
        "fraction": job.fraction,
        "note": job.note,
        "attempt": job.attempt,
        "version": job.version,
        "startedAt": None,
        "endedAt": None,
        "endedBy": None,
        "failure": None,
        "summary": None,
        "askers": asker_documents(job.askers),
    }


def asker_documents(
    askers: Iterable[Asker], joined: Literal["joined", "reused"] | None = None
) -> list[dict[str, Any]]:
    """Return askers as documents, marked ``joined`` unless that is None."""
    return [
        {
            "commandId": asker.command_id,
            "sessionId": asker.session_id,
            "person": [asker.person.id, asker.person.name],
            "command": asker.command,
            "askedAt": to_time(asker.asked_at),
            "joined": joined or asker.joined,
            "strategy": None if asker.strategy is None else list(asker.strategy),
            "answered": False,
        }
        for asker in askers
    ]


def asker_labels(askers: Iterable[Asker]) -> list[str]:
    """Return what askers add to the labels of their job: their sessions."""
    return sorted({label("session", asker.session_id) for asker in askers})


def label(kind: str, value: str) -> str:
    """Return what jobs are found by, in one word."""
    return f"{kind}:{value}"


def job_of(document: Mapping[str, Any], *, unanswered: bool = False) -> Job:
    """Return the job of a document with its askers, or only the unanswered ones."""
    asked = from_json(document["asked"])
    ended_by, failure, summary = (
        None if document[name] is None else from_json(document[name])
        for name in ("endedBy", "failure", "summary")
    )
    return Job(
        id=document["_id"],
        kind=document["kind"],
        title=asked["title"],
        fingerprint=document["fingerprint"],
        provenance=from_json(document["provenance"]),
        spec=asked["spec"],
        requested_by=Person(*asked["requested_by"]),
        session_id=asked["session_id"],
        created_at=from_time(document["createdAt"]),
        depends_on=tuple(asked["depends_on"]),
        repeats=asked["repeats"],
        state=document["state"],
        phase=document["phase"],
        fraction=document["fraction"],
        note=document["note"],
        attempt=document["attempt"],
        version=document["version"],
        started_at=from_optional_time(document["startedAt"]),
        ended_at=from_optional_time(document["endedAt"]),
        ended_by=None if ended_by is None else Person(*ended_by),
        failure=None if failure is None else Failure(**failure),
        summary=summary,
        askers=tuple(
            _asker(one) for one in document["askers"] if not (unanswered and one["answered"])
        ),
    )


def _asker(document: Mapping[str, Any]) -> Asker:
    strategy = document["strategy"]
    return Asker(
        command_id=document["commandId"],
        session_id=document["sessionId"],
        person=Person(*document["person"]),
        command=document["command"],
        asked_at=from_time(document["askedAt"]),
        joined=document["joined"],
        strategy=None if strategy is None else (strategy[0], strategy[1]),
    )

"""Entries and logs as documents.

A session points to its *log* by an id that is never used again. So whoever still holds a session
that was deleted and made anew writes to the old log, which is closed, and never into the new one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chatops.access.identity import Person
from chatops.sessions.model import Entry, NewEntry, Preface, Session
from chatops.stores.mongo_database import MongoDatabase
from chatops.stores.mongo_schema import CLOSED
from chatops.stores.values import from_json, from_time, to_json, to_microseconds, to_time


@dataclass(slots=True)
class Log:
    """Where a session's log stands.

    Attributes:
        session: The document of the session.
        id: Of the log.
        last_seq: Number of the newest entry, kept or not.
        at_us: When that was stored, or when the session was made; microseconds since 1970.
    """

    session: Mapping[str, Any]
    id: Any
    last_seq: int
    at_us: int

    @property
    def epoch(self) -> str:
        """The session's epoch."""
        epoch: str = self.session["epoch"]
        return epoch

    @property
    def first_seq(self) -> int:
        """Number of the oldest entry that is kept."""
        first: int = self.session["firstSeq"]
        return first


async def read_log(database: MongoDatabase, session_id: str) -> Log | None:
    """Return where the log of a session stands, or None where there is no such session."""
    session = await database.first("sessions", {"_id": session_id})
    if session is None:
        return None
    made = Log(session, session["log"], 0, session["createdUs"])
    return made if await read_end(database, made) else None


async def read_end(database: MongoDatabase, log: Log) -> bool:
    """Bring up to date where the log ends; return False if it is closed for ever."""
    newest = await database.first(
        "entries",
        {"log": log.id},
        fields={"seq": 1, "kind": 1, "atUs": 1},
        sort=[("seq", -1)],
    )
    if newest is not None:
        log.last_seq = max(log.last_seq, newest["seq"])  # more may have been heard meanwhile
        log.at_us = newest["atUs"]
    return newest is None or newest["kind"] != CLOSED


def heads_pipeline(logs: Sequence[Any], *also: str) -> list[dict[str, Any]]:
    """Return the stages that find the newest number of each log: one step in the index for each.

    ``also`` names more fields of the newest entry, at the price of reading it.
    """
    newest = {name: {"$first": f"${name}"} for name in ("seq", *also)}
    return [
        {"$match": {"log": {"$in": list(logs)}}},
        {"$sort": {"log": -1, "seq": -1}},
        {"$group": {"_id": "$log", **newest}},
    ]


def session_document(session: Session, log_id: Any) -> dict[str, Any]:
    """Return the document of a session that is new."""
    created_us = to_microseconds(session.created_at)
    return {
        "_id": session.id,
        "log": log_id,
        "epoch": session.epoch,
        "title": session.title,
        "owner": [session.owner.id, session.owner.name],
        "assistant": session.assistant,
        "createdAt": to_time(session.created_at),
        "createdUs": created_us,
        "touchedUs": created_us,  # moves now and then, when sessions are looked at for their age
        "firstSeq": 1,
    }


def session_of(log: Log) -> Session:
    """Return the session."""
    return Session(
        id=log.session["_id"],
        epoch=log.epoch,
        title=log.session["title"],
        owner=Person(*log.session["owner"]),
        created_at=from_time(log.session["createdAt"]),
        last_seq=log.last_seq,
        first_seq=log.first_seq,
        assistant=log.session.get("assistant", "always"),  # older documents do not say
    )


def entry_document(session_id: str, new: NewEntry, node: str) -> dict[str, Any]:
    """Return the document of an entry, all but its log, number and time.

    ``open`` names the server that took a command, until the command has its result; ``question``
    is the id of a message that waits for its answer.

    Raises:
        TypeError: The payload holds something that is no JSON value.
    """
    document: dict[str, Any] = {
        "sessionId": session_id,
        "kind": new.kind,
        "authorId": new.author.id,
        "payload": to_json(new.payload),
    }
    if new.key is not None:
        document["key"] = new.key
    if new.command_id is not None:
        document["commandId"] = new.command_id
        if new.kind == "message":
            document["open"] = node
    if new.asks:
        document["question"] = new.payload["id"]
    if new.preface is not None:
        document["preface"] = to_json([new.preface.event, new.preface.payload])
    return document


def entry_of(document: Mapping[str, Any]) -> Entry:
    """Return the entry of a document."""
    preface = document.get("preface")
    return Entry(
        session_id=document["sessionId"],
        seq=document["seq"],
        kind=document["kind"],
        author_id=document["authorId"],
        payload={**from_json(document["payload"]), "seq": document["seq"]},
        command_id=document.get("commandId"),
        length=len(document["payload"]),
        preface=None if preface is None else Preface(*from_json(preface)),
    )

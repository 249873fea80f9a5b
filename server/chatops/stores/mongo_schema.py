"""The collections, their indexes, and whether this program may use what it finds."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from chatops.stores.mongo_errors import newer

if TYPE_CHECKING:
    from chatops.stores.mongo_database import MongoDatabase

SCHEMA_VERSION = 1
"""Higher when an older program would misread what is stored; it ignores new fields and indexes."""

INDEX_TIMEOUT_S = 60.0
"""An index that is new may have to be made of many documents."""

_TRIES = 5

Collection = Literal[
    "sessions", "entries", "floors", "jobs", "job_files", "strategies", "usage", "nodes", "meta"
]

CLOSED = "closed"
"""Kind of the last entry of a log whose session was deleted: it takes the next number, so nobody
who has not heard of it can use that."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index: its name, its fields (``-`` in front: downwards), and what it is limited to."""

    name: str
    fields: tuple[str, ...]
    unique: bool = False
    only: Mapping[str, Any] | None = None


INDEXES: Mapping[Collection, tuple[Index, ...]] = {
    "sessions": (Index("log", ("log",), unique=True), Index("touched", ("touchedUs",))),
    "entries": (
        Index("number", ("log", "seq"), unique=True),
        Index("key", ("log", "authorId", "key"), unique=True, only={"key": {"$exists": True}}),
        Index("open", ("commandId",), only={"open": {"$exists": True}}),
        Index("result", ("commandId", "log"), only={"kind": "commandResult"}),
        Index("question", ("sessionId", "question"), only={"question": {"$exists": True}}),
        Index("closed", ("atUs",), only={"kind": CLOSED}),
    ),
    "floors": (Index("held", ("until",), only={"until": {"$exists": True}}),),
    "jobs": (
        Index("fingerprint", ("fingerprint", "state")),
        Index("state", ("state", "kind", "-endedAt")),
        Index("created", ("-createdAt", "-number")),
        Index("labels", ("labels", "-createdAt", "-number")),
        Index(
            "command",
            ("askers.commandId",),
            unique=True,
            only={"askers.commandId": {"$exists": True}},
        ),
        Index("owed", ("createdAt", "number"), only={"askers.answered": False}),
        Index("waiting", ("askers.sessionId",), only={"askers.answered": False}),
    ),
    "usage": (
        Index("at", ("atUs",)),
        Index("person", ("personId", "atUs")),
        Index("session", ("sessionId", "atUs")),
    ),
    "job_files": (Index("part", ("jobId", "result", "of", "name", "part"), unique=True),),
}


async def prepare(database: "MongoDatabase") -> None:
    """Check the version of what is there, and make what is missing.

    Safe to be run by several nodes at once, and again at each start.

    Raises:
        StoreUnavailableError: It was written by a newer version, or cannot be written.
    """
    found = await once(database, "schema", {"version": SCHEMA_VERSION})
    if found["version"] > SCHEMA_VERSION:
        raise newer(database.name, found["version"], SCHEMA_VERSION)
    await once(database, "jobs", {"number": 0})
    await asyncio.gather(*(_make(database, name, indexes) for name, indexes in INDEXES.items()))


async def once(
    database: "MongoDatabase", document_id: str, fields: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the document of ``meta``, made of ``fields`` unless it is there; of all nodes' alike.

    Raises:
        StoreUnavailableError: It could be neither read nor made.
    """
    from pymongo import ReturnDocument
    from pymongo.errors import DuplicateKeyError

    tries = 0
    while True:
        tries += 1
        try:
            made: dict[str, Any] = await database.call(
                lambda: database["meta"].find_one_and_update(
                    {"_id": document_id},
                    {"$setOnInsert": dict(fields)},
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                ),
                "save",
            )
        except DuplicateKeyError:  # another node made it at the same moment
            if tries == _TRIES:
                raise
        else:
            return made


async def _make(
    database: "MongoDatabase", collection: Collection, indexes: tuple[Index, ...]
) -> None:
    import pymongo

    models = [
        pymongo.IndexModel(
            [(name.removeprefix("-"), -1 if name.startswith("-") else 1) for name in index.fields],
            name=index.name,
            unique=index.unique,
            **({"partialFilterExpression": dict(index.only)} if index.only else {}),
        )
        for index in indexes
    ]
    with pymongo.timeout(INDEX_TIMEOUT_S):
        await database.call(
            lambda: database[collection].create_indexes(models),
            "save",
            within_s=INDEX_TIMEOUT_S,
        )

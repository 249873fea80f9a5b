"""Sessions and their logs in MongoDB."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from chatops.access.identity import ASSISTANT
from chatops.sessions.entries import answer_key
from chatops.sessions.model import Appended, Entry, Head, NewEntry, Session, SessionChange
from chatops.sessions.ports import MOST_OPEN_QUESTIONS, SessionStore
from chatops.stores import mongo_errors
from chatops.stores.mongo_database import MongoDatabase
from chatops.stores.mongo_entries import (
    Log,
    entry_document,
    entry_of,
    heads_pipeline,
    read_log,
    session_document,
    session_of,
)
from chatops.stores.mongo_expiry import Expiry
from chatops.stores.mongo_nodes import MongoNodes
from chatops.stores.mongo_schema import CLOSED
from chatops.stores.mongo_writer import FRESH_S, SessionWriter, Waiting
from chatops.stores.values import to_microseconds

MAX_ENTRY_BYTES = 15_000_000
"""MongoDB takes 16 MiB a document; a message of the wire is 64 KiB."""

_HEADS_AT_ONCE = 500
_READ_TRIES = 3
_CREATE_TRIES = 20
_CREATE_WAIT_S = 0.02
_CLOSE_WITHIN_S = 5.0


class MongoSessionStore:
    """The durable log of many nodes; the contract is :class:`SessionStore`.

    A key is forgotten with its entry, so a retry that comes after :meth:`trim` or :meth:`expire`
    has deleted the entry is a new one.
    """

    def __init__(self, database: MongoDatabase, nodes: MongoNodes) -> None:
        self._database = database
        self._nodes = nodes
        self._expiry = Expiry(database)
        self._writers: dict[str, SessionWriter] = {}
        self._swept_s = 0.0

    async def close(self) -> None:
        """Wait until what was to be appended is stored, or has failed."""
        writing = [writer.task for writer in self._writers.values() if writer.task and writer.busy]
        if writing:
            await asyncio.wait(writing, timeout=_CLOSE_WITHIN_S)
        self._writers.clear()

    async def get_session(self, session_id: str) -> Session | None:
        """Return the session, or None."""
        log = await read_log(self._database, session_id)
        return None if log is None else session_of(log)

    async def create_session(self, session: Session) -> tuple[Session, bool]:
        """Create it, without entries, unless it exists."""
        from bson import ObjectId
        from pymongo.errors import DuplicateKeyError

        for _ in range(_CREATE_TRIES):
            document = session_document(session, ObjectId())
            try:
                await self._insert(document)
            except DuplicateKeyError:
                if (stored := await self.get_session(session.id)) is not None:
                    return stored, False
                # Another's is not committed by the majority yet, or has been deleted again.
                await asyncio.sleep(random.uniform(0.0, _CREATE_WAIT_S))  # noqa: S311
            else:
                made = Log(document, document["log"], 0, document["createdUs"])
                return session_of(made), True
        raise mongo_errors.crowded()

    async def _insert(self, document: dict[str, Any]) -> None:
        await self._database.call(lambda: self._database["sessions"].insert_one(document), "save")

    async def append(
        self, session_id: str, entry: NewEntry, *, change: SessionChange | None = None
    ) -> Appended:
        """Store the entry with the next number, durably, before returning.

        Raises:
            LimitExceededError: It is larger than a document can be.
        """
        import bson

        document = entry_document(session_id, entry, self._nodes.own)
        # Encoded here, so that what cannot be is this sender's trouble and not its neighbours'.
        size = len(bson.encode(document))
        if size > MAX_ENTRY_BYTES:
            raise mongo_errors.too_large(size, MAX_ENTRY_BYTES)
        stored: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self._database.check_open()
        self._writer(session_id).add(Waiting(entry, document, size, change, stored))
        return await stored

    def heard(self, session_id: str, epoch: str, seq: int) -> None:
        """Take note of what another node stored."""
        if writer := self._writers.get(session_id):
            writer.heard(epoch, seq)

    def _writer(self, session_id: str) -> SessionWriter:
        writer = self._writers.get(session_id)
        if writer is None:
            self._forget_idle()
            writer = self._writers[session_id] = SessionWriter(self._database, session_id)
        return writer

    def _forget_idle(self) -> None:
        now_s = _now_s()
        if now_s - self._swept_s > FRESH_S:
            self._swept_s = now_s
            self._writers = {
                session_id: writer
                for session_id, writer in self._writers.items()
                if writer.busy or now_s - writer.used_s < FRESH_S
            }

    async def read(self, session_id: str, after_seq: int, limit: int) -> Sequence[Entry]:
        """Return at most ``limit`` entries after ``after_seq``, oldest first."""
        return await self._read(session_id, after_seq, limit, 1)

    async def read_newest(self, session_id: str, limit: int) -> Sequence[Entry]:
        """Return the newest ``limit`` entries, oldest first."""
        return (await self._read(session_id, 0, limit, -1))[::-1]

    async def _read(
        self, session_id: str, after_seq: int, limit: int, direction: int
    ) -> list[Entry]:
        documents: list[dict[str, Any]] = []
        for _ in range(_READ_TRIES):
            session = await self._database.first("sessions", {"_id": session_id})
            if session is None or limit <= 0:
                return []
            documents = await self._database.find(
                "entries",
                {"log": session["log"], "seq": {"$gt": max(after_seq, session["firstSeq"] - 1)}},
                sort=[("seq", direction)],
                limit=limit,
            )
            if not documents or abs(documents[-1]["seq"] - documents[0]["seq"]) < len(documents):
                break
            # It is being trimmed at this moment.
        # A session that is deleted meanwhile has an entry more, which is nobody's.
        return [entry_of(one) for one in documents if one["kind"] != CLOSED]

    async def find(self, session_id: str, author_id: str, key: str) -> Entry | None:
        """Return the entry that was stored under this key of the author, or None."""
        session = await self._database.first("sessions", {"_id": session_id})
        if session is None:
            return None
        found = await self._database.first(
            "entries", {"log": session["log"], "authorId": author_id, "key": key}
        )
        return None if found is None or found["seq"] < session["firstSeq"] else entry_of(found)

    async def heads(self, session_ids: Sequence[str]) -> Mapping[str, Head]:
        """Return where each log ends: two queries for each 500, of indexes alone."""
        heads: dict[str, Head] = {}
        for start in range(0, len(session_ids), _HEADS_AT_ONCE):
            some = list(session_ids[start : start + _HEADS_AT_ONCE])
            sessions = await self._database.find(
                "sessions", {"_id": {"$in": some}}, fields={"log": 1, "epoch": 1}
            )
            ends = await self._database.aggregate(
                "entries", heads_pipeline([one["log"] for one in sessions])
            )
            newest = {one["_id"]: one["seq"] for one in ends}
            heads |= {one["_id"]: Head(one["epoch"], newest.get(one["log"], 0)) for one in sessions}
        return heads

    async def open_commands(self) -> Sequence[Entry]:
        """Return the commands without result that a server took which is gone, oldest first."""
        live = await self._nodes.live()
        asked = await self._database.find(
            "entries",
            {"open": {"$exists": True, "$nin": live}, "kind": "message"},
            sort=[("atUs", 1), ("_id", 1)],
            hint="open",
        )
        return await self._without_end(asked, _result_of)

    async def open_questions(self, session_id: str | None = None) -> Sequence[Entry]:
        """Return the messages that ask for an answer which is not stored, oldest first.

        Those of one session are in the order of their numbers, whatever the nodes' clocks say.
        """
        which: dict[str, Any] = {"question": {"$exists": True}}
        if session_id is not None:
            which["sessionId"] = session_id
        asked = await self._database.find(
            "entries",
            which,
            sort=[("seq", 1)] if session_id is not None else [("atUs", 1), ("_id", 1)],
            limit=MOST_OPEN_QUESTIONS,
            hint="question",
        )
        return await self._without_end(asked, _answer_to)

    async def _without_end(
        self, asked: list[dict[str, Any]], end_of: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> list[Entry]:
        """Leave out what has its end, was trimmed, or belongs to a session that is gone."""
        logs = list({one["log"] for one in asked})
        first: dict[Any, int] = {}
        ended: set[tuple[Any, ...]] = set()
        for start in range(0, len(logs), _HEADS_AT_ONCE):
            some = logs[start : start + _HEADS_AT_ONCE]
            sessions = await self._database.find(
                "sessions", {"log": {"$in": some}}, fields={"log": 1, "firstSeq": 1}
            )
            first |= {one["log"]: one["firstSeq"] for one in sessions}
        for start in range(0, len(asked), _HEADS_AT_ONCE):
            ends = [end_of(one) for one in asked[start : start + _HEADS_AT_ONCE]]
            found = await self._database.find(
                "entries", {"$or": ends}, fields=dict.fromkeys(ends[0], 1)
            )
            ended |= {tuple(one[name] for name in ends[0]) for one in found}
        return [
            entry_of(one)
            for one in asked
            if one["seq"] >= first.get(one["log"], one["seq"] + 1)
            and tuple(end_of(one).values()) not in ended
        ]

    async def trim(self, session_id: str, keep: int) -> None:
        """Delete all but the newest ``keep`` entries."""
        await self._expiry.trim(session_id, keep)

    async def expire(self, before: datetime) -> Sequence[str]:
        """Delete sessions whose newest entry (or creation) is older; return their ids.

        Their jobs stay, for other sessions may show them; answers still owed to commands of a
        deleted session are not owed any more.
        """
        return await self._expiry.expire(to_microseconds(before))


def _result_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what finds the result of a command."""
    return {"log": asked["log"], "kind": "commandResult", "commandId": asked["commandId"]}


def _answer_to(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what finds the end of a turn."""
    return {
        "log": asked["log"],
        "authorId": ASSISTANT.id,
        "key": answer_key(asked["question"]),
    }


def _now_s() -> float:
    return asyncio.get_running_loop().time()


if TYPE_CHECKING:
    _: type[SessionStore] = MongoSessionStore

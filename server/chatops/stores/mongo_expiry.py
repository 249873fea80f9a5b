"""Deleting: old entries of a log, and sessions that have been silent for long."""

import time
from collections.abc import Sequence
from typing import Any

from chatops.stores.mongo_database import MongoDatabase
from chatops.stores.mongo_entries import heads_pipeline, read_log
from chatops.stores.mongo_schema import CLOSED

CLOSED_FOR_S = 600.0
"""How long a closed log is kept: much longer than anybody believes what he knows of it."""

_AT_ONCE = 500
_NUMBERS_AT_ONCE = 2_000
"""Deleted by one command, which must not take longer than commands may."""


class Expiry:
    """Deletes so that nobody sees it half done.

    A trimmed log first says where it begins, and readers keep to that. A session is deleted in one
    transaction, which also closes its log; entries go later, when nobody can be writing there.
    """

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    async def trim(self, session_id: str, keep: int) -> None:
        """Delete all but the newest ``keep`` entries."""
        log = await read_log(self._database, session_id)
        if log is None or (first := log.last_seq - keep + 1) <= log.first_seq:
            return
        await self._database.call(
            lambda: self._database["sessions"].update_one(
                {"_id": session_id, "log": log.id}, {"$max": {"firstSeq": first}}
            ),
            "save",
        )
        # The newest stays where it is, though hidden: the next one's number comes from it.
        await self._delete_entries(log.id, min(first, log.last_seq))

    async def expire(self, before_us: int) -> Sequence[str]:
        """Delete sessions whose newest entry (or creation) is older; return their ids."""
        await self._delete_closed_logs()
        gone: list[str] = []
        silent = await self._database.find(
            "sessions",
            {"touchedUs": {"$lt": before_us}},
            fields={"log": 1},
            sort=[("touchedUs", 1)],
        )
        for start in range(0, len(silent), _AT_ONCE):
            some = silent[start : start + _AT_ONCE]
            ends = await self._database.aggregate(
                "entries", heads_pipeline([one["log"] for one in some], "atUs")
            )
            newest_us = {one["_id"]: one["atUs"] for one in ends}
            for session in some:
                at_us = newest_us.get(session["log"])
                if at_us is not None and at_us >= before_us:
                    await self._touch(session, at_us)
                elif await self._delete(session, before_us):
                    gone.append(session["_id"])
        return gone

    async def _touch(self, session: dict[str, Any], at_us: int) -> None:
        """Remember the time, so that the session is not looked at again before it may be old."""
        await self._database.call(
            lambda: self._database["sessions"].update_one(
                {"_id": session["_id"], "log": session["log"]}, {"$max": {"touchedUs": at_us}}
            ),
            "save",
        )

    async def _delete(self, session: dict[str, Any], before_us: int) -> bool:
        """Delete one session, unless it was used or deleted meanwhile; whether that was done."""
        from pymongo.errors import DuplicateKeyError

        session_id, log_id = session["_id"], session["log"]

        async def delete(transaction: Any) -> bool:
            entries, sessions = self._database["entries"], self._database["sessions"]
            newest = await entries.find_one(
                {"log": log_id}, sort=[("seq", -1)], session=transaction
            )
            if newest is not None and newest["atUs"] >= before_us:
                return False
            deleted = await sessions.delete_one(
                {"_id": session_id, "log": log_id}, session=transaction
            )
            if not deleted.deleted_count:
                return False
            await self._database["floors"].delete_one({"_id": session_id}, session=transaction)
            closing = {
                "log": log_id,
                "seq": 1 if newest is None else newest["seq"] + 1,
                "kind": CLOSED,
                "sessionId": session_id,
                "atUs": time.time_ns() // 1000,
            }
            await entries.insert_one(closing, session=transaction)
            await self._database["jobs"].update_many(
                {"askers": {"$elemMatch": {"sessionId": session_id, "answered": False}}},
                {"$pull": {"askers": {"sessionId": session_id, "answered": False}}},
                session=transaction,
            )
            return True

        try:
            return await self._database.transaction(delete)
        except DuplicateKeyError:  # somebody has just appended
            return False

    async def _delete_closed_logs(self) -> None:
        before_us = time.time_ns() // 1000 - int(CLOSED_FOR_S * 1e6)
        closed = await self._database.find(
            "entries", {"kind": CLOSED, "atUs": {"$lt": before_us}}, limit=_AT_ONCE
        )
        for one in closed:
            await self._delete_entries(one["log"], one["seq"])
            await self._delete_numbers(one["log"], one["seq"], one["seq"] + 1)

    async def _delete_entries(self, log_id: Any, before_seq: int) -> None:
        """Delete the entries before a number, oldest first."""
        oldest = await self._database.first(
            "entries", {"log": log_id}, fields={"seq": 1}, sort=[("seq", 1)]
        )
        first_seq = before_seq if oldest is None else oldest["seq"]
        for start in range(first_seq, before_seq, _NUMBERS_AT_ONCE):
            await self._delete_numbers(log_id, start, min(start + _NUMBERS_AT_ONCE, before_seq))

    async def _delete_numbers(self, log_id: Any, start: int, stop: int) -> None:
        await self._database.call(
            lambda: self._database["entries"].delete_many(
                {"log": log_id, "seq": {"$gte": start, "$lt": stop}}
            ),
            "save",
        )

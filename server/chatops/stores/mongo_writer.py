"""Appending: what waits for one session is written together, with consecutive numbers."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import structlog

from chatops.errors import AppError, InternalError, StoreUnavailableError
from chatops.sessions.model import Appended, Entry, NewEntry, SessionChange
from chatops.stores import mongo_errors
from chatops.stores.mongo_database import MongoDatabase
from chatops.stores.mongo_entries import Log, entry_of, read_log

log = structlog.get_logger(__name__)

BATCH_ENTRIES = 100
BATCH_BYTES = 8_000_000
FRESH_S = 5.0
"""How long what is known of a log is believed without being read again."""

_PATIENCE_S = 10.0
"""How long numbers may be lost to other nodes, one after the other, before a sender is told."""

_FIRST_WAIT_S = 0.002
_LONGEST_WAIT_S = 0.05


@dataclass(slots=True, eq=False)
class Waiting:
    """An entry that waits to be stored.

    Attributes:
        new: The entry.
        document: It as a document, less log, number and time.
        size: Bytes of that.
        change: What it changes of the session, if anything.
        stored: Tells its sender.
        repeats: Tell senders of the same key, who came while the first waited.
    """

    new: NewEntry
    document: dict[str, Any]
    size: int
    change: SessionChange | None
    stored: "asyncio.Future[Appended]"
    repeats: "list[asyncio.Future[Appended]]" = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str] | None:
        """What makes it one with a repeat."""
        return None if self.new.key is None else (self.new.author.id, self.new.key)

    def settle(self, first: Entry, epoch: str, *, duplicate: bool) -> None:
        """Tell everybody that it is stored."""
        for future, repeated in [(self.stored, duplicate), *((one, True) for one in self.repeats)]:
            if not future.done():  # its sender was cancelled
                future.set_result(Appended(first, repeated, epoch))

    def fail(self, error: Exception) -> None:
        """Tell everybody that it is not, or perhaps not."""
        for future in (self.stored, *self.repeats):
            if not future.done():
                future.set_exception(error)


class SessionWriter:
    """Writes the entries of one session on this node, in the order of :meth:`add`.

    Numbers are taken by trying: the entry gets the number after the newest one, and of two nodes
    that take the same the unique index lets one through; the other reads and tries the next. No
    counter is kept anywhere, so no death leaves a hole.

    Attributes:
        busy: Whether something is being written.
        task: Which writes, or wrote last.
        used_s: When it was used last, by the loop's clock.
    """

    def __init__(self, database: MongoDatabase, session_id: str) -> None:
        self.busy = False
        self.used_s = 0.0
        self.task: asyncio.Task[None] | None = None
        self._database = database
        self._session_id = session_id
        self._waiting: deque[Waiting] = deque()
        self._log: Log | None = None
        self._read_s = 0.0

    def add(self, waiting: Waiting) -> None:
        """Queue the entry; its future is done when it is stored, or when it cannot be."""
        self._waiting.append(waiting)
        self.used_s = asyncio.get_running_loop().time()
        if not self.busy:
            self.busy = True
            run, name = self._run(), f"append to {self._session_id}"
            self.task = self._database.supervisor.start(run, name)
            self.task.add_done_callback(self._ended)

    def heard(self, epoch: str, seq: int) -> None:
        """Take note that another node has stored entries up to ``seq``; it spares a try."""
        if self._log is not None and self._log.epoch == epoch:
            self._log.last_seq = max(self._log.last_seq, seq)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if task is self.task and self.busy:  # cancelled before it had begun
            self.busy = False
            self._give_up()

    def _give_up(self) -> None:
        """Fail all that was not sent."""
        _fail(self._waiting, mongo_errors.not_saved())
        self._waiting.clear()

    async def _run(self) -> None:
        try:
            while batch := self._take():
                await self._write(batch)
        finally:
            self.busy = False
            self._give_up()

    def _take(self) -> list[Waiting]:
        """Return what is written next; one that changes the session goes alone."""
        batch: list[Waiting] = []
        keys: dict[tuple[str, str], Waiting] = {}
        size = 0
        while self._waiting and len(batch) < BATCH_ENTRIES:
            one = self._waiting[0]
            size += one.size
            if batch and (size > BATCH_BYTES or one.change is not None):
                break
            self._waiting.popleft()
            if one.key is not None and (first := keys.get(one.key)):
                first.repeats += [one.stored, *one.repeats]
                continue
            batch.append(one)
            if one.key is not None:
                keys[one.key] = one
            if one.change is not None:
                break
        return batch

    async def _write(self, batch: list[Waiting]) -> None:
        try:
            await self._store(batch)
            await self._close(batch)
        except StoreUnavailableError as error:
            _fail(batch, error)
            self._give_up()  # they would only wait for the same failure
        except AppError as error:
            _fail(batch, error)
        except asyncio.CancelledError:
            _fail(batch, mongo_errors.unknown())
            raise
        # A fault of ours must not leave senders waiting for ever.
        except Exception:
            log.exception("append_failed", session=self._session_id)
            _fail(batch, InternalError("The entry could not be stored.", "The log has the cause."))
        else:
            return
        self._log = None

    async def _store(self, batch: Sequence[Waiting]) -> None:
        """Store the entries, as often as others take their numbers.

        Raises:
            StoreUnavailableError: Those that are not settled may or may not be stored.
            NotFoundError: There is no such session.
        """
        left = list(batch)
        lost = 0
        tried = False
        now_s = asyncio.get_running_loop().time
        began_s = now_s()
        while left:
            try:
                known = await self._known()
            except StoreUnavailableError as error:
                raise (mongo_errors.unknown() if tried else mongo_errors.not_saved()) from error
            tried = True
            after = known.last_seq
            done, problem = await self._insert(known, after, left)
            for offset, one in enumerate(left[:done], start=1):
                one.settle(_entry(one, after + offset), known.epoch, duplicate=False)
            known.last_seq = max(known.last_seq, after + done)
            left = left[done:]
            if problem is None:
                continue
            before = len(left)
            if problem != "number":
                self._log = None
            if problem == "repeat":
                left = await self._without_repeats(await self._known(), left)
            elif problem == "refused":
                left.pop(0).fail(InternalError("The entry could not be stored."))
            lost = 0 if done or len(left) < before else lost + 1
            if lost:
                await _pause(lost, now_s() - began_s)
            if problem == "number" and known.last_seq == after + done:
                self._log = None  # the node that has the number has not told of it: read

    async def _known(self) -> Log:
        """Return where the log stands: as we left it, or as it is read."""
        now_s = asyncio.get_running_loop().time()
        if self._log is None or now_s - self._read_s > FRESH_S:
            self._log = await read_log(self._database, self._session_id)
            self._read_s = now_s
            if self._log is None:
                raise mongo_errors.no_session()
        return self._log

    async def _insert(
        self, known: Log, after: int, batch: Sequence[Waiting]
    ) -> tuple[int, str | None]:
        """Insert the entries in order; return how many are stored, and what stopped the next."""
        from pymongo.errors import BulkWriteError, WriteError

        at_us = time.time_ns() // 1000
        documents = [
            {"log": known.id, "seq": after + offset, "atUs": at_us, **one.document}
            for offset, one in enumerate(batch, start=1)
        ]
        entries = self._database["entries"]
        change = batch[0].change
        try:
            if change is not None:
                await self._insert_and_change(known, documents[0], change)
            elif len(documents) == 1:  # which costs the driver less than a list
                await self._database.call(lambda: entries.insert_one(documents[0]), "save")
            else:
                await self._database.call(lambda: entries.insert_many(documents), "save")
        except WriteError as error:
            return 0, _problem(error)
        except BulkWriteError as error:
            if error.details["writeConcernErrors"] or not error.details["writeErrors"]:
                raise mongo_errors.unknown() from error
            return error.details["nInserted"], _problem(error)
        return len(batch), None

    async def _insert_and_change(
        self, known: Log, document: dict[str, Any], change: SessionChange
    ) -> None:
        changed = {name: value for name, value in asdict(change).items() if value is not None}

        async def both(session: Any) -> None:
            await self._database["entries"].insert_one(dict(document), session=session)
            found = await self._database["sessions"].update_one(
                {"_id": self._session_id, "log": known.id},
                {"$set": changed},
                session=session,
            )
            if not found.matched_count:
                raise mongo_errors.no_session()

        await self._database.transaction(both)

    async def _without_repeats(self, known: Log, batch: Sequence[Waiting]) -> list[Waiting]:
        """Settle those whose key is stored already; return the others."""
        keys = [one.key for one in batch if one.key is not None]
        stored = await self._database.find(
            "entries",
            {
                "log": known.id,
                "$or": [{"authorId": author_id, "key": key} for author_id, key in keys],
            },
        )
        first = {(one["authorId"], one["key"]): one for one in stored}
        left = []
        for one in batch:
            if one.key in first:
                one.settle(entry_of(first[one.key]), known.epoch, duplicate=True)
            else:
                left.append(one)
        return left

    async def _close(self, batch: Sequence[Waiting]) -> None:
        """Note what has its end; whoever looks for what is open makes sure anyway."""
        commands = [one.new.command_id for one in batch if one.new.kind == "commandResult"]
        if commands:
            await self._unset("open", {"commandId": {"$in": commands}, "open": {"$exists": True}})
        turns = [one.new.answers for one in batch if one.new.answers is not None]
        if turns:
            which = {"sessionId": self._session_id, "question": {"$in": turns}}
            await self._unset("question", which)

    async def _unset(self, field: str, which: dict[str, Any]) -> None:
        from pymongo import WriteConcern

        if self._log is None:
            return
        which["log"] = self._log.id
        entries = self._database["entries"].with_options(write_concern=WriteConcern(1))
        try:
            await self._database.call(
                lambda: entries.update_many(which, {"$unset": {field: ""}}), "save"
            )
        except StoreUnavailableError:
            self._log = None


async def _pause(lost: int, waited_s: float) -> None:
    """Wait for word of the node that has the number, longer each time it is lost.

    Raises:
        StoreUnavailableError: It has gone on for too long.
    """
    if waited_s > _PATIENCE_S:
        raise mongo_errors.crowded()
    longest_s = min(_FIRST_WAIT_S * 2 ** min(lost, 8), _LONGEST_WAIT_S)
    await asyncio.sleep(random.uniform(longest_s / 2, longest_s))  # noqa: S311


def _fail(batch: Iterable[Waiting], error: Exception) -> None:
    for one in batch:
        one.fail(error)


def _problem(error: Exception) -> str:
    fields = mongo_errors.key_pattern(error)
    if not fields:
        log.error("entry_refused", error=str(error)[:500])
        return "refused"
    return "repeat" if "key" in fields else "number"


def _entry(one: Waiting, seq: int) -> Entry:
    new = one.new
    return Entry(
        session_id=one.document["sessionId"],
        seq=seq,
        kind=new.kind,
        author_id=new.author.id,
        payload={**new.payload, "seq": seq},
        command_id=new.command_id,
        preface=new.preface,
    )

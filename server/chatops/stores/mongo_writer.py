"""Appending: what waits for one session is written together, with consecutive numbers."""

import asyncio
import contextlib
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
from chatops.stores.mongo_entries import Log, entry_of, read_end, read_log

log = structlog.get_logger(__name__)

BATCH_ENTRIES = 100
BATCH_BYTES = 8_000_000
FRESH_S = 5.0
"""How long what is known of a log is believed without being read again."""

_PATIENCE_S = 10.0
"""How long a number may be taken by what is not to be seen, before a sender is told."""

_FIRST_WAIT_S = 0.002
_LONGEST_WAIT_S = 0.05

_TURN_S = 0.25
"""How long one node writes on and on before it lets others in."""

_SHORTEST_BREAK_S = 0.004
_LONGEST_BREAK_S = 0.05


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
    that take the same the unique index lets one through; the other tries the next, with all that
    waits by then. No counter is kept anywhere, so no death leaves a hole.

    Nodes that write to one session at the same time take turns: who has just stored something
    stops for a moment, until another has or did not want to.

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
        self._news = asyncio.Event()
        self._others = self._passed = False
        self._lost_s: float | None = None
        self._lost_after = 0
        self._break_until_s = self._let_in_s = 0.0

    def add(self, waiting: Waiting) -> None:
        """Queue the entry; its future is done when it is stored, or when it cannot be."""
        self._waiting.append(waiting)
        self.used_s = _now_s()
        if not self.busy:
            self.busy = True
            run, name = self._run(), f"append to {self._session_id}"
            self.task = self._database.supervisor.start(run, name)
            self.task.add_done_callback(self._ended)

    def heard(self, epoch: str, seq: int) -> None:
        """Take note that another node has stored entries up to ``seq``; it spares a try."""
        if self._log is not None and self._log.epoch == epoch and seq > self._log.last_seq:
            self._log.last_seq = seq
            self._others = True
            self._news.set()

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
            while self._waiting:
                await self._let_others_in()
                await self._write(self._take())
        finally:
            self.busy = False
            self._give_up()

    async def _let_others_in(self) -> None:
        """Stop for a moment after something was stored, if others want to write here too."""
        now_s = _now_s()
        others, left_s = self._others, self._break_until_s - now_s
        if left_s <= 0 or not (others or now_s - self._let_in_s > _TURN_S):
            return
        self._others, self._let_in_s = False, now_s
        if not await self._hear_news(left_s) and others:
            self._passed = True  # perhaps they do not tell

    async def _hear_news(self, within_s: float) -> bool:
        """Wait until another node tells that it has stored something, but no longer."""
        self._news.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), within_s)
        return self._news.is_set()

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
        """Try to store the entries; those whose numbers went to others wait again."""
        try:
            stored = await self._store(batch)
            await self._close(stored)
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
        self._log = self._lost_s = None

    async def _store(self, batch: list[Waiting]) -> Sequence[Waiting]:
        """Try once to store the entries; return those that are, and queue again what is left.

        Raises:
            StoreUnavailableError: Those that are not settled may or may not be stored.
            NotFoundError: There is no such session.
        """
        try:
            known = await self._known()
        except StoreUnavailableError as error:
            lost = self._lost_s is not None
            raise (mongo_errors.unknown() if lost else mongo_errors.not_saved()) from error
        after, began_s = known.last_seq, _now_s()
        done, problem = await self._insert(known, after, batch)
        for offset, one in enumerate(batch[:done], start=1):
            one.settle(_entry(one, after + offset), known.epoch, duplicate=False)
        known.last_seq = max(known.last_seq, after + done)
        if done:
            now_s = _now_s()
            break_s = min(max(3 * (now_s - began_s), _SHORTEST_BREAK_S), _LONGEST_BREAK_S)
            self._break_until_s = now_s + break_s
        if problem is None:
            self._lost_s = None
        else:
            left = await self._left(problem, known, after + done, batch[done:])
            self._waiting.extendleft(reversed(left))
        return batch[:done]

    async def _left(
        self, problem: str, known: Log, last_seq: int, left: list[Waiting]
    ) -> list[Waiting]:
        """Settle what stopped the insert after ``last_seq``; return those that wait again."""
        before = len(left)
        if problem != "number":
            self._log = None
        if problem == "repeat":
            left = await self._without_repeats(await self._known(), left)
        elif problem == "refused":
            left.pop(0).fail(InternalError("The entry could not be stored."))
        if len(left) == before:
            await self._lost(known, last_seq)
        return left

    async def _lost(self, known: Log, last_seq: int) -> None:
        """Wait for word of the node that has the number after ``last_seq``, else read again.

        Raises:
            StoreUnavailableError: The log has not moved for too long.
        """
        now_s = _now_s()
        if self._lost_s is None or last_seq != self._lost_after:
            self._lost_s, self._lost_after = now_s, last_seq
        self._others = True
        waited_s = now_s - self._lost_s
        if waited_s > _PATIENCE_S:
            raise mongo_errors.crowded()
        if known.last_seq == last_seq:
            await self._hear_news(min(max(waited_s, _FIRST_WAIT_S), _LONGEST_WAIT_S))
        self._passed = known.last_seq == last_seq

    async def _known(self) -> Log:
        """Return where the log stands: as we left it, or as it is read."""
        now_s = _now_s()
        if self._log is not None and self._passed and not await read_end(self._database, self._log):
            self._log = None  # the session was deleted, and perhaps made anew
        if self._log is None or now_s - self._read_s > FRESH_S:
            self._log = await read_log(self._database, self._session_id)
            self._read_s = now_s
            if self._log is None:
                raise mongo_errors.no_session()
        self._passed = False
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


def _now_s() -> float:
    return asyncio.get_running_loop().time()


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

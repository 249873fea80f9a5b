"""The one thread that writes: whatever waits is committed together, with one sync of the disk."""

import asyncio
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import Any

import structlog

from chatops.errors import StoreUnavailableError
from chatops.stores.sqlite_errors import is_environment, unavailable

log = structlog.get_logger(__name__)

BATCH_LIMIT = 512
"""Operations in one transaction; more would only delay the first of them."""

_CROWD = 4
"""When so many came together of late, others are about to come."""

_GATHER_S = 0.005
"""They are waited for as long as a commit took, for that is what they save, but no longer."""

Operation = Callable[[sqlite3.Connection], Any]


class NotTogetherError(Exception):
    """Operations cannot be run in one go."""


class Joint(ABC):
    """An operation that can be run in one go with those of its class that wait beside it.

    Each statement lets other threads run Python, and getting back from them costs more than the
    statement: a few for all instead of a few for each make the writer several times as cheap.
    """

    @abstractmethod
    def __call__(self, connection: sqlite3.Connection) -> Any:
        """Run it alone."""

    @classmethod
    @abstractmethod
    def together(cls, connection: sqlite3.Connection, operations: Sequence[Any]) -> Sequence[Any]:
        """Run them all in their order; return what each would return.

        Raises:
            NotTogetherError: They must be run one by one; what was done so far will be undone.
        """


@dataclass(slots=True, eq=False)
class _Pending:
    operation: Operation
    future: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None


class _HalfDoneError(Exception):
    """An operation raised after it had changed something."""


class GroupWriter:
    """Owns the write connection, from :meth:`start` until :meth:`stop` returns.

    Operations run in the order of :meth:`submit`; one that raises is undone alone. Few raise, and
    hardly any after a change, so the savepoints that this needs are made only when one did: the
    transaction is undone and run again with a savepoint each. An operation must therefore do
    nothing but use the connection. When the transaction itself fails (disk full, I/O error), every
    operation of it gets ``StoreUnavailableError``, and the next transaction tries afresh.

    Attributes:
        commits: Transactions committed.
        operations: Operations committed by them.
    """

    def __init__(self, connection: sqlite3.Connection, *, batch_limit: int = BATCH_LIMIT) -> None:
        self.commits = 0
        self.operations = 0
        self._connection = connection
        self._batch_limit = batch_limit
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[_Pending | None] = SimpleQueue()
        self._stopping = False
        self._crowd = 0
        self._commit_s = 0.0
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def submit(self, operation: Operation) -> "asyncio.Future[Any]":
        """Queue the operation; the future is done when it is committed. Call on the event loop.

        Cancelling the future does not take the operation back.
        """
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put(_Pending(operation, future))
        return future

    def stop(self) -> None:
        """Commit what was submitted, then end the thread. Blocks; call off the event loop."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while batch := self._take():
            self._write(batch)
            # One call for the whole batch: waking the loop costs more than resolving a future.
            self._loop.call_soon_threadsafe(_resolve, batch)

    def _take(self) -> list[_Pending]:
        """Wait for an operation, then take all that wait; empty when the work is over."""
        batch: list[_Pending] = []
        try:
            while not self._stopping and len(batch) < self._batch_limit:
                if len(batch) == 1 and self._crowd >= _CROWD:
                    self._gather()
                pending = self._queue.get(block=not batch)
                if pending is None:
                    self._stopping = True
                else:
                    batch.append(pending)
        except Empty:
            pass
        self._crowd = max(len(batch), self._crowd - self._crowd // 8 - 1)
        return batch

    def _gather(self) -> None:
        """Wait until as many are there as came of late, or until it is not worth a commit."""
        longest_s = min(self._commit_s, _GATHER_S)
        until = time.monotonic() + longest_s
        while self._queue.qsize() + 1 < self._crowd and time.monotonic() < until:
            time.sleep(longest_s / 8)

    def _write(self, batch: list[_Pending]) -> None:
        try:
            try:
                self._commit(batch, self._apply_runs)
            except _HalfDoneError:
                self._connection.execute("ROLLBACK")
                self._commit(batch, self._apply_in_savepoints)
        # Whatever happens, every caller must hear of it: they wait for ever otherwise.
        except Exception as error:  # noqa: BLE001
            self._fail(batch, error)
        else:
            self.commits += 1
            self.operations += len(batch)

    def _commit(self, batch: list[_Pending], apply: Callable[[list[_Pending]], None]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        apply(batch)
        began = time.monotonic()
        self._connection.execute("COMMIT")
        self._commit_s = time.monotonic() - began

    def _apply_runs(self, batch: list[_Pending]) -> None:
        for kind, same in groupby(batch, lambda pending: type(pending.operation)):
            run = list(same)
            if len(run) > 1 and issubclass(kind, Joint):
                self._apply_together(kind, run)
            else:
                for pending in run:
                    self._apply(pending)

    def _apply_together(self, kind: type[Joint], run: Sequence[_Pending]) -> None:
        try:
            results = kind.together(self._connection, [pending.operation for pending in run])
        # Whosever it is, it is found one by one; unless it is the transaction's.
        except Exception as error:
            if self._is_lost(error):
                raise
            raise _HalfDoneError from error
        for pending, result in zip(run, results, strict=True):
            pending.result = result

    def _apply(self, pending: _Pending) -> None:
        changes = self._connection.total_changes
        try:
            pending.result = pending.operation(self._connection)
        # The operation is the caller's; its error is too, unless it is the transaction's.
        except Exception as error:
            if self._is_lost(error):
                raise
            if self._connection.total_changes != changes:
                raise _HalfDoneError from error
            pending.error = error

    def _apply_in_savepoints(self, batch: list[_Pending]) -> None:
        for pending in batch:
            self._apply_in_savepoint(pending)

    def _apply_in_savepoint(self, pending: _Pending) -> None:
        execute = self._connection.execute
        execute("SAVEPOINT operation")
        try:
            pending.result = pending.operation(self._connection)
        # As above.
        except Exception as error:
            if self._is_lost(error):
                raise
            execute("ROLLBACK TO operation")
            pending.error = error
        execute("RELEASE operation")

    def _is_lost(self, error: Exception) -> bool:
        """Whether the transaction failed; SQLite itself undoes all of it after some errors."""
        return is_environment(error) or not self._connection.in_transaction

    def _fail(self, batch: list[_Pending], error: Exception) -> None:
        log.error(
            "store_write_failed",
            operations=len(batch),
            error=str(error),
            cause=getattr(error, "sqlite_errorname", type(error).__name__),
        )
        for pending in batch:
            pending.error = unavailable(error)
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as second:
            # The next BEGIN will fail, and this is tried again.
            log.error("store_rollback_failed", error=str(second))


def _resolve(batch: list[_Pending]) -> None:
    for pending in batch:
        if pending.future.done():  # its caller was cancelled
            continue
        if pending.error is not None:
            pending.future.set_exception(pending.error)
        else:
            pending.future.set_result(pending.result)


def closed() -> StoreUnavailableError:
    """Return the error of an operation on a store that is not open."""
    return StoreUnavailableError("The store is closed.", "Try again when the server has started.")

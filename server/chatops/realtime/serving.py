"""What happens to an event: served in its turn, and answered whatever happens."""

import asyncio
import time
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, Protocol

import structlog
from pydantic import ValidationError

from chatops.access.rates import PersonRates
from chatops.errors import (
    AppError,
    BadPayloadError,
    InternalError,
    RateLimitedError,
    ShuttingDownError,
    UnknownEventError,
)
from chatops.logs import about
from chatops.protocol.events import WireError
from chatops.protocol.requests import ErrorAck
from chatops.realtime.connection import INBOX, Connection, Turn
from chatops.realtime.wording import payload_error
from chatops.tasks import Supervisor

log = structlog.get_logger(__name__)

# A refused event costs its sender this much time, so that one client that floods the server takes
# at most 50 answers a second from it, and TCP holds the rest back.
_REFUSAL_COSTS_S = 0.02

_AT_ONCE = 16
"""Events of one connection in a row, before others have their turn."""

Rest = Coroutine[Any, Any, None]
"""What is left to do of an event when it has to wait for something."""


class EventHandler(Protocol):
    """What is called for the events of a connection."""

    def handle(self, turn: Turn) -> Rest | None:
        """Serve one event and reply once; what has to wait is returned, to be awaited.

        This and the rest raise ``AppError`` or ``ValidationError``.
        """
        ...

    def may_overlap(self, turn: Turn) -> bool:
        """Whether it may begin before those that passed their turn on have ended."""
        ...

    def gone(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        ...


class Answers(Protocol):
    """How a connection is told something."""

    def ack(self, connection: Connection, ack_id: int | None, ack: dict[str, Any]) -> None:
        """Answer an event, if its sender asked for that and is still there."""
        ...

    def whisper(self, connection_id: str, event: str, payload: dict[str, Any]) -> None:
        """Send an event to one connection."""
        ...


class Serving:
    """Serves the events of connections: those of one connection one after another.

    An event that has to wait for nothing is served in the turn of the loop in which it came,
    without a task of its own. One that only waits to be stored passes its turn on, so that what a
    client says in a row is stored together; what is no message waits until all that is.

    Attributes:
        handler: Who serves them; set before anybody connects.
        closing: Set when new events are to be refused.
        people: The allowances of people, or None without limits.
    """

    def __init__(
        self, supervisor: Supervisor, answers: Answers, people: PersonRates | None
    ) -> None:
        self.handler: EventHandler | None = None
        self.people = people
        self.closing = False
        self._supervisor = supervisor
        self._answers = answers

    def take(self, turn: Turn) -> None:
        """Serve the event now if its turn has come, else after those before it."""
        connection = turn.connection
        if (
            connection.serving is None
            and connection.at_once < _AT_ONCE
            and self._may_begin(connection, turn)
        ):
            connection.at_once += 1
            if (rest := self._begin(turn)) is not None:
                self._go_on(connection, turn, self._finish(turn, rest))
        else:
            connection.inbox.append(turn)
            if connection.serving is None:
                self._go_on(connection)

    def reply(self, turn: Turn, ack: dict[str, Any]) -> None:
        """Answer the event."""
        self._answers.ack(turn.connection, turn.ack_id, ack)

    def whisper(self, turn: Turn, event: str, payload: dict[str, Any]) -> None:
        """Send an event to the connection alone."""
        self._answers.whisper(turn.connection.id, event, payload)

    def pass_on(self, turn: Turn) -> None:
        """Go on with the next event, beside the one in hand; see :meth:`Turn.pass_on`."""
        connection = turn.connection
        if turn.passed is not None or len(connection.behind) >= INBOX:
            return
        assert connection.serving is not None  # noqa: S101 - the caller runs in it
        turn.passed, connection.serving = connection.serving, None
        connection.behind.append(turn.passed)
        connection.at_once = 0
        if connection.inbox:  # in a task that does not log what this one does
            Context().run(self._go_on, connection)

    def _may_begin(self, connection: Connection, turn: Turn) -> bool:
        assert self.handler is not None  # noqa: S101 - set before anybody connects
        return not connection.behind or self.handler.may_overlap(turn)

    def _go_on(
        self, connection: Connection, turn: Turn | None = None, rest: Rest | None = None
    ) -> None:
        work = self._serve(connection, turn, rest)
        connection.serving = self._supervisor.start(work, "serve")

    async def _serve(self, connection: Connection, turn: Turn | None, rest: Rest | None) -> None:
        """Finish the event in hand, then serve those that wait, until none does."""
        try:
            if rest is not None:
                await rest
            served = 0
            while connection.inbox and not (turn and turn.passed):
                if not self._may_begin(connection, connection.inbox[0]):
                    await asyncio.wait(connection.behind)
                    continue  # the connection may have ended meanwhile
                turn = connection.inbox.pop(0)
                if connection.paused is not None and len(connection.inbox) < INBOX // 2:
                    connection.paused.resume()
                    connection.paused = None
                if (rest := self._begin(turn)) is not None:
                    await self._finish(turn, rest)
                elif (served := served + 1) % _AT_ONCE == 0:
                    await asyncio.sleep(0)
        finally:
            if turn and turn.passed:
                connection.behind.remove(turn.passed)
            else:
                connection.serving = None
                connection.at_once = 0

    def _begin(self, turn: Turn) -> Rest | None:
        """Serve the event as far as it goes without waiting."""
        connection = turn.connection
        try:
            if connection.bucket is not None:
                now = time.monotonic()
                connection.bucket.take(now)
                if self.people is not None:
                    self.people.take(connection.person.id, now)
            if turn.refused is not None:
                raise BadPayloadError(turn.refused, "Send JSON within the limits of this server.")
            if self.closing:
                raise ShuttingDownError(
                    "The server is going away.", "Reconnect in a moment.", retry_after_s=2.0
                )
            assert self.handler is not None  # noqa: S101 - set before anybody connects
            return self.handler.handle(turn)
        except Exception as error:  # noqa: BLE001 - the client gets an answer whatever happens
            with about(turn.facts):
                return self._refuse(turn, error)

    async def _finish(self, turn: Turn, rest: Rest) -> None:
        with about(turn.facts):
            try:
                await rest
            except Exception as error:  # noqa: BLE001 - as above
                if (pause := self._refuse(turn, error)) is not None:
                    await pause

    def _refuse(self, turn: Turn, error: Exception) -> Rest | None:
        """Tell the sender, and only the sender: in the ack and as an ``error`` event."""
        refusal = _refusal(error)
        wire = wire_error(refusal, turn.request_id, turn.payload)
        if refusal.retryable or isinstance(refusal, InternalError):
            log.warning("event_refused", code=refusal.code)
        turn.reply(ErrorAck(error=wire).to_wire())
        turn.whisper("error", wire.to_wire())
        if isinstance(refusal, RateLimitedError | BadPayloadError | UnknownEventError):
            return asyncio.sleep(_REFUSAL_COSTS_S)
        return None


def _refusal(error: Exception) -> AppError:
    if isinstance(error, AppError):
        return error
    if isinstance(error, ValidationError):
        return payload_error(error)
    log.error("event_failed", exc_info=error)
    return InternalError(
        "The server failed to handle this.", "Try again; if it stays, report the id."
    )


def wire_error(error: AppError, request_id: str, payload: Any) -> WireError:
    """Return the error as the wire shows it, with the ids its sender can match it by."""
    named = payload if isinstance(payload, dict) else {}
    session_id, key = named.get("sessionId"), named.get("clientMessageId")
    return WireError(
        message=error.message,
        code=error.code,
        hint=error.hint,
        request_id=request_id,
        session_id=session_id if isinstance(session_id, str) and len(session_id) <= 64 else None,
        retry_after_seconds=error.retry_after_s,
        client_message_id=key if isinstance(key, str) and len(key) <= 128 else None,
    )

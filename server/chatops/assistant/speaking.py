"""An answer while it is given, and how it ends."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import structlog

from chatops.access.identity import Person
from chatops.assistant.answering import Answerer, Progress
from chatops.dispatch.result import CommandResult
from chatops.errors import AppError, InternalError, StoreUnavailableError
from chatops.protocol.base import new_id
from chatops.protocol.events import WireError
from chatops.sessions.entries import assistant_message, author_of, command_result
from chatops.sessions.model import Entry, NewEntry, Preface
from chatops.sessions.streams import Streams
from chatops.tasks import Supervisor

log = structlog.get_logger(__name__)

PIECES_EVERY_S = 0.05
"""Seconds between two pieces of an answer that a room is shown."""

_AGAIN_S = 0.5

Outcome = Literal["completed", "stopped", "failed", "interrupted", "lost"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How an answer ended.

    Attributes:
        outcome: ``lost``: another node has the floor, and ends the turn.
        stopped_by: Who wanted it to end.
        error: Why it failed.
    """

    outcome: Outcome
    stopped_by: Person | None = None
    error: AppError | None = None


class Speaking:
    """One answer on its way into the room.

    Attributes:
        session_id: The room.
        turn: Id of the question.
        message_id: Id that the answer will have.
        text: What has been said so far.
        asked_at: When the question was asked.
        concluded: Whether its end is stored.
    """

    def __init__(self, streams: Streams, question: Entry, message_id: str) -> None:
        self.session_id = question.session_id
        self.turn: str = question.payload["id"]
        self.message_id = message_id
        self.text = ""
        self.asked_at = datetime.fromisoformat(question.payload["timestamp"])
        self.concluded = False
        self._question = question
        self._streams = streams
        self._progress = Progress()
        self._unsaid = ""
        self._said_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending = Ending("completed")
        self._interrupted: Ending | None = None
        self._over = False

    async def run(self, answerer: Answerer, supervisor: Supervisor) -> Ending:
        """Have the question answered; return how that ended."""
        if self._interrupted is None:
            self._streams.write(self.session_id, self.message_id, self.turn, "")
            answering = self._answer(answerer)
            self._task = supervisor.start(answering, f"speak in {self.session_id}")
            try:
                await asyncio.wait([self._task])
            finally:
                self._task.cancel()
                self._flush()
        return self._interrupted or self._ending

    def interrupt(self, outcome: Outcome, person: Person | None = None) -> None:
        """End the answer now. The first interruption counts, and none after the last word."""
        if self._interrupted is None and not self._over:
            self._interrupted = Ending(outcome, person)
            if self._task is not None:
                self._task.cancel()

    def entries(self, ending: Ending) -> list[NewEntry]:
        """Return what the log gets of it."""
        return ended(self._question, self.message_id, self.text, ending, self.about())

    def about(self) -> dict[str, Any]:
        """Return what is kept with the answer, as far as it has come."""
        return self._progress.metadata()

    async def _answer(self, answerer: Answerer) -> None:
        try:
            await self._insist(answerer)
        except AppError as error:
            self._ending = Ending("failed", error=error)
        except Exception:  # a fault of ours must not leave a question without an end
            log.exception("answer_failed", session=self.session_id, turn=self.turn)
            self._ending = Ending(
                "failed",
                error=InternalError(
                    "The assistant failed inside the server.",
                    f"Tell whoever runs it; the log has the cause under {self.turn}.",
                ),
            )
        self._over = True

    async def _insist(self, answerer: Answerer) -> None:
        """Have the answer given; a store that is away is waited for until the floor is lost."""
        while True:
            try:
                return await answerer.answer(self._question, self, self._progress)
            except StoreUnavailableError:
                if self.text or self._progress.acted:
                    raise  # not twice
            await asyncio.sleep(_AGAIN_S)

    def do(self, what: str) -> None:
        """Show what is being done for the answer."""
        self._flush()
        self._streams.write(self.session_id, self.message_id, self.turn, "", what)

    def say(self, piece: str) -> None:
        """Show a piece of the answer, soon; an empty one is nothing."""
        if not piece:
            return
        self.text += piece
        self._unsaid += piece
        if self._timer is None:
            loop = asyncio.get_running_loop()
            due_s = max(self._said_s + PIECES_EVERY_S - loop.time(), 0.0)
            self._timer = loop.call_later(due_s, self._flush)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._unsaid:
            self._said_s = asyncio.get_running_loop().time()
            piece, self._unsaid = self._unsaid, ""
            self._streams.write(self.session_id, self.message_id, self.turn, piece)


def ended(
    question: Entry,
    message_id: str,
    text: str,
    ending: Ending,
    known: Mapping[str, Any] | None = None,
) -> list[NewEntry]:
    """Return the entries that end a turn: the answer, and the result if a command asked."""
    metadata = {"outcome": ending.outcome, **(known or {})}
    if ending.stopped_by is not None:
        metadata["stoppedBy"] = author_of(ending.stopped_by).to_wire()
    preface = None
    if (error := ending.error) is not None:
        metadata["error"] = {"code": error.code, "message": error.message, "hint": error.hint}
        preface = Preface("error", told(error, question.session_id))
    parts = [text.strip(), _last_word(ending, said=bool(text.strip()))]
    content = "\n\n".join(part for part in parts if part)
    answer = assistant_message(
        question.session_id, message_id, content, turn=question.payload["id"], metadata=metadata
    )
    entries = [replace(answer, preface=preface)]
    if question.command_id is not None:
        entries.append(_result(question, message_id, content, ending))
    return entries


def _last_word(ending: Ending, *, said: bool) -> str:
    """Return what a reader is told of an answer that is not whole, or of none."""
    if ending.error is not None:
        return f"*{ending.error}*"
    if ending.outcome == "stopped":
        who = ending.stopped_by.name if ending.stopped_by else "somebody"
        return f"*Stopped by {who}.*"
    if ending.outcome == "interrupted":
        return "*The server went away before this was answered. Ask again.*"
    return "" if said else "*The model said nothing.*"


def told(error: AppError, session_id: str) -> dict[str, Any]:
    """Return the ``error`` of the wire about a session."""
    return WireError(
        message=error.message,
        code=error.code,
        hint=error.hint,
        request_id=new_id("req"),
        session_id=session_id,
        retry_after_seconds=error.retry_after_s,
    ).to_wire()


def _result(question: Entry, message_id: str, content: str, ending: Ending) -> NewEntry:
    payload = question.payload
    done = ending.outcome == "completed"
    words = "The assistant has answered." if done else "The assistant's answer is not whole."
    return command_result(
        CommandResult(words, {"messageId": message_id, "answer": content}, done),
        command_id=question.command_id or "",
        command=payload["content"],
        session_id=question.session_id,
        person=Person(question.author_id, payload["author"]["name"]),
        asked_at=datetime.fromisoformat(payload["timestamp"]),
    )

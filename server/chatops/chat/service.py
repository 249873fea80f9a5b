"""A message from any face: decide what it is, store it, show it, act on it."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import structlog

from chatops.access.identity import Person
from chatops.access.permissions import Action, Target, authorize
from chatops.assistant.asking import AskOptions
from chatops.assistant.questions import Questions
from chatops.assistant.speaking import told
from chatops.chat.doubts import Doubts
from chatops.dispatch.dispatcher import Call, Dispatcher
from chatops.dispatch.parser import is_command, literal
from chatops.dispatch.result import CommandResult, Deferred
from chatops.dispatch.spec import CommandContext, Completion
from chatops.errors import (
    AppError,
    BadPayloadError,
    InternalError,
    NotFoundError,
    QueueFullError,
    StoreUnavailableError,
)
from chatops.logs import about
from chatops.protocol.base import new_sorted_id, utc_now
from chatops.sessions.entries import command_result, user_message
from chatops.sessions.model import Entry, NewEntry
from chatops.sessions.service import Sessions
from chatops.tasks import Supervisor

log = structlog.get_logger(__name__)

_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.2, 5.0

Whisper = Callable[[str, dict[str, Any]], None]
"""Sends an event to the caller alone."""


class Posted(NamedTuple):
    """What became of a message.

    Attributes:
        message: The stored message; None for a private command, which is not stored.
        command_id: Id of the command in it, if it is one.
    """

    message: dict[str, Any] | None
    command_id: str | None


class Chat:
    """The one road for messages and commands of every face."""

    def __init__(
        self,
        sessions: Sessions,
        dispatcher: Dispatcher,
        questions: Questions,
        supervisor: Supervisor,
    ) -> None:
        self._sessions = sessions
        self._dispatcher = dispatcher
        self._questions = questions
        self._supervisor = supervisor
        self._doubts = Doubts(sessions, supervisor)
        self._seen_open: set[str | None] = set()

    async def post(
        self,
        session_id: str,
        author: Person,
        content: str,
        *,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        whisper: Whisper,
        ask: AskOptions | None = None,
        in_line: Callable[[], None] | None = None,
    ) -> Posted:
        """Say something in the room; text that begins with ``/`` is a command.

        Whether the assistant answers what is no command is the room's to say; with ``ask`` it does.
        ``in_line`` is called when a message only waits to be stored: what is posted after that
        comes after it.

        The same ``key`` of the same author is stored, and acted upon, once; a repeat returns
        what became of the first. A question for which there is no place is no more than a message,
        and its author alone is told.

        Raises:
            BadPayloadError: Nothing but white space.
            UnknownCommandError, BadParameterError: The command was not understood; the room
                does not see it.
            AssistantOffError, ModelNotAllowedError, QueueFullError: With ``ask``: nobody would
                answer.
        """
        if is_command(content):
            return await self._command(
                session_id, author, self._dispatcher.resolve_text(content), key, metadata, whisper
            )
        if not content.strip():
            raise BadPayloadError("This message is empty.", "Type something and send it again.")
        authorize(author, Action.POST, Target(session_id))
        full: QueueFullError | None = None
        try:
            asks = await self._questions.wanted(session_id, author, content, key=key, ask=ask)
        except QueueFullError as error:
            if ask is not None:
                raise
            asks, full = False, error
        entry = user_message(
            session_id,
            author,
            literal(content),
            key=key,
            metadata=metadata,
            asks=asks and self._questions.available,
            ask=None if ask is None else ask.to_metadata(),
        )
        if in_line is not None:
            in_line()
        done = await self._sessions.append(session_id, entry)
        if asks and not done.duplicate:
            self._questions.asked(session_id)
        if full is not None and not done.duplicate:
            # Without the message's key: clients take an error with it for a refusal in the ack.
            whisper("error", told(full, session_id))
        return Posted(done.entry.payload, done.entry.command_id)

    async def execute(
        self,
        session_id: str,
        author: Person,
        command: str,
        parameters: Mapping[str, Any] | None,
        *,
        key: str | None = None,
        whisper: Whisper,
    ) -> Posted:
        """Run a command given by name and values; otherwise as :meth:`post`."""
        call = self._dispatcher.resolve_values(command, parameters or {})
        return await self._command(session_id, author, call, key, None, whisper)

    async def complete(self, session_id: str, person: Person, text: str) -> list[Completion]:
        """Return what could stand at the end of the input box, best first."""
        ctx = CommandContext(person, session_id, "", text, utc_now())
        return await self._dispatcher.complete(ctx, text)

    async def close_open_commands(
        self, owed: Callable[[], Awaitable[Collection[str]]], *, at_once: bool
    ) -> None:
        """Give commands that a dead node left without a result their end.

        Safe to repeat, and on many nodes at once.

        Args:
            owed: Returns the ids of the commands that a job will answer. It is asked after the
                commands were read, so none that became a job meanwhile is ended here.
            at_once: Do not wait for the next call to see whether the node lives after all: one
                that the store could not hear for long seems dead, until the store is back.

        Raises:
            StoreUnavailableError: Some may be open still.
        """
        found = await self._sessions.open_commands()
        before, self._seen_open = self._seen_open, {asked.command_id for asked in found}
        if not at_once:
            found = [asked for asked in found if asked.command_id in before]
        if not found:
            return
        others = {*await owed(), *await self._questions.owed()}
        for asked in found:
            if asked.command_id in others:
                continue
            payload = asked.payload
            author = payload.get("author") or {}
            entry = command_result(
                CommandResult(
                    "The server stopped before this was done. Send it again.", None, False
                ),
                command_id=asked.command_id or "",
                command=payload["content"],
                session_id=asked.session_id,
                person=Person(asked.author_id, author.get("name", asked.author_id)),
                asked_at=utc_now(),
            )
            with suppress(NotFoundError):  # the session expired meanwhile
                await self._sessions.append(asked.session_id, entry)

    async def _command(
        self,
        session_id: str,
        author: Person,
        call: Call,
        key: str | None,
        metadata: Mapping[str, Any] | None,
        whisper: Whisper,
    ) -> Posted:
        ctx = CommandContext(
            person=author,
            session_id=session_id,
            command_id=new_sorted_id("cmd"),
            command=call.text,
            started_at=utc_now(),
        )
        try:
            await self._dispatcher.check(ctx, call)
        except AppError:
            # A retry must not be refused because the first one did what it was to do.
            if key and (first := await self._sessions.find(session_id, author, key)):
                return self._repeated(first, ctx, call)
            raise
        if call.spec.private:
            self._supervisor.start(self._answer(ctx, call, whisper), f"command {ctx.command_id}")
            return Posted(None, ctx.command_id)
        entry = user_message(
            session_id,
            author,
            call.text,
            key=key,
            metadata=metadata,
            command_id=ctx.command_id,
            asks=call.spec.asks,
        )
        try:
            done = await self._sessions.append(session_id, entry)
        except StoreUnavailableError:
            # It may be stored all the same, and then it is to be run.
            self._doubts.add(session_id, entry, lambda: self._start(ctx, call))
            raise
        if done.duplicate:
            return self._repeated(done.entry, ctx, call)
        self._start(ctx, call)
        return Posted(done.entry.payload, done.entry.command_id)

    def _repeated(self, first: Entry, ctx: CommandContext, call: Call) -> Posted:
        """Return what became of the first of two equal requests; run it if nobody knows."""
        if first.command_id is not None and self._doubts.settle(first.command_id):
            self._start(replace(ctx, command_id=first.command_id), call)
        return Posted(first.payload, first.command_id)

    def _start(self, ctx: CommandContext, call: Call) -> None:
        self._supervisor.start(self._run(ctx, call), f"command {ctx.command_id}")

    async def _run(self, ctx: CommandContext, call: Call) -> None:
        """Run a command of the room; unless a job will answer it, store and show its result."""
        outcome = await self._outcome(ctx, call)
        if isinstance(outcome, CommandResult):
            await self._conclude(_result_entry(ctx, outcome), ctx.session_id)

    async def _conclude(self, result: NewEntry, session_id: str) -> None:
        """Store and show a result; a store that is away is waited for, since one is owed."""
        wait_s = _FIRST_RETRY_S
        while True:
            try:
                await self._sessions.append(session_id, result)
            except StoreUnavailableError:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_RETRY_S)
            except NotFoundError:
                return  # the session expired meanwhile: nobody is left to be told
            else:
                return

    async def _answer(self, ctx: CommandContext, call: Call, whisper: Whisper) -> None:
        """Run a private command and tell its caller alone."""
        outcome = await self._outcome(ctx, call)
        if isinstance(outcome, CommandResult):
            whisper("commandResult", _result_entry(ctx, outcome).payload)

    async def _outcome(self, ctx: CommandContext, call: Call) -> CommandResult | Deferred:
        with about(lambda: {"command_id": ctx.command_id, "command": call.spec.name}):
            try:
                return await self._dispatcher.run(ctx, call)
            except AppError as error:
                return _failed(error)
            except Exception:  # a command that breaks must still end, with a result
                log.exception("command_failed")
                return _failed(
                    InternalError(
                        "This command failed inside the server.",
                        f"Tell whoever runs it; the log has the cause under {ctx.command_id}.",
                    )
                )


def _result_entry(ctx: CommandContext, result: CommandResult) -> NewEntry:
    return command_result(
        result,
        command_id=ctx.command_id,
        command=ctx.command,
        session_id=ctx.session_id,
        person=ctx.person,
        asked_at=ctx.started_at,
    )


def _failed(error: AppError) -> CommandResult:
    data = {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
    return CommandResult(str(error), data, success=False)

"""Ask in a room and wait for the answer: for faces whose people are no members of it otherwise."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import orjson

from chatops import errors
from chatops.access.identity import ASSISTANT, Person
from chatops.assistant.asking import AskOptions
from chatops.chat.service import Chat, Posted
from chatops.errors import AppError, StoreUnavailableError, UpstreamFailedError
from chatops.protocol.base import MAX_ENTRIES, new_id
from chatops.protocol.strictjson import encode
from chatops.sessions.listeners import Listener, Listeners
from chatops.sessions.service import Sessions

LOOK_EVERY_S = 2.0
"""Seconds after which the log is read: what was not heard stands there."""

_EVENTS = frozenset({"message", "messageDelta", "commandResult"})

_BY_CODE: Mapping[str, type[AppError]] = {
    one.code: one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, AppError)
}


class NotAnsweredError(UpstreamFailedError):
    """No answer came in the time that one may wait; it may come yet, and the log will have it."""

    http_status = 504


@dataclass(frozen=True, slots=True)
class Reply:
    """What ended a question.

    Attributes:
        text: The assistant's answer, or the message of a command's result.
        seq: Its number in the log; None for the result of a private command, which is not there.
        data: Of a command's result: its data.
        success: False for a command that did not do what was asked.
    """

    text: str
    seq: int | None
    data: dict[str, Any] | None = None
    success: bool = True


class Asked:
    """A question that was posted, and its answer as it comes.

    Attributes:
        posted: What became of the question.
        reply: Its end, once that has been heard.
    """

    def __init__(
        self,
        sessions: Sessions,
        session_id: str,
        person: Person,
        listener: Listener,
        posted: Posted,
        limit_s: float,
    ) -> None:
        message = posted.message or {}
        self.posted = posted
        self.reply: Reply | None = None
        self._sessions = sessions
        self._session_id = session_id
        self._person = person
        self._listener = listener
        self._question_id: str = message.get("id", "")
        self._read: int | None = message.get("seq")
        self._heard = ""
        self._limit_s = limit_s
        now_s = asyncio.get_running_loop().time()
        self._until_s = now_s + limit_s
        self._look_s = now_s + LOOK_EVERY_S

    async def __aiter__(self) -> AsyncIterator[str]:
        """Yield the pieces of the answer; together they are its text, and then there is a reply.

        Raises:
            AppError: As :meth:`hear`.
        """
        while self.reply is None:
            if piece := await self.hear():
                yield piece

    async def whole(self) -> Reply:
        """Return the end of the question; raises as :meth:`hear`."""
        while self.reply is None:
            await self.hear()
        return self.reply

    async def hear(self) -> str:
        """Wait for what happens next in the room; return the piece of the answer in it, if any.

        Safe to cancel.

        Raises:
            NotAnsweredError: The time is over.
            NotFoundError: The session is gone.
            AppError: The turn failed; it is the error that the assistant met.
        """
        now_s = asyncio.get_running_loop().time
        if self._until_s <= now_s():
            raise NotAnsweredError(
                f"There was no answer within {self._limit_s:g} s.",
                f'It may still come; session "{self._session_id}" will have it.',
            )
        try:
            async with asyncio.timeout_at(min(self._until_s, self._look_s)):
                event, payload = await self._listener.next()
        except TimeoutError:
            self._look_s = now_s() + LOOK_EVERY_S
            return await self._look()
        return self._take(event, orjson.loads(payload)) if event in _EVENTS else ""

    async def _look(self) -> str:
        """Read what the log has got since; a listener may have missed it."""
        if self._read is None:
            return ""
        with suppress(StoreUnavailableError):  # the next look does it
            await self._sessions.get(self._session_id, self._person)
            while self.reply is None:
                entries = await self._sessions.read(self._session_id, self._read, MAX_ENTRIES)
                if not entries:
                    break
                for entry in entries:
                    self._read = entry.seq
                    if piece := self._take(entry.kind, entry.payload):
                        return piece
        return ""

    def _take(self, event: str, payload: dict[str, Any]) -> str:
        if event == "messageDelta":
            if payload["replyTo"] != self._question_id:
                return ""
            self._heard += payload["delta"]
            return str(payload["delta"])
        if event == "commandResult":
            if payload["commandId"] != self.posted.command_id:
                return ""
            return self._end(
                Reply(
                    payload["message"], payload.get("seq"), payload.get("data"), payload["success"]
                )
            )
        metadata = payload.get("metadata") or {}
        if metadata.get("replyTo") != self._question_id or not _of_assistant(payload):
            return ""
        if metadata.get("outcome") in ("failed", "interrupted"):
            raise _failure(metadata.get("error"))
        return self._end(Reply(payload["content"], payload["seq"]))

    def _end(self, reply: Reply) -> str:
        """Return what has not been heard of the text: pieces may be lost, its end never."""
        self.reply = reply
        for heard in (self._heard, self._heard.strip()):
            if reply.text.startswith(heard):
                return reply.text[len(heard) :]
        return f"\n\n{reply.text}"


class Asking:
    """Asks in rooms, as a listener who is there for as long as it waits."""

    def __init__(
        self, sessions: Sessions, listeners: Listeners, chat: Chat, *, limit_s: float
    ) -> None:
        """Make it; ``limit_s`` is how long an answer is waited for."""
        self._sessions = sessions
        self._listeners = listeners
        self._chat = chat
        self._limit_s = limit_s

    @asynccontextmanager
    async def ask(
        self,
        session_id: str,
        person: Person,
        content: str,
        options: AskOptions | None = None,
        *,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[Asked]:
        """Say something in the room to which the assistant, or the command in it, answers.

        Everybody in the room sees both. Leaving, for whatever reason, ends nothing but the waiting.
        A repeat of the same ``key`` waits for the answer of the first.

        Raises:
            NotFoundError: There is no such session.
            AppError: As :meth:`Chat.post`.
        """
        await self._sessions.get(session_id, person)
        connection_id = new_id("ear")
        listener = self._listeners.add(connection_id)
        try:
            await self._sessions.ensure_joined(session_id, connection_id, person)
            posted = await self._chat.post(
                session_id,
                person,
                content,
                key=key,
                metadata=metadata,
                whisper=lambda event, payload: listener.hear(event, encode(payload)),
                ask=options or AskOptions(),
            )
            yield Asked(self._sessions, session_id, person, listener, posted, self._limit_s)
        finally:
            self._sessions.leave(session_id, connection_id)
            self._listeners.remove(connection_id)


def _of_assistant(payload: Mapping[str, Any]) -> bool:
    return bool((payload.get("author") or {}).get("id") == ASSISTANT.id)


def error_of(told: Mapping[str, Any]) -> AppError:
    """Return the error that an entry of the log tells of."""
    kind = _BY_CODE.get(told["code"], UpstreamFailedError)
    return kind(told["message"], told.get("hint"))


def _failure(told: Mapping[str, Any] | None) -> AppError:
    if told is None:
        return UpstreamFailedError(
            "The server that was answering went away.", "Ask again; another one will answer."
        )
    return error_of(told)

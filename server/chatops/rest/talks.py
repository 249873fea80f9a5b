"""Plain WebSockets for those without Socket.IO: a question goes in, its answer comes in pieces."""

import asyncio
import json
from abc import ABC, abstractmethod
from typing import Any

import structlog
from aiohttp import WSMsgType, web
from pydantic import ValidationError

from chatops.access.identity import Person
from chatops.assistant.asking import AskOptions
from chatops.errors import AppError, BadPayloadError, RateLimitedError
from chatops.protocol.base import MAX_PAYLOAD_BYTES
from chatops.protocol.strictjson import StrictJsonError, dumps, loads
from chatops.rest.bodies import ChatQuestion, PlainQuestion
from chatops.rest.conversations import options_of
from chatops.rest.errors import BadFieldsError, unexpected
from chatops.rest.services import Services

log = structlog.get_logger(__name__)

_WAITING = 16
"""Questions of one socket that may wait for their turn."""

_HEARTBEAT_S = 30.0

Question = tuple[str, str, AskOptions | None]
"""The session, the words, and how they are to be answered."""


class Dialect(ABC):
    """How questions are written on a socket, and answers."""

    @abstractmethod
    def read(self, text: str) -> Question:
        """Return the question in a frame.

        Raises:
            AppError: It is none.
        """

    @abstractmethod
    def piece(self, text: str) -> str:
        """Return the frame of a piece of an answer."""

    @abstractmethod
    def done(self) -> str:
        """Return the frame that ends an answer."""

    @abstractmethod
    def error(self, error: AppError) -> str:
        """Return the frame that is sent in place of an answer, or of its end."""


class InSession(Dialect):
    """Of ``/api/v1/chatops-advanced/ws/chat/{id}``: objects with a type."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id

    def read(self, text: str) -> Question:
        """Return the question; it has the fields of the HTTP operation."""
        try:
            question = ChatQuestion.model_validate(_object(text))
        except ValidationError as error:
            raise BadFieldsError.of(error) from None
        return self._session_id, question.question, options_of(question)

    def piece(self, text: str) -> str:
        """Return a chunk."""
        return dumps({"type": "chunk", "content": text})

    def done(self) -> str:
        """Return the end."""
        return dumps({"type": "done"})

    def error(self, error: AppError) -> str:
        """Return the error with its code and hint."""
        told = {"code": error.code, "message": error.message, "hint": error.hint}
        return dumps({"type": "error", **told})


class Bare(Dialect):
    """Of ``/ws/chat``: the text itself, then ``[DONE]``."""

    def read(self, text: str) -> Question:
        """Return the question."""
        try:
            given = _object(text)
            if given.get("message") == "":
                raise _EMPTY
            question = PlainQuestion.model_validate(given)
        except ValidationError:
            raise _BAD from None
        if not question.message.strip():
            raise _EMPTY
        if question.session_id is None:
            raise _BAD
        return question.session_id, question.message, None

    def piece(self, text: str) -> str:
        """Return it as it is."""
        return text

    def done(self) -> str:
        """Return the end."""
        return "[DONE]"

    def error(self, error: AppError) -> str:
        """Return the error in words."""
        return json.dumps({"error": error.message}, ensure_ascii=False)


_BAD = BadPayloadError("bad payload")
_EMPTY = BadPayloadError("empty message")


class Talks:
    """Serves the sockets."""

    def __init__(self, services: Services) -> None:
        self._door = services.door
        self._asking = services.asking
        self._sessions = services.sessions
        self._supervisor = services.supervisor

    def add_to(self, app: web.Application) -> None:
        """Register the paths."""
        app.router.add_get("/api/v1/chatops-advanced/ws/chat/{id}", self.in_session)
        app.router.add_get("/ws/chat", self.bare)

    async def in_session(self, request: web.Request) -> web.StreamResponse:
        """Talk in one session, which must be there."""
        session = await self._sessions.get(request.match_info["id"], self._door.person(request))
        return await self._serve(request, InSession(session.id))

    async def bare(self, request: web.Request) -> web.StreamResponse:
        """Talk in the session that each question names."""
        return await self._serve(request, Bare())

    async def _serve(self, request: web.Request, dialect: Dialect) -> web.StreamResponse:
        self._door.check_origin(request)
        person = self._door.person(request)
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT_S, max_msg_size=MAX_PAYLOAD_BYTES)
        await socket.prepare(request)
        questions: asyncio.Queue[str] = asyncio.Queue(_WAITING)
        # The socket is read while an answer is given, so that one who goes is not answered on.
        answering = self._supervisor.start(
            self._answer(socket, dialect, person, questions), "answer a socket"
        )
        try:
            async for frame in socket:
                try:
                    questions.put_nowait(frame.data if frame.type is WSMsgType.TEXT else "")
                except asyncio.QueueFull:
                    await _send(socket, dialect.error(_TOO_MANY))
        finally:
            answering.cancel()
            await asyncio.wait([answering])
        return socket

    async def _answer(
        self,
        socket: web.WebSocketResponse,
        dialect: Dialect,
        person: Person,
        questions: "asyncio.Queue[str]",
    ) -> None:
        """Answer the questions one after another."""
        while not socket.closed:
            text = await questions.get()
            try:
                self._door.take(person)
                session_id, content, options = dialect.read(text)
                async with self._asking.ask(session_id, person, content, options) as asked:
                    async for piece in asked:
                        await _send(socket, dialect.piece(piece))
                last = dialect.done()
            except AppError as error:
                last = dialect.error(error)
            except Exception:  # who asked gets an answer, and no traceback
                log.exception("talk_failed", person=person.id)
                last = dialect.error(unexpected())
            await _send(socket, last)


_TOO_MANY = RateLimitedError("Too many questions wait on this socket.", "Wait for their answers.")


async def _send(socket: web.WebSocketResponse, text: str) -> None:
    # One who has gone is noticed where the socket is read.
    if not socket.closed:
        try:
            await socket.send_str(text)
        except ConnectionError:
            return


def _object(text: str) -> dict[str, Any]:
    try:
        value = loads(text)
    except StrictJsonError:
        raise _BAD from None
    if not isinstance(value, dict):
        raise _BAD
    return value

"""Sessions over HTTP: make one, ask in it, read it, take it away and bring it back."""

import json
import re
from bisect import bisect_right
from collections import OrderedDict

from aiohttp import web

from chatops.access.identity import ASSISTANT, Person
from chatops.assistant.asking import AskOptions
from chatops.errors import BadPayloadError
from chatops.protocol.base import MAX_ENTRIES, new_sorted_id
from chatops.rest.bodies import (
    Acting,
    ChatAnswer,
    ChatQuestion,
    ExportQuery,
    ImportDone,
    ImportQuery,
    LogQuery,
    PlainQuestion,
    PlainReply,
    SessionCreated,
    SessionLog,
)
from chatops.rest.operations import Call, Operation
from chatops.rest.services import Services
from chatops.sessions.export import entries_of, header, markdown_of, row_of
from chatops.sessions.importing import SessionExport, import_session
from chatops.sessions.model import Entry
from chatops.sessions.presence import member
from chatops.sessions.service import Sessions

BASE = "/api/v1/chatops-advanced/session"
KEY_HEADER = "Idempotency-Key"
MAX_IMPORT_BYTES = 16 * 2**20

_KEY = re.compile(r"[!-~]{1,128}")
_EXPORTED = "application/json, text/markdown"


class Conversations:
    """The operations on sessions."""

    def __init__(self, services: Services) -> None:
        self._asking = services.asking
        self._sessions = services.sessions
        self._store = services.session_store
        self._turns = TurnCounts(services.sessions)

    def operations(self) -> list[Operation]:
        """Return them."""
        tag = "Sessions"
        told = (400, 404, 429, 502, 504)
        return [
            Operation(
                "POST", f"{BASE}/create", tag, "Make a session", self.create, SessionCreated, Acting
            ),
            Operation(
                "POST",
                f"{BASE}/import",
                tag,
                "Read a JSON export into a session; entries that are there stay single",
                self.import_session,
                ImportDone,
                ImportQuery,
                SessionExport,
                max_bytes=MAX_IMPORT_BYTES,
            ),
            Operation(
                "POST",
                f"{BASE}/{{id}}/chat",
                tag,
                "Ask in a session, or give a command there, and wait for the answer",
                self.chat,
                ChatAnswer,
                Acting,
                ChatQuestion,
                told,
            ),
            Operation(
                "GET",
                f"{BASE}/{{id}}",
                tag,
                "Read a session",
                self.read_session,
                SessionLog,
                LogQuery,
                errors=(404,),
            ),
            *(
                Operation(
                    "GET",
                    path,
                    tag,
                    "Take a session's whole log away",
                    self.export,
                    _EXPORTED,
                    ExportQuery,
                    errors=(404,),
                )
                for path in (f"{BASE}/{{id}}/export", "/api/v1/sessions/{id}/export")
            ),
            Operation(
                "POST",
                "/api/v1/chat",
                tag,
                "Say something to the assistant, in a new session if none is named",
                self.say,
                PlainReply,
                Acting,
                PlainQuestion,
                told,
            ),
        ]

    async def create(self, call: Call) -> SessionCreated:
        """Make a session that the caller owns."""
        return SessionCreated(session_id=await self._create(call.person))

    async def chat(self, call: Call) -> ChatAnswer:
        """Ask, and wait for the answer."""
        question: ChatQuestion = call.body
        session_id = call.part()
        async with self._asking.ask(
            session_id, call.person, question.question, options_of(question), key=_key(call)
        ) as asked:
            reply = await asked.whole()
        return ChatAnswer(
            session_id=session_id,
            query=question.question,
            answer=reply.text,
            conversation_turn=await self._turns.until(session_id, call.person, reply.seq),
        )

    async def say(self, call: Call) -> PlainReply:
        """Ask, and wait for the answer."""
        said: PlainQuestion = call.body
        session_id = said.session_id or await self._create(call.person)
        async with self._asking.ask(session_id, call.person, said.message, key=_key(call)) as asked:
            reply = await asked.whole()
        return PlainReply(session_id=session_id, reply=reply.text)

    async def read_session(self, call: Call) -> SessionLog:
        """Return the session and a part of its log."""
        query: LogQuery = call.query
        session = await self._sessions.get(call.part(), call.person)
        entries: list[Entry] = []
        if query.limit and query.after_seq is not None:
            entries = [*await self._sessions.read(session.id, query.after_seq, query.limit)]
        elif query.limit:
            entries = [*await self._sessions.read_newest(session.id, query.limit)]
        newest = entries[-1].seq if entries else query.after_seq
        return SessionLog(
            session_id=session.id,
            title=session.title,
            owner=session.owner.name,
            created_at=session.created_at,
            epoch=session.epoch,
            first_seq=session.first_seq,
            last_seq=session.last_seq,
            assistant=session.assistant,
            members=[member(one) for one in self._sessions.people(session.id)],
            entries=[row_of(entry) for entry in entries],
            more=newest is not None and newest < session.last_seq,
        )

    async def export(self, call: Call) -> web.StreamResponse:
        """Serve a session's whole log, as it was when asked for."""
        session = await self._sessions.get(call.part(), call.person)
        markdown = call.query.format == "markdown"
        ending, media = ("md", "text/markdown") if markdown else ("json", "application/json")
        response = web.StreamResponse(
            headers={
                "Content-Type": f"{media}; charset=utf-8",
                "Content-Disposition": f'attachment; filename="{session.id}.{ending}"',
            }
        )
        await response.prepare(call.request)
        entries = entries_of(self._store, session)
        if markdown:
            await response.write(f"# {session.title}\n\n".encode())
            async for entry in entries:
                await response.write(f"{markdown_of(entry)}\n---\n\n".encode())
        else:
            head = json.dumps(header(session), ensure_ascii=False)
            await response.write(f'{head[:-1]}, "entries": ['.encode())
            separator = ""
            async for entry in entries:
                row = json.dumps(row_of(entry), ensure_ascii=False)
                await response.write(f"{separator}\n{row}".encode())
                separator = ","
            await response.write(b"\n]}\n")
        await response.write_eof()
        return response

    async def import_session(self, call: Call) -> ImportDone:
        """Add the entries of an export that are not there."""
        export: SessionExport = call.body
        target: str | None = call.query.session_id
        done = await import_session(self._sessions, self._store, call.person, export, target)
        return ImportDone.model_validate(done)

    async def _create(self, person: Person) -> str:
        session_id = new_sorted_id("session")
        await self._sessions.enter(session_id, person)
        return session_id


class TurnCounts:
    """How many answers the assistant has given in a session, without reading its log each time."""

    def __init__(self, sessions: Sessions, most: int = 1_000) -> None:
        self._sessions = sessions
        self._most = most
        self._known: OrderedDict[str, tuple[str, int, list[int]]] = OrderedDict()

    async def until(self, session_id: str, person: Person, seq: int | None) -> int:
        """Return how many there are up to a number of the log; None: up to now."""
        session = await self._sessions.get(session_id, person)
        epoch, read, answers = self._known.pop(session_id, (session.epoch, 0, []))
        if epoch != session.epoch:
            read, answers = 0, []
        last = session.last_seq if seq is None else seq
        while read < last and (page := await self._sessions.read(session_id, read, MAX_ENTRIES)):
            answers = [*answers, *(entry.seq for entry in page if _is_answer(entry))]
            read = page[-1].seq
        self._known[session_id] = (session.epoch, read, answers)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return bisect_right(answers, last)


def options_of(question: ChatQuestion) -> AskOptions:
    """Return how a question is to be answered."""
    return AskOptions(question.model_id, question.include_history, tuple(question.user_roles))


def _key(call: Call) -> str | None:
    key = call.request.headers.get(KEY_HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise BadPayloadError(
            f"{KEY_HEADER} cannot be used.", "It is 1 to 128 visible ASCII characters."
        )
    return key


def _is_answer(entry: Entry) -> bool:
    return entry.kind == "message" and entry.author_id == ASSISTANT.id

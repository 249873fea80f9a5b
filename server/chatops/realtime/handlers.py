"""The events of the wire, one row each. Handlers are short: check, hand over, reply."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from chatops.access.identity import CLIENT, Person, check_name
from chatops.assistant.turns import Turns
from chatops.backtests.jobs.service import Jobs
from chatops.chat.reports import progress_payload
from chatops.chat.service import Chat, Posted
from chatops.dispatch.parser import is_command
from chatops.errors import UnknownEventError
from chatops.protocol.catalogue import CLIENT_EVENTS
from chatops.protocol.requests import (
    CompleteCommand,
    ExecuteCommand,
    JoinSession,
    LeaveSession,
    SendMessage,
    SessionInfo,
    StopGeneration,
)
from chatops.realtime.connection import Connection, Turn
from chatops.realtime.serving import Rest
from chatops.sessions.export import row_of
from chatops.sessions.presence import member
from chatops.sessions.service import Sessions, Snapshot
from chatops.sessions.streams import Stream

OK = {"ok": True}


class Events:
    """Serves the events of clients."""

    def __init__(self, sessions: Sessions, chat: Chat, turns: Turns, jobs: Jobs) -> None:
        self._sessions = sessions
        self._chat = chat
        self._turns = turns
        self._jobs = jobs

    def handle(self, turn: Turn) -> Rest | None:
        """Serve one event and reply once; what has to wait is returned, to be awaited.

        Raises:
            UnknownEventError: There is no such event.
            ValidationError: Its payload is not of the contract.
            AppError: What the event's own work raises.
        """
        serve = EVENTS.get(turn.name)
        if serve is None:
            raise UnknownEventError(
                f'There is no event "{turn.name[:64]}".', f"Use one of: {', '.join(EVENTS)}."
            )
        return serve(self, turn, CLIENT_EVENTS[turn.name].request.of(turn.payload))

    def may_overlap(self, turn: Turn) -> bool:
        """Whether it is a message and no command: the log keeps the order of those."""
        payload = turn.payload
        content = payload.get("content") if isinstance(payload, dict) else None
        return turn.name == "sendMessage" and isinstance(content, str) and not is_command(content)

    def gone(self, connection: Connection) -> None:
        """Take the connection out of its rooms."""
        self._sessions.drop(connection.id)

    async def join(self, turn: Turn, request: JoinSession) -> None:
        """Enter a room; the ack has the log and leaves before the first live event."""
        connection = turn.connection
        if request.name is not None:
            connection.person = _renamed(connection.person, request.name)
        await self._sessions.join(
            request.session_id,
            connection.id,
            connection.person,
            after_seq=request.after_seq,
            limit=request.limit,
            reply=lambda snapshot: turn.reply(self._join_ack(snapshot, connection.person)),
        )

    def leave(self, turn: Turn, request: LeaveSession) -> None:
        """Leave a room."""
        self._sessions.leave(request.session_id, turn.connection.id)
        turn.reply(OK)

    async def send(self, turn: Turn, request: SendMessage) -> None:
        """Say something, or give a command by its text."""
        connection = turn.connection
        await self._sessions.ensure_joined(request.session_id, connection.id, connection.person)
        posted = await self._chat.post(
            request.session_id,
            connection.person,
            request.content,
            key=request.client_message_id,
            metadata=request.metadata,
            in_line=turn.pass_on,
            whisper=turn.whisper,
        )
        turn.reply(_posted(posted))

    async def execute(self, turn: Turn, request: ExecuteCommand) -> None:
        """Give a command by name and values."""
        connection = turn.connection
        await self._sessions.ensure_joined(request.session_id, connection.id, connection.person)
        posted = await self._chat.execute(
            request.session_id,
            connection.person,
            request.command,
            request.parameters,
            key=request.client_message_id,
            whisper=turn.whisper,
        )
        turn.reply(_posted(posted))

    async def complete(self, turn: Turn, request: CompleteCommand) -> None:
        """Complete what stands in the input box."""
        items = await self._chat.complete(request.session_id, turn.connection.person, request.text)
        rows = [{"value": i.value, "label": i.label, "detail": i.detail} for i in items]
        turn.reply({"ok": True, "items": rows})

    async def stop(self, turn: Turn, request: StopGeneration) -> None:
        """End the answer that is being given."""
        session_id, person = request.session_id, turn.connection.person
        turn.reply(
            {"ok": True, "stopped": await self._turns.stop(session_id, person, request.message_id)}
        )

    def _join_ack(self, snapshot: Snapshot, you: Person) -> dict[str, Any]:
        session = snapshot.session
        info = SessionInfo(
            id=session.id,
            epoch=session.epoch,
            title=session.title,
            owner=session.owner.name,
            last_seq=snapshot.last_seq,
            members=[member(one) for one in snapshot.people],
            created_at=session.created_at,
            assistant=snapshot.assistant if self._turns.available else "off",
        )
        jobs = [
            progress_payload(now.job, session.id, person, now.position, now.eta_s)
            for now, person in self._jobs.of_session(session.id)
        ]
        return {
            "ok": True,
            "session": info.to_wire(),
            "you": {"id": you.id, "name": you.name},
            "entries": [row_of(entry) for entry in snapshot.entries],
            "more": snapshot.more,
            "gap": snapshot.gap,
            "jobs": jobs,
            "streams": [] if snapshot.stream is None else [_stream(snapshot.stream)],
        }


Serve = Callable[[Events, Turn, Any], Rest | None]

EVENTS: Mapping[str, Serve] = MappingProxyType(
    {
        "joinSession": Events.join,
        "leaveSession": Events.leave,
        "sendMessage": Events.send,
        "executeCommand": Events.execute,
        "stopGeneration": Events.stop,
        "completeCommand": Events.complete,
    }
)
"""Names and payloads are those of :data:`chatops.protocol.catalogue.CLIENT_EVENTS`."""


def _stream(stream: Stream) -> dict[str, Any]:
    return {
        "messageId": stream.message_id,
        "replyTo": stream.reply_to,
        "index": stream.index,
        "content": stream.text,
    }


def _posted(posted: Posted) -> dict[str, Any]:
    ack: dict[str, Any] = {"ok": True}
    if posted.message is not None:
        ack["message"] = posted.message
    if posted.command_id is not None:
        ack["commandId"] = posted.command_id
    return ack


def _renamed(person: Person, name: str) -> Person:
    """Return the person under a new name; without a client id, the name is who they are."""
    shown = check_name(name)
    if person.id.startswith(CLIENT):
        return Person(person.id, shown)
    return Person(f"name:{shown.casefold()}", shown)

"""Events from clients, and what their acks add."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints

from chatops.protocol.base import (
    MAX_CONTENT,
    MAX_ENTRIES,
    ClientMessageId,
    PersonName,
    SessionId,
    Timestamp,
    WireModel,
)
from chatops.protocol.events import (
    Author,
    BacktestProgress,
    CommandResult,
    Member,
    Message,
    WireError,
)


class Auth(WireModel):
    """The `auth` object of the Socket.IO connect packet; all of it optional.

    `clientId` is a stable random word of the client. It makes the person behind it the same
    after a reconnect, so that retries are recognised. Nobody else is told it: whoever knows it
    can connect as that person.
    """

    name: PersonName | None = None
    client_id: ClientMessageId | None = None


class SessionRequest(WireModel):
    """A request about one session. The bare session id stands for the object."""

    session_id: SessionId

    @classmethod
    def of(cls, payload: Any) -> Self:
        """Return the checked request; the bare session id stands for the object."""
        if isinstance(payload, str):
            payload = {"sessionId": payload}
        return super().of(payload)


class JoinSession(SessionRequest):
    """Enter the room and read its log after `afterSeq`, or its newest `limit` entries."""

    after_seq: int | None = Field(default=None, ge=0, le=2**53)
    limit: int | None = Field(default=None, ge=0, le=MAX_ENTRIES)
    name: PersonName | None = None


class LeaveSession(SessionRequest):
    """Leave the room."""


class SendMessage(WireModel):
    """Say something to the room; text that begins with `/` is a command, `//` stands for `/`."""

    session_id: SessionId
    content: Annotated[str, StringConstraints(min_length=1, max_length=MAX_CONTENT)]
    client_message_id: ClientMessageId | None = Field(
        None, description="A retry with the same id is stored once and acked with the first."
    )
    metadata: dict[str, Any] | None = None


class ExecuteCommand(WireModel):
    """Run a command in the room; `parameters` are named values, `{args: [...]}` or both."""

    session_id: SessionId
    command: Annotated[str, StringConstraints(min_length=1, max_length=MAX_CONTENT)]
    parameters: dict[str, Any] | None = None
    client_message_id: ClientMessageId | None = None


class StopGeneration(SessionRequest):
    """End the answer that is being given, or the one of `messageId`; what was said stays."""

    message_id: Annotated[str, StringConstraints(max_length=64)] | None = None


class CompleteCommand(WireModel):
    """Ask what could stand at the end of the input box."""

    session_id: SessionId
    text: Annotated[str, StringConstraints(max_length=MAX_CONTENT)]


class SessionInfo(WireModel):
    """A session as a member sees it."""

    id: str
    epoch: str
    title: str
    owner: str
    last_seq: int
    members: list[Member]
    created_at: Timestamp
    assistant: Literal["always", "addressed", "off"]


class MessageEntry(Message):
    """A `message` of the log."""

    type: Literal["message"] = "message"


class CommandResultEntry(CommandResult):
    """A `commandResult` of the log."""

    type: Literal["commandResult"] = "commandResult"


LogEntry = Annotated[MessageEntry | CommandResultEntry, Field(discriminator="type")]


class Stream(WireModel):
    """A message that is being written, as far as it was; `messageDelta`s continue after `index`."""

    message_id: str
    reply_to: str
    index: int
    content: str


class OkAck(WireModel):
    """It was done, and what had to be stored is stored."""

    ok: Literal[True] = True


class ErrorAck(WireModel):
    """It was not done; `error` says why."""

    ok: Literal[False] = False
    error: WireError


class JoinAck(OkAck):
    """The room at the moment of entering it. Live events continue exactly where it ends.

    `more`: the log did not fit; the room is not entered yet, join again with the last `seq`.
    `gap`: entries after `afterSeq` are no longer kept.
    """

    session: SessionInfo
    you: Author = Field(description="Who you are as an author and member.")
    entries: list[LogEntry]
    more: bool
    gap: bool
    jobs: list[BacktestProgress]
    streams: list[Stream] = Field(
        default_factory=list, description="Messages that are being written at this moment."
    )


class MessageAck(OkAck):
    """The stored message. A private command is not stored; its ack has `commandId` alone."""

    message: Message | None = None
    command_id: str | None = None


class CommandAck(OkAck):
    """The command was understood and its text stored; `commandResult` will follow.

    A private command is not stored; its ack has no `message`.
    """

    command_id: str
    message: Message | None = None


class StopAck(OkAck):
    """Whether an answer was being given, which ends now."""

    stopped: bool


class CompletionItem(WireModel):
    """One completion: the whole input with it, its own text, and what it is."""

    value: str
    label: str
    detail: str


class CompleteAck(OkAck):
    """Completions, best first."""

    items: list[CompletionItem]

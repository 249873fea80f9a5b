"""Events to clients: the room's messages, results, progress, presence, and errors."""

from typing import Any, Literal

from pydantic import Field

from chatops.protocol.base import Timestamp, WireModel


class Author(WireModel):
    """The person who did it."""

    id: str
    name: str


class Member(WireModel):
    """A person in the room, since when."""

    id: str
    name: str
    since: Timestamp


class Message(WireModel):
    """One message of the room's log."""

    id: str
    session_id: str
    role: Literal["user", "assistant", "system"]
    content: str
    timestamp: Timestamp
    metadata: dict[str, Any] | None = None
    seq: int
    author: Author | None = None
    client_message_id: str | None = None


class BacktestProgress(WireModel):
    """Where a job stands. ``version`` only grows for a job; the last one has an ``outcome``."""

    backtest_id: str
    progress: int = Field(ge=0, le=100)
    status: Literal["running", "completed", "failed"]
    message: str | None = None
    session_id: str
    phase: Literal["queued", "loading", "running", "analyzing", "saving", "done"]
    queue_position: int | None = None
    eta_seconds: int | None = None
    requested_by: Author
    outcome: Literal["completed", "failed", "cancelled", "interrupted", "reused"] | None = None
    version: int


class CommandResult(WireModel):
    """The end of one command. ``seq`` is missing on a result that only its caller sees."""

    success: bool
    message: str
    data: dict[str, Any] | None = None
    command_id: str
    command: str
    session_id: str
    seq: int | None = None
    requested_by: Author
    duration_ms: int


class WireError(WireModel):
    """What went wrong, for a person; the log has the cause under ``requestId``."""

    message: str
    code: str
    hint: str | None = None
    request_id: str
    session_id: str | None = None
    retry_after_seconds: float | None = None
    client_message_id: str | None = None


class Presence(WireModel):
    """Who is in the room."""

    session_id: str
    members: list[Member]

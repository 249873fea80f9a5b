"""Events to clients: the room's messages, results, progress, presence, and errors."""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema
from typing_extensions import TypeAliasType

from chatops import errors
from chatops.protocol.base import Timestamp, WireModel
from chatops.protocol.results import Failure, ResultData

ERROR_CODES = tuple(
    one.code
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, errors.AppError) and one is not errors.AppError
)
"""Every code of an ``error``."""

ErrorCode = TypeAliasType(
    "ErrorCode", Annotated[str, WithJsonSchema({"type": "string", "enum": list(ERROR_CODES)})]
)


class Author(WireModel):
    """The person who did it."""

    id: str
    name: str


class Member(WireModel):
    """A person in the room, since when."""

    id: str
    name: str
    since: Timestamp


class Step(WireModel):
    """A command that the assistant ran for its answer, as the person who asked."""

    command: str = Field(description="The line that says the same.")
    arguments: dict[str, Any]
    summary: str = Field(description="What came of it, one line.")
    duration_ms: int
    success: bool


class Figure(WireModel):
    """A figure in an answer; verified: a result, or what somebody said, bears it out."""

    text: str = Field(description="As it stands in the answer.")
    ref: str | None = Field(None, description="What the server filled in, `r1.sharpe_ratio`.")
    verified: bool


class AnswerMetadata(WireModel):
    """What the server says of an answer of the assistant."""

    reply_to: str = Field(description="Id of the question.")
    outcome: Literal["completed", "stopped", "failed", "interrupted"]
    model: str | None = None
    steps: list[Step] | None = None
    figures: list[Figure] | None = None
    cached: bool | None = None
    stopped_by: Author | None = None
    error: Failure | None = None


Metadata = TypeAliasType(
    "Metadata",
    # In this order what is read stays as it is; the model only documents.
    Annotated[dict[str, Any] | AnswerMetadata, Field(union_mode="left_to_right")],
)


class Message(WireModel):
    """One message of the room's log."""

    id: str
    session_id: str
    role: Literal["user", "assistant", "system"]
    content: str
    timestamp: Timestamp
    metadata: Metadata | None = Field(
        None, description="The sender's own; `commandId` is the server's: the text is a command."
    )
    seq: int = Field(description="Number in the session's log: 1, 2, 3, ... without holes.")
    author: Author | None = None
    client_message_id: str | None = None


class MessageDelta(WireModel):
    """More of a message that is being written; the pieces in their order are its text so far.

    `index` only grows. The `message` that ends it has the same id, and the whole text.
    """

    session_id: str
    message_id: str
    reply_to: str = Field(description="Id of the message that is answered.")
    index: int
    delta: str = Field(description="Empty where it only shows that somebody writes.")
    doing: str | None = Field(None, description="The command that the assistant runs now.")


class BacktestProgress(WireModel):
    """Where a job stands. `version` only grows for a job; the last one has an `outcome`."""

    backtest_id: str
    progress: int = Field(ge=0, le=100, description="Percent.")
    status: Literal["running", "completed", "failed"]
    message: str | None = None
    session_id: str
    phase: Literal["queued", "loading", "running", "analyzing", "saving", "done"]
    queue_position: int | None = Field(None, description="While it waits; 1 starts next.")
    eta_seconds: int | None = Field(None, description="Seconds until it ends, estimated.")
    requested_by: Author
    outcome: Literal["completed", "failed", "cancelled", "interrupted", "reused"] | None = None
    version: int


class CommandResult(WireModel):
    """The end of one command. `seq` is missing on a result that only its caller sees."""

    success: bool
    message: str = Field(description="Markdown for a person.")
    data: ResultData | None = None
    command_id: str
    command: str
    session_id: str
    seq: int | None = None
    requested_by: Author
    duration_ms: int = Field(description="Milliseconds from the request to its end.")


class WireError(WireModel):
    """What went wrong, for a person; the server's log has the cause under `requestId`."""

    message: str = Field(description="One sentence: what is wrong.")
    code: ErrorCode
    hint: str | None = Field(None, description="One sentence: what to do.")
    request_id: str
    session_id: str | None = None
    retry_after_seconds: float | None = None
    client_message_id: str | None = None


class Refusal(WireModel):
    """`data` of the library's `connect_error`, when the server lets nobody in."""

    code: ErrorCode
    hint: str | None


class Presence(WireModel):
    """Who is in the room: the 100 longest present, and how many there are."""

    session_id: str
    members: list[Member]
    total: int

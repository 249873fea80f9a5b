"""Bodies of the HTTP interface. They are snake_case; entries of a log are as on the wire."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints

from chatops.assistant.catalogue import Capability, Tier
from chatops.protocol.base import (
    MAX_CONTENT,
    MAX_ENTRIES,
    ClientMessageId,
    PersonName,
    SessionId,
    Timestamp,
)
from chatops.protocol.events import Member, WireError

Content = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CONTENT)]
Usd = Annotated[Decimal, PlainSerializer(lambda usd: f"{usd:f}", return_type=str)]
"""US dollars, exact, as text."""


class HttpModel(BaseModel):
    """Base of all bodies: snake_case, unknown fields ignored."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", allow_inf_nan=False, from_attributes=True, defer_build=True
    )


# ---------------------------------------------------------------------------- queries


class Nothing(HttpModel):
    """No parameters."""


class Acting(HttpModel):
    """Who acts; without it, and without the header `X-Chatops-User`, it is a guest."""

    user_id: PersonName | None = Field(None, description="Your name, as others see it.")


class ClientHeader(HttpModel):
    """The word that makes a client the same person, as in the connect packet of a socket."""

    client_id: ClientMessageId | None


class ModelsQuery(HttpModel):
    """Which models."""

    tier: Tier | None = Field(None, description="Only models of this tier.")


class LogQuery(Acting):
    """Which part of the log."""

    after_seq: int | None = Field(None, ge=0, le=2**53, description="Entries after this number.")
    limit: int = Field(100, ge=0, le=MAX_ENTRIES, description="How many; the newest, or the next.")


class ExportQuery(Acting):
    """In which form."""

    format: Literal["json", "markdown"] = "markdown"


class ImportQuery(Acting):
    """Where to."""

    session_id: SessionId | None = Field(None, description="Default: the id in the export.")


class UsageQuery(Acting):
    """Which calls of the model to count."""

    by: Literal["person", "session", "service", "model", "day"] = "day"
    since: datetime | date | None = Field(None, description="Not before; a date or a time, UTC.")
    before: datetime | date | None = Field(None, description="Before; a date or a time, UTC.")
    person_id: str | None = None
    session_id: str | None = None
    service: str | None = None


# ---------------------------------------------------------------------------- models


class Model(HttpModel):
    """A language model. Prices are US dollars for a million tokens."""

    model_id: str
    tier: Tier
    capabilities: list[Capability]
    input_price_per_1m: float
    output_price_per_1m: float
    cached_input_price_per_1m: float | None
    max_tokens: int = Field(description="Of one answer.")
    supports_rag: bool
    description: str


class Models(HttpModel):
    """Language models."""

    models: list[Model]
    total: int


class ServiceModels(HttpModel):
    """Which models a service may use."""

    service_name: str
    allowed_models: list[str]
    default_model: str


# ---------------------------------------------------------------------------- sessions


class SessionCreated(HttpModel):
    """A new session."""

    session_id: str


class ChatQuestion(HttpModel):
    """What is asked in a session; text that begins with `/` is a command."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"question": "/run_backtest sma_crossover AAPL"}]}
    )

    question: Content
    user_roles: list[Annotated[str, StringConstraints(min_length=1, max_length=64)]] = Field(
        default_factory=list,
        max_length=16,
        description="What you say that you are; the model is told, and it raises no permissions.",
    )
    include_history: bool = Field(
        True, description="Whether the model is told what was said in the session before."
    )
    model_id: str | None = Field(None, description="Default: that of `chatops_advanced`.")


class ChatAnswer(HttpModel):
    """What was answered."""

    session_id: str
    query: str
    answer: str = Field(description="Markdown.")
    conversation_turn: int = Field(description="How many answers the assistant has given there.")


class PlainQuestion(HttpModel):
    """What is said to the assistant; without a session, in a new one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"message": "/help"}]})

    message: Content
    session_id: SessionId | None = None


class PlainReply(HttpModel):
    """What was answered, and where."""

    session_id: str
    reply: str


class SessionLog(HttpModel):
    """A session, its members as far as this server knows, and a part of its log."""

    session_id: str
    title: str
    owner: str
    created_at: Timestamp
    epoch: str
    first_seq: int
    last_seq: int
    assistant: Literal["always", "addressed", "off"]
    members: list[Member]
    entries: list[dict[str, Any]] = Field(description="As the join's ack and the export have them.")
    more: bool = Field(description="Whether newer entries follow; ask with the last `seq`.")


class ImportDone(HttpModel):
    """What an import did."""

    session_id: str
    imported: int
    skipped: int = Field(description="Entries that were there already.")


class FileQuery(Acting):
    """Which file, and what to know of it."""

    name: str = Field(
        min_length=1,
        max_length=200,
        description="Its name: the ending tells its form (.csv, .tsv, .txt, .csv.gz, .parquet; "
        ".json for strategies), the rest may be the symbol, as in `TSLA.csv`.",
    )
    symbol: str | None = Field(
        None, max_length=32, description="The symbol, if neither file nor name tells it."
    )
    timeframe: str | None = Field(
        None, max_length=8, description="Length of a bar, if the times do not tell it."
    )
    allow_jumps: bool = Field(
        False, description="Accept jumps that look like splits that were not adjusted."
    )
    replace: bool = Field(
        False, description="Put them in the place of other prices of the same symbol."
    )


class ImportedPrices(HttpModel):
    """Prices of a symbol that are there now."""

    symbol: str
    timeframe: str
    bars: int
    first: Timestamp = Field(description="Time of the first bar.")
    last: Timestamp = Field(description="Time of the last bar.")
    notes: list[str] = Field(description="What was done to them on the way.")
    state: Literal["new", "replaced", "unchanged"]


class ImportedStrategy(HttpModel):
    """A strategy that is there now."""

    name: str
    type: str
    state: Literal["new", "unchanged"]


class FileImported(HttpModel):
    """What a file brought. If all of it was there already, the room is told nothing."""

    session_id: str
    message: str = Field(description="What the room is told.")
    prices: list[ImportedPrices]
    strategies: list[ImportedStrategy]


# ---------------------------------------------------------------------------- usage


class UsageRow(HttpModel):
    """Calls of the model that have something in common."""

    key: str
    label: str = Field(description="The same for a person to read.")
    calls: int
    estimated: int = Field(description="Calls whose tokens the provider did not tell.")
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: Usd
    dearest_usd: Usd = Field(description="The same on the dearest models of the policies.")
    saved_usd: Usd


class BudgetLeft(HttpModel):
    """A budget, of those that are limited."""

    whose: Literal["person", "session", "day"]
    limit_usd: Usd
    left_usd: Usd


class UsageReport(HttpModel):
    """What calls of the model used and cost."""

    by: Literal["person", "session", "service", "model", "day"]
    rows: list[UsageRow]
    total: UsageRow
    budgets: list[BudgetLeft] = Field(description="For today (UTC), of you and of `session_id`.")


# ---------------------------------------------------------------------------- errors


class FieldProblem(HttpModel):
    """What is wrong with one field."""

    field: str = Field(description="Its path, with dots; empty for the body itself.")
    problem: str


class HttpError(WireError):
    """The error of the wire, and for 422 what is wrong with each field."""

    fields: list[FieldProblem] | None = None


class ErrorBody(HttpModel):
    """Every answer that is no success."""

    error: HttpError

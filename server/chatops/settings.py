"""Every setting: variable, unit, default and meaning; the only reader of the environment.

``docs/configuration.md`` is generated from this module.
"""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """The server's settings, read once at start and never changed."""

    model_config = SettingsConfigDict(
        env_prefix="CHATOPS_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8500, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Server processes on this port; more than 1 needs REDIS_URL and MONGODB_URI.",
    )
    data_dir: Path = Field(
        Path("chatops-data"), description="Folder of the SQLite store and of imported prices."
    )
    market_data: Path | None = Field(
        None, description="Folder of price files (Parquet); default: `market` in the data folder."
    )
    log_format: Literal["json", "console"] = Field("console", description="Form of the log.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is logged."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Comma-separated origins of web pages, besides the server's own, that may "
        "connect; `*` admits every page on every site.",
    )

    rate_limit: Literal["on", "off"] = Field(
        "on", description="Limits on how fast one connection may send; `off` for load tests."
    )
    message_rate: float = Field(
        10.0, gt=0, description="Events a second one connection may send, in the long run."
    )
    message_burst: int = Field(40, ge=1, description="Events one connection may send at once.")

    person_rate: float = Field(
        30.0,
        gt=0,
        description="Events a second one person may send, over all connections and nodes.",
    )
    person_burst: int = Field(
        120, ge=1, description="Events one person may send at once, over all connections."
    )

    http_wait_s: float = Field(
        300.0,
        gt=0,
        le=3600,
        description="Seconds that an HTTP request, or a question on a plain WebSocket, waits for "
        "its answer; an answer that comes later is in the session's log.",
    )

    import_max_mb: int = Field(
        16,
        ge=1,
        le=256,
        description="Megabytes (MiB) of a price file that is sent to be imported.",
    )

    session_ttl_hours: float = Field(
        0.0, ge=0, description="Hours after its last entry that a session is deleted; 0 = never."
    )
    session_max_entries: int = Field(
        0, ge=0, description="Newest entries kept of a session; older ones go; 0 = all."
    )

    backtest_workers: int = Field(
        2, ge=1, le=64, description="Worker processes that run backtests."
    )
    backtest_timeout_s: float = Field(
        600.0, gt=0, description="Seconds one backtest may run before it is stopped."
    )
    backtest_memory_mb: int = Field(
        2048, ge=768, description="Megabytes of memory one worker process may use."
    )
    backtest_queue: int = Field(200, ge=1, description="Jobs that may wait; more are refused.")
    default_symbols: Annotated[tuple[str, ...], NoDecode] = Field(
        ("AAPL",),
        description="Comma-separated symbols of a backtest that names none.",
    )

    redis_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("CHATOPS_REDIS_URL", "REDIS_URL"),
        description="Address of the Redis that carries hints between nodes (`redis://`, "
        "`rediss://`, `unix://`, `redis+sentinel://`).",
    )
    mongodb_uri: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("CHATOPS_MONGODB_URI", "MONGODB_URI"),
        description="Address of the MongoDB replica set that is the store of all nodes, its "
        "database included (`mongodb://host/chatops?replicaSet=rs0`).",
    )
    cluster_prefix: str = Field(
        "chatops",
        pattern=r"^[A-Za-z0-9_.:-]{1,64}$",
        description="Front of every key and channel in Redis; one for each cluster.",
    )
    queue: Literal["pool", "celery"] = Field(
        "pool", description="Who runs backtests: this server's own processes, or Celery workers."
    )
    openai_api_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("CHATOPS_OPENAI_API_KEY", "OPENAI_API_KEY"),
        description="Key of a language model's provider.",
    )
    openai_base_url: str | None = Field(
        None,
        validation_alias=AliasChoices("CHATOPS_OPENAI_BASE_URL", "OPENAI_BASE_URL"),
        description="Address of an OpenAI-compatible provider.",
    )

    assistant_timeout_s: float = Field(
        60.0,
        gt=0,
        description="Seconds a language model may take to begin its answer, retries included, and "
        "may be silent within one.",
    )
    assistant_tool_wait_s: float = Field(
        300.0,
        gt=0,
        description="Seconds an answer waits for a backtest that it asked for; the backtest goes "
        "on after that.",
    )
    assistant_retries: int = Field(
        2,
        ge=0,
        le=5,
        description="How often a call of a language model that failed before its answer began is "
        "tried again.",
    )
    assistant_mode: Literal["always", "addressed", "off"] = Field(
        "always",
        description="Which messages of a new session the assistant answers: all, those to it "
        "(`addressed`), or none (`off`); `/assistant` changes it.",
    )
    assistant_waiting: int = Field(
        10,
        ge=0,
        description="Questions of one person that may wait for their answers in a session, the one "
        "that is being answered included; 0 = any number.",
    )
    models_file: Path | None = Field(
        None,
        description="File (TOML) of more models and policies, or of others in the place of those "
        "that are built in.",
    )
    budget_person_usd: Decimal = Field(
        Decimal(0),
        ge=0,
        description="US dollars that one person's calls of language models may cost in a day "
        "(UTC); 0 = any.",
    )
    budget_session_usd: Decimal = Field(
        Decimal(0),
        ge=0,
        description="US dollars that the calls of one session may cost in a day (UTC); 0 = any. ",
    )
    budget_day_usd: Decimal = Field(
        Decimal(0),
        ge=0,
        description="US dollars that the calls of all people may cost in a day (UTC); 0 = any. ",
    )

    @field_validator("cors_origins", "default_symbols", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(word for part in value.split(",") if (word := part.strip()))
        return value

    @property
    def market_folder(self) -> Path:
        """Folder of imported price files."""
        return self.market_data or self.data_dir / "market"

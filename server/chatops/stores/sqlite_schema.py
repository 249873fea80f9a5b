"""The tables, and how a data folder becomes an open database of the newest schema."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import structlog

from chatops.errors import StoreUnavailableError
from chatops.stores.sqlite_errors import unavailable
from chatops.stores.values import key_digest

log = structlog.get_logger(__name__)

FILE_NAME = "chatops.sqlite3"

_BUSY_TIMEOUT_MS = 5_000
_CHECKPOINT_PAGES = 4_000
"""Pages (of 4 KiB) in the log before they move to the file: each time costs two more syncs."""
_WAL_LIMIT_BYTES = 64 * 1024 * 1024

_VERSION_1 = """
CREATE TABLE sessions (
    id         TEXT PRIMARY KEY,
    epoch      TEXT NOT NULL,
    title      TEXT NOT NULL,
    owner_id   TEXT NOT NULL,
    owner_name TEXT NOT NULL,
    created_at TEXT NOT NULL,
    touched_us INTEGER NOT NULL,            -- newest entry, or creation; since 1970, UTC
    last_seq   INTEGER NOT NULL DEFAULT 0,
    first_seq  INTEGER NOT NULL DEFAULT 1
) WITHOUT ROWID;

CREATE TABLE entries (
    number     INTEGER PRIMARY KEY,         -- order over all sessions
    session_id TEXT NOT NULL REFERENCES sessions (id),
    seq        INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    author_id  TEXT NOT NULL,
    key        TEXT,
    command_id TEXT,
    payload    TEXT NOT NULL,               -- JSON, less seq
    UNIQUE (session_id, seq)
);
CREATE UNIQUE INDEX entries_key ON entries (session_id, author_id, key) WHERE key IS NOT NULL;
CREATE INDEX entries_asked ON entries (command_id, session_id)
    WHERE kind = 'message' AND command_id IS NOT NULL;
CREATE INDEX entries_result ON entries (command_id, session_id)
    WHERE kind = 'commandResult' AND command_id IS NOT NULL;

CREATE TABLE jobs (
    number      INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    kind        TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    asked       TEXT NOT NULL,              -- JSON, what is fixed when it is asked for
    state       TEXT NOT NULL,
    phase       TEXT NOT NULL,
    fraction    REAL NOT NULL,
    note        TEXT NOT NULL,
    attempt     INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    started_at  TEXT,
    ended_at    TEXT,
    ended_by    TEXT,                       -- JSON
    failure     TEXT,                       -- JSON
    summary     TEXT                        -- JSON
);
CREATE INDEX jobs_fingerprint ON jobs (fingerprint, state, created_at);
CREATE INDEX jobs_state ON jobs (state, kind, ended_at);
CREATE INDEX jobs_created ON jobs (created_at);

CREATE TABLE job_labels (                   -- what jobs are found by
    label  TEXT NOT NULL,                   -- session, strategy or symbol
    value  TEXT NOT NULL,
    job_id TEXT NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (label, value, job_id)
) WITHOUT ROWID;

CREATE TABLE job_askers (
    number      INTEGER PRIMARY KEY,
    command_id  TEXT NOT NULL UNIQUE,
    job_id      TEXT NOT NULL REFERENCES jobs (id),
    session_id  TEXT NOT NULL,
    person_id   TEXT NOT NULL,
    person_name TEXT NOT NULL,
    command     TEXT NOT NULL,
    asked_at    TEXT NOT NULL,
    joined      TEXT NOT NULL,
    strategy    TEXT,                       -- JSON, name and version
    answered    INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX job_askers_job ON job_askers (job_id);
CREATE INDEX job_askers_owed ON job_askers (job_id) WHERE answered = 0;
CREATE INDEX job_askers_session ON job_askers (session_id) WHERE answered = 0;

CREATE TABLE job_files (
    job_id TEXT NOT NULL REFERENCES jobs (id),
    name   TEXT NOT NULL,
    body   BLOB NOT NULL,                   -- zlib
    PRIMARY KEY (job_id, name)
);

CREATE TABLE strategies (
    id      TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    record  TEXT NOT NULL                   -- JSON
) WITHOUT ROWID;

CREATE TABLE heartbeat (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at TEXT NOT NULL
);
"""

_VERSION_2 = """
ALTER TABLE entries ADD COLUMN preface TEXT;    -- JSON, [event, payload]
"""

_VERSION_3 = """
CREATE TABLE usage (                        -- one call of the language model
    number           INTEGER PRIMARY KEY,
    id               TEXT NOT NULL UNIQUE,
    at_us            INTEGER NOT NULL,      -- when it began; since 1970, UTC
    day              TEXT NOT NULL,         -- the same in UTC, 2026-11-03
    person_id        TEXT NOT NULL,
    person_name      TEXT NOT NULL,
    session_id       TEXT NOT NULL,
    service          TEXT NOT NULL,
    model_id         TEXT NOT NULL,
    input_tokens     INTEGER NOT NULL,
    output_tokens    INTEGER NOT NULL,
    cached_tokens    INTEGER NOT NULL,
    measured         INTEGER NOT NULL,
    cost_pico_usd    INTEGER NOT NULL,      -- 10^-12 US dollars
    dearest_pico_usd INTEGER NOT NULL,
    latency_ms       INTEGER NOT NULL,
    first_ms         INTEGER,
    outcome          TEXT NOT NULL
);
CREATE INDEX usage_at ON usage (at_us);
CREATE INDEX usage_person ON usage (person_id, at_us);
CREATE INDEX usage_session ON usage (session_id, at_us);
"""

_VERSION_4 = """
ALTER TABLE sessions ADD COLUMN assistant TEXT NOT NULL DEFAULT 'always';
ALTER TABLE entries ADD COLUMN question TEXT;   -- id of a message that waits for its answer
CREATE INDEX entries_question ON entries (session_id, question) WHERE question IS NOT NULL;

CREATE TABLE floors (                       -- who answers in a session
    session_id TEXT PRIMARY KEY REFERENCES sessions (id),
    fence      INTEGER NOT NULL,            -- higher each time that it is taken
    process    TEXT,                        -- that holds it; none: nobody does
    until_s    REAL NOT NULL,               -- by the monotonic clock of that process
    turn       TEXT NOT NULL DEFAULT '',
    message_id TEXT NOT NULL DEFAULT '',
    text       TEXT NOT NULL DEFAULT '',
    stopped_by TEXT                         -- JSON, id and name
);
CREATE INDEX floors_held ON floors (session_id) WHERE process IS NOT NULL;
"""

_VERSION_5 = """
ALTER TABLE floors ADD COLUMN about TEXT NOT NULL DEFAULT '{}';  -- JSON, kept with the answer
"""

# A fifth of the pages that the three texts took in the index; ADR 10 says why digests.
_VERSION_6 = """
DROP INDEX entries_key;
UPDATE entries SET key = key_digest(session_id, author_id, key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX entries_key ON entries (key) WHERE key IS NOT NULL;
"""

MIGRATIONS: tuple[str, ...] = (
    _VERSION_1,
    _VERSION_2,
    _VERSION_3,
    _VERSION_4,
    _VERSION_5,
    _VERSION_6,
)
"""Script n brings a database of version n to n + 1. Released scripts never change."""


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open the connection that writes: WAL, and one sync of the disk at each commit."""
    connection = _connect(path, "rwc")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that cannot write; it sees what is committed, and nothing else."""
    return _connect(path, "ro")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # A connection is used by one thread, but closed by another when that thread has ended.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=_BUSY_TIMEOUT_MS / 1000,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.row_factory = sqlite3.Row
    return connection


def open_database(path: Path) -> sqlite3.Connection:
    """Open the file for writing, make it if it is missing, and bring it to the newest schema.

    Raises:
        StoreUnavailableError: It is no database, is damaged, was written by a newer version of
            this program, or cannot be written.
    """
    connection: sqlite3.Connection | None = None
    try:
        connection = connect_writer(path)
        migrate(connection, path)
        # Not before: what sorts a new index of a large table needs more room than memory may have.
        connection.execute("PRAGMA temp_store = MEMORY")
    except (sqlite3.Error, StoreUnavailableError) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, StoreUnavailableError):
            raise
        log.error("store_open_failed", file=str(path), error=str(error))
        raise _cannot_open(error, path) from error
    return connection


def migrate(
    connection: sqlite3.Connection, path: Path, migrations: Sequence[str] = MIGRATIONS
) -> None:
    """Run the migrations that the file has not seen, each in one transaction with its number.

    Raises:
        StoreUnavailableError: The file has seen more migrations than there are.
        sqlite3.Error: A script failed; the file is as the script before it left it, once the
            connection is closed or rolled back.
    """
    connection.create_function("key_digest", 3, key_digest)
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > len(migrations):
        raise StoreUnavailableError(
            f"{path} was written by a newer version of chatops (schema {found}; this version "
            f"knows {len(migrations)}).",
            "Start the newer version, or choose another data folder (CHATOPS_DATA_DIR).",
        )
    for version in range(found, len(migrations)):
        if found:  # a new file has nothing that could take long
            log.info("store_migrating", file=str(path), schema=version + 1)
        connection.executescript(
            f"BEGIN IMMEDIATE; {migrations[version]}; PRAGMA user_version = {version + 1}; COMMIT;"
        )


def _cannot_open(error: sqlite3.Error, path: Path) -> StoreUnavailableError:
    told = unavailable(error)
    if "damaged" in told.message:
        return StoreUnavailableError(
            f"{path} is not a chatops database, or is damaged.",
            "Move the file away or restore it from a backup, then start again.",
        )
    return StoreUnavailableError(f"{path} could not be opened. {told.message}", told.hint)

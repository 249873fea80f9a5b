"""How values are written by every store: compact JSON, and times that sort as text."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import orjson

from chatops.access.identity import Person
from chatops.backtests.job import Failure
from chatops.protocol.strictjson import dumps

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_json(value: Any) -> str:
    """Return ``value`` as compact JSON text, as the wire writes it.

    Raises:
        TypeError: It holds something that is no JSON value.
    """
    return dumps(value)


def from_json(text: str) -> Any:
    """Return the JSON value of ``text``."""
    return orjson.loads(text)


def to_time(at: datetime) -> str:
    """Return ``at`` in UTC with microseconds; all have one length, so text order is time order."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def from_time(text: str) -> datetime:
    """Return the time that :func:`to_time` wrote, aware, in UTC."""
    return datetime.fromisoformat(text)


def to_microseconds(at: datetime) -> int:
    """Return ``at`` in microseconds since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def from_optional_time(text: str | None) -> datetime | None:
    """Return the time, or None where none was written."""
    return None if text is None else from_time(text)


def key_digest(session_id: str, author_id: str, key: str) -> bytes:
    """Return the 16 bytes under which the entry of an author's key is found.

    Those of one session begin with the same four and so stand together in an index; the other
    twelve are of everything, so no two keys have the same. Databases hold them: they never change.
    """
    return _session_digest(session_id) + _digest(f"{session_id}\0{author_id}\0{key}", 12)


@lru_cache(maxsize=1024)
def _session_digest(session_id: str) -> bytes:
    return _digest(session_id, 4)


def _digest(text: str, size: int) -> bytes:
    return blake2b(text.encode(), digest_size=size).digest()


def person_json(person: Person | None) -> str | None:
    """Return the field of an optional person."""
    return None if person is None else to_json([person.id, person.name])


def failure_json(failure: Failure | None) -> str | None:
    """Return the field of an optional failure."""
    return None if failure is None else to_json(asdict(failure))

"""What every model of the wire shares: camelCase names, times, ids and limits."""

import random
import secrets
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, PlainSerializer, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel

MAX_CONTENT = 5_000
"""Characters (code points) of a message."""

MAX_PAYLOAD_BYTES = 64 * 1024
"""Bytes of one frame that a client sends."""

MAX_ENTRIES = 500
"""Entries of the log in one ack."""

MAX_PAGE = 256 * 1024
"""Characters of entries in one ack, so that it is far from what clients refuse to receive.

A single entry that is longer is sent all the same.
"""


def utc_now() -> datetime:
    """Return the present time, aware, in UTC."""
    return datetime.now(UTC)


def rfc3339(at: datetime) -> str:
    """Return ``at`` as the wire writes times: RFC 3339, UTC, milliseconds, ``Z``."""
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"


@lru_cache(maxsize=2)
def _rfc3339_second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


_MS = tuple(f".{ms:03d}Z" for ms in range(1000))


def rfc3339_now() -> str:
    """Return ``rfc3339(utc_now())`` for a fraction of its cost: every message has one."""
    second, ms = divmod(time.time_ns() // 1_000_000, 1000)
    return _rfc3339_second(second) + _MS[ms]


Timestamp = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
        }
    ),
]

SESSION_ID = r"^[A-Za-z0-9_-]{1,64}$"
SessionId = Annotated[str, StringConstraints(pattern=SESSION_ID)]
ClientMessageId = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]
PersonName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


# Ids are to be unique, not secret; the system's own source costs a system call each time.
_draw = random.Random(secrets.randbits(128)).getrandbits  # noqa: S311


def new_id(prefix: str) -> str:
    """Return a fresh id: the prefix and 60 random bits in hexadecimal."""
    return f"{prefix}_{_draw(60).to_bytes(8).hex()[1:]}"


def new_sorted_id(prefix: str) -> str:
    """Return a fresh id that sorts by the time of its making, to a millisecond, then 40 bits.

    An index of such ids grows at its end: a batch of them touches one page, not one page each.
    """
    return f"{prefix}_{time.time_ns() // 1_000_000:011x}{_draw(40):010x}"


class WireModel(BaseModel):
    """Base of all wire models: camelCase outside, snake_case inside, unknown fields ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        # Many models only document; none costs time at the start of the server.
        defer_build=True,
    )

    @classmethod
    def of(cls, payload: Any) -> Self:
        """Return the checked model of what a client sent; nothing at all stands for ``{}``.

        Raises:
            ValidationError: It is not of the contract.
        """
        # What ``model_validate`` does, less the options that it looks at each time.
        checked: Self = cls.__pydantic_validator__.validate_python(
            {} if payload is None else payload
        )
        return checked

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON values of the wire; optional fields without a value are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

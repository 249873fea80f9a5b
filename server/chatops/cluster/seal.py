"""What nodes say to each other, as bytes that nobody else can make.

A message is its seal (a keyed BLAKE2b of all the rest), a line of JSON, and a body. The key lies in
the store, so whoever can only reach Redis can neither show a room a word nor learn what to say.
"""

from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest
from typing import Any

import orjson

_SEAL_BYTES = 16


@dataclass(frozen=True, slots=True)
class Word:
    """One message between nodes.

    Attributes:
        kind: ``hint``, ``job``, ``used``, ``alive`` or ``bye``.
        node: Who says it.
        about: The session or the job.
        event: Of a hint.
        seq: Of a hint.
        epoch: Of a hint.
    """

    kind: str
    node: str
    about: str = ""
    event: str = ""
    seq: int = 0
    epoch: str = ""


class Sealer:
    """Seals and opens messages with the cluster's key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, word: Word, body: bytes = b"") -> bytes:
        """Return the message."""
        said = b"%b\n%b" % (orjson.dumps(word), body)
        return self._mark(said) + said

    def open(self, message: Any) -> tuple[Word, bytes] | None:
        """Return what was said; None if it is of another key, or of another version's form."""
        if not isinstance(message, bytes) or len(message) <= _SEAL_BYTES:
            return None
        mark, said = message[:_SEAL_BYTES], message[_SEAL_BYTES:]
        if not compare_digest(mark, self._mark(said)):
            return None
        head, _, body = said.partition(b"\n")
        try:
            return Word(**orjson.loads(head)), body
        except (TypeError, ValueError):
            return None

    def _mark(self, said: bytes) -> bytes:
        return blake2b(said, key=self._key, digest_size=_SEAL_BYTES).digest()

"""People. Every act in the system has exactly one; the server itself is a person too."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass

from chatops.errors import BadPayloadError

MAX_NAME = 64

CLIENT = "client:"
"""Begins the id of whoever is known by the word of a client, not by a name."""

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts.

    Attributes:
        id: Stable key of the person, the author of entries and the scope of retries.
        name: What others see.
    """

    id: str
    name: str


SYSTEM = Person(id="system", name="chatops")
"""The server, when it acts by itself: after a restart, or when a term ends."""

ASSISTANT = Person(id="assistant", name="assistant")
"""The language model, as the author of its answers. It has no rights of its own."""


def check_name(name: str) -> str:
    """Return ``name`` fit to be shown: NFC, single spaces, nothing invisible.

    Raises:
        BadPayloadError: Nothing is left, or it is longer than 64 characters.
    """
    text = unicodedata.normalize("NFC", name)
    text = "".join(c for c in text if unicodedata.category(c) not in _INVISIBLE)
    text = re.sub(r"\s+", " ", text).strip()
    if not text or len(text) > MAX_NAME:
        raise BadPayloadError(
            "This name cannot be shown.", f"Give a name of 1 to {MAX_NAME} visible characters."
        )
    return text


def local_person(name: str | None, client_id: str | None, connection_id: str) -> Person:
    """Return who a connection is while nobody proves an identity.

    A client that sends a stable ``clientId`` (or at least its name) is the same person after a
    reconnect, so its retries are recognised; one that sends neither is a new guest each time.

    Everybody in a room sees the id, so it is made one-way of the ``clientId``: who has read it
    cannot connect as that person. Every node makes the same one of the same word, without a secret
    of the server; so a word that can be guessed is found by trying, and who is known by a name
    alone can be posed as by anybody who says that name.
    """
    shown = check_name(name) if name else f"guest-{connection_id[:4].lower()}"
    if client_id:
        return Person(id=f"{CLIENT}{_one_way(client_id)}", name=shown)
    if name:
        return Person(id=f"name:{shown.casefold()}", name=shown)
    return Person(id=f"guest:{connection_id}", name=shown)


def _one_way(client_id: str) -> str:
    """Return 128 bits of a hash that nothing else is made with."""
    return hashlib.sha256(b"chatops person\0" + client_id.encode()).hexdigest()[:32]

"""Entries of the log from what happened: the only place that fills wire payloads of the log."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args

import orjson

from chatops.access.identity import ASSISTANT, SYSTEM, Person
from chatops.dispatch.result import CommandResult
from chatops.protocol import events
from chatops.protocol.base import new_id, rfc3339_now, utc_now
from chatops.sessions.model import AssistantMode, NewEntry

SERVER_METADATA = frozenset(
    {
        "commandId",
        "steps",
        "figures",
        "replyTo",
        "outcome",
        "model",
        "cached",
        "assistantMode",
        "ask",
        "imported",
    }
)
"""Keys of ``metadata`` that only the server sets."""


def author_of(person: Person) -> events.Author:
    """Return the person as the wire shows them."""
    return events.Author(id=person.id, name=person.name)


def _author(person: Person) -> dict[str, str]:
    # What ``author_of(person).to_wire()`` gives, without a model for every message.
    return {"id": person.id, "name": person.name}


def client_key(key: str) -> str:
    """Return the key under which a client's key is stored; none is that of a result."""
    return f"client:{key}"


def user_message(
    session_id: str,
    author: Person,
    content: str,
    *,
    key: str | None,
    metadata: Mapping[str, Any] | None = None,
    command_id: str | None = None,
    asks: bool = False,
    ask: Mapping[str, Any] | None = None,
) -> NewEntry:
    """Return what a person said, or the command they gave; ``asks``: the assistant is to answer.

    ``ask`` is how, for ``metadata.ask``.

    A command has a key in any case, so that it can be found when nobody knows if it was stored.
    """
    kept: dict[str, Any] = {}
    if metadata:
        kept.update((k, v) for k, v in metadata.items() if k not in SERVER_METADATA)
    if ask:
        kept["ask"] = dict(ask)
    if command_id:
        kept["commandId"] = command_id
    payload: dict[str, Any] = {
        "id": new_id("msg"),
        "sessionId": session_id,
        "role": "user" if author.id != SYSTEM.id else "system",
        "content": content,
        "timestamp": rfc3339_now(),
        "author": _author(author),
    }
    if kept:
        payload["metadata"] = kept
    if key:
        payload["clientMessageId"] = key
    stored = client_key(key) if key else command_id and f"command:{command_id}"
    return NewEntry("message", author, payload, key=stored, command_id=command_id, asks=asks)


def answer_key(turn: str) -> str:
    """Return the key of the message that ends a turn."""
    return f"answer:{turn}"


def assistant_message(
    session_id: str, message_id: str, content: str, *, turn: str, metadata: Mapping[str, Any]
) -> NewEntry:
    """Return the end of a turn. Its key lets each turn have only one."""
    payload = {
        "id": message_id,
        "sessionId": session_id,
        "role": "assistant",
        "content": content,
        "timestamp": rfc3339_now(),
        "metadata": {"replyTo": turn, **metadata},
        "author": _author(ASSISTANT),
    }
    return NewEntry("message", ASSISTANT, payload, key=answer_key(turn), answers=turn)


MODE_KEY = b'"assistantMode"'
"""Stands in the JSON of an entry that changes which messages the assistant answers.

Nobody can say it in a text, where its quotation marks are escaped.
"""


def mode_in(payload: bytes) -> AssistantMode | None:
    """Return the mode that an entry, given as JSON, sets, or None."""
    mode = (orjson.loads(payload).get("metadata") or {}).get("assistantMode")
    return mode if mode in get_args(AssistantMode) else None


def notice(
    session_id: str, actor: Person, content: str, metadata: Mapping[str, Any] | None = None
) -> NewEntry:
    """Return the server's word on what ``actor`` did."""
    payload: dict[str, Any] = {
        "id": new_id("msg"),
        "sessionId": session_id,
        "role": "system",
        "content": content,
        "timestamp": rfc3339_now(),
        "author": _author(actor),
    }
    if metadata:
        payload["metadata"] = dict(metadata)
    return NewEntry("message", actor, payload)


def command_result(
    result: CommandResult,
    *,
    command_id: str,
    command: str,
    session_id: str,
    person: Person,
    asked_at: datetime,
) -> NewEntry:
    """Return the end of a command. Its key lets each command have only one."""
    elapsed = utc_now() - asked_at
    payload: dict[str, Any] = {
        "success": result.success,
        "message": result.message,
        "commandId": command_id,
        "command": command,
        "sessionId": session_id,
        "requestedBy": _author(person),
        "durationMs": max(round(elapsed.total_seconds() * 1000), 0),
    }
    if result.data is not None:
        payload["data"] = result.data
    return NewEntry(
        "commandResult", person, payload, key=f"result:{command_id}", command_id=command_id
    )

"""What the model is told of the room: its newest turns, each word with its speaker."""

from collections.abc import Sequence
from typing import Any

from chatops.assistant.messages import Message
from chatops.sessions.model import Entry

TURNS = 10
"""Questions before the present one that the model is told, with all that was said since."""

ENTRIES = 300
"""Newest entries that are looked at for them."""

_MOST_CHARACTERS = 24_000
_MOST_OF_RESULT = 800


def conversation(entries: Sequence[Entry], question: Entry) -> list[Message]:
    """Return what was said before the question, oldest first, each answer after its question.

    The newest ten turns, or fewer if they are long; a turn goes back to the question that began
    it. What people said to each other meanwhile belongs to it, and what commands gave.
    """
    told: list[Message] = []
    turns, length = 0, 0
    for entry in reversed(_before(entries, question)):
        message = _message(entry)
        if message is None:
            continue
        length += len(message.content)
        if length > _MOST_CHARACTERS:
            break
        told.append(message)
        if message.role == "assistant":
            turns += 1
        if turns > TURNS:
            told.pop()
            break
    return told[::-1]


def _before(entries: Sequence[Entry], question: Entry) -> list[Entry]:
    """Return what was said before, and what was answered to it, also after the question."""
    before = [one for one in entries if one.seq < question.seq]
    asked = {one.payload.get("id", "") for one in before}
    answers = {id_: one for one in entries if (id_ := _reply_to(one)) in asked}
    told: list[Entry] = []
    for entry in before:
        if _reply_to(entry) not in answers:
            told.append(entry)
        if (answer := answers.get(entry.payload.get("id", ""))) is not None:
            told.append(answer)
    return told


def _reply_to(entry: Entry) -> str | None:
    """Return the id of the question that the entry answers."""
    found: str | None = None
    if entry.payload.get("role") == "assistant":
        found = (entry.payload.get("metadata") or {}).get("replyTo")
    return found


def spoken(payload: dict[str, Any]) -> str:
    """Return a person's message with its speaker, without the command that only says ``ask``."""
    name = (payload.get("author") or {}).get("name", "somebody")
    return f"{name}: {payload['content'].removeprefix('/ask ')}"


def _message(entry: Entry) -> Message | None:
    payload = entry.payload
    if entry.kind == "commandResult":
        if "answer" in (payload.get("data") or {}):
            return None  # of /ask; the answer itself is in the log
        text = payload["message"][:_MOST_OF_RESULT]
        return Message("system", f"Result of {payload['command']}:\n{text}")
    if payload["role"] == "user":
        return Message("user", spoken(payload))
    if payload["role"] == "assistant":
        return Message("assistant", payload["content"])
    return None

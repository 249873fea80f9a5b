"""What the model is told of the room: its newest turns, each word with its speaker."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from chatops.assistant.messages import Message
from chatops.sessions.importing import IMPORTED
from chatops.sessions.model import Entry

TURNS = 10
"""Questions before the present one that the model is told, with all that was said since."""

ENTRIES = 300
"""Newest entries that are looked at for them, at most."""

PAGE = 30
"""Entries that are read at once; results of commands may be long."""

_MOST_CHARACTERS = 24_000
_MOST_OF_RESULT = 800


async def recent(
    read: Callable[[int, int], Awaitable[Sequence[Entry]]], question: Entry
) -> list[Entry]:
    """Return the entries that :func:`conversation` tells of, oldest first, and few others.

    Args:
        read: Returns at most so many entries (second) of the log after a number (first).
        question: The present question. While it waited, those before it were answered.
    """
    found: list[Entry] = []
    first, full = question.seq, False
    while not full:
        # One page more than is told: an answer may be far behind its question.
        full = _told(found, question)[1]
        start = max(first - PAGE, question.seq - ENTRIES, 1)
        page = [one for one in await read(start - 1, first - start) if one.seq < first]
        if not page:
            break
        found, first = [*page, *found], start
    after = question.seq
    while after < question.seq + ENTRIES and (later := await read(after, PAGE)):
        found += [one for one in later if _reply_to(one) is not None]
        after = later[-1].seq
    return found


def conversation(entries: Sequence[Entry], question: Entry) -> list[Message]:
    """Return what was said before the question, oldest first, each answer after its question.

    The newest ten turns, or fewer if they are long; a turn goes back to the question that began
    it. What people said to each other meanwhile belongs to it, and what commands gave.
    """
    return _told(entries, question)[0]


def _told(entries: Sequence[Entry], question: Entry) -> tuple[list[Message], bool]:
    """Return what is told, and whether older entries would add nothing to it."""
    told: list[Message] = []
    turns, length = 0, 0
    for entry in reversed(_before(entries, question)):
        message = _message(entry)
        if message is None:
            continue
        length += len(message.content)
        if length > _MOST_CHARACTERS:
            return told[::-1], True
        told.append(message)
        if message.role == "assistant":
            turns += 1
        if turns > TURNS:
            told.pop()
            return told[::-1], True
    return told[::-1], False


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
        told = f"Result of {payload['command']}:\n{text}"
        if entry.author_id.startswith(IMPORTED):  # a file can say anything
            return Message("user", f"{payload['requestedBy']['name']}: {told}")
        return Message("system", told)
    if payload["role"] == "user":
        return Message("user", spoken(payload))
    if payload["role"] == "assistant":
        return Message("assistant", payload["content"])
    return None

"""A session's log as a file: Markdown for people, JSON that can be read again."""

from collections.abc import AsyncIterator
from typing import Any

from chatops.protocol.base import MAX_ENTRIES, rfc3339, utc_now
from chatops.sessions.model import Entry, Session
from chatops.sessions.ports import SessionStore

FORMAT = "chatops-session-1"


async def entries_of(store: SessionStore, session: Session) -> AsyncIterator[Entry]:
    """Yield the log up to the number it had when ``session`` was read, oldest first."""
    after = session.first_seq - 1
    while after < session.last_seq:
        page = await store.read(session.id, after, MAX_ENTRIES)
        if not page:
            return
        for entry in page:
            if entry.seq <= session.last_seq:
                yield entry
        after = page[-1].seq


def header(session: Session) -> dict[str, Any]:
    """Return the head of a JSON export."""
    return {
        "format": FORMAT,
        "exportedAt": rfc3339(utc_now()),
        "session": {
            "id": session.id,
            "epoch": session.epoch,
            "title": session.title,
            "owner": {"id": session.owner.id, "name": session.owner.name},
            "createdAt": rfc3339(session.created_at),
            "firstSeq": session.first_seq,
            "lastSeq": session.last_seq,
        },
    }


def row_of(entry: Entry) -> dict[str, Any]:
    """Return the entry as an export and a join ack show it."""
    return {"type": entry.kind, **entry.payload}


def markdown_of(entry: Entry) -> str:
    """Return the entry as a section of a Markdown export."""
    payload = entry.payload
    if entry.kind == "message":
        who = (payload.get("author") or {}).get("name", payload["role"])
        return f"**{who}** · {payload['timestamp']} · #{entry.seq}\n\n{payload['content']}\n"
    mark = "result" if payload["success"] else "failed"
    return f"**{mark}** of `{payload['command']}` · #{entry.seq}\n\n{payload['message']}\n"


def line_of(entry: Entry) -> str:
    """Return the entry in one line."""
    payload = entry.payload
    if entry.kind == "message":
        who = (payload.get("author") or {}).get("name", payload["role"])
        return f"#{entry.seq} {payload['timestamp']} {who}: {_short(payload['content'])}"
    mark = "done" if payload["success"] else "failed"
    return f"#{entry.seq} {mark}: {payload['command']} — {_short(payload['message'])}"


def _short(text: str) -> str:
    line = " ".join(text.replace("```", " ").split())
    return line if len(line) <= 160 else line[:159] + "…"

"""The log of a session as the server has it, read over the public wire."""

from typing import Any

import socketio


async def stored_log(url: str, session: str) -> list[dict[str, Any]]:
    """Return every entry of the session, read page by page by a member who has seen none."""
    async with socketio.AsyncSimpleClient() as client:
        await client.connect(url, socketio_path="/ws/chatops", transports=["websocket"])
        entries: list[dict[str, Any]] = []
        more = True
        while more:
            after = entries[-1]["seq"] if entries else 0
            ack = await client.call("joinSession", {"sessionId": session, "afterSeq": after})
            assert ack["ok"], ack
            entries += ack["entries"]
            more = ack["more"]
        return entries


def check_numbers(entries: list[dict[str, Any]]) -> None:
    """Assert that the numbers are 1, 2, 3, ... without holes."""
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))

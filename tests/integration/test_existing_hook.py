"""The life of a `useChatOps` hook that knows nothing of acks, identity or numbers, step by step."""

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support.inprocess import running_node
from tests.support.raw import RawClient


class Hook:
    """What the hook keeps: a list it appends to blindly, toasts, results and errors."""

    def __init__(self, url: str) -> None:
        self._client = RawClient(url)
        self._reading: asyncio.Task[None] | None = None
        self.messages: list[Any] = []
        self.toasts: list[tuple[float, Any]] = []
        self.results: list[Any] = []
        self.errors: list[Any] = []

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        self._reading = asyncio.get_running_loop().create_task(self._read())
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._reading is not None
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._client.__aexit__()

    async def emit(self, event: str, payload: object) -> None:
        """Emit without asking for an ack, as the hook does."""
        await self._client.send("42" + json.dumps([event, payload]))

    async def heard(self, where: str, count: int, within_s: float = 30.0) -> Any:
        """Return the list once it holds ``count`` things."""
        deadline = time.monotonic() + within_s
        while len(getattr(self, where)) < count:
            assert time.monotonic() < deadline, f"{where}: {getattr(self, where)}"
            await asyncio.sleep(0.02)
        return getattr(self, where)

    async def _read(self) -> None:
        while True:
            frame = await self._client.frame(60)
            if not frame.startswith("42"):
                continue
            event, payload = json.loads(frame[2:])
            if event == "message":
                self.messages.append(payload)
            elif event == "backtestProgress":
                self.toasts.append((time.monotonic(), payload))
            elif event == "commandResult":
                self.results.append(payload)
            elif event == "error":
                self.errors.append(payload)


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    async with running_node(tmp_path) as (_, url):
        yield url


async def test_it_joins_talks_and_changes_its_session(url: str) -> None:
    first, second = "session_1697472000000", "session_1697472000001"
    async with Hook(url) as hook, Hook(url) as colleague:
        await hook.emit("joinSession", first)
        await colleague.emit("joinSession", first)
        await hook.emit("sendMessage", {"sessionId": first, "content": "hello"})
        await hook.heard("messages", 1)
        await colleague.heard("messages", 1)
        message = hook.messages[0]
        assert message["content"] == "hello"
        assert message["role"] == "user"
        assert {"id", "sessionId", "timestamp"} <= message.keys()
    # The session changes: a new socket, and joinSession is not sent again.
    async with Hook(url) as hook:
        await hook.emit("sendMessage", {"sessionId": second, "content": "again"})
        await hook.heard("messages", 1)
        assert hook.messages[0]["sessionId"] == second
    # And back to the first, after a reconnect: history is never sent as events.
    async with Hook(url) as hook:
        await hook.emit("joinSession", first)
        await hook.emit("sendMessage", {"sessionId": first, "content": "back"})
        await hook.heard("messages", 1)
        assert [m["content"] for m in hook.messages] == ["back"]
        await hook.emit("leaveSession", first)
        await hook.emit("sendMessage", {"sessionId": second, "content": "elsewhere"})
        await hook.heard("messages", 2)
        assert not hook.errors


async def test_its_commands_run_and_its_toasts_are_few(url: str) -> None:
    session = "session_1697472000002"
    async with Hook(url) as hook, Hook(url) as watcher:
        await watcher.emit("joinSession", session)
        await hook.emit(
            "executeCommand",
            {
                "sessionId": session,
                "command": "/run_backtest",
                "parameters": {"args": ["momentum"]},
            },
        )
        await hook.heard("results", 1)
        await hook.emit(  # triggerBacktest
            "executeCommand",
            {
                "sessionId": session,
                "command": "run_backtest",
                "parameters": {"strategy_id": "macd", "symbol": "IBM"},
            },
        )
        await hook.heard("results", 2)
        await hook.emit(  # compareStrategies
            "executeCommand",
            {
                "sessionId": session,
                "command": "compare_strategies",
                "parameters": {"strategy_ids": ["momentum", "macd", "bollinger"]},
            },
        )
        await hook.heard("results", 3)
        await watcher.heard("results", 3)
        for result in hook.results:
            assert result["success"], result["message"]
            assert {"success", "message", "data"} <= result.keys()
        assert [r["data"]["metrics"]["trades"] >= 0 for r in hook.results[:2]] == [True, True]
        assert len(hook.results[2]["data"]["strategies"]) == 3
        assert [m["content"] for m in watcher.messages] == [
            "/run_backtest momentum",
            "/run_backtest macd IBM",
            "/compare_strategies momentum macd bollinger",
        ]
        check_toasts(hook.toasts)
        check_toasts(watcher.toasts)


async def test_its_mistakes_reach_it_alone_as_error_events(url: str) -> None:
    session = "session_1697472000003"
    async with Hook(url) as hook, Hook(url) as watcher:
        await watcher.emit("joinSession", session)
        await hook.emit("executeCommand", {"sessionId": session, "command": "run_bactest"})
        await hook.emit("sendMessage", {"sessionId": session, "content": "/run_backtest nope"})
        await hook.emit("sendMessage", {"sessionId": session})
        await hook.emit("noSuchEvent", {})
        await hook.heard("errors", 4)
        assert [e["code"] for e in hook.errors] == [
            "unknown_command",
            "not_found",
            "bad_payload",
            "unknown_event",
        ]
        assert 'Did you mean "/run_backtest"?' in hook.errors[0]["hint"]
        await hook.emit("sendMessage", {"sessionId": session, "content": "done"})
        await watcher.heard("messages", 1)
        assert [m["content"] for m in watcher.messages] == ["done"]
        assert {e["code"] for e in watcher.errors} <= {"assistant_off"}  # the room's, once


def check_toasts(toasts: list[tuple[float, Any]]) -> None:
    """At most one a second for each job, but for the final one, which always comes."""
    assert {toast["status"] for _, toast in toasts} <= {"running", "completed", "failed"}
    assert all(0 <= toast["progress"] <= 100 for _, toast in toasts)
    finals = Counter(t["backtestId"] for _, t in toasts if t["status"] != "running")
    assert set(finals.values()) == {1}
    for job in {toast["backtestId"] for _, toast in toasts}:
        times = [at for at, t in toasts if t["backtestId"] == job and t["status"] == "running"]
        assert all(later - one > 0.9 for one, later in itertools.pairwise(times))
        assert toasts[-1][1]["status"] == "completed" or job != toasts[-1][1]["backtestId"]

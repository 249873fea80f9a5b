"""SIGTERM in the middle of everything: out in time, nothing lost, and everybody comes back."""

import time
from pathlib import Path

import pytest

from tests.support.caller import Caller
from tests.support.log import check_numbers, stored_log
from tests.support.members import NodeMember, PythonMember
from tests.support.server import ServerProcess
from tests.support.waiting import until

# python-socketio's client drops the connection of a handshake that was cut without closing it.
pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

JOBS = 8
MESSAGES = 300
OUT_WITHIN_S = 8.0


async def test_a_server_that_is_told_to_stop_under_load_loses_nothing(tmp_path: Path) -> None:
    server = ServerProcess(
        tmp_path / "data", CHATOPS_RATE_LIMIT="off", CHATOPS_BACKTEST_WORKERS="2"
    )
    async with (
        server,
        PythonMember(server.url, "desk", "Pia") as pia,
        NodeMember(server.url, "desk", "Noa") as noa,
    ):
        commands = []
        async with Caller(server.url, "desk", "Ann") as ann:
            for cash in range(1000, 1000 + JOBS):
                text = f"/run_backtest momentum AAPL,IBM,MSFT cash={cash}"
                ack = await ann.ask("sendMessage", sessionId="desk", content=text)
                commands.append(ack["commandId"])
            await ann.hears("backtestProgress", lambda one: one["phase"] in ("loading", "running"))
            sent = [f"{member} {n}" for n in range(MESSAGES // 2) for member in ("pia", "noa")]
            for text in sent:
                (pia if text.startswith("pia") else noa).send(text)
            await until(lambda: len(pia.acked) > 20, 20, "the first are acked")
            begun = time.monotonic()
            assert await server.stop() == 0
            assert time.monotonic() - begun < OUT_WITHIN_S
        acked = {**pia.acked, **noa.acked}
        await server.start()
        await until(lambda: len(pia.acked) + len(noa.acked) == MESSAGES, 60, "all are acked")

        def ended() -> bool:
            return (
                sum(text.startswith(("**momentum", "momentum on")) for _, text in pia.seen) >= JOBS
            )

        await until(ended, 90, "every job has ended")
        entries = await stored_log(server.url, "desk")
        last = entries[-1]["seq"]
        await until(lambda: pia.seen[-1][0] == noa.seen[-1][0] == last, 20, "both are up to date")
    check_numbers(entries)
    by_text = {entry.get("content"): entry["seq"] for entry in entries}
    assert {text: by_text[text] for text in acked} == acked
    contents = [entry.get("content") for entry in entries]
    assert all(contents.count(text) == 1 for text in sent)
    results = [entry for entry in entries if entry["type"] == "commandResult"]
    assert sorted(result["commandId"] for result in results) == sorted(commands)
    assert all(result["success"] for result in results), results
    assert (
        pia.seen
        == noa.seen
        == [(entry["seq"], entry.get("content") or entry["message"]) for entry in entries]
    )
    assert pia.trouble == noa.trouble == []
    assert "Traceback" not in server.log()

"""The server killed with SIGKILL in the middle of everything: what was acked is there, jobs end."""

import asyncio
import itertools
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import socketio

from tests.support.log import check_numbers, stored_log
from tests.support.server import ServerProcess
from tests.support.waiting import until

# python-socketio's client drops the connection of a handshake that was cut without closing it.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SENDERS = 64
JOBS = 20


class Sender:
    """Sends to its session as fast as it is acked, until the server is gone."""

    def __init__(self, number: int) -> None:
        self.session = f"room_{number % 8}"
        self.name = f"sender {number}"
        self.acked: dict[str, int] = {}
        self._client = socketio.AsyncSimpleClient(reconnection=False)

    async def connect(self, url: str) -> None:
        await self._client.connect(
            url, socketio_path="/ws/chatops", auth={"name": self.name}, transports=["websocket"]
        )

    async def send_until_cut(self) -> None:
        try:
            for number in itertools.count():
                key = f"{self.name.replace(' ', '_')}.{number}"
                ack = await self._client.call(
                    "sendMessage",
                    {"sessionId": self.session, "content": key, "clientMessageId": key},
                    timeout=10,
                )
                assert ack["ok"], ack
                self.acked[key] = ack["message"]["seq"]
        except (socketio.exceptions.SocketIOError, asyncio.CancelledError):
            return

    async def close(self) -> None:
        await self._client.disconnect()


@pytest.mark.timeout(240)
async def test_a_killed_server_loses_nothing_and_ends_every_job(tmp_path: Path) -> None:
    await kill_in_the_middle(tmp_path, rounds=2)


@pytest.mark.long
@pytest.mark.timeout(1500)
async def test_a_server_killed_many_times_loses_nothing(tmp_path: Path) -> None:
    await kill_in_the_middle(tmp_path, rounds=12)


async def kill_in_the_middle(folder: Path, *, rounds: int) -> None:
    server = ServerProcess(
        folder / "data",
        CHATOPS_RATE_LIMIT="off",
        CHATOPS_BACKTEST_WORKERS="2",
        CHATOPS_BACKTEST_QUEUE="1000",
    )
    acked: dict[str, tuple[str, int]] = {}
    commands: set[str] = set()
    await server.start()
    try:
        for number in range(rounds):
            commands |= await start_jobs(server, number)
            senders = [Sender(index) for index in range(SENDERS)]
            await asyncio.gather(*(sender.connect(server.url) for sender in senders))
            sending = [asyncio.ensure_future(sender.send_until_cut()) for sender in senders]
            await until(partial(busy, senders), 30, "every sender is busy")
            await server.kill()
            await asyncio.wait(sending)
            for sender in senders:
                acked |= {key: (sender.session, seq) for key, seq in sender.acked.items()}
                await sender.close()
            await server.start()
        results = await results_of(server.url, commands)
        logs = {f"room_{n}": await stored_log(server.url, f"room_{n}") for n in range(8)}
    finally:
        await server.stop()
        await server.kill()

    for entries in logs.values():
        check_numbers(entries)
    stored = {
        entry["clientMessageId"]: (session, entry["seq"])
        for session, entries in logs.items()
        for entry in entries
    }
    assert acked.items() <= stored.items()
    assert Counter(results) == Counter(commands)  # each command has one result, and only one
    assert "Traceback" not in server.log()


def busy(senders: list[Sender]) -> bool:
    return sum(len(sender.acked) for sender in senders) > 3 * SENDERS


async def start_jobs(server: ServerProcess, round_number: int) -> set[str]:
    """Ask for distinct backtests and return the ids of their commands; they are not awaited."""
    async with socketio.AsyncSimpleClient() as client:
        await client.connect(
            server.url, socketio_path="/ws/chatops", auth={"name": "Quin"}, transports=["websocket"]
        )
        commands = set()
        for number in range(JOBS):
            ack = await client.call(
                "executeCommand",
                {
                    "sessionId": "jobs",
                    "command": "run_backtest",
                    "parameters": {
                        "strategy_id": "sma_crossover",
                        "symbol": "AAPL",
                        "short_window": 5 + number,
                        "long_window": 60 + round_number,
                    },
                },
            )
            assert ack["ok"], ack
            commands.add(ack["commandId"])
        return commands


async def results_of(url: str, commands: set[str]) -> list[str]:
    """Wait until every command has a result in the log; return the ids of all results."""
    found: list[dict[str, Any]] = []

    async def look() -> bool:
        found[:] = await stored_log(url, "jobs")
        answered = {e["commandId"] for e in found if e["type"] == "commandResult"}
        return commands <= answered

    deadline = asyncio.get_running_loop().time() + 60 + 2 * len(commands)
    while not await look():
        assert asyncio.get_running_loop().time() < deadline, "every job ends"
        await asyncio.sleep(0.5)
    check_numbers(found)
    results = [entry for entry in found if entry["type"] == "commandResult"]
    failed = [entry["message"] for entry in results if not entry["success"]]
    # Killed in the middle of a second try, or between the ack and the making of the job.
    honest = ("was interrupted", "The server stopped before this was done. Send it again.")
    assert [text for text in failed if not any(word in text for word in honest)] == []
    return [entry["commandId"] for entry in results]

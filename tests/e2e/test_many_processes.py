"""``chatops serve --workers N``: several processes behind one port are one server."""

import signal
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import socketio

from tests.support.fleet import Fleet, settle, talking
from tests.support.log import check_numbers, stored_log
from tests.support.program import Program
from tests.support.server import ServerProcess
from tests.support.services import mongod, redis_server
from tests.support.waiting import until

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.timeout(180),
]


def servers_of(parent: ServerProcess) -> list[psutil.Process]:
    """Return the server processes, which are children of the one that was started."""
    found = []
    for child in psutil.Process(parent.pid).children():
        with suppress(psutil.NoSuchProcess):  # it has just ended
            if "serve" in child.cmdline():
                found.append(child)
    return found


async def test_three_processes_on_one_port_are_one_server(tmp_path: Path) -> None:
    with mongod(tmp_path / "mongo") as mongo, redis_server(tmp_path / "redis") as redis:
        fleet = Fleet(mongo, redis, [])
        server = ServerProcess(tmp_path / "server", CHATOPS_WORKERS="3", **fleet.environment())
        fleet.nodes.append(server)
        async with server:
            assert len(servers_of(server)) == 3
            clients = [socketio.AsyncSimpleClient() for _ in range(24)]
            try:
                for number, client in enumerate(clients):
                    await client.connect(
                        server.url, socketio_path="/ws/chatops", transports=["websocket"]
                    )
                    ack = await client.call("joinSession", "desk")
                    assert ack["ok"], ack
                    said = {"sessionId": "desk", "content": f"{number}"}
                    assert (await client.call("sendMessage", said))["message"]["seq"] == number + 1
                busy = [child for child in servers_of(server) if _connections(child) > 0]
                assert len(busy) >= 2, "the kernel spreads connections"
            finally:
                for client in clients:
                    await client.disconnect()
            log = await stored_log(server.url, "desk")
            check_numbers(log)
            assert len(log) == 24

            children = servers_of(server)
            async with talking(fleet) as talk:
                await until(lambda: talk.acked > 20, 20, "people talk")
                children[0].send_signal(signal.SIGKILL)
                await until(
                    lambda: len(servers_of(server)) == 3 and children[0] not in servers_of(server),
                    20,
                    "it is started again",
                )
                before = talk.acked
                await until(lambda: talk.acked > before + 20, 30, "the talk goes on")
                await settle(fleet, talk)
            children = servers_of(server)
            assert await server.stop(within_s=9) == 0
        assert not [child for child in children if child.is_running()]


async def test_children_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    with mongod(tmp_path / "mongo") as mongo, redis_server(tmp_path / "redis") as redis:
        environment = Fleet(mongo, redis, []).environment()
        async with ServerProcess(tmp_path / "s", CHATOPS_WORKERS="2", **environment) as server:
            children = servers_of(server)
            await server.kill()
            await until(lambda: not any(c.is_running() for c in children), 15, "they end")


async def test_several_processes_without_their_services_say_what_is_missing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "chatops", "serve", "--workers", "2", "--port", "0"]
    async with Program(command, CHATOPS_DATA_DIR=str(tmp_path)) as program:
        done = await program.ended()
    assert done.code == 1
    assert "set REDIS_URL and MONGODB_URI, or serve with --workers 1" in done.err


async def test_a_taken_port_is_found_out_before_anything_starts(
    tmp_path: Path, server: ServerProcess
) -> None:
    port = server.url.rpartition(":")[2]
    environment = {"REDIS_URL": "redis://127.0.0.1:1", "MONGODB_URI": "mongodb://127.0.0.1:1/x"}
    command = [sys.executable, "-m", "chatops", "serve", "--workers", "2", "--port", port]
    async with Program(command, CHATOPS_DATA_DIR=str(tmp_path), **environment) as program:
        done = await program.ended()
    assert done.code == 1
    assert f"Port 127.0.0.1:{port} is taken by another program." in done.err


def _connections(process: psutil.Process) -> int:
    return sum(one.status == psutil.CONN_ESTABLISHED for one in process.net_connections("tcp"))

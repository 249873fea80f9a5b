"""``chatops serve``: one process, or several that share a port; and ``chatops worker``.

Each process is a node of its own; what they share is the store and the bus. The kernel gives each
new connection to one of them (``SO_REUSEPORT``); they pass it on where it belongs to another.
"""

import asyncio
import errno
import gc
import itertools
import os
import signal
import socket
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

import structlog

from chatops import __version__
from chatops.settings import Settings
from chatops.tasks import Supervisor

log = structlog.get_logger(__name__)

START_WITHIN_S = 60.0
STOP_WITHIN_S = 8.0
_RESTART_AFTER_S = 1.0
_PARENT_LOOK_S = 1.0


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run ``main`` on the fastest event loop there is, and return what it returns."""
    try:
        import uvloop
    except ImportError:  # not to be had on every platform
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def stop_signal() -> asyncio.Event:
    """Return an event that SIGINT and SIGTERM set."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def serve_one(
    settings: Settings, *, parent: int | None = None, seat: Sequence[int] = ()
) -> int:
    """Serve until a signal ends it. The port opens when the store is ready.

    Args:
        settings: The settings.
        parent: Id of the process that started this one to share its port; it ends with it.
        seat: Its number among those processes, then the descriptors of their sockets.
    """
    from aiohttp import web

    from chatops.bootstrap import Node
    from chatops.realtime.neighbours import Neighbours

    node = Node(settings)
    app = node.app()
    neighbours = Neighbours(seat[0], seat[1:]) if seat else None
    if neighbours:
        neighbours.guide(node.server, app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    stop = stop_signal()
    try:
        await runner.setup()
        if neighbours:
            assert runner.server is not None  # noqa: S101 - it is set up
            neighbours.open(runner.server, node.supervisor.start)
        shared = True if parent else None
        site = web.TCPSite(runner, settings.host, settings.port, reuse_port=shared)
        try:
            await site.start()
        except OSError as error:
            print(_cannot_listen(settings, error), file=sys.stderr)
            return 1
        port = runner.addresses[0][1]
        _say_listening(f"http://{settings.host}:{port}")
        # What was made by now lives as long as the server, so the collector need not look at it;
        # with thousands of connections its full passes are what makes each further one dearer.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        if parent:
            node.supervisor.start(_end_with(parent, stop), "parent watch")
        await stop.wait()
        node.begin_drain()
        if neighbours:
            neighbours.close()
        return 0
    finally:
        await runner.cleanup()


async def work(settings: Settings) -> int:
    """Run backtests by ticket until a signal ends it, which takes less than 8 s."""
    from chatops.bootstrap_worker import WorkerNode

    node = WorkerNode(settings)
    stop = stop_signal()
    try:
        await node.open()
        _say(f"chatops {__version__} runs backtests, {settings.backtest_workers} at once")
        await stop.wait()
        return 0
    finally:
        await node.close()


async def serve_many(settings: Settings) -> int:
    """Serve with several processes until a signal ends them; one that dies is started again."""
    missing = [
        name
        for name, value in (
            ("REDIS_URL", settings.redis_url),
            ("MONGODB_URI", settings.mongodb_uri),
        )
        if value is None
    ]
    if missing:
        print(
            f"{settings.workers} server processes need a store and a bus between them: set "
            f"{' and '.join(missing)}, or serve with --workers 1. "
            "docs/topics/deployment.md shows how.",
            file=sys.stderr,
        )
        return 1
    stop = stop_signal()
    try:
        place = _reserve(settings)
    except OSError as error:
        print(_cannot_listen(settings, error), file=sys.stderr)
        return 1
    supervisor = Supervisor()
    port = place.getsockname()[1]
    # Connections are passed through these. They live here, so that a process that is started again
    # finds its own, with what waits in it.
    ways = [socket.socketpair(type=socket.SOCK_DGRAM) for _ in range(settings.workers)]
    children = [_Child(settings, port, number, ways) for number in range(settings.workers)]
    try:
        started = await asyncio.gather(*(child.start() for child in children))
        if not all(started):
            return 1
        _say_listening(f"http://{settings.host}:{port} with {settings.workers} processes")
        for number, child in enumerate(children):
            supervisor.start(child.keep(), f"server process {number}")
        await stop.wait()
        return 0
    finally:
        await supervisor.close(0.0)
        await asyncio.gather(*(child.end() for child in children))
        place.close()
        for end in itertools.chain(*ways):
            end.close()


class _Child:
    """One of the processes.

    Args:
        settings: The settings.
        port: The port that they share.
        number: Which one it is.
        ways: For each of them, where it reads and where the others write.
    """

    def __init__(
        self,
        settings: Settings,
        port: int,
        number: int,
        ways: Sequence[tuple[socket.socket, socket.socket]],
    ) -> None:
        self._sockets = [way[n != number].fileno() for n, way in enumerate(ways)]
        self._arguments = (
            *("-m", "chatops", "serve", "--workers", "1", "--of-parent", str(os.getpid())),
            *("--host", settings.host, "--port", str(port)),
            *("--seat", *map(str, (number, *self._sockets))),
        )
        share = max(settings.backtest_workers // settings.workers, 1)
        self._more = {"CHATOPS_BACKTEST_WORKERS": str(share)}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> bool:
        """Start it; return whether it listens now. If it does not, it has said why."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._arguments,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=self._sockets,
            env={**os.environ, **self._more},  # noqa: TID251 - passed on, not read
        )
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            async with asyncio.timeout(START_WITHIN_S):
                return bool(await self._process.stdout.readline())
        except TimeoutError:
            return False

    async def keep(self) -> None:
        """Start it again whenever it has ended, until cancelled."""
        while True:
            assert self._process is not None  # noqa: S101 - it was started
            code = await self._process.wait()
            log.error("server_process_ended", pid=self._process.pid, code=code)
            await asyncio.sleep(_RESTART_AFTER_S)
            await self.start()

    async def end(self) -> None:
        """End it in good order, or by force when that takes too long."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def _reserve(settings: Settings) -> socket.socket:
    """Return a socket that keeps the port for processes that share it.

    Raises:
        OSError: Somebody else has it. Only a socket that does not share finds that out.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((settings.host, settings.port))
        probe.listen()
    place = socket.socket(family)
    try:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        place.bind((settings.host, settings.port))
    except OSError:
        place.close()
        raise
    return place


async def _end_with(parent: int, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await asyncio.sleep(_PARENT_LOOK_S)
        if os.getppid() != parent:
            stop.set()


def _say_listening(where: str) -> None:
    from chatops.rest.page import RoomPage

    _say(f"chatops {__version__} listens on {where}")
    if not RoomPage().is_built:
        _say("The page is not built: / shows the state of the server. `make page` builds it.")


def _say(line: str) -> None:
    print(line, flush=True)


def _cannot_listen(settings: Settings, error: OSError) -> str:
    where = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return f"Port {where} is taken by another program. Choose another with --port."
    if error.errno == errno.EACCES:
        return f"This user may not listen on {where}. Choose a port above 1023 with --port."
    return f"The server cannot listen on {where}. Check --host; 127.0.0.1 is this machine alone."

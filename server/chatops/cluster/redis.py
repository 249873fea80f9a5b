"""Hints between nodes over Redis; the store stays the log.

Whatever is lost here costs time, never an entry: see ``docs/topics/cluster.md``. Redis may be
killed, paused or cut off at any moment; nobody waits for it but the tasks that talk to it.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from chatops.backtests.ports import Signals
from chatops.cluster.redis_client import AWAY, TIMEOUT_S, close_client, redis_client
from chatops.cluster.seal import Sealer, Word
from chatops.sessions.model import Hint
from chatops.sessions.ports import Bus
from chatops.tasks import Supervisor

log = structlog.get_logger(__name__)

ALIVE_EVERY_S = 1.0
DEAF_AFTER_S = 3.0
GONE_AFTER_S = 10.0

_QUEUE = 10_000
_BATCH = 500
_CHUNK = 500
_LARGEST_HINT = 256 * 1024
"""A hint with more is sent as a mere doorbell: Redis cuts subscribers that lag by megabytes."""


class RedisCluster:
    """The bus and the signals of nodes that share one Redis and one prefix.

    A subscriber of its own hears the rooms that are followed here. Each second the node says that
    it lives; it must hear itself too, or the subscription is made anew and the state is degraded.

    Attributes:
        node: Name of this node.
        alone: False.
        dropped: Hints that were not sent, because Redis was away or slow.
        refused: Messages of Redis that no node of this cluster has made.
    """

    alone = False

    def __init__(self, url: str, prefix: str, node: str, supervisor: Supervisor) -> None:
        self.node = node
        self.dropped = 0
        self.refused = 0
        self._client = redis_client(url)
        self._prefix = prefix
        self._common = f"{prefix}:nodes"
        self._supervisor = supervisor
        self._sealer: Sealer | None = None
        self._hear: Callable[[Hint], None] = lambda _hint: None
        self._doubt: Callable[[str | None], None] = lambda _session: None
        self._gone: Callable[[str], None] = lambda _node: None
        self._job_changed: Callable[[str], None] = lambda _job: None
        self._heard_used: Callable[[dict[str, int]], None] = lambda _used: None
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._to_send = asyncio.Event()
        self._wanted: set[str] = set()
        self._asked: set[str] = set()
        self._unconfirmed: set[str] = set()
        self._to_follow = asyncio.Event()
        self._connection: Any = None
        self._speaker: Any = None
        self._heard_self_at = -math.inf
        self._healthy: bool | None = None
        self._seen: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []

    # ---------------------------------------------------------------- life

    def open(self, key: bytes) -> None:
        """Begin to talk and to listen; ``key`` is the cluster's. Redis may be away."""
        self._sealer = Sealer(key)
        works = (self._send, self._listen, self._follow, self._watch)
        self._tasks = [self._supervisor.start(self._keep(work), "bus") for work in works]

    async def _keep(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work again whenever a fault of ours has ended it, until cancelled."""
        while True:
            try:
                await work()
            except Exception:  # whatever it is, a node must not stay deaf or dumb for it
                log.exception("bus_failed")
                await asyncio.sleep(ALIVE_EVERY_S)

    async def close(self) -> None:
        """Say goodbye, if Redis takes it, and let go of the connections. A repeat does nothing."""
        sealer, self._sealer = self._sealer, None
        if sealer is None:
            return
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        with suppress(*AWAY):
            bye = sealer.seal(Word("bye", self.node))
            await self._publish([*self._waiting, (self._common, bye)])
        speaker, self._speaker = self._speaker, None
        if speaker is not None:
            with suppress(*AWAY):
                await speaker.disconnect()  # which lets out what was said
            await self._hang_up(speaker)
        with suppress(*AWAY):
            await close_client(self._client)

    @property
    def healthy(self) -> bool:
        """Whether this node has heard itself of late."""
        return self._healthy is True

    @property
    def nodes(self) -> int:
        """How many nodes are known to live, this one included."""
        return 1 + len(self._seen)

    # ---------------------------------------------------------------- ports

    def attach(
        self,
        hear: Callable[[Hint], None],
        doubt: Callable[[str | None], None],
        gone: Callable[[str], None],
    ) -> None:
        """Say whom to tell."""
        self._hear, self._doubt, self._gone = hear, doubt, gone

    def attach_jobs(self, changed: Callable[[str], None]) -> None:
        """Say whom to tell of jobs."""
        self._job_changed = changed

    def attach_used(self, heard: Callable[[dict[str, int]], None]) -> None:
        """Say whom to tell how much people used on other nodes."""
        self._heard_used = heard

    def tell_used(self, used: dict[str, int]) -> None:
        """Tell the other nodes how much people used here."""
        if used:
            self._say(self._common, Word("used", self.node), orjson.dumps(used))

    def publish(self, hint: Hint) -> None:
        """Tell the other nodes."""
        body = hint.payload
        if len(body) > _LARGEST_HINT:
            if not hint.seq:
                self.dropped += 1
                return
            body = b""
        word = Word("hint", self.node, hint.session_id, hint.event, hint.seq, hint.epoch)
        self._say(self._room(hint.session_id), word, body)

    def job_changed(self, job_id: str) -> None:
        """Tell the other nodes."""
        self._say(self._common, Word("job", self.node, job_id))

    def follow(self, session_id: str) -> None:
        """Hear of the session from now on."""
        self._wanted.add(self._room(session_id))
        self._to_follow.set()

    def unfollow(self, session_id: str) -> None:
        """Hear no more of the session."""
        self._wanted.discard(self._room(session_id))
        self._to_follow.set()

    # ---------------------------------------------------------------- talking

    def _room(self, session_id: str) -> str:
        return f"{self._prefix}:room:{session_id}"

    def _say(self, channel: str, word: Word, body: bytes = b"") -> None:
        if self._sealer is None or len(self._waiting) >= _QUEUE:
            self.dropped += 1
            return
        self._waiting.append((channel, self._sealer.seal(word, body)))
        self._to_send.set()

    async def _send(self) -> None:
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _BATCH))]
                try:
                    await self._publish(batch)
                except AWAY:
                    # What waited is old by now, and the store has it.
                    self.dropped += len(batch) + len(self._waiting)
                    self._waiting.clear()

    async def _publish(self, batch: list[tuple[str, bytes]]) -> None:
        """Publish without waiting for answers: that a node hears itself is the answer."""
        pool: Any = self._client.connection_pool
        if self._speaker is None:
            connection = await pool.get_connection()
            try:
                await connection.send_command("CLIENT", "REPLY", "OFF")
            except BaseException:
                await self._hang_up(connection)
                raise
            connection.socket_timeout = None  # with one, redis-py makes a task for each sending
            self._speaker = connection
        speaker = self._speaker
        packed = speaker.pack_commands([("PUBLISH", *one) for one in batch])
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await speaker.send_packed_command(packed, check_health=False)
        except BaseException:
            self._speaker = None
            await self._hang_up(speaker)
            raise

    async def _hang_up(self, connection: Any) -> None:
        pool: Any = self._client.connection_pool
        with suppress(*AWAY):
            await connection.disconnect(nowait=True)
        await pool.release(connection)

    # ---------------------------------------------------------------- listening

    async def _listen(self) -> None:
        """Keep a connection that listens, until cancelled."""
        pool: Any = self._client.connection_pool
        while True:
            try:
                connection = await pool.get_connection()
            except AWAY:
                await asyncio.sleep(0.5)
                continue
            self._asked, self._connection = set(), connection
            self._unconfirmed = {self._common, *self._wanted}
            self._to_follow.set()
            try:
                while True:
                    self._take(await connection.read_response(timeout=math.inf))
            except AWAY:
                await asyncio.sleep(0.1)
            finally:
                self._connection = None
                await self._hang_up(connection)

    async def _follow(self) -> None:
        """Ask for the channels that are wanted, and for no others, until cancelled."""
        while True:
            await self._to_follow.wait()
            self._to_follow.clear()
            connection = self._connection
            if connection is None:
                continue
            wanted = {self._common, *self._wanted}
            changes = (("SUBSCRIBE", wanted - self._asked), ("UNSUBSCRIBE", self._asked - wanted))
            self._asked = wanted
            try:
                for command, channels in changes:
                    listed = sorted(channels)
                    for first in range(0, len(listed), _CHUNK):
                        await connection.send_command(command, *listed[first : first + _CHUNK])
            except AWAY:
                with suppress(*AWAY):
                    await connection.disconnect(nowait=True)

    def _take(self, response: Any) -> None:
        kind, channel, data = response
        if kind == b"message":
            self._understand(data)
        elif kind == b"subscribe":
            self._confirmed(channel.decode())

    def _confirmed(self, channel: str) -> None:
        if channel not in self._unconfirmed:
            self._doubt(channel.removeprefix(f"{self._prefix}:room:"))
            return
        self._unconfirmed.discard(channel)
        if not self._unconfirmed:
            self._doubt(None)

    def _understand(self, message: Any) -> None:
        assert self._sealer is not None  # noqa: S101 - nothing is heard before it is open
        opened = self._sealer.open(message)
        if opened is None:
            self.refused += 1
            if self.refused == 1 or self.refused % 1000 == 0:
                log.warning("bus_message_refused", count=self.refused)
            return
        word, body = opened
        if word.node == self.node:
            if word.kind == "alive":
                self._heard_self_at = time.monotonic()
        elif word.kind == "bye":
            if self._seen.pop(word.node, None) is not None:
                self._gone(word.node)
        else:
            self._seen[word.node] = time.monotonic()
            if word.kind == "hint":
                hint = Hint(word.about, word.event, body, word.seq, word.epoch, word.node)
                self._hear(hint)
            elif word.kind == "job":
                self._job_changed(word.about)
            elif word.kind == "used":
                self._heard_used(orjson.loads(body))

    # ---------------------------------------------------------------- health

    async def _watch(self) -> None:
        """Say that this node lives, see that it is heard, and miss nodes that are not."""
        opened_at = looked_at = remade_at = time.monotonic()
        while True:
            self._say(self._common, Word("alive", self.node))
            await asyncio.sleep(ALIVE_EVERY_S)
            now = time.monotonic()
            stopped = now - looked_at > DEAF_AFTER_S  # this process was, for a while
            looked_at = now
            heard = now - self._heard_self_at < DEAF_AFTER_S
            if heard or now - opened_at > DEAF_AFTER_S:
                self._judge(healthy=heard, stopped=stopped)
            if not heard and now - remade_at > DEAF_AFTER_S:
                remade_at = now
                for connection in (self._connection, self._speaker):
                    if connection is not None:
                        with suppress(*AWAY):
                            await connection.disconnect(nowait=True)
            for node in [n for n, at in self._seen.items() if now - at > GONE_AFTER_S]:
                del self._seen[node]
                log.warning("node_silent", other=node)
                self._gone(node)

    def _judge(self, *, healthy: bool, stopped: bool) -> None:
        if healthy != self._healthy:
            self._healthy = healthy
            if healthy:
                log.info("bus_up", dropped=self.dropped)
                self._doubt(None)
            else:
                log.warning("bus_degraded", hint="rooms are read from the store meanwhile")
        elif stopped:
            self._doubt(None)


if TYPE_CHECKING:
    _bus: type[Bus] = RedisCluster
    _signals: type[Signals] = RedisCluster

"""Answers that may be given again, on any node: kept in Redis, and nobody waits for it.

What is found there is believed only if a node of this cluster has put it there, under this key.
"""

import asyncio
import secrets
import time
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import structlog

from chatops.assistant.ports import AnswerCache
from chatops.cluster.cache import LONGEST_ANSWER, MemoryCache
from chatops.cluster.redis_client import AWAY, close_client, redis_client
from chatops.cluster.seal import Sealer, Word

log = structlog.get_logger(__name__)

PATIENCE_S = 0.2
REST_S = 5.0
"""How long Redis is left alone when it has failed."""

_KIND = "answer"
_MOST_BYTES = 4 * LONGEST_ANSWER + 1024


class RedisCache:
    """The cache of nodes that share one Redis and one prefix; while it is away, each has its own.

    A cache that has not been opened yet finds nothing of others.
    """

    def __init__(self, url: str, prefix: str) -> None:
        self._client: Any = redis_client(url)
        self._prefix = f"{prefix}:answer:"
        self._sealer = Sealer(secrets.token_bytes(32))
        self._own = MemoryCache()
        self._away = False
        self._rests_until_s = 0.0

    def open(self, key: bytes) -> None:
        """Believe what is sealed with the cluster's key. Redis may be away."""
        # A key of its own, so that no answer can be played back as a hint of the bus.
        self._sealer = Sealer(blake2b(_KIND.encode(), key=key, digest_size=32).digest())

    async def close(self) -> None:
        """Let go of the connections. A repeat does nothing."""
        with suppress(*AWAY):
            await close_client(self._client)

    async def get(self, key: str) -> str | None:
        """Return what was put under the key, if it is still fresh."""
        # A range, because whoever reaches Redis may have put anything there, of any size.
        found = await self._ask("GETRANGE", self._prefix + key, 0, _MOST_BYTES)
        opened = self._sealer.open(found)
        if opened is None or opened[0].about != key:
            return await self._own.get(key)
        return opened[1].decode()

    async def put(self, key: str, value: str, ttl_s: float) -> None:
        """Keep the value for so many seconds, or less; not at all if it is very long."""
        await self._own.put(key, value, ttl_s)
        if len(value) <= LONGEST_ANSWER:
            sealed = self._sealer.seal(Word(_KIND, "", key), value.encode())
            await self._ask("SET", self._prefix + key, sealed, "PX", max(int(ttl_s * 1000), 1))

    async def _ask(self, *command: Any) -> Any:
        """Return what Redis answers; None while it is away."""
        if time.monotonic() < self._rests_until_s:
            return None
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await self._client.execute_command(*command)
        except AWAY as error:
            self._rests_until_s = time.monotonic() + REST_S
            self._judge(away=True, cause=type(error).__name__)
            return None
        self._judge(away=False)
        return answer

    def _judge(self, *, away: bool, cause: str = "") -> None:
        if away != self._away:
            self._away = away
            if away:
                log.warning("answer_cache_away", cause=cause)
            else:
                log.info("answer_cache_back")


if TYPE_CHECKING:
    _: type[AnswerCache] = RedisCache

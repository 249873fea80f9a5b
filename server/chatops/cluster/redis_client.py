"""A client of the Redis that an address names: one server, TLS, a socket file, or Sentinels."""

from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from chatops.redis_address import Sentinels, sentinels, unreadable

TIMEOUT_S = 1.0
"""Seconds that Redis may take for anything before it counts as away."""

AWAY = (RedisError, OSError, TimeoutError, RuntimeError)
"""What may come of a connection that is gone; a RuntimeError is uvloop's, for a closed one."""


def redis_client(url: str) -> Redis:
    """Return a client; nothing is connected yet, and nothing is tried twice.

    ``redis+sentinel://`` asks Sentinels for the master (:func:`sentinels`); the other forms are
    those of redis-py: ``redis://``, ``rediss://``, ``unix://``.

    Raises:
        BadParameterError: The address cannot be read; what it holds is not repeated.
    """
    options: dict[str, Any] = {
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        "socket_keepalive": True,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
    }
    try:
        if (asked := sentinels(url)) is not None:
            return _of_sentinels(asked, options)
        return Redis.from_url(url, **options)
    except ValueError as error:
        raise unreadable() from error


async def close_client(client: Redis) -> None:
    """Let go of the client's connections, and of those to the Sentinels it asked."""
    await client.aclose()
    manager = getattr(client.connection_pool, "sentinel_manager", None)
    for sentinel in manager.sentinels if manager else ():
        await sentinel.aclose()


def _of_sentinels(asked: Sentinels, options: dict[str, Any]) -> Redis:
    options |= {"username": asked.user or None, "password": asked.password or None}
    sentinel = Sentinel(asked.hosts, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
    client: Redis = sentinel.master_for(asked.service, db=asked.database, **options)
    return client

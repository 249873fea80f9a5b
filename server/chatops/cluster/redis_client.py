"""A client of the Redis that an address names: one server, TLS, a socket file, or Sentinels."""

from typing import Any
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from chatops.errors import BadParameterError

TIMEOUT_S = 1.0
"""Seconds that Redis may take for anything before it counts as away."""

AWAY = (RedisError, OSError, TimeoutError, RuntimeError)
"""What may come of a connection that is gone; a RuntimeError is uvloop's, for a closed one."""

_SENTINEL = "redis+sentinel"
_SENTINEL_PORT = 26379


def redis_client(url: str) -> Redis:
    """Return a client; nothing is connected yet, and nothing is tried twice.

    ``redis+sentinel://[user:password@]host[:port][,host[:port]…]/[db/]service`` asks Sentinels for
    the master; the other forms are those of redis-py: ``redis://``, ``rediss://``, ``unix://``.

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
        if urlsplit(url).scheme == _SENTINEL:
            return _of_sentinels(url, options)
        return Redis.from_url(url, **options)
    except ValueError as error:
        raise BadParameterError(
            "The address of Redis in REDIS_URL cannot be read.",
            "Write redis://[user:password@]host:6379/0, rediss:// for TLS, unix:///path, or "
            "redis+sentinel://host:26379,host:26379/service.",
        ) from error


async def close_client(client: Redis) -> None:
    """Let go of the client's connections, and of those to the Sentinels it asked."""
    await client.aclose()
    manager = getattr(client.connection_pool, "sentinel_manager", None)
    for sentinel in manager.sentinels if manager else ():
        await sentinel.aclose()


def _of_sentinels(url: str, options: dict[str, Any]) -> Redis:
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    *database, service = parts.path.strip("/").split("/")
    if not hosts or not service:
        raise ValueError(_SENTINEL)
    addresses = []
    for host in hosts.split(","):
        name, _, port = host.rpartition(":") if ":" in host else (host, "", "")
        addresses.append((name, int(port or _SENTINEL_PORT)))
    if login:
        options |= {"username": unquote(user) or None, "password": unquote(password) or None}
    sentinel = Sentinel(addresses, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
    number = int(database[0]) if database else 0
    client: Redis = sentinel.master_for(service, db=number, **options)
    return client

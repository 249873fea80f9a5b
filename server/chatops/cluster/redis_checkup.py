"""Whether the Redis of the settings can carry hints between nodes, and how fast it does."""

import ipaddress
import secrets
import ssl
import time
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from chatops.cluster.redis_client import TIMEOUT_S, redis_client
from chatops.errors import BadParameterError
from chatops.findings import Finding, failed, ok, warning, without_secrets

CHECK = "redis"

_OLDEST_TRIED = (6, 2)
_LEAST_PUBSUB_BYTES = 8 * 1024 * 1024


async def check_redis(url: str, prefix: str) -> list[Finding]:
    """Connect, send a hint to ourselves, and read the settings that matter.

    Takes some seconds at most when nobody answers. Raises nothing for what a server can do wrong.

    Args:
        url: As of the setting ``redis_url``.
        prefix: Front of the channel that is used; nobody else listens to it.
    """
    where = without_secrets(url)
    try:
        client = redis_client(url)
    except BadParameterError as error:
        return [failed(CHECK, error.message, error.hint or "")]
    try:
        found = [await _answers(client, where), await _round_trip(client, prefix)]
        return [*found, *await _limits(client), *safety(url)]
    except (AuthenticationError, AuthorizationError, NoPermissionError):
        return [_no_entry(where)]
    except ResponseError as error:
        # Redis says so in words only, and older ones say it as a plain error.
        if "NOAUTH" in str(error) or "WRONGPASS" in str(error):
            return [_no_entry(where)]
        return [failed(CHECK, f"{where} refuses to work", "Look into the log of Redis.")]
    except (RedisError, OSError, TimeoutError) as error:
        if (untrusted := _untrusted(error)) is not None:
            return [
                failed(
                    CHECK,
                    f"the certificate of {where} is not trusted: {untrusted}",
                    "Name who signed it, as in rediss://host:6380/0?ssl_ca_certs=/path/ca.pem, and "
                    "the host as the certificate does.",
                )
            ]
        return [
            failed(
                CHECK,
                f"{where} does not answer within {TIMEOUT_S:g} s",
                "Start Redis, or check host, port and TLS in REDIS_URL and the firewall.",
            )
        ]
    finally:
        await client.aclose()


def _untrusted(error: BaseException | None) -> str | None:
    """Return what is wrong with the server's certificate, if that was the cause."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None


async def _answers(client: Redis, where: str) -> Finding:
    await client.ping()
    began = time.perf_counter()
    await client.ping()
    took_ms = (time.perf_counter() - began) * 1000
    version = str((await client.info("server"))["redis_version"])
    found = f"{where} answers in {took_ms:.1f} ms, version {version}"
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_TRIED:
        oldest = ".".join(map(str, _OLDEST_TRIED))
        return warning(CHECK, found, f"Upgrade it: the oldest that chatops is tried on: {oldest}.")
    return ok(CHECK, found)


async def _round_trip(client: Redis, prefix: str) -> Finding:
    """Publish to a channel of our own and wait for it to come back."""
    check = f"{CHECK} publish"
    channel = f"{prefix}:checkup:{secrets.token_hex(8)}"
    async with client.pubsub() as subscription:
        await subscription.subscribe(channel)
        await subscription.get_message(timeout=TIMEOUT_S)
        began = time.perf_counter()
        await client.publish(channel, "checkup")
        while (left_s := TIMEOUT_S - (time.perf_counter() - began)) > 0:
            message = await subscription.get_message(ignore_subscribe_messages=True, timeout=left_s)
            if message is not None:
                took_ms = (time.perf_counter() - began) * 1000
                return ok(check, f"back on a subscription of our own in {took_ms:.1f} ms")
    return failed(
        check,
        f"what was published did not come back within {TIMEOUT_S:g} s",
        f"Give the user the channels {prefix}:* (ACL SETUSER … &{prefix}:*).",
    )


async def _limits(client: Redis) -> list[Finding]:
    try:
        policy = (await client.config_get("maxmemory-policy"))["maxmemory-policy"]
        most = int((await client.config_get("maxmemory"))["maxmemory"] or 0)
        buffers = str(
            (await client.config_get("client-output-buffer-limit"))["client-output-buffer-limit"]
        )
    except (ResponseError, NoPermissionError, KeyError):
        return [
            warning(
                f"{CHECK} limits",
                "maxmemory-policy and client-output-buffer-limit may not be read here",
                "See to it that they are noeviction, and at least 32mb 8mb 60 for pubsub.",
            )
        ]
    return [_memory(str(policy), most), _buffers(buffers)]


def _memory(policy: str, most_bytes: int) -> Finding:
    check = f"{CHECK} memory"
    limit = f"{most_bytes / 2**20:.0f} MB" if most_bytes else "no limit"
    found = f"{limit}, maxmemory-policy {policy}"
    if policy != "noeviction" and most_bytes:
        return warning(
            check,
            found,
            "A full Redis would drop queued backtests: CONFIG SET maxmemory-policy noeviction.",
        )
    return ok(check, found)


def _buffers(limits: str) -> Finding:
    check = f"{CHECK} buffers"
    words = limits.split()
    hard, soft, seconds = (int(word) for word in words[words.index("pubsub") + 1 :][:3])
    sizes = f"{hard / 2**20:.0f} MB, or {soft / 2**20:.0f} MB for {seconds} s"
    if 0 < hard < _LEAST_PUBSUB_BYTES:
        return warning(
            check,
            f"a node that is {sizes} behind is cut off",
            'CONFIG SET client-output-buffer-limit "pubsub 32mb 8mb 60".',
        )
    return ok(check, f"a node may be {sizes} behind" if hard else "a node may be behind at will")


def safety(url: str) -> list[Finding]:
    """Return what is open to others on the network; nothing for a Redis on this machine."""
    check = f"{CHECK} safety"
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return []
    hosts = [one.rpartition(":")[0] or one for one in parts.netloc.rpartition("@")[2].split(",")]
    if all(_is_this_machine(host) for host in hosts):
        return []
    found = []
    if not parts.password:
        found.append(
            warning(
                check,
                "Redis is on another machine and asks for no password",
                "Whoever reaches it can speak to every client: set requirepass, and put the "
                "password into REDIS_URL.",
            )
        )
    if parts.scheme != "rediss":
        found.append(
            warning(
                check,
                "what is said to Redis on another machine is not encrypted",
                "Use rediss://, or a network of your own between the machines.",
            )
        )
    return found or [ok(check, "password and TLS")]


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _no_entry(where: str) -> Finding:
    return failed(
        CHECK,
        f"{where} refuses this user and password",
        "Check both in REDIS_URL (redis://user:password@host; without a user: redis://:password@).",
    )

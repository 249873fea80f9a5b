"""The address of Redis in the words of Celery, which has its own for Sentinels, sockets and TLS."""

from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from chatops.redis_address import Sentinels, sentinels, unreadable

TIMEOUT_S = 2.0
"""Seconds that Redis may take for anything before it counts as away."""

_FORGOTTEN_AFTER_S = 3600
"""A ticket whose taker died comes again after this; its job has long been run on another one."""


def broker_settings(url: str, prefix: str) -> dict[str, Any]:
    """Return Celery's settings for an address as ``REDIS_URL`` has it.

    Every key has the prefix and ``:`` at its front.

    Raises:
        BadParameterError: The address cannot be read; what it holds is not repeated.
    """
    options: dict[str, Any] = {
        "global_keyprefix": f"{prefix}:",
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        "socket_keepalive": True,
        "visibility_timeout": _FORGOTTEN_AFTER_S,
    }
    try:
        return {"broker_transport_options": options, **_address(url, options)}
    except ValueError as error:
        raise unreadable() from error


def _address(url: str, options: dict[str, Any]) -> dict[str, Any]:
    if (asked := sentinels(url)) is not None:
        return {"broker_url": _sentinels(asked, options)}
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return {"broker_url": _socket_file(url)}
    if parts.scheme == "rediss":
        # Without these settings Celery would take the address for one without TLS.
        given = {k: v for k, v in parse_qsl(parts.query) if k.startswith("ssl_")}
        plain = parts._replace(query="").geturl()
        return {"broker_url": plain, "broker_use_ssl": {"ssl_cert_reqs": "required", **given}}
    if parts.scheme != "redis":
        raise ValueError(parts.scheme)
    return {"broker_url": url}


def _sentinels(asked: Sentinels, options: dict[str, Any]) -> str:
    """Return the Sentinels, and put the name of the service into the options."""
    options["master_name"] = asked.service
    options["sentinel_kwargs"] = {
        "socket_timeout": TIMEOUT_S,
        **({"username": asked.user} if asked.user else {}),
        **({"password": asked.password} if asked.password else {}),
    }
    login = f"{quote(asked.user, safe='')}:{quote(asked.password, safe='')}@"
    front = login if asked.user or asked.password else ""
    return ";".join(
        f"sentinel://{front}{name}:{port}/{asked.database}" for name, port in asked.hosts
    )


def _socket_file(url: str) -> str:
    parts = urlsplit(url)
    login, _, _ = parts.netloc.rpartition("@")
    number = int(dict(parse_qsl(parts.query)).get("db", "0"))
    front = f"{login}@" if login else ""
    return f"redis+socket://{front}{quote(parts.path)}?virtual_host={number}"

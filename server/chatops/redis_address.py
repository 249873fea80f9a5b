"""Reading addresses of Redis where the libraries have no form of their own: Sentinels."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from chatops.errors import BadParameterError

_SCHEME = "redis+sentinel"
_PORT = 26379


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Where to ask for the master of a service.

    Attributes:
        hosts: Name and port of each Sentinel.
        service: What they call the master.
        database: Number of the database there.
        user: Of Sentinels and master, or "".
        password: Of that user, or "".
    """

    hosts: tuple[tuple[str, int], ...]
    service: str
    database: int
    user: str
    password: str


def sentinels(url: str) -> Sentinels | None:
    """Return what the address names, or None if it does not name Sentinels.

    ``redis+sentinel://[user:password@]host[:port][,host[:port]…]/[db/]service``

    Raises:
        ValueError: It cannot be read.
    """
    parts = urlsplit(url)
    if parts.scheme != _SCHEME:
        return None
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    *database, service = parts.path.strip("/").split("/")
    if not hosts or not service:
        raise ValueError(_SCHEME)
    addresses = []
    for host in hosts.split(","):
        name, _, port = host.rpartition(":") if ":" in host else (host, "", "")
        addresses.append((name, int(port or _PORT)))
    number = int(database[0]) if database else 0
    return Sentinels(tuple(addresses), service, number, unquote(user), unquote(password))


def unreadable() -> BadParameterError:
    """Return what a person is told of an address that cannot be read; it is not repeated."""
    return BadParameterError(
        "The address of Redis in REDIS_URL cannot be read.",
        "Write redis://[user:password@]host:6379/0, rediss:// for TLS, unix:///path, or "
        "redis+sentinel://host:26379,host:26379/service.",
    )

"""Every form of REDIS_URL in the words of Celery's transport, checked against the transport."""

from typing import Any

import kombu.connection
import pytest

from chatops.errors import BadParameterError
from chatops.workers.broker import broker_settings


def parameters(url: str) -> dict[str, Any]:
    """Return what the transport would connect with, once it has read the settings."""
    settings = broker_settings(url, "team")
    connection_class: Any = kombu.connection.Connection
    connection = connection_class(
        settings["broker_url"],
        ssl=settings.get("broker_use_ssl"),
        transport_options=settings["broker_transport_options"],
    )
    channel_class = connection.get_transport_cls().Channel
    channel = object.__new__(channel_class)
    channel.connection = connection.create_transport()
    channel.connection.client = connection
    found: dict[str, Any] = channel._connparams()
    return found


def test_a_plain_address_stays_what_it_is() -> None:
    found = parameters("redis://ann:p%40ss@db.example:6380/3")
    assert (found["host"], found["port"], found["db"]) == ("db.example", 6380, 3)
    assert (found["username"], found["password"]) == ("ann", "p@ss")


def test_tls_is_used_and_the_certificate_is_looked_at() -> None:
    found = parameters("rediss://db.example:6380/0")
    assert "SSL" in found["connection_class"].__name__
    assert found["ssl_cert_reqs"] == "required"


def test_tls_can_be_told_which_authority_to_trust() -> None:
    found = parameters("rediss://db.example/0?ssl_ca_certs=/etc/ca.pem&ssl_cert_reqs=none")
    assert (found["ssl_ca_certs"], found["ssl_cert_reqs"]) == ("/etc/ca.pem", "none")


def test_a_socket_file_is_found() -> None:
    found = parameters("unix://:s3cret@/run/redis/main.sock?db=2")
    assert (found["path"], found["db"]) == ("/run/redis/main.sock", 2)
    assert found["password"] == "s3cret"  # noqa: S105


def test_sentinels_are_named_with_their_service() -> None:
    settings = broker_settings("redis+sentinel://:p%40ss@one,two:26380/2/main", "team")
    assert settings["broker_url"] == (
        "sentinel://:p%40ss@one:26379/2;sentinel://:p%40ss@two:26380/2"
    )
    options = settings["broker_transport_options"]
    assert options["master_name"] == "main"
    assert options["sentinel_kwargs"]["password"] == "p@ss"  # noqa: S105


def test_every_key_has_the_prefix_of_the_cluster() -> None:
    options = broker_settings("redis://localhost", "team.blue")["broker_transport_options"]
    assert options["global_keyprefix"] == "team.blue:"


@pytest.mark.parametrize(
    "url", ["", "http://secret@host", "redis+sentinel://host:1/", "unix://secret@/s?db=x"]
)
def test_an_address_that_cannot_be_read_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(BadParameterError) as refused:
        broker_settings(url, "team")
    assert "secret" not in str(refused.value)

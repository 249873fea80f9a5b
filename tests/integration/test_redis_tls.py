"""Redis over TLS, with certificates made here: hints and tickets pass, and a wrong one is named."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chatops.cluster.redis import RedisCluster
from chatops.cluster.redis_checkup import check_redis
from chatops.sessions.model import Hint
from chatops.tasks import Supervisor
from chatops.workers.celery_checkup import check_celery
from tests.support.proxy import CuttingProxy
from tests.support.services import redis_server
from tests.support.waiting import until


def certificate(folder: Path, name: str, host: str = "IP:127.0.0.1") -> tuple[Path, Path]:
    """Make a certificate that signs itself; return it and its key."""
    made, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={host}"]
    subprocess.run(
        [*command, *names, "-out", made, "-keyout", key], check=True, capture_output=True
    )
    return made, key


@asynccontextmanager
async def behind_tls(folder: Path, host: str = "IP:127.0.0.1") -> AsyncIterator[str]:
    """Give the address of a Redis behind TLS, whose certificate is ``good.pem``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(folder, "good", host))
    with redis_server(folder / "redis") as redis:
        async with CuttingProxy(f"redis://127.0.0.1:{redis.port}", tls=context) as proxy:
            yield f"rediss://127.0.0.1:{proxy.url.rpartition(':')[2]}/0"


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    async with behind_tls(tmp_path) as one:
        yield one


async def test_hints_and_tickets_pass(address: str, tmp_path: Path) -> None:
    url = f"{address}?ssl_ca_certs={tmp_path}/good.pem"
    assert {one.state for one in await check_redis(url, "t")} == {"ok"}
    said = await asyncio.to_thread(check_celery, url, "t")
    assert "no worker answers" in said.found  # so the broker was reached
    supervisor, heard = Supervisor(), list[Hint]()
    buses = [RedisCluster(url, "t", node, supervisor) for node in ("one", "two")]
    for bus in buses:
        bus.attach(heard.append, lambda _session: None, lambda _node: None)
        bus.open(b"k" * 32)
        bus.follow("room")
    try:
        await until(lambda: all(bus.healthy for bus in buses), 10, "both hear themselves")
        buses[0].publish(Hint("room", "message", b"hello", 1, "epoch"))
        await until(lambda: [one.payload for one in heard] == [b"hello"], 5, "the other hears it")
    finally:
        for bus in buses:
            await bus.close()
        await supervisor.close(0.0)


async def test_a_certificate_of_somebody_else_is_named(address: str, tmp_path: Path) -> None:
    certificate(tmp_path, "bad")
    (found,) = await check_redis(f"{address}?ssl_ca_certs={tmp_path}/bad.pem", "t")
    assert found.state == "failed"
    assert "certificate" in found.found
    assert "not trusted: self" in found.found  # -signed certificate, with or without the hyphen
    assert "ssl_ca_certs=" in (found.advice or "")


async def test_a_certificate_for_another_host_is_named(tmp_path: Path) -> None:
    async with behind_tls(tmp_path, "DNS:elsewhere") as address:
        (found,) = await check_redis(f"{address}?ssl_ca_certs={tmp_path}/good.pem", "t")
    assert found.state == "failed"
    assert "127.0.0.1" in found.found.partition("not trusted")[2]

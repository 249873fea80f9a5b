"""The page of the room as a browser gets it: policy, caches, and nothing beside it."""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientResponse, ClientSession, web

from chatops.rest.errors import answers
from chatops.rest.page import RoomPage
from tests.support.inprocess import running_node

INDEX = '<meta property="csp-nonce" nonce="__CSP_NONCE__"><script nonce="__CSP_NONCE__"></script>'
SCRIPT = b"document.title = 'room'\n" * 50


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """Serve a small page of the form in which builds lie in the package."""
    folder = tmp_path / "app"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "assets" / "index-abc123.js").write_bytes(SCRIPT)
    (folder / "assets" / "index-abc123.js.gz").write_bytes(gzip.compress(SCRIPT))
    (tmp_path / "secret.txt").write_text("secret")
    app = web.Application(middlewares=[answers(())])
    RoomPage(folder).add_to(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession(auto_decompress=False) as session:
        yield session


def policy(response: ClientResponse) -> dict[str, list[str]]:
    directives = response.headers["Content-Security-Policy"].split(";")
    return {name: values for name, *values in (one.split() for one in directives)}


async def test_every_visit_has_a_nonce_of_its_own_in_page_and_policy(
    url: str, http: ClientSession
) -> None:
    nonces = set()
    for path in ("/", "/?session=desk", "/?session=<script>"):
        async with http.get(url + path) as response:
            page = await response.text()
            assert response.content_type == "text/html"
            assert response.headers["Cache-Control"] == "no-cache"
            assert "ETag" not in response.headers
            (nonce,) = set(re.findall(r'nonce="([\w-]+)"', page))
            assert policy(response)["style-src"] == ["'self'", f"'nonce-{nonce}'"]
            nonces.add(nonce)
            assert page == INDEX.replace("__CSP_NONCE__", nonce)
    assert len(nonces) == 3


async def test_the_policy_lets_nothing_in_from_elsewhere(url: str, http: ClientSession) -> None:
    async with http.get(url) as response:
        found = policy(response)
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"
    styles = found.pop("style-src")
    assert all(one == "'self'" or one.startswith("'nonce-") for one in styles)
    assert {tuple(values) for values in found.values()} == {("'none'",), ("'self'",)}
    for closed in ("default-src", "frame-ancestors", "base-uri", "form-action"):
        assert found[closed] == ["'none'"]
    assert found["connect-src"] == found["script-src"] == ["'self'"]


async def test_a_hashed_file_is_kept_for_good_and_comes_compressed(
    url: str, http: ClientSession
) -> None:
    path = f"{url}/assets/index-abc123.js"
    async with http.get(path, headers={"Accept-Encoding": "gzip"}) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert "Accept-Encoding" in response.headers["Vary"]
        assert gzip.decompress(await response.read()) == SCRIPT
    async with http.get(path, headers={"Accept-Encoding": "identity"}) as response:
        assert "Content-Encoding" not in response.headers
        assert response.content_type in ("text/javascript", "application/javascript")
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert await response.read() == SCRIPT
        tag = response.headers["ETag"]
    known = {"Accept-Encoding": "identity", "If-None-Match": tag}
    async with http.get(path, headers=known) as response:
        assert response.status == 304
        assert await response.read() == b""


@pytest.mark.parametrize("path", ["/", "/assets/index-abc123.js"])
async def test_head_answers_as_get_without_the_body(
    url: str, http: ClientSession, path: str
) -> None:
    async with http.get(url + path) as got, http.head(url + path) as asked:
        assert asked.status == 200
        assert await asked.read() == b""
        same = ("Content-Type", "Content-Length", "Cache-Control")
        assert [asked.headers[name] for name in same] == [got.headers[name] for name in same]


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../../secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/assets/....//secret.txt",
        "/assets/..%5c..%5csecret.txt",
        "/assets/index.html",
        "/assets/%00",
        "/assets/",
        "/../secret.txt",
        "//secret.txt",
    ],
)
async def test_no_path_leads_out_of_the_build(url: str, path: str) -> None:
    # Written byte by byte: clients tidy paths up.
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400")), answer
    assert not answer.endswith(b"secret")


async def test_the_state_of_the_server_has_a_page_without_scripts(
    tmp_path: Path, http: ClientSession
) -> None:
    async with running_node(tmp_path) as (_, url), http.get(f"{url}/status") as response:
        page = await response.text()
        assert policy(response)["style-src"] == ["'self'"]
    assert "<th>open sessions</th>" in page
    assert "<script" not in page

"""The published nginx configuration with two servers behind it, and clients of both transports.

The servers know nothing of each other, so it shows at once when a client reaches the wrong one.
"""

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import socketio

from tests.support.nginx import Nginx
from tests.support.server import ServerProcess
from tests.support.waiting import until

# The library's client lets go of its polling requests without closing them.
pytestmark = pytest.mark.filterwarnings("ignore:Unclosed connection:ResourceWarning")

MESSAGES = 40


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[tuple[ServerProcess, ServerProcess]]:
    quick = {"CHATOPS_RATE_LIMIT": "off", "CHATOPS_BACKTEST_WORKERS": "1"}
    async with (
        ServerProcess(tmp_path / "one", **quick) as one,
        ServerProcess(tmp_path / "two", **quick) as two,
    ):
        yield one, two


class Member:
    """A client from an address of its own, which says things and counts what it hears."""

    def __init__(self, url: str, session: str, address: str, transports: list[str]) -> None:
        self.heard: list[str] = []
        self.session = session
        self._url = url
        self._transports = transports
        connector = aiohttp.TCPConnector(local_addr=(address, 0))
        self._http = aiohttp.ClientSession(connector=connector)
        self._client = socketio.AsyncClient(reconnection=False, http_session=self._http)
        self._client.on("message", lambda payload: self.heard.append(payload["content"]))

    async def __aenter__(self) -> "Member":
        await self.connect()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._client.disconnect()
        await self._http.close()
        gc.collect()  # here, not in another test

    @property
    def transport(self) -> str:
        return str(self._client.transport())

    async def connect(self) -> None:
        await self._client.connect(
            self._url, socketio_path="/ws/chatops", transports=self._transports
        )
        await self.ask("joinSession", sessionId=self.session)

    async def disconnect(self) -> None:
        await self._client.disconnect()

    async def ask(self, event: str, **payload: Any) -> dict[str, Any]:
        ack: dict[str, Any] = await self._client.call(event, payload, timeout=10)
        assert ack["ok"], ack
        return ack

    async def say(self, count: int) -> None:
        """Say so much, one after another; every ack must come, and every message be heard."""
        said = [f"{self.session} {len(self.heard) + n}" for n in range(count)]
        for text in said:
            await self.ask("sendMessage", sessionId=self.session, content=text)
        await until(lambda: self.heard[-count:] == said, 10, "everything said is heard")


async def home(session: str, nodes: tuple[ServerProcess, ServerProcess]) -> list[int]:
    """Return the numbers of the nodes that know the session."""
    async with aiohttp.ClientSession() as http:
        urls = [f"{node.url}/api/v1/sessions/{session}/export" for node in nodes]
        answers = [await http.get(url) for url in urls]
        return [number for number, answer in enumerate(answers) if answer.status == 200]


@pytest.mark.parametrize("transports", [["polling"], ["polling", "websocket"]], ids="-".join)
async def test_long_polling_stays_with_its_node_through_messages_and_reconnects(
    tmp_path: Path, nodes: tuple[ServerProcess, ServerProcess], transports: list[str]
) -> None:
    homes = set()
    async with Nginx(tmp_path / "nginx", [node.url for node in nodes]) as nginx:
        for number in range(1, 9):  # eight people at eight desks
            session = f"polling-{number}"
            async with Member(nginx.url, session, f"127.0.0.{number}", transports) as member:
                assert member.transport == transports[-1]
                await member.say(MESSAGES // 4)
                for _ in range(3):
                    await member.disconnect()
                    await member.connect()
                    await member.say(MESSAGES // 4)
            (where,) = await home(session, nodes)
            homes.add(where)
        assert nginx.log() == ""
    assert homes == {0, 1}, "all went to the same node"


async def test_without_its_stickiness_long_polling_fails(
    tmp_path: Path, nodes: tuple[ServerProcess, ServerProcess]
) -> None:
    robbed = [("hash $remote_addr consistent;", "")]
    async with Nginx(tmp_path / "nginx", [n.url for n in nodes], changes=robbed) as nginx:
        member = Member(nginx.url, "lost", "127.0.0.1", ["polling"])
        with pytest.raises((socketio.exceptions.SocketIOError, TimeoutError)):
            async with asyncio.timeout(15), member:
                await member.say(MESSAGES)
        await member.__aexit__()


async def test_websockets_are_spread_over_the_nodes_and_work_on_each(
    tmp_path: Path, nodes: tuple[ServerProcess, ServerProcess]
) -> None:
    homes = []
    async with Nginx(tmp_path / "nginx", [node.url for node in nodes]) as nginx:
        members = [Member(nginx.url, f"ws-{n}", "127.0.0.1", ["websocket"]) for n in range(4)]
        for member in members:
            await member.connect()
        await asyncio.gather(*(member.say(MESSAGES) for member in members))
        for member in members:
            assert member.transport == "websocket"
            homes += await home(member.session, nodes)
            await member.__aexit__()
        # A long silence and a reconnect are as good as the first connection.
        async with Member(nginx.url, "ws-again", "127.0.0.1", ["websocket"]) as again:
            for _ in range(3):
                await again.say(5)
                await again.disconnect()
                await again.connect()
            assert await home("ws-again", nodes) != []
    assert sorted(homes) == [0, 0, 1, 1]


async def test_when_a_node_dies_its_clients_come_to_the_other(
    tmp_path: Path, nodes: tuple[ServerProcess, ServerProcess]
) -> None:
    async with (
        Nginx(tmp_path / "nginx", [node.url for node in nodes]) as nginx,
        aiohttp.ClientSession() as http,
    ):
        async with Member(nginx.url, "before", "127.0.0.1", ["polling"]) as member:
            await member.say(3)
            (where,) = await home("before", nodes)
            await nodes[where].kill()
        async with Member(nginx.url, "after", "127.0.0.1", ["polling"]) as member:
            await member.say(10)
        async with http.get(f"{nginx.url}/readyz") as answer:
            assert (answer.status, (await answer.json())["status"]) == (200, "ready")
        await nodes[1 - where].kill()
        async with http.get(f"{nginx.url}/readyz") as answer:
            assert answer.status == 502


async def test_a_page_cannot_pass_for_our_own_by_a_header_of_proxies(
    tmp_path: Path, nodes: tuple[ServerProcess, ServerProcess]
) -> None:
    query = {"EIO": "4", "transport": "polling"}
    lie = {"Origin": "http://evil.example", "X-Forwarded-Host": "evil.example"}
    async with (
        Nginx(tmp_path / "nginx", [node.url for node in nodes]) as nginx,
        aiohttp.ClientSession() as http,
    ):
        async with http.get(f"{nodes[0].url}/ws/chatops/", params=query, headers=lie) as answer:
            assert answer.status == 200, "the server believes it: so nginx must take it away"
        async with http.get(f"{nginx.url}/ws/chatops/", params=query, headers=lie) as answer:
            assert answer.status == 400
        own = {"Origin": nginx.url}
        async with http.get(f"{nginx.url}/ws/chatops/", params=query, headers=own) as answer:
            assert answer.status == 200

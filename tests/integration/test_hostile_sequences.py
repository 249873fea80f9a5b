"""Frames that are harmless one by one, in orders that are not: nothing leaks, hangs or strays."""

import asyncio
import json
import socket
import struct
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from chatops.access.rates import Rate, TokenBucket
from chatops.bootstrap import Node
from tests.support.inprocess import leftovers, running_node
from tests.support.raw import PATH, RawClient
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Node, str]]:
    async with running_node(tmp_path_factory.mktemp("sequences")) as running:
        yield running


async def nothing_is_left(node: Node) -> None:
    await until(
        lambda: not any(leftovers(node).values()), 10, f"all is forgotten: {leftovers(node)}"
    )


def write_at_once(client: RawClient, *frames: str) -> None:
    """Put masked text frames into one write, as no client library would."""
    wire = b""
    for frame in frames:
        data = frame.encode()
        assert len(data) < 126
        wire += bytes((0x81, 0x80 | len(data))) + b"\0\0\0\0" + data
    connection = client.ws._response.connection
    assert connection is not None
    assert connection.transport is not None
    connection.transport.write(wire)


def empty_bucket() -> TokenBucket:
    bucket = TokenBucket(Rate(0.1, 1), time.monotonic())
    bucket.take(time.monotonic())
    return bucket


def polling(url: str, sid: str = "") -> str:
    return f"{url}{PATH}?EIO=4&transport=polling" + (f"&sid={sid}" if sid else "")


def upgrading(url: str, sid: str) -> str:
    return f"{url}{PATH}?EIO=4&transport=websocket&sid={sid}"


async def post(http: aiohttp.ClientSession, where: str, frames: str) -> None:
    async with http.post(where, data=frames) as response:
        await response.read()


async def poll_open(http: aiohttp.ClientSession, url: str) -> str:
    async with http.get(polling(url)) as response:
        sid: str = json.loads((await response.text())[1:])["sid"]
        return sid


async def test_nobody_connects_on_a_socket_that_closed_in_the_same_request(
    server: tuple[Node, str],
) -> None:
    node, url = server
    async with aiohttp.ClientSession() as http:
        sid = await poll_open(http, url)
        await post(http, polling(url, sid), "1\x1e40")
    await nothing_is_left(node)


@pytest.mark.parametrize("frame", ["2", "2probe", "5", "6"])
async def test_frames_of_an_upgrade_have_no_place_in_a_post(
    server: tuple[Node, str], frame: str
) -> None:
    node, url = server
    async with aiohttp.ClientSession() as http:
        sid = await poll_open(http, url)
        async with asyncio.timeout(5), http.post(polling(url, sid), data=frame) as response:
            assert response.status == 400
    await nothing_is_left(node)


@pytest.mark.parametrize("frame", ['42/admin,7["sendMessage",{}]', "41/admin,", "43/admin,7[]"])
async def test_a_packet_for_another_namespace_is_not_taken_for_ours(
    server: tuple[Node, str], frame: str
) -> None:
    node, url = server
    async with RawClient(url) as client:
        await client.send(frame)
        told = await client.event("error")
        assert "namespace" in told["message"]
        await client.closed()
    await nothing_is_left(node)


async def test_a_burst_of_bad_frames_is_one_violation_and_ends_what_follows(
    server: tuple[Node, str],
) -> None:
    node, url = server
    before = node.server.refused_frames
    late = json.dumps(["sendMessage", {"sessionId": "burst", "content": "late"}])
    async with RawClient(url) as client:
        write_at_once(client, *["x"] * 3000, f"421{late}")
        await client.closed()
    assert node.server.refused_frames == before + 1
    async with RawClient(url) as client:
        assert (await client.ask(1, "joinSession", "burst"))["entries"] == []
    await nothing_is_left(node)


async def test_who_reconnects_on_one_transport_is_somebody_new_at_once(
    server: tuple[Node, str],
) -> None:
    node, url = server
    said = json.dumps(["sendMessage", {"sessionId": "again", "content": "in hand"}])
    mistake = json.dumps(["executeCommand", {"sessionId": "again", "command": "nonsense"}])
    async with RawClient(url) as client, RawClient(url) as neighbour:
        await neighbour.ask(1, "joinSession", "again")
        first = await client.ask(1, "joinSession", "again")
        write_at_once(client, f"422{said}", "41", "40", f"423{mistake}")
        answer = await client.frame()
        while not answer.startswith("40"):
            answer = await client.frame()
        ids = [connection.id for connection in node.server.connections().values()]
        assert len(set(ids)) == 2
        assert None not in ids
        refused = await client.ack(3)
        assert refused["error"]["code"] == "unknown_command"
        again = await client.ask(4, "joinSession", "again")
        assert again["session"]["lastSeq"] >= first["session"]["lastSeq"]
        # Nothing of it was whispered to the wrong ear.
        await neighbour.send('422["joinSession","again"]')
        frame = await neighbour.frame()
        while not frame.startswith("432["):
            assert not frame.startswith('42["error"') or "assistant_off" in frame, frame
            frame = await neighbour.frame()
    await nothing_is_left(node)


async def test_a_second_upgrade_is_refused_while_one_is_under_way(
    server: tuple[Node, str],
) -> None:
    node, url = server
    async with aiohttp.ClientSession() as http:
        sid = await poll_open(http, url)
        await post(http, polling(url, sid), "40")
        first = await http.ws_connect(upgrading(url, sid))
        with pytest.raises(aiohttp.WSServerHandshakeError, match="400"):
            await http.ws_connect(upgrading(url, sid))
        await first.send_str("2probe")
        assert await first.receive_str() == "3probe"
        await first.send_str("5")
        await first.send_str('421["joinSession","up"]')
        while not (await first.receive_str()).startswith("431"):
            pass
        async with http.post(polling(url, sid), data="3") as response:
            assert response.status == 400  # long-polling is over
        await first.close()
    await nothing_is_left(node)


async def test_an_upgrade_without_a_probe_does_not_strand_the_poll(
    server: tuple[Node, str],
) -> None:
    node, url = server
    async with aiohttp.ClientSession() as http:
        sid = await poll_open(http, url)
        async with asyncio.timeout(10), asyncio.TaskGroup() as both:
            poll = both.create_task(http.get(polling(url, sid)))
            await until(lambda: bool(node.server.eio.sockets[sid].queue._getters), 5, "it polls")
            ws = await http.ws_connect(upgrading(url, sid))
            await ws.send_str("5")
        assert await poll.result().text() == "6"
        await ws.send_str("40")
        assert (await ws.receive_str()).startswith("40")
        await ws.close()
    await nothing_is_left(node)


async def test_who_half_upgrades_and_never_connects_is_cut_in_both_places(
    server: tuple[Node, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatops.realtime.server._CONNECT_WITHIN_S", 0.3)
    node, url = server
    async with aiohttp.ClientSession() as http:
        sid = await poll_open(http, url)
        ws = await http.ws_connect(upgrading(url, sid))
        message = await ws.receive(5)
        assert message.type == aiohttp.WSMsgType.CLOSE
        await nothing_is_left(node)


async def test_a_close_packet_ends_a_half_open_upgrade_too(server: tuple[Node, str]) -> None:
    node, url = server
    async with aiohttp.ClientSession() as http:
        sid = await poll_open(http, url)
        ws = await http.ws_connect(upgrading(url, sid))
        await post(http, polling(url, sid), "1")
        message = await ws.receive(5)
        assert message.type == aiohttp.WSMsgType.CLOSE
        await nothing_is_left(node)


async def test_a_close_packet_ends_the_poll_that_waits(server: tuple[Node, str]) -> None:
    node, url = server
    async with aiohttp.ClientSession() as http:
        sid = await poll_open(http, url)
        async with asyncio.timeout(5), asyncio.TaskGroup() as both:
            poll = both.create_task(http.get(polling(url, sid)))
            await until(lambda: bool(node.server.eio.sockets[sid].queue._getters), 5, "it polls")
            await post(http, polling(url, sid), "1")
        assert await poll.result().text() == "1"
    await nothing_is_left(node)


HALF_HANDSHAKES = {
    "no Connection": {"Upgrade": "websocket"},
    "no key": {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"},
    "a bad key": {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "한",
    },
    "an old version": {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "8",
        "Sec-WebSocket-Key": "A" * 22 + "==",
    },
    "nothing": {},
}


@pytest.mark.parametrize("headers", HALF_HANDSHAKES.values(), ids=HALF_HANDSHAKES.keys())
async def test_half_a_handshake_is_refused_and_forgotten(
    server: tuple[Node, str], headers: dict[str, str]
) -> None:
    node, url = server
    with capture_logs() as log:
        async with aiohttp.ClientSession() as http:
            where = f"{url}{PATH}?EIO=4&transport=websocket"
            async with http.get(where, headers=headers) as response:
                assert response.status == 400
    assert not [line for line in log if line["log_level"] in ("error", "critical")]
    await nothing_is_left(node)


async def test_a_page_of_another_site_cannot_read_a_handshake_as_a_script(
    server: tuple[Node, str],
) -> None:
    node, url = server
    async with aiohttp.ClientSession() as http, http.get(f"{polling(url)}&j=0") as response:
        assert response.status == 400
        assert "sid" not in await response.text()
    await nothing_is_left(node)


async def test_who_hangs_up_in_the_handshake_is_no_error_of_ours(
    server: tuple[Node, str],
) -> None:
    node, url = server
    parts = urlsplit(url)
    handshake = (
        f"GET {PATH}?EIO=4&transport=websocket HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {'A' * 22}==\r\n\r\n"
    ).encode()
    with capture_logs() as log:
        for number in range(60):
            one = socket.create_connection((parts.hostname or "", parts.port or 0))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            one.sendall(handshake[: len(handshake) - number % 3])
            for _ in range(number % 7):
                await asyncio.sleep(0)
            one.close()
        await nothing_is_left(node)
    assert not [line for line in log if line["log_level"] in ("error", "critical")]


async def test_a_frame_that_announces_a_gigabyte_is_not_waited_for(
    server: tuple[Node, str],
) -> None:
    node, url = server
    async with RawClient(url) as client:
        connection = client.ws._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.write(b"\x81\xff" + (10**9).to_bytes(8, "big") + b"\0\0\0\0x")
        assert await client.closed() == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
    await nothing_is_left(node)


async def test_a_room_left_and_entered_again_shows_no_list_of_the_past(
    server: tuple[Node, str],
) -> None:
    node, url = server
    async with RawClient(url) as kim, RawClient(url) as lee:
        await kim.ask(1, "joinSession", "door")
        await kim.ask(2, "leaveSession", "door")
        await lee.ask(1, "joinSession", "door")
        assert len((await lee.event("presence"))["members"]) == 1
    await nothing_is_left(node)


async def test_a_flood_of_ten_thousand_commands_is_one_clients_own_trouble(
    server: tuple[Node, str],
) -> None:
    node, url = server
    body = '["executeCommand",{"sessionId":"flood","command":"whoami"}]'
    async with RawClient(url) as flooder, RawClient(url) as neighbour:
        flooder_id = flooder.handshake["sid"]
        connection = node.server.connections()[flooder_id]
        connection.bucket = empty_bucket()
        await neighbour.ask(0, "joinSession", "calm")
        for start in range(0, 10_000, 100):
            write_at_once(flooder, *[f"42{start + n}{body}" for n in range(100)])
        for number in range(100):
            said = {"sessionId": "calm", "content": str(number)}
            assert (await neighbour.ask(number, "sendMessage", said))["ok"]
        assert connection.paused is not None  # TCP holds the rest back
        assert len(connection.inbox) < 10_000
        for _ in range(20):
            assert (await flooder.event("error"))["code"] == "rate_limited"
        log = await neighbour.ask(101, "joinSession", {"sessionId": "calm", "afterSeq": 0})
        assert [entry["content"] for entry in log["entries"]] == [str(n) for n in range(100)]
    await nothing_is_left(node)

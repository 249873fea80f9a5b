"""Frames no honest client sends: each gets its answer, and nobody else notices."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from chatops.bootstrap import Node
from tests.support.inprocess import leftovers, running_node
from tests.support.raw import PATH, RawClient
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Node, str]]:
    async with running_node(tmp_path_factory.mktemp("hostile")) as running:
        yield running


async def neighbour_is_well(url: str) -> None:
    async with RawClient(url) as neighbour:
        ack = await neighbour.ask(1, "sendMessage", {"sessionId": "desk", "content": "hello"})
        assert ack["ok"]


async def nothing_is_left(node: Node) -> None:
    await until(
        lambda: not any(leftovers(node).values()), 10, f"all is forgotten: {leftovers(node)}"
    )


DEEP = "[" * 900 + "]" * 900
REFUSED_EVENTS = {
    "NaN": '["sendMessage",{"sessionId":"desk","content":NaN}]',
    "infinity": '["sendMessage",{"sessionId":"desk","content":-Infinity}]',
    "1e999": '["sendMessage",{"sessionId":"desk","content":"x","metadata":{"a":1e999}}]',
    "a huge integer": '["joinSession",{"sessionId":"desk","afterSeq":99999999999999999999999}]',
    "a name twice": '["sendMessage",{"sessionId":"desk","content":"x","content":"y"}]',
    "depth 900": f'["sendMessage",{{"sessionId":"desk","content":"x","metadata":{DEEP}}}]',
    "depth 20,000": '["sendMessage",' + "[" * 20_000 + "]" * 20_000 + "]",
    "half a surrogate pair": '["sendMessage",{"sessionId":"desk","content":"\\ud800"}]',
    "no JSON": '["sendMessage",{]',
    "65 KiB": json.dumps(["sendMessage", {"sessionId": "desk", "content": "x" * 66_560}]),
    "no payload": '["sendMessage"]',
    "a number for an object": '["sendMessage",5]',
    "null for an object": '["sendMessage",null]',
    "a list for an object": '["joinSession",["desk"]]',
    "a bad session id": '["joinSession","../../etc/passwd"]',
    "an unknown event": '["noSuchEvent",{}]',
    "a reserved event: connect": '["connect",{"x":1}]',
    "a reserved event: disconnect": '["disconnect","transport close"]',
    "a reserved event: connect_error": '["connect_error",{}]',
    "a reserved event: newListener": '["newListener",{}]',
}


@pytest.mark.parametrize("body", REFUSED_EVENTS.values(), ids=REFUSED_EVENTS.keys())
async def test_a_refused_event_is_answered_and_the_connection_lives(
    server: tuple[Node, str], body: str
) -> None:
    node, url = server
    async with RawClient(url) as client:
        await client.send(f"427{body}")
        ack = await client.ack(7)
        assert ack["ok"] is False
        assert ack["error"]["code"] in ("bad_payload", "unknown_event")
        assert ack["error"]["message"]
        assert ack["error"]["hint"]
        told = await client.event("error")
        assert told["requestId"] == ack["error"]["requestId"]
        again = await client.ask(8, "joinSession", "desk")
        assert again["ok"]
        assert all(entry["content"] == "hello" for entry in again["entries"])
    await neighbour_is_well(url)
    await nothing_is_left(node)


CUT_FRAMES = {
    "a string for an event": '42"sendMessage"',
    "an event named by a number": "42[1]",
    "an event named by null": "42[null]",
    "an event named by an object": "42[{}]",
    "an empty event": "42[]",
    "a binary event": '451-["sendMessage",{"_placeholder":true,"num":0}]',
    "9,999,999,999 attachments": '459999999999-["sendMessage",{"_placeholder":true,"num":0}]',
    "a binary ack": '461-1["x"]',
    "CONNECT_ERROR": '44{"message":"x"}',
    "Socket.IO type 9": "49[]",
    "an ack id of 200 digits": "42" + "1" * 200 + '["joinSession","desk"]',
    "Engine.IO type 9": "9",
    "Engine.IO OPEN": "0{}",
    "no type": "x",
    "an empty frame": "",
    "20,000 brackets": "[" * 20_000,
    "base64 binary": "bAAAA",
    "a message without a packet": "4",
    "a message that is an object": '4{"a":1}',
}


@pytest.mark.parametrize("frame", CUT_FRAMES.values(), ids=CUT_FRAMES.keys())
async def test_a_frame_that_is_not_of_the_protocol_ends_its_connection_alone(
    server: tuple[Node, str], frame: str, caplog: pytest.LogCaptureFixture
) -> None:
    node, url = server
    async with RawClient(url) as neighbour:
        await neighbour.ask(1, "joinSession", "desk")
        async with RawClient(url) as client:
            await client.ask(1, "joinSession", "desk")
            await client.send(frame)
            told = await client.event("error")
            assert told["code"] == "bad_payload"
            await client.closed()
        await until(lambda: node.server.connected == 1, 5, "the cut client is forgotten at once")
        assert (await neighbour.ask(2, "joinSession", "desk"))["session"]["members"]
    await nothing_is_left(node)
    assert "Traceback" not in caplog.text


async def test_binary_frames_end_the_connection(server: tuple[Node, str]) -> None:
    node, url = server
    async with RawClient(url) as client:
        await client.ws.send_bytes(b"\x04" * 1000)
        await client.closed()
    await nothing_is_left(node)


async def test_a_frame_of_more_than_a_megabyte_ends_the_connection(
    server: tuple[Node, str],
) -> None:
    node, url = server
    async with RawClient(url) as client:
        await client.send('421["sendMessage","' + "x" * 1_100_000 + '"]')
        assert await client.closed() == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
    await neighbour_is_well(url)
    await nothing_is_left(node)


async def test_a_second_connect_is_refused_and_the_first_lives(server: tuple[Node, str]) -> None:
    node, url = server
    async with RawClient(url) as client:
        await client.send("40")
        assert (await client.frame()).startswith("44")
        assert (await client.ask(1, "joinSession", "desk"))["ok"]
    await nothing_is_left(node)


@pytest.mark.parametrize("namespace", ["/admin", "/*", "/x?y=1"])
async def test_there_is_no_other_namespace(server: tuple[Node, str], namespace: str) -> None:
    node, url = server
    async with RawClient(url, connect=False) as client:
        await client.send(f"40{namespace},")
        assert (await client.frame()).startswith(f"44{namespace.partition('?')[0]},")
    await nothing_is_left(node)


async def test_an_event_before_connect_ends_the_connection(server: tuple[Node, str]) -> None:
    node, url = server
    async with RawClient(url, connect=False) as client:
        await client.send('421["sendMessage",{"sessionId":"desk","content":"early"}]')
        await client.closed()
    async with RawClient(url) as client:
        log = (await client.ask(1, "joinSession", "desk"))["entries"]
        assert all(entry["content"] == "hello" for entry in log)
    await nothing_is_left(node)


async def test_who_never_connects_is_cut(
    server: tuple[Node, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatops.realtime.server._CONNECT_WITHIN_S", 0.2)
    node, url = server
    async with RawClient(url, connect=False) as client:
        await client.closed(within_s=5)
    await nothing_is_left(node)


@pytest.mark.parametrize(
    "auth", [[], "x", 5, {"name": 5}, {"name": "\u200b"}, {"clientId": "한"}, {"name": "x" * 500}]
)
async def test_an_odd_auth_lets_nobody_in_as_somebody_else(
    server: tuple[Node, str], auth: object
) -> None:
    node, url = server
    async with RawClient(url, connect=False) as client:
        await client.send("40" + json.dumps(auth))
        answer = await client.frame()
        if isinstance(auth, dict):
            assert answer.startswith("44")
            assert json.loads(answer[2:])["data"]["code"] == "bad_payload"
            assert node.server.connected == 0
        else:  # as good as none: a guest
            assert answer.startswith("40")
    await nothing_is_left(node)


async def test_a_fault_in_the_connect_handler_lets_nobody_in(
    server: tuple[Node, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, url = server

    def broken(*_arguments: object) -> None:
        raise RuntimeError("the cause, which stays in the log")

    monkeypatch.setattr("chatops.realtime.server.local_person", broken)
    async with RawClient(url, connect=False) as client:
        await client.send("40")
        answer = await client.frame()
        assert answer.startswith("44")
        assert "cause" not in answer
        assert node.server.connected == 0
        await client.send('421["joinSession","desk"]')
        await client.closed()
    await nothing_is_left(node)


async def test_unasked_acks_and_a_disconnect_packet_do_no_harm(server: tuple[Node, str]) -> None:
    node, url = server
    async with RawClient(url) as client:
        await client.send('4317["nobody asked"]')
        assert (await client.ask(1, "joinSession", "desk"))["ok"]
        await client.send("41")
        await until(lambda: node.server.connected == 0, 5, "the packet disconnects")
        await client.send("40")
        assert (await client.frame()).startswith("40")
        assert (await client.ask(2, "joinSession", "desk"))["ok"]
    await nothing_is_left(node)


async def poll_open(http: aiohttp.ClientSession, url: str) -> str:
    async with http.get(f"{url}{PATH}?EIO=4&transport=polling") as response:
        sid: str = json.loads((await response.text())[1:])["sid"]
        return sid


@pytest.mark.parametrize(
    "body",
    ["", "x", "9", "4", "\x1e".join(["3"] * 17), 'd=42["joinSession","desk"]', "bAAAA", "\udcff"],
)
async def test_a_bad_post_ends_its_polling_client_alone(
    server: tuple[Node, str], body: str
) -> None:
    node, url = server
    async with aiohttp.ClientSession() as http:
        sid = await poll_open(http, url)
        where = f"{url}{PATH}?EIO=4&transport=polling&sid={sid}"
        async with http.post(where, data=body.encode(errors="surrogateescape")) as response:
            assert response.status == 400
        await until(lambda: sid not in node.server.eio.sockets, 5, "the client is forgotten")
    await neighbour_is_well(url)
    await nothing_is_left(node)


async def test_jsonp_and_foreign_origins_are_refused(server: tuple[Node, str]) -> None:
    node, url = server
    async with aiohttp.ClientSession() as http:
        sid = await poll_open(http, url)
        where = f"{url}{PATH}?EIO=4&transport=polling"
        async with http.post(f"{where}&sid={sid}&j=0", data='d=42["x"]') as response:
            assert response.status == 400
        async with http.get(where, headers={"Origin": "https://evil.example"}) as response:
            assert response.status == 400
        async with http.post(f"{where}&sid={sid}", data="1"):
            pass
    await nothing_is_left(node)


async def test_a_probe_that_is_never_finished_leaves_polling_alive(
    server: tuple[Node, str],
) -> None:
    node, url = server
    async with aiohttp.ClientSession() as http:
        sid = await poll_open(http, url)
        polling = f"{url}{PATH}?EIO=4&transport=polling&sid={sid}"
        socket = f"{url}{PATH}?EIO=4&transport=websocket&sid={sid}"
        async with http.post(polling, data="40"):
            pass
        async with http.get(polling) as response:
            assert (await response.text()).startswith("40")
        ws = await http.ws_connect(socket)
        await ws.send_str("2probe")
        assert (await ws.receive_str()) == "3probe"
        await ws.close()
        async with http.post(polling, data='421["joinSession","desk"]'):
            pass
        async with asyncio.timeout(5):
            text = ""
            while "431" not in text:
                async with http.get(polling) as response:
                    text += await response.text()
        async with http.post(polling, data="1"):
            pass
    await nothing_is_left(node)


async def test_a_socket_cut_at_any_stage_leaves_nothing(server: tuple[Node, str]) -> None:
    node, url = server
    for frames in ([], ["40"], ["40", '421["joinSession","desk"]'], ["2probe"]):
        client = RawClient(url, connect=False)
        await client.__aenter__()
        for frame in frames:
            await client.send(frame)
        client.ws._response.connection.transport.abort()  # type: ignore[union-attr]  # a cable cut
        await client._http.close()
    await nothing_is_left(node)

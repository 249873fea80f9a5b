"""One event to many members: in order, whole and once, on whatever way each is connected."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import socketio
from engineio.payload import Payload

from chatops.bootstrap import Node
from tests.support.inprocess import leftovers, running_node
from tests.support.raw import PATH, RawClient
from tests.support.waiting import until

ROOM = "session:desk"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[tuple[Node, str]]:
    async with running_node(tmp_path) as running:
        yield running


async def emit(node: Node, number: int, text: str = "") -> None:
    await node.server.emit("message", {"number": number, "text": text}, room=ROOM)


async def numbers(client: RawClient, count: int) -> list[int]:
    return [(await client.event("message"))["number"] for _ in range(count)]


@pytest.mark.parametrize("length", [0, 125, 126, 65_535, 65_536])
async def test_a_frame_of_any_length_arrives_whole(server: tuple[Node, str], length: int) -> None:
    node, url = server
    async with RawClient(url) as client:
        await client.ask(1, "joinSession", "desk")
        around = len('42["message",{"number":1,"text":""}]')
        text = "x" * max(length - around, 0)
        await emit(node, 1, text)
        assert (await client.event("message"))["text"] == text


async def test_what_is_no_json_is_refused_where_it_is_made(server: tuple[Node, str]) -> None:
    node, url = server
    async with RawClient(url) as client:
        await client.ask(1, "joinSession", "desk")
        with pytest.raises(TypeError):
            await node.server.emit("message", {"number": 0, "text": b"binary"}, room=ROOM)
        await emit(node, 1)
        assert await numbers(client, 1) == [1]


async def test_text_of_every_plane_arrives_as_it_is(server: tuple[Node, str]) -> None:
    node, url = server
    text = "삼성전자 📈 \u2028 \x00 é \U0001f9d1\u200d\U0001f680"
    async with RawClient(url) as client:
        await client.ask(1, "joinSession", "desk")
        await emit(node, 1, text)
        assert (await client.event("message"))["text"] == text


def listen(node: Node) -> list[bytes]:
    """Return the list in which the writes to the only peer will stand."""
    (peer,) = node.server.sockets.peers.values()
    writes: list[bytes] = []
    listening: Any = _Listening(peer.transport, writes)
    peer.transport = listening
    return writes


@asynccontextmanager
async def at_desk(node: Node, url: str) -> AsyncIterator[tuple[RawClient, list[bytes]]]:
    """A member to whom nothing more is due, and what is written to it from now on."""
    async with RawClient(url) as client:
        await client.ask(1, "joinSession", "desk")
        await client.event("presence")
        yield client, listen(node)


async def test_events_of_one_turn_leave_in_one_write(server: tuple[Node, str]) -> None:
    node, url = server
    async with RawClient(url) as client:
        await client.ask(1, "joinSession", "desk")
        writes = listen(node)
        for number in range(10):
            await emit(node, number)
        assert await numbers(client, 10) == list(range(10))
        assert len(writes) == 1


async def test_a_message_and_its_ack_leave_in_one_write(server: tuple[Node, str]) -> None:
    node, url = server
    async with at_desk(node, url) as (client, writes):
        ack = await client.ask(2, "sendMessage", {"sessionId": "desk", "content": "hello"})
        assert ack["ok"]
        (write,) = writes
        assert write.index(b'42["message"') < write.index(b"432[")


async def test_answers_to_what_arrived_together_leave_in_one_write(
    server: tuple[Node, str],
) -> None:
    node, url = server
    async with at_desk(node, url) as (client, writes):
        (peer,) = node.server.sockets.peers.values()
        asked = [f'42{number}["leaveSession","elsewhere"]'.encode() for number in range(2, 7)]
        peer.data_received(b"".join(bytes((0x81, 0x80 | len(a))) + bytes(4) + a for a in asked))
        for number in range(2, 7):
            assert (await client.ack(number))["ok"]
        assert len(writes) == 1


async def delta(node: Node, index: int, room: str = ROOM) -> None:
    await node.server.emit("messageDelta", {"index": index, "delta": "word "}, room=room)


async def test_streamed_text_waits_for_more_of_its_kind(server: tuple[Node, str]) -> None:
    node, url = server
    async with at_desk(node, url) as (client, writes):
        for index in range(8):
            await delta(node, index)
            await asyncio.sleep(0.001)
        heard = [(await client.event("messageDelta"))["index"] for _ in range(8)]
        assert heard == list(range(8))
        assert len(writes) <= 3  # 8 ms in steps of 20, on a machine that may be busy


@pytest.mark.parametrize("overtaker", ["event", "whisper", "ack", "leaving"])
async def test_nothing_of_its_room_overtakes_streamed_text(
    server: tuple[Node, str], overtaker: str
) -> None:
    node, url = server
    async with at_desk(node, url) as (client, writes):
        (connection,) = node.server.connections().values()
        await delta(node, 1)
        if overtaker == "event":
            await emit(node, 2)
        elif overtaker == "whisper":
            node.server.whisper(connection.id, "message", {"number": 2})
        elif overtaker == "ack":
            await client.ask(2, "completeCommand", {"sessionId": "desk", "text": "/he"})
        else:
            await client.ask(2, "leaveSession", "desk")
            await delta(node, 2)
        await until(lambda: len(writes) > 0, 5, "something is written")
        await asyncio.sleep(0.05)
        whole = b"".join(writes)
        assert whole.count(b"messageDelta") == 1
        after = {"event": b'"number":2', "whisper": b'"number":2'}.get(overtaker, b"432[")
        assert whole.index(b"messageDelta") < whole.index(after)


async def test_streamed_text_of_one_room_does_not_hurry_for_another(
    server: tuple[Node, str],
) -> None:
    node, url = server
    async with RawClient(url) as client:
        await client.ask(1, "joinSession", "desk")
        await client.ask(2, "joinSession", "attic")
        await client.event("presence")
        await client.event("presence")
        writes = listen(node)
        await delta(node, 1, "session:attic")
        await emit(node, 2)
        await until(lambda: len(writes) == 2, 5, "both are written")
        assert b'"number":2' in writes[0]
        assert b"messageDelta" in writes[1]


class _Listening:
    """A transport that notes its writes."""

    def __init__(self, transport: Any, writes: list[bytes]) -> None:
        self._transport = transport
        self._writes = writes

    def write(self, data: bytes) -> None:
        self._writes.append(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


async def test_acks_and_whispers_do_not_overtake_the_room(server: tuple[Node, str]) -> None:
    node, url = server
    async with RawClient(url) as client:
        await client.ask(1, "joinSession", "desk")
        (connection,) = node.server.connections().values()
        for number in range(0, 30, 3):
            await emit(node, number)
            node.server.whisper(connection.id, "message", {"number": number + 1})
            await emit(node, number + 2)
        assert await numbers(client, 30) == list(range(30))


async def test_who_enters_hears_nothing_from_before_and_who_left_nothing_after(
    server: tuple[Node, str],
) -> None:
    node, url = server
    async with RawClient(url) as stays, RawClient(url) as goes:
        await stays.ask(1, "joinSession", "desk")
        await goes.ask(1, "joinSession", "desk")
        leaving = next(c for c in node.server.connections().values() if not c.serving and c.person)
        await emit(node, 1)
        await node.server.leave_room(leaving.id, ROOM)
        await emit(node, 2)
        await node.server.enter_room(leaving.id, ROOM)
        await emit(node, 3)
        heard = [await numbers(client, 2) for client in (stays, goes)]
        assert sorted(heard) == [[1, 2], [1, 3]]


async def test_polling_upgrading_and_websocket_members_see_one_order(
    server: tuple[Node, str],
) -> None:
    node, url = server
    count = 300
    heard: dict[str, list[int]] = {"polling": [], "upgrading": [], "websocket": []}
    ways = {
        "polling": ["polling"],
        "upgrading": ["polling", "websocket"],
        "websocket": ["websocket"],
    }
    clients = []

    async def talk() -> None:
        for number in range(count):
            await emit(node, number)
            await asyncio.sleep(0.001)

    talking = None
    for way, transports in ways.items():
        client = socketio.AsyncClient(reconnection=False)
        client.on("message", lambda m, way=way: heard[way].append(m["number"]))
        await client.connect(url, socketio_path="/ws/chatops", transports=transports)
        await client.call("joinSession", "desk")
        clients.append(client)
        if talking is None:
            talking = asyncio.get_running_loop().create_task(talk())
    assert talking is not None
    await talking
    await until(
        lambda: all(seen and seen[-1] == count - 1 for seen in heard.values()), 20, str(heard)
    )
    for seen in heard.values():
        assert seen == list(range(seen[0], count))
    assert len(heard["polling"]) == count
    for client in clients:
        await client.disconnect()


async def test_a_member_that_upgrades_in_a_burst_misses_nothing(server: tuple[Node, str]) -> None:
    node, url = server
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{url}{PATH}?EIO=4&transport=polling") as response:
            sid = json.loads((await response.text())[1:])["sid"]
        polling = f"{url}{PATH}?EIO=4&transport=polling&sid={sid}"
        heard: list[int] = []

        def take(text: str) -> None:
            for packet in text.split("\x1e"):
                if packet.startswith('42["message"'):
                    heard.append(json.loads(packet[2:])[1]["number"])

        async def poll() -> None:
            async with http.get(polling) as response:
                take(await response.text())

        async with http.post(polling, data='40\x1e421["joinSession","desk"]'):
            pass
        await poll()
        await poll()
        await emit(node, 0)
        ws = await http.ws_connect(f"{url}{PATH}?EIO=4&transport=websocket&sid={sid}")
        parked = asyncio.get_running_loop().create_task(poll())
        await emit(node, 1)
        await ws.send_str("2probe")
        assert await ws.receive_str() == "3probe"
        await emit(node, 2)
        await parked
        await emit(node, 3)
        await ws.send_str("5")
        await emit(node, 4)
        while heard[-1:] != [4]:
            take(await ws.receive_str(timeout=5))
        assert heard == [0, 1, 2, 3, 4]
        await ws.close()


async def test_a_poll_brings_no_more_than_python_clients_read_in_one(
    server: tuple[Node, str],
) -> None:
    node, url = server
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{url}{PATH}?EIO=4&transport=polling") as response:
            sid = json.loads((await response.text())[1:])["sid"]
        polling = f"{url}{PATH}?EIO=4&transport=polling&sid={sid}"

        async def poll() -> list[str]:
            async with http.get(polling) as response:
                return (await response.text()).split("\x1e")

        async with http.post(polling, data='40\x1e420["joinSession","desk"]'):
            pass
        while not (await poll())[-1].startswith('42["presence"'):
            pass
        for number in range(100):
            await emit(node, number)
        polled = [await poll() for _ in range(3)]
        assert [len(packets) for packets in polled] == [Payload.max_decode_packets] * 3

        ws = await http.ws_connect(f"{url}{PATH}?EIO=4&transport=websocket&sid={sid}")
        await ws.send_str("2probe")
        assert await ws.receive_str() == "3probe"
        await ws.send_str("5")
        rest = [await ws.receive_str(timeout=5) for _ in range(100 - 48)]
        heard = [json.loads(packet[2:])[1]["number"] for packet in chain(*polled, rest)]
        assert heard == list(range(100))
        await ws.close()


async def test_members_that_stop_reading_are_cut_and_the_others_get_everything(
    server: tuple[Node, str],
) -> None:
    node, url = server
    readers = [RawClient(url) for _ in range(20)]
    deaf = [RawClient(url) for _ in range(3)]
    for client in (*readers, *deaf):
        await client.__aenter__()
        await client.ask(1, "joinSession", "desk")
    for client in deaf:  # they hold their sockets open and take nothing from them
        client.ws._response.connection.transport.pause_reading()  # type: ignore[union-attr]
    count, text = 400, "x" * 20_000
    reading = [asyncio.get_running_loop().create_task(numbers(c, count)) for c in readers]
    for number in range(count):
        await emit(node, number, text)
        await asyncio.sleep(0)
    assert await asyncio.gather(*reading) == [list(range(count))] * len(readers)
    await until(lambda: node.server.sockets.slow_cut == len(deaf), 10, "the deaf are cut")
    await until(lambda: node.server.connected == len(readers), 10, "and forgotten")
    for client in (*readers, *deaf):
        await client._http.close()
    await until(lambda: not any(leftovers(node).values()), 10, "nothing is left")


async def test_who_answers_pings_but_takes_nothing_is_cut_too(tmp_path: Path) -> None:
    async with running_node(tmp_path) as (node, url):
        node.server.sockets._stall_s = 1.0
        async with RawClient(url) as client:
            await client.ask(1, "joinSession", "desk")
            transport: Any = client.ws._response.connection.transport  # type: ignore[union-attr]
            transport.pause_reading()
            # More than the sockets' buffers take, less than the limit on waiting bytes.
            (peer,) = node.server.sockets.peers.values()
            while peer.transport.get_write_buffer_size() < 100_000:
                await emit(node, 0, "x" * 50_000)
                await asyncio.sleep(0)
            for _ in range(100):
                if node.server.sockets.slow_cut:
                    break
                await client.ws.send_str("3")
                await asyncio.sleep(0.1)
            assert node.server.sockets.slow_cut == 1


async def test_a_member_whose_socket_dies_in_a_broadcast_hurts_nobody(
    server: tuple[Node, str],
) -> None:
    node, url = server
    clients = [RawClient(url) for _ in range(10)]
    for client in clients:
        await client.__aenter__()
        await client.ask(1, "joinSession", "desk")
    *staying, dying, leaving = clients
    reading = [asyncio.get_running_loop().create_task(numbers(c, 200)) for c in staying]
    for number in range(200):
        await emit(node, number)
        if number == 50:
            dying.ws._response.connection.transport.abort()  # type: ignore[union-attr]
        if number == 100:
            await leaving.ws.close()
        await asyncio.sleep(0)
    assert await asyncio.gather(*reading) == [list(range(200))] * len(staying)
    for client in clients:
        await client._http.close()
    await until(lambda: not any(leftovers(node).values()), 10, "nothing is left")


async def test_rooms_that_share_a_member_are_told_in_one_turn(server: tuple[Node, str]) -> None:
    node, url = server
    async with RawClient(url) as both, RawClient(url) as desk, RawClient(url) as hall:
        for number, (client, room) in enumerate(
            [(both, "desk"), (both, "hall"), (desk, "desk"), (hall, "hall")], start=1
        ):
            await client.ask(number, "joinSession", room)
        for number, room in enumerate(["desk", "hall", "desk", "hall"]):
            await node.server.emit("message", {"number": number}, room=f"session:{room}")
        assert await numbers(both, 4) == [0, 1, 2, 3]
        assert await numbers(desk, 2) == [0, 2]
        assert await numbers(hall, 2) == [1, 3]

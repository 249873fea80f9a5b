"""What the realtime face leans on inside its libraries; a test fails when an upgrade changes it.

Each test names one inner thing that ``realtime/`` uses and checks what it does today.
"""

import asyncio
import inspect
import re
from typing import Any

import engineio
import socketio
from aiohttp import web
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
from aiohttp.http_writer import StreamWriter
from aiohttp.web_protocol import RequestHandler
from engineio.async_drivers import aiohttp as driver
from engineio.async_socket import AsyncSocket
from socketio.async_manager import AsyncManager
from socketio.base_manager import BaseManager

from chatops.protocol import strictjson
from chatops.realtime.guard import StrictPacket


def source(thing: Any) -> str:
    return inspect.getsource(thing)


def test_engineio_takes_its_transports_from_a_dictionary_of_the_server() -> None:
    server = engineio.AsyncServer(async_mode="aiohttp")
    assert server._async["websocket"] is driver.WebSocket
    assert server._async["translate_request"] is driver.translate_request
    assert (
        "self.server._async['websocket'](\n            self._websocket_handler, self.server)"
        in (source(AsyncSocket._upgrade_websocket))
    )
    assert "inspect.iscoroutinefunction(translate_request)" in source(server.handle_request)


def test_an_engineio_socket_has_the_flags_and_the_queue_that_we_set() -> None:
    socket = AsyncSocket(engineio.AsyncServer(async_mode="aiohttp"), "x")
    flags = ("connected", "upgraded", "upgrading", "closing", "closed")
    assert [getattr(socket, flag) for flag in flags] == [False] * 5
    assert isinstance(socket.queue, asyncio.Queue)
    assert socket.last_ping


def test_engineio_pings_only_while_last_ping_is_set_and_times_out_by_it() -> None:
    assert "if self.last_ping:" in source(AsyncSocket.schedule_ping)
    assert "if last_ping and time.time() - last_ping" in source(AsyncSocket.check_ping_timeout)


def test_none_in_the_queue_ends_a_poll() -> None:
    assert "if packets == [None]:\n            return []" in source(AsyncSocket.poll)


def test_a_poll_asks_of_the_queue_what_its_replacement_can_do() -> None:
    asked = set(re.findall(r"self\.queue\.(\w+)", source(AsyncSocket.poll)))
    assert asked == {"get", "get_nowait", "put_nowait", "task_done"}
    # A poll that is there already may meet the replacement, after its one ``get``.
    assert source(AsyncSocket.poll).count("self.queue.get()") == 1


def test_a_server_makes_the_queue_of_a_socket() -> None:
    server = engineio.AsyncServer(async_mode="aiohttp")
    server.create_queue = lambda: "a queue"
    assert AsyncSocket(server, "x").queue == "a queue"


def test_a_socket_is_marked_as_closing_before_anybody_hears_of_it() -> None:
    closing = source(AsyncSocket.close)
    assert closing.index("self.closing = True") < closing.index("'disconnect'")


def test_monitoring_can_be_switched_off() -> None:
    server = engineio.AsyncServer(async_mode="aiohttp", monitor_clients=False)
    assert server.start_service_task is False


def test_socketio_calls_the_doors_that_we_replace() -> None:
    server = socketio.AsyncServer(async_mode="aiohttp")
    handlers = server.eio.handlers
    assert handlers["connect"] == server._handle_eio_connect
    assert handlers["message"] == server._handle_eio_message
    assert handlers["disconnect"] == server._handle_eio_disconnect
    assert server.packet_class is not StrictPacket
    packet = socketio.AsyncServer(serializer=StrictPacket, json=strictjson).packet_class
    assert packet is StrictPacket
    assert packet.json is strictjson


def test_a_manager_registers_and_forgets_without_waiting() -> None:
    for name in ("pre_connect", "connect", "basic_disconnect", "basic_enter_room"):
        assert not inspect.iscoroutinefunction(getattr(BaseManager, name))
    assert "basic_enter_room" in source(AsyncManager.enter_room)
    assert "basic_leave_room" in source(AsyncManager.leave_room)


async def test_a_room_of_the_manager_maps_connections_to_engine_ids() -> None:
    manager = AsyncManager()
    server = socketio.AsyncServer(client_manager=manager, namespaces=["/"])
    assert server.manager is manager
    sid = BaseManager.pre_connect(manager, "engine-id", "/")
    BaseManager.connect(manager, sid, "/")
    assert manager.is_connected(sid, "/")
    await manager.enter_room(sid, "/", "session:x")
    assert list(manager.rooms["/"]["session:x"].values()) == ["engine-id"]
    assert sid in manager.rooms["/"][sid]
    assert BaseManager.pre_connect(manager, "engine-id", "/") is None
    manager.basic_disconnect(sid, "/")
    assert not manager.is_connected(sid, "/")


async def test_the_parser_of_aiohttp_gives_messages_to_a_queue_of_ours() -> None:
    got: list[tuple[Any, int]] = []
    errors: list[BaseException] = []

    class Queue(WebSocketDataQueue):
        def feed_data(self, data: Any, size: int) -> None:
            got.append((data, size))

        def set_exception(self, exc: BaseException, exc_cause: Any = None) -> None:
            errors.append(exc)

    queue = Queue(None, 2**16, loop=asyncio.get_running_loop())  # type: ignore[arg-type]  # unused
    parser = WebSocketReader(queue, 100, False, True)
    parser.feed_data(b"\x81\x82\0\0\0\0hi" + b"\x81\x81\0\0\0\0!")
    assert [message.data for message, _ in got] == ["hi", "!"]
    parser.feed_data(b"\x81\xfe\x10\x00\0\0\0\0")
    assert errors


def test_aiohttp_lets_go_of_a_connection_in_the_way_that_we_ask() -> None:
    lost = source(RequestHandler.connection_lost)
    assert "self._manager.connection_lost(self, exc)" in lost
    assert "if self._payload_parser is not None" in lost
    assert "if self.transport is not None:\n                self.transport.close()" in (
        source(RequestHandler.start)
    )
    assert "feed_data(self._message_tail)" in source(RequestHandler.set_parser)
    assert web.StreamResponse._length_check is True


def test_a_handler_has_what_follows_its_request_and_a_closed_connection_takes_no_answer() -> None:
    assert {"_messages", "_message_tail"} <= set(RequestHandler.__slots__)
    assert "transport.is_closing():\n            raise ClientConnectionResetError" in source(
        StreamWriter._write
    )

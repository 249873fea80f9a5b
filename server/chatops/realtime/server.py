"""The Socket.IO server: connections, the order of a client's events, and an answer to each.

It replaces the parts of python-socketio that leave a client without an answer, run one client's
events side by side, or let somebody in when the connect handler fails; see
``docs/topics/hostile-frames.md``.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from typing import Any

import socketio
import structlog
from aiohttp import web
from engineio import packet as engine_packet
from pydantic import ValidationError
from socketio import packet

from chatops.access.identity import local_person
from chatops.access.rates import PersonRates, Rate, TokenBucket
from chatops.errors import (
    AppError,
    BadPayloadError,
    InternalError,
    NotFoundError,
    ShuttingDownError,
)
from chatops.protocol import strictjson
from chatops.protocol.requests import Auth
from chatops.realtime.connection import INBOX, Connection, Turn
from chatops.realtime.fanout import FanoutManager
from chatops.realtime.frames import text_frame
from chatops.realtime.guard import BadEvent, FrameError, StrictPacket, parse
from chatops.realtime.peer import Peer
from chatops.realtime.serving import EventHandler, Serving, wire_error
from chatops.realtime.transport import Sockets
from chatops.realtime.wording import payload_error
from chatops.tasks import Supervisor

log = structlog.get_logger(__name__)

PATH = "/ws/chatops"

_CONNECT_WITHIN_S = 10.0


class ChatServer(socketio.AsyncServer):  # type: ignore[misc]  # the library is not typed
    """python-socketio with our guards in front of its doors."""

    def __init__(
        self,
        supervisor: Supervisor,
        *,
        rate: Rate | None,
        people: PersonRates | None = None,
        cors_origins: tuple[str, ...] = (),
        max_waiting_bytes: int = 2**20,
        stall_s: float = 5.0,
        **engine_options: Any,
    ) -> None:
        quiet = logging.getLogger("chatops.socketio")
        quiet.setLevel(logging.CRITICAL)  # it logs payloads and tracebacks; we log what matters
        super().__init__(
            serializer=StrictPacket,
            json=strictjson,
            logger=quiet,
            engineio_logger=quiet,
            namespaces=["/"],
            client_manager=FanoutManager(),
            monitor_clients=False,  # our own heartbeat does it, without a task for each client
            cors_allowed_origins=_origins(cors_origins),
            **engine_options,
        )
        self._supervisor = supervisor
        self._rate = rate
        self._serving = Serving(supervisor, self, people)
        self._connections: dict[str, Connection] = {}
        self._without_connect: dict[str, asyncio.TimerHandle] = {}
        self._beating = False
        self.refused_frames = 0
        self.sockets = Sockets(
            self.eio, self, supervisor.start, max_waiting_bytes=max_waiting_bytes, stall_s=stall_s
        )
        self.manager.sockets = self.sockets

    def attach_to(self, app: web.Application, handler: EventHandler) -> None:
        """Serve :data:`PATH` of the application and give events to ``handler``."""
        self._serving.handler = handler
        for path in (PATH, PATH + "/"):
            app.router.add_route("*", path, self.eio.handle_request)

    @property
    def connected(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    def connections(self) -> dict[str, Connection]:
        """Return the connections by Engine.IO id."""
        return self._connections

    def refuse(self) -> None:
        """Refuse new connections and events from now on."""
        self._serving.closing = True

    async def drain(self, grace_s: float) -> None:
        """Refuse new events, let those in hand end, then close every socket.

        Sockets are closed in the way after which JavaScript clients reconnect by themselves.
        """
        self.refuse()
        if busy := {task for c in self._connections.values() for task in c.busy}:
            await asyncio.wait(busy, timeout=grace_s)
        self.manager.flush()
        for engine_id in list(self.eio.sockets):
            await self.sockets.cut(engine_id)
        await self.shutdown()

    # ------------------------------------------------- doors of the library

    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        # The library would keep the request for as long as the socket lives.
        if not self._beating:
            self._beating = True
            self.manager.initialize()
            self._supervisor.start(self.sockets.beat(), "heartbeat")
        if environ.get("HTTP_UPGRADE", "").lower() == "websocket":
            self.eio.sockets[eio_sid].last_ping = None  # our heartbeat pings WebSockets
        self._expect_connect(eio_sid)

    def received(self, peer: Peer, packet: str) -> None:
        """Take a Socket.IO packet of a WebSocket, in the turn of the loop it arrived in."""
        try:
            turn = self._decode(peer.id, packet)
        except FrameError as error:
            self.violated(peer.id, str(error))
            peer.close()
            return
        if turn is not None:
            self._serving.take(turn)
            connection = turn.connection
            if len(connection.inbox) >= INBOX:
                connection.paused = peer
                peer.pause()

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        """Take a Socket.IO packet of a polling client; returns when its inbox has room."""
        socket = self.eio.sockets.get(eio_sid)
        if socket is None or socket.closing:  # by a frame before this one in the same request
            return
        try:
            turn = self._decode(eio_sid, data)
        except FrameError as error:
            self.violated(eio_sid, str(error))
            await self.sockets.cut(eio_sid)
            return
        if turn is None:
            return
        connection = turn.connection
        while len(connection.inbox) >= INBOX and connection.serving:
            await asyncio.wait([connection.serving])
        if not connection.closed:
            self._serving.take(turn)

    def _decode(self, eio_sid: str, data: Any) -> Turn | None:
        """Act on a packet that is no event; return one that is.

        Raises:
            FrameError: It is not a packet that a client may send now.
        """
        kind, namespace, ack_id, value = parse(data)
        if kind == packet.CONNECT:
            self._connect(eio_sid, namespace, value)
        elif namespace != "/":
            raise FrameError("a packet for a namespace that is not connected")
        elif kind == packet.DISCONNECT:
            if self._part(eio_sid):
                self._expect_connect(eio_sid)
        elif kind == packet.EVENT:
            connection = self._connections.get(eio_sid)
            if connection is None:
                raise FrameError("an event before the connection was made")
            if isinstance(value, BadEvent):
                return Turn(self._serving, connection, "", None, ack_id, refused=value.reason)
            payload = value[1] if len(value) > 1 else None
            return Turn(self._serving, connection, value[0], payload, ack_id)
        return None  # acks are for callbacks, of which we ask none

    def _connect(self, eio_sid: str, namespace: str, auth: Any) -> None:
        try:
            if namespace != "/" or eio_sid in self._connections:
                raise NotFoundError("There is only one namespace, /.", "Connect to it, once.")
            connection = self._admit(eio_sid, auth)
        except Exception as error:  # whatever goes wrong, nobody is let in by it
            if not isinstance(error, AppError):
                log.exception("connect_failed")
                error = InternalError("The server could not let you in.", "Try again.")
            data = {"message": error.message, "data": {"code": error.code, "hint": error.hint}}
            refusal = StrictPacket(packet.CONNECT_ERROR, data, namespace=namespace)
            self._send(eio_sid, f"4{refusal.encode()}".encode())
            return
        if timer := self._without_connect.pop(eio_sid, None):
            timer.cancel()
        self._connections[eio_sid] = connection
        self._send(eio_sid, b"40" + strictjson.encode({"sid": connection.id}))

    def _send(self, eio_sid: str, message: bytes) -> None:
        """Send an Engine.IO message to one client, after what its rooms were told before."""
        self.manager.flush()
        peer = self.sockets.peers.get(eio_sid)
        if peer is not None and peer.live:
            peer.write(text_frame(message))
        elif (socket := self.eio.sockets.get(eio_sid)) is not None and not socket.closed:
            text = message[1:].decode()
            socket.queue.put_nowait(engine_packet.Packet(engine_packet.MESSAGE, text))

    def _part(self, eio_sid: str) -> bool:
        """Part with the connection of a socket, at once; return whether there was one."""
        connection = self._connections.pop(eio_sid, None)
        if connection is None:
            return False
        connection.closed = True
        connection.inbox.clear()
        if connection.paused is not None:
            connection.paused.resume()
        self.manager.unregister(connection.id)
        handler = self._serving.handler
        assert handler is not None  # noqa: S101 - attached before anybody connects
        if connection.serving is None:
            handler.gone(connection)
        else:  # the event in hand may just be joining a room; what it joined is left afterwards
            connection.serving.add_done_callback(lambda _task: handler.gone(connection))
        return True

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        if timer := self._without_connect.pop(eio_sid, None):
            timer.cancel()
        self._part(eio_sid)
        self.sockets.ended(eio_sid)

    # ------------------------------------------------- answers

    def ack(self, connection: Connection, ack_id: int | None, ack: dict[str, Any]) -> None:
        """Answer an event, if its sender asked for that and is still there."""
        if ack_id is not None and not connection.closed:
            message = b"43%d" % ack_id + strictjson.encode([ack])
            self.manager.answer(connection.id, connection.engine_id, message)

    def whisper(self, connection_id: str, event: str, payload: dict[str, Any]) -> None:
        """Send an event to one connection."""
        self.manager.show(connection_id, event, strictjson.encode(payload))

    # ------------------------------------------------- admission

    def _admit(self, eio_sid: str, auth: Any) -> Connection:
        if self._serving.closing:
            raise ShuttingDownError("The server is going away.", "Reconnect in a moment.")
        try:
            who = Auth.model_validate(auth if isinstance(auth, dict) else {})
        except ValidationError as error:
            raise payload_error(error) from None
        person = local_person(who.name, who.client_id, secrets.token_hex(6))
        bucket = TokenBucket(self._rate, time.monotonic()) if self._rate else None
        connection_id = self.manager.register(eio_sid)
        return Connection(id=connection_id, engine_id=eio_sid, person=person, bucket=bucket)

    def _expect_connect(self, eio_sid: str) -> None:
        self._without_connect[eio_sid] = self._call_later(
            _CONNECT_WITHIN_S, self._give_up_waiting, eio_sid
        )

    def _give_up_waiting(self, eio_sid: str) -> None:
        self._without_connect.pop(eio_sid, None)
        self._supervisor.start(self.sockets.cut(eio_sid), "no CONNECT")

    def violated(self, eio_sid: str, reason: str) -> None:
        """Count and log a frame that is not of the protocol, and say so to its sender."""
        self.refused_frames += 1
        log.warning("frame_refused", reason=reason, count=self.refused_frames)
        if eio_sid in self._connections:
            error = BadPayloadError(
                f"The connection is closed: {reason}.",
                "Use a Socket.IO 5 client, text frames only.",
            )
            wire = wire_error(error, f"req_{secrets.token_hex(6)}", None).to_wire()
            self._send(eio_sid, b"42" + strictjson.encode(["error", wire]))

    @staticmethod
    def _call_later(delay_s: float, call: Callable[..., None], *args: Any) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(delay_s, call, *args)


def _origins(listed: tuple[str, ...]) -> list[str] | str | None:
    # To the library an empty list means that every page may connect; None means its own only.
    if "*" in listed:
        return "*"
    return list(listed) or None

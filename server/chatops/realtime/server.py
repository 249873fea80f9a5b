"""The Socket.IO server: connections, the order of a client's events, and an answer to each.

It replaces the parts of python-socketio that leave a client without an answer, run one client's
events side by side, or let somebody in when the connect handler fails; see
``docs/topics/hostile-frames.md``.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

import socketio
import structlog
from aiohttp import web
from engineio import packet as engine_packet
from pydantic import ValidationError
from socketio import packet

from chatops.access.identity import local_person
from chatops.access.rates import Rate, TokenBucket
from chatops.errors import (
    AppError,
    BadPayloadError,
    InternalError,
    NotFoundError,
    RateLimitedError,
    ShuttingDownError,
    UnknownEventError,
)
from chatops.logs import about
from chatops.protocol import strictjson
from chatops.protocol.events import WireError
from chatops.protocol.requests import Auth, ErrorAck
from chatops.realtime.connection import INBOX, Connection, Incoming
from chatops.realtime.fanout import FanoutManager
from chatops.realtime.guard import RESERVED, BadEvent, FrameError, StrictPacket
from chatops.realtime.peer import Peer
from chatops.realtime.transport import Sockets
from chatops.realtime.wording import payload_error
from chatops.tasks import Supervisor

log = structlog.get_logger(__name__)

PATH = "/ws/chatops"

_CONNECT_WITHIN_S = 10.0

# A refused event costs its sender this much time, so that one client that floods the server takes
# at most 50 answers a second from it, and TCP holds the rest back.
_REFUSAL_COSTS_S = 0.02

Reply = Callable[[dict[str, Any]], Awaitable[None]]


class EventHandler(Protocol):
    """What the server calls for the events of a connection."""

    async def handle(self, connection: Connection, incoming: Incoming, reply: Reply) -> None:
        """Serve one event and reply once; raises ``AppError`` or ``ValidationError``."""
        ...

    async def gone(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        ...


class ChatServer(socketio.AsyncServer):  # type: ignore[misc]  # the library is not typed
    """python-socketio with our guards in front of its doors."""

    def __init__(
        self,
        supervisor: Supervisor,
        *,
        rate: Rate | None,
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
        self._handler: EventHandler | None = None
        self._connections: dict[str, Connection] = {}
        self._without_connect: dict[str, asyncio.TimerHandle] = {}
        self._closing = False
        self._beating = False
        self.refused_frames = 0
        self.sockets = Sockets(
            self.eio, self, supervisor.start, max_waiting_bytes=max_waiting_bytes, stall_s=stall_s
        )
        self.manager.sockets = self.sockets

    def attach_to(self, app: web.Application, handler: EventHandler) -> None:
        """Serve :data:`PATH` of the application and give events to ``handler``."""
        self._handler = handler
        for path in (PATH, PATH + "/"):
            app.router.add_route("*", path, self.eio.handle_request)

    @property
    def connected(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    def connections(self) -> dict[str, Connection]:
        """Return the connections by Engine.IO id."""
        return self._connections

    async def drain(self, grace_s: float) -> None:
        """Refuse new events, let those in hand end, then close every socket.

        Sockets are closed in the way after which JavaScript clients reconnect by themselves.
        """
        self._closing = True
        if busy := [c.serving for c in self._connections.values() if c.serving]:
            await asyncio.wait(busy, timeout=grace_s)
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
            incoming = self._decode(peer.id, packet)
        except FrameError as error:
            self.violated(peer.id, str(error))
            peer.close()
            return
        if incoming is not None:
            connection = self._connections[peer.id]
            self._put(connection, incoming)
            if len(connection.inbox) >= INBOX:
                connection.paused = peer
                peer.pause()

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        """Take a Socket.IO packet of a polling client; returns when its inbox has room."""
        socket = self.eio.sockets.get(eio_sid)
        if socket is None or socket.closing:  # by a frame before this one in the same request
            return
        try:
            incoming = self._decode(eio_sid, data)
        except FrameError as error:
            self.violated(eio_sid, str(error))
            await self.sockets.cut(eio_sid)
            return
        if incoming is None:
            return
        connection = self._connections[eio_sid]
        while len(connection.inbox) >= INBOX and connection.serving:
            await asyncio.wait([connection.serving])
        if not connection.closed:
            self._put(connection, incoming)

    def _decode(self, eio_sid: str, data: Any) -> Incoming | None:
        """Act on a packet that is no event; return one that is.

        Raises:
            FrameError: It is not a packet that a client may send now.
        """
        pkt = StrictPacket(encoded_packet=data)
        namespace = pkt.namespace or "/"
        if pkt.packet_type == packet.CONNECT:
            self._connect(eio_sid, namespace, pkt.data)
        elif namespace != "/":
            raise FrameError("a packet for a namespace that is not connected")
        elif pkt.packet_type == packet.DISCONNECT:
            if self._part(eio_sid):
                self._expect_connect(eio_sid)
        elif pkt.packet_type == packet.EVENT:
            if eio_sid not in self._connections:
                raise FrameError("an event before the connection was made")
            if isinstance(pkt.data, BadEvent):
                return Incoming("", None, pkt.id, refused=pkt.data.reason)
            return Incoming(pkt.data[0], pkt.data[1] if len(pkt.data) > 1 else None, pkt.id)
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
            peer.send(message)
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
        self._supervisor.start(self._leave_rooms(connection), "disconnect")
        return True

    async def _leave_rooms(self, connection: Connection) -> None:
        # An event in hand may just be joining a room; what it joined is left afterwards.
        if connection.serving:
            await asyncio.wait([connection.serving])
        assert self._handler is not None  # noqa: S101 - attached before anybody connects
        await self._handler.gone(connection)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        if timer := self._without_connect.pop(eio_sid, None):
            timer.cancel()
        self._part(eio_sid)
        self.sockets.ended(eio_sid)

    def _put(self, connection: Connection, incoming: Incoming) -> None:
        connection.inbox.append(incoming)
        if connection.serving is None:
            connection.serving = self._supervisor.start(self._serve_all(connection), "serve")

    # ------------------------------------------------- serving

    async def _serve_all(self, connection: Connection) -> None:
        """Serve a connection's events one after another, until none waits."""
        try:
            while connection.inbox:
                incoming = connection.inbox.pop(0)
                if connection.paused is not None and len(connection.inbox) < INBOX // 2:
                    connection.paused.resume()
                    connection.paused = None
                await self._serve(connection, incoming)
        finally:
            connection.serving = None

    async def _serve(self, connection: Connection, incoming: Incoming) -> None:
        with about(partial(incoming.facts, connection)):
            try:
                self._check(connection, incoming)
                assert self._handler is not None  # noqa: S101 - attached before it is served
                await self._handler.handle(
                    connection, incoming, self._replier(connection, incoming)
                )
            except ValidationError as error:
                await self._refuse(connection, incoming, payload_error(error))
            except AppError as error:
                await self._refuse(connection, incoming, error)
            except Exception:  # the client gets an answer whatever happens
                log.exception("event_failed")
                ours = InternalError(
                    "The server failed to handle this.", "Try again; if it stays, report the id."
                )
                await self._refuse(connection, incoming, ours)

    def _check(self, connection: Connection, incoming: Incoming) -> None:
        if connection.bucket is not None:
            connection.bucket.take(time.monotonic())
        if incoming.refused is not None:
            raise BadPayloadError(incoming.refused, "Send JSON within the limits of this server.")
        if self._closing:
            raise ShuttingDownError(
                "The server is going away.", "Reconnect in a moment.", retry_after_s=2.0
            )
        if incoming.name in RESERVED:
            raise UnknownEventError(
                f'"{incoming.name}" is not an event for clients.', "See the list of events."
            )

    def _replier(self, connection: Connection, incoming: Incoming) -> Reply:
        async def reply(ack: dict[str, Any]) -> None:
            if incoming.ack_id is not None and not connection.closed:
                message = b"43%d" % incoming.ack_id + strictjson.encode([ack])
                self._send(connection.engine_id, message)

        return reply

    async def _refuse(self, connection: Connection, incoming: Incoming, error: AppError) -> None:
        """Tell the sender, and only the sender: in the ack and as an ``error`` event."""
        wire = wire_error(error, incoming.request_id, incoming.payload)
        if error.retryable or isinstance(error, InternalError):
            log.warning("event_refused", code=error.code)
        await self._replier(connection, incoming)(ErrorAck(error=wire).to_wire())
        await self.whisper(connection.id, "error", wire.to_wire())
        if isinstance(error, RateLimitedError | BadPayloadError | UnknownEventError):
            await asyncio.sleep(_REFUSAL_COSTS_S)

    async def whisper(self, connection_id: str, event: str, payload: dict[str, Any]) -> None:
        """Send an event to one connection."""
        await self.manager.emit(event, payload, "/", connection_id)

    # ------------------------------------------------- admission

    def _admit(self, eio_sid: str, auth: Any) -> Connection:
        if self._closing:
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


def wire_error(error: AppError, request_id: str, payload: Any) -> WireError:
    """Return the error as the wire shows it, with the ids its sender can match it by."""
    named = payload if isinstance(payload, dict) else {}
    session_id, key = named.get("sessionId"), named.get("clientMessageId")
    return WireError(
        message=error.message,
        code=error.code,
        hint=error.hint,
        request_id=request_id,
        session_id=session_id if isinstance(session_id, str) and len(session_id) <= 64 else None,
        retry_after_seconds=error.retry_after_s,
        client_message_id=key if isinstance(key, str) and len(key) <= 128 else None,
    )


def _origins(listed: tuple[str, ...]) -> list[str] | str | None:
    # To the library an empty list means that every page may connect; None means its own only.
    if "*" in listed:
        return "*"
    return list(listed) or None

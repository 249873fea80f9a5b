"""A member of a chatops session that loses nothing and doubles nothing.

It uses the public wire alone and needs ``python-socketio`` and ``aiohttp``::

    async with Room("http://127.0.0.1:8500", "desk", name="Mina") as room:
        result = await room.run("/run_backtest sma_crossover AAPL")
        print(result["message"])

How it keeps its promise:

* Every (re)connect joins with ``afterSeq``, the number of the last entry seen, and asks again while
  the ack says ``more``. Entries reach the listener in the order of ``seq``, each once.
* An entry that leaves a hole behind it is held back and the session joined again.
* Messages go out one at a time. Each has a ``clientMessageId`` and is sent with the same one until
  the server acks it, over as many connections as that takes; the server stores it once.
* Pieces of an answer that is being written are told in order and each once, over as many
  connections as that takes, and none after the answer itself.
* It never stops trying to connect, unless the server refuses it by name.
"""

import asyncio
import random
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiohttp
from link import LATER, Link, LinkLostError, Payload, RefusedError, first_of
from streams import Streams, Writing

__all__ = ["Listener", "LogLostError", "Payload", "RefusedError", "Room", "Writing"]

Listener = Callable[[str, Payload], None]
"""Is called with an event and its payload. Besides ``message``, ``commandResult``,
``backtestProgress``, ``presence`` and ``error`` of the wire there are

``messageDelta``  as on the wire, in order and each once, with ``text``: all until then. A
             ``message`` with the id of its ``messageId`` ends it and takes the text's place
``joined``   in the room, up to date; the payload is that of the join's ack
``offline``  not connected; ``retryInSeconds`` says when it tries again
``refused``  the server does not let us in; the payload is the error, and the room ends
``gap``      some entries are no longer kept by the server
``afresh``   the server lost the log: forget the entries shown so far
"""

_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 8.0
_BREATH_S = 0.1
_REMEMBERED = 256


class LogLostError(Exception):
    """The result that was waited for is no longer kept by the server."""


@dataclass(slots=True)
class _Outgoing:
    content: str
    acked: asyncio.Future[Payload]
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))


class Room:
    """A session, joined for as long as the ``async with`` block lasts.

    Args:
        url: The server, such as ``http://127.0.0.1:8500``.
        session_id: 1 to 64 letters, digits, ``_`` and ``-``; a new one creates the session.
        name: Who we are to the others.
        client_id: A stable random word that makes us the same person after a restart.
        history: How many of the newest entries the first join brings.
        listener: Is told what happens; it must not block.
    """

    def __init__(
        self,
        url: str,
        session_id: str,
        *,
        name: str,
        client_id: str | None = None,
        history: int = 50,
        listener: Listener = lambda _event, _payload: None,
    ) -> None:
        self.url = url.rstrip("/")
        self.session_id = session_id
        self.name = name
        self.seq: int | None = None  # of the last entry shown
        self._auth = {"name": name, "clientId": client_id or secrets.token_urlsafe(12)}
        self._history = history
        self._listener = listener
        self._epoch: str | None = None
        self._ahead: dict[int, tuple[str, Payload]] = {}  # entries behind a hole, by seq
        self._hole = asyncio.Event()
        self._versions: dict[str, int] = {}  # of the running jobs
        self._outgoing: deque[_Outgoing] = deque()
        self._something_to_send = asyncio.Event()
        self._own_ids: deque[str] = deque(maxlen=_REMEMBERED)
        self._said: deque[str] = deque(maxlen=_REMEMBERED)  # ids of our messages
        self._streams = Streams()
        self._results: dict[str, Payload] = {}  # the newest, by command id
        self._awaited: dict[str, asyncio.Future[Payload]] = {}
        self._link: Link | None = None
        self._wait_s = _FIRST_WAIT_S
        self._settled = asyncio.Event()  # in the room, or refused
        self._refusal: RefusedError | None = None
        self._tasks = asyncio.TaskGroup()
        self._running: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._running = [
            self._tasks.create_task(self._stay()),
            self._tasks.create_task(self._send_all()),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._running:
            task.cancel()
        await self._tasks.__aexit__(kind, error, trace)

    # ------------------------------------------------------------ what one does with a room

    async def joined(self) -> None:
        """Wait until we are in the room and up to date.

        Raises:
            RefusedError: The server does not let us in.
        """
        await self._present()

    @property
    def unsent(self) -> list[str]:
        """What was posted and is not acked, oldest first."""
        return [one.content for one in self._outgoing]

    @property
    def writing(self) -> list[Writing]:
        """What is being written."""
        return list(self._streams.written.values())

    @property
    def answer(self) -> Writing | None:
        """The answer to us that is being written."""
        return next((one for one in self.writing if one.reply_to in self._said), None)

    def post(self, content: str) -> asyncio.Future[Payload]:
        """Send when possible; the future gets the ack, or ``RefusedError``."""
        one = _Outgoing(content, asyncio.get_running_loop().create_future())
        self._own_ids.append(one.id)
        self._outgoing.append(one)
        self._something_to_send.set()
        return one.acked

    async def send(self, content: str) -> Payload:
        """Send and return the server's ack. Cancelling this does not take the message back.

        Raises:
            RefusedError: The server does not take it.
        """
        return await asyncio.shield(self.post(content))

    async def run(self, command: str) -> Payload:
        """Send a command and return its ``commandResult``, however long that takes.

        Raises:
            RefusedError: The server does not take it, or it is not a command.
            LogLostError: The server lost the result.
        """
        while True:
            ack = await self.send(command)
            if "commandId" not in ack:
                raise RefusedError({"message": "This is not a command.", "code": "not_a_command"})
            result = self._result_of(ack["commandId"])
            if "message" in ack:
                return await result
            # The answer to a private command, such as /help, is not stored: a connection that
            # ends before it came has lost it, and asking again changes nothing.
            if (link := self._link) is not None:
                await first_of(result, link.closed)
            if result.done():
                return result.result()

    async def complete(self, text: str) -> list[Payload]:
        """Return what could stand in the input box; nothing while offline."""
        if self._link is None or not self._settled.is_set():
            return []
        try:
            asked = {"sessionId": self.session_id, "text": text}
            ack = await self._link.ask("completeCommand", asked)
        except LinkLostError:
            return []
        items: list[Payload] = ack.get("items", [])
        return items

    async def stop(self) -> bool:
        """End the answer to us that is being written; what was said stays.

        Returns:
            Whether there was one.
        """
        if (answer := self.answer) is None or self._link is None:
            return False
        asked = {"sessionId": self.session_id, "messageId": answer.id}
        try:
            ack = await self._link.ask("stopGeneration", asked)
        except LinkLostError:
            return False
        return bool(ack.get("stopped"))

    # ------------------------------------------------------------ connection

    async def _stay(self) -> None:
        """Connect, join, and do so again whenever the connection ends."""
        while True:
            try:
                async with aiohttp.ClientSession() as http:
                    await self._visit(Link(http, self._received))
            except RefusedError as refusal:
                self._refusal = refusal
                self._settled.set()
                self._listener("refused", refusal.error)
                return
            except LinkLostError:
                pass
            pause_s = self._wait_s * random.uniform(0.6, 1.0)  # noqa: S311 - spreads the crowd
            self._listener("offline", {"retryInSeconds": round(pause_s, 2)})
            await asyncio.sleep(pause_s)
            self._wait_s = min(self._wait_s * 2, _LONGEST_WAIT_S)

    async def _visit(self, link: Link) -> None:
        """Be in the room until the connection ends."""
        try:
            await link.open(self.url, self._auth)
            self._link = link
            while True:
                await self._join(link)
                await self._until_hole_or_end(link)
        finally:
            self._link = None
            self._settled.clear()
            await link.close()

    async def _until_hole_or_end(self, link: Link) -> None:
        hole = self._tasks.create_task(self._hole.wait())
        try:
            await first_of(hole, link.closed)
        finally:
            hole.cancel()
        if link.closed.done():
            raise LinkLostError
        await asyncio.sleep(_BREATH_S)

    async def _join(self, link: Link) -> None:
        """Join and take what was missed, page by page."""
        self._streams.hold()
        while True:
            asked: Payload = {"sessionId": self.session_id, "name": self.name}
            if self.seq is None:
                asked["limit"] = self._history
            else:
                asked["afterSeq"] = self.seq
            ack = await link.ask("joinSession", asked)
            if not ack["ok"]:
                if ack["error"]["code"] in LATER:
                    raise LinkLostError
                raise RefusedError(ack["error"])
            if self._epoch not in (None, ack["session"]["epoch"]):
                self._start_afresh()
                continue
            self._epoch = ack["session"]["epoch"]
            self._take_page(ack)
            if not ack["more"]:
                break
        self._ahead = {seq: held for seq, held in self._ahead.items() if seq > (self.seq or 0)}
        if not self._ahead:
            self._hole.clear()
        running = [job["backtestId"] for job in ack["jobs"]]
        self._versions = {job: self._versions.get(job, 0) for job in running}
        self._wait_s = _FIRST_WAIT_S
        self._settled.set()
        self._listener("joined", ack)
        for job in ack["jobs"]:
            self._received("backtestProgress", job)
        for piece in self._streams.joined(ack.get("streams", ())):
            self._listener("messageDelta", piece)

    def _take_page(self, ack: Payload) -> None:
        entries = ack["entries"]
        if self.seq is None or ack["gap"]:
            if ack["gap"]:
                self._lose("Entries of this session are no longer kept.")
                self._listener("gap", ack["session"])
            self.seq = entries[0]["seq"] - 1 if entries else ack["session"]["lastSeq"]
        for entry in entries:
            kind = entry["type"]
            self._take(kind, {key: value for key, value in entry.items() if key != "type"})

    def _start_afresh(self) -> None:
        self._epoch = self.seq = None
        self._ahead.clear()
        self._results.clear()
        self._lose("The server lost the log of this session.")
        self._listener("afresh", {})

    def _lose(self, why: str) -> None:
        for waiting in self._awaited.values():
            if not waiting.done():
                waiting.set_exception(LogLostError(f"{why} Send the command again."))

    async def _present(self) -> Link:
        """Return the connection, once we are in the room."""
        while self._link is None or not self._settled.is_set():
            await self._settled.wait()
            if self._refusal is not None:
                raise self._refusal
        return self._link

    # ------------------------------------------------------------ what comes

    def _received(self, event: str, payload: Any) -> None:
        if not isinstance(payload, dict) or payload.get("sessionId") not in (None, self.session_id):
            return
        if "seq" in payload:
            self._take(event, payload)
        elif event == "commandResult":
            self._keep_result(payload)
            self._listener(event, payload)
        elif event == "backtestProgress":
            job, version = payload["backtestId"], payload["version"]
            if version > self._versions.get(job, 0):
                self._versions[job] = version
                self._listener(event, payload)
        elif event == "messageDelta":
            if (piece := self._streams.add(payload)) is not None:
                self._listener(event, piece)
        elif event == "error" and self._is_told_by_an_ack(payload):
            return
        else:
            self._listener(event, payload)

    def _is_told_by_an_ack(self, error: Payload) -> bool:
        return error.get("clientMessageId") in self._own_ids or error["code"] == "rate_limited"

    def _take(self, event: str, entry: Payload) -> None:
        """Show the entry if it is the next; hold it back if others are missing before it."""
        if self.seq is not None and entry["seq"] <= self.seq:
            return
        self._ahead[entry["seq"]] = event, entry
        while self.seq is not None and self.seq + 1 in self._ahead:
            self.seq += 1
            event, entry = self._ahead.pop(self.seq)
            if event == "commandResult":
                self._keep_result(entry)
            else:
                self._streams.end(entry["id"])
            self._listener(event, entry)
        if self._ahead:
            self._hole.set()

    # ------------------------------------------------------------ commands and their results

    def _result_of(self, command_id: str) -> asyncio.Future[Payload]:
        result = self._awaited.setdefault(command_id, asyncio.get_running_loop().create_future())
        if command_id in self._results and not result.done():
            result.set_result(self._results[command_id])
        return result

    def _keep_result(self, result: Payload) -> None:
        """Remember it: after a retry, a command's result may be here before its ack."""
        self._results[result["commandId"]] = result
        if len(self._results) > _REMEMBERED:
            del self._results[next(iter(self._results))]
        if (waiting := self._awaited.pop(result["commandId"], None)) and not waiting.done():
            waiting.set_result(result)

    async def _send_all(self) -> None:
        while True:
            await self._something_to_send.wait()
            while self._outgoing:
                await self._deliver(self._outgoing[0])
                self._outgoing.popleft()
            self._something_to_send.clear()

    async def _deliver(self, one: _Outgoing) -> None:
        """Send until it is acked."""
        asked = {
            "sessionId": self.session_id,
            "content": one.content,
            "clientMessageId": one.id,
        }
        while True:
            try:
                ack = await (await self._present()).ask("sendMessage", asked)
            except LinkLostError:
                await asyncio.sleep(_BREATH_S)
                continue
            except RefusedError as refusal:
                ack = {"ok": False, "error": refusal.error}
            if not ack["ok"] and ack["error"]["code"] in LATER and self._refusal is None:
                await asyncio.sleep(ack["error"].get("retryAfterSeconds") or 1.0)
                continue
            if "message" in ack:
                self._said.append(ack["message"]["id"])
            if not one.acked.done():
                if ack["ok"]:
                    one.acked.set_result(ack)
                else:
                    one.acked.set_exception(RefusedError(ack["error"]))
            return

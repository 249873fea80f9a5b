"""``chatops run``: one command on a running server, from a shell or a script."""

import asyncio
import secrets
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import socketio

from chatops.realtime.server import PATH

Payload = dict[str, Any]

_ACK_WITHIN_S = 10.0
_RECONNECT_WITHIN_S = 60.0
_PAUSE_S = 0.5
_INTERRUPTED = 130  # what a shell makes of a program that Ctrl-C ended

# The server did not take the command now, but may take the same later.
_LATER = {"rate_limited", "shutting_down", "store_unavailable"}


class RunError(Exception):
    """The command has no result; the words are for the person at the shell."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(f"{message} {hint}" if hint else message)


class UnreachableError(RunError):
    """No server answers, or no longer."""


class RefusedError(RunError):
    """The server does not take the command; ``later`` says whether it may take it another time."""

    def __init__(self, error: Payload) -> None:
        super().__init__(str(error.get("message", "The server refused it.")), error.get("hint"))
        self.later = error.get("code") in _LATER


async def run_command(url: str, session: str, text: str, name: str | None) -> int:
    """Run one command on the server at ``url`` and wait for its end.

    Progress goes to standard error, the message of the result to standard output. When the
    connection ends meanwhile, it is made again for up to a minute, and the command is sent again
    under the same id, which the server runs once.

    Args:
        url: The server, such as ``http://127.0.0.1:8500``.
        session: Session to run it in.
        text: The command, with or without its slash.
        name: Who we are to the others; None is a guest.

    Returns:
        0 if the command succeeded, 1 if not, 130 if Ctrl-C ended the waiting.
    """
    this_task = asyncio.current_task()
    assert this_task is not None  # noqa: S101 - a coroutine runs in a task
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, this_task.cancel)
    progress = _Progress()
    try:
        result = await _Errand(url, session, text, name, progress.show).done()
    except RunError as error:
        progress.end()
        _say(str(error))
        return 1
    except asyncio.CancelledError:
        progress.end()
        _say(f"No longer waiting. {progress.how_to_stop()}")
        return _INTERRUPTED
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
    progress.end()
    answer = (result.get("data") or {}).get("answer")  # of /ask
    sys.stdout.write(f"{answer or result['message']}\n")
    return 0 if result["success"] else 1


class _Errand:
    """One command, over as many connections as it takes."""

    def __init__(
        self,
        url: str,
        session: str,
        text: str,
        name: str | None,
        on_progress: Callable[[Payload], None],
    ) -> None:
        self._url = url
        self._session = session
        self._text = "/" + text.strip().lstrip("/")
        # A name is the same person each time; a guest needs an id to be the same after a reconnect.
        self._auth = {"name": name} if name else {"clientId": secrets.token_urlsafe(12)}
        self._message_id = secrets.token_urlsafe(12)
        self._on_progress = on_progress
        self._seq: int | None = None
        self._last_there_at: float | None = None  # monotonic
        self._me: str | None = None
        self._results: dict[str, Payload] = {}
        self._news = asyncio.Event()  # a result came, or the connection ended

    async def done(self) -> Payload:
        """Return the command's result.

        Raises:
            UnreachableError: No server answers.
            RefusedError: It does not take the command.
        """
        while True:
            try:
                async with aiohttp.ClientSession() as http:
                    return await self._attempt(http)
            except (UnreachableError, RefusedError) as error:
                if self._away_too_long() or (isinstance(error, RefusedError) and not error.later):
                    raise
            await asyncio.sleep(_PAUSE_S)

    def _away_too_long(self) -> bool:
        """Whether we were never in the room, or not for a minute."""
        there_at = self._last_there_at
        return there_at is None or time.monotonic() - there_at > _RECONNECT_WITHIN_S

    async def _attempt(self, http: aiohttp.ClientSession) -> Payload:
        client = socketio.AsyncClient(reconnection=False, handle_sigint=False, http_session=http)
        refusal: Payload = {}

        def refused(data: object) -> None:
            if isinstance(data, dict):  # the server's own no; a dead network gives a text
                refusal.update(data.get("data") or {}, message=data.get("message"))

        client.on("connect_error", refused)
        client.on("backtestProgress", self._progressed)
        client.on("commandResult", self._ended)
        client.on("disconnect", lambda *_reason: self._news.set())
        try:
            await client.connect(
                self._url, auth=self._auth, transports=["websocket"], socketio_path=PATH
            )
            return await self._converse(client)
        except (socketio.exceptions.SocketIOError, ValueError) as error:
            if refusal:
                raise RefusedError(refusal) from error
            raise UnreachableError(
                f"The server at {self._url} does not answer.",
                "Check --url, or start one with: chatops serve",
            ) from error
        finally:
            await client.disconnect()

    async def _converse(self, client: Any) -> Payload:
        await self._join(client)
        self._last_there_at = time.monotonic()
        self._news.clear()
        ack = await self._ask(
            client,
            "sendMessage",
            {
                "sessionId": self._session,
                "content": self._text,
                "clientMessageId": self._message_id,
            },
        )
        command_id = ack.get("commandId")
        if command_id is None:
            raise RefusedError({"message": "This is not a command.", "hint": "Try /help."})
        self._me = ack.get("message", {}).get("author", {}).get("id")
        while command_id not in self._results:
            if not client.connected:
                self._last_there_at = time.monotonic()
                raise socketio.exceptions.ConnectionError
            await self._news.wait()
            self._news.clear()
        return self._results[command_id]

    async def _join(self, client: Any) -> None:
        """Join; after a reconnect, look for the result among what was missed."""
        more = True
        while more:
            asked: Payload = {"sessionId": self._session, "limit": 0}
            if self._seq is not None:
                asked = {"sessionId": self._session, "afterSeq": self._seq}
            ack = await self._ask(client, "joinSession", asked)
            for entry in ack["entries"]:
                self._seq = entry["seq"]
                if entry["type"] == "commandResult":
                    self._ended(entry)
            if self._seq is None:
                self._seq = ack["session"]["lastSeq"]
            more = ack["more"]

    @staticmethod
    async def _ask(client: Any, event: str, payload: Payload) -> Payload:
        ack: Payload = await client.call(event, payload, timeout=_ACK_WITHIN_S)
        if not ack["ok"]:
            raise RefusedError(ack["error"])
        return ack

    def _ended(self, result: Payload) -> None:
        self._results[result["commandId"]] = result
        self._news.set()

    def _progressed(self, job: Payload) -> None:
        if job["requestedBy"]["id"] == self._me:
            self._on_progress(job)


class _Progress:
    """Progress on standard error: one line in place on a terminal, else a line a change."""

    def __init__(self) -> None:
        self._in_place = sys.stderr.isatty()
        self._shown = ""
        self._job: str | None = None

    def show(self, job: Payload) -> None:
        self._job = job["backtestId"]
        what = (job.get("message") or self._job).rsplit(": ", 1)[0]
        words = [f"{job['progress']:3d} %", what, job.get("outcome") or job["phase"]]
        if job.get("queuePosition"):
            words.append(f"no. {job['queuePosition']} in the queue")
        if job.get("etaSeconds") is not None:
            words.append(f"about {job['etaSeconds']} s to go")
        line = " · ".join(words)
        if line != self._shown:
            self._shown = line
            sys.stderr.write(f"\r\x1b[K{line}" if self._in_place else f"{line}\n")
            sys.stderr.flush()

    def end(self) -> None:
        """Leave the last line where it stands."""
        if self._in_place and self._shown:
            sys.stderr.write("\n")

    def how_to_stop(self) -> str:
        """What to do about a job that goes on."""
        if self._job is None:
            return "If the server has taken the command, it goes on there."
        return f'It goes on at the server; chatops run "/cancel {self._job}" stops it.'


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")

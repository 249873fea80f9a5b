"""A chatops session in the terminal: chat, commands with completion, live progress.

    python chatops_terminal.py --url http://127.0.0.1:8500 --session desk --name Mina
    python chatops_terminal.py --once "/run_backtest sma_crossover AAPL"

Where standard output is not a terminal, it reads lines from standard input and writes plain lines.
"""

import argparse
import asyncio
import getpass
import os
import secrets
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path

import screen
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition, has_completions
from prompt_toolkit.formatted_text import ANSI, StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.styles import Style
from rich.console import RenderableType
from rich.live import Live
from rich.text import Text
from room import Listener, LogLostError, Payload, RefusedError, Room, Writing

_JOIN_WITHIN_S = 10.0
_INPUT_LINES = 10  # of the terminal are for the input and its menu
_TYPING_S = 0.08  # completion waits for a pause in typing this long
_TAB_TRIES = 25  # two seconds
_STYLE = Style.from_dict(
    {
        "bottom-toolbar": "noreverse #888888",
        "bottom-toolbar.text": "noreverse",
        "completion-menu.completion.current": "bg:#005f87 #ffffff",
        "completion-menu.meta.completion.current": "bg:#005f87 #dddddd",
    }
)


class Terminal:
    """The screen: what was said goes up, what lives (bars, unsent messages) stays at the input."""

    def __init__(self) -> None:
        self._jobs: dict[str, Payload] = {}
        self._here = ""
        self._connected = False
        self._lost = False
        self._answers: set[str] = set()  # shown as messages
        self._refused: Payload | None = None
        self._redraw: Callable[[], None] = lambda: None

    def hear(self, event: str, payload: Payload) -> None:
        """Take an event of the room."""
        payload = screen.safe(payload)
        if event == "message":
            self._answers.add(payload["id"])
            self._print(screen.message(payload))
        elif event == "commandResult":
            if screen.answer_id(payload) not in self._answers:
                self._print(screen.result(payload))
        elif event == "backtestProgress":
            self._progress(payload)
        elif event == "presence":
            self._here = screen.here(payload)
        elif event in ("error", "refused"):
            self._print(screen.problem(payload))
            self._refused = payload if event == "refused" else self._refused
        else:
            self._connection(event, payload)
        self._redraw()

    async def converse(self, room: Room) -> int:
        """Chat until Ctrl-D."""
        prompt: PromptSession[str] = PromptSession(
            message=lambda: self._above_input(room),
            bottom_toolbar=lambda: self._below_input(room),
            completer=Completions(room),
            complete_while_typing=Condition(lambda: prompt.default_buffer.text.startswith("/")),
            reserve_space_for_menu=6,
            erase_when_done=True,
            key_bindings=self._keys(room),
            style=_STYLE,
        )
        self._redraw = prompt.app.invalidate
        self._print(screen.banner(room.session_id, room.url))
        # Raw all the time: else the terminal itself would show what is typed while we print, or
        # between two lines, in the middle of what stands there.
        keyboard = prompt.app.input
        keyboard.cooked_mode = keyboard.raw_mode
        with patch_stdout(raw=True), keyboard.raw_mode():
            while self._refused is None:
                try:
                    text = (await prompt.prompt_async()).strip()
                except KeyboardInterrupt:
                    continue  # Ctrl-C clears the line
                except EOFError:
                    break
                if text:
                    room.post(text).add_done_callback(self._acked)
        return 1 if self._refused else 0

    async def once(self, room: Room, text: str) -> int:
        """Run one command under a live bar, or show the answer while it is written."""
        with Live(
            get_renderable=lambda: Text.from_ansi(self._live(room.answer)),
            transient=True,
            refresh_per_second=8,
        ):
            return await run_once(room, text, self.hear)

    def _print(self, what: RenderableType) -> None:
        """Print above what lives: whoever draws that has replaced ``sys.stdout``."""
        sys.stdout.write(screen.ansi(what))
        sys.stdout.flush()

    def _progress(self, job: Payload) -> None:
        if job.get("outcome"):
            self._jobs.pop(job["backtestId"], None)
            self._print(screen.ended(job))
        else:
            self._jobs[job["backtestId"]] = job

    def _connection(self, event: str, payload: Payload) -> None:
        if event == "joined":
            if self._lost:
                self._print(screen.note("Connected again."))
            self._connected, self._lost = True, False
            self._here = screen.here(payload["session"])
            running = {job["backtestId"] for job in payload["jobs"]}
            self._jobs = {job: at for job, at in self._jobs.items() if job in running}
        elif event == "offline":
            if self._connected:
                self._print(screen.note("The connection is lost; trying again."))
            self._connected, self._lost = False, self._connected or self._lost
        elif event == "gap":
            self._print(screen.note("Some older entries are no longer kept by the server."))
        elif event == "afresh":
            self._print(screen.note("The server lost this session's log; it starts afresh."))

    def _above_input(self, room: Room) -> ANSI:
        """What is being written, bars and unsent messages, then the prompt."""
        unsent = screen.ansi(*(screen.note(f"sending: {text}") for text in room.unsent))
        return ANSI(f"{self._live(*room.writing)}{unsent}\x1b[1;36m{room.name} ❯\x1b[0m ")

    def _live(self, *written: Writing | None) -> str:
        """Bars, and above them, in the lines that are left, answers as far as they are written."""
        bars = screen.ansi(screen.bars(list(self._jobs.values()))) if self._jobs else ""
        left = screen.height() - bars.count("\n") - _INPUT_LINES
        answers = screen.ansi(*(screen.writing(one) for one in written if one is not None))
        return screen.last_lines(answers, left) + bars

    def _below_input(self, room: Room) -> StyleAndTextTuples:
        """The connection, the session, and who is here."""
        sign = ("fg:ansigreen", " ● ") if self._connected else ("fg:ansired", " ○ connecting … ")
        here = f" · {self._here}" if self._connected else ""
        stop = " · Ctrl-C stops the answer" if room.answer else ""
        return [sign, ("bold", room.session_id), ("", here), ("fg:ansiyellow", stop)]

    def _keys(self, room: Room) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("c-c", filter=Condition(lambda: room.answer is not None))
        async def stop(_event: KeyPressEvent) -> None:
            await room.stop()

        @keys.add("tab", filter=~has_completions)
        async def choose(event: KeyPressEvent) -> None:
            """Ask, and choose the first; the toolkit forgets a Tab while it asks for typed text."""
            buffer = event.current_buffer
            text = buffer.text
            buffer.start_completion(insert_common_part=True)
            for _ in range(_TAB_TRIES):
                await asyncio.sleep(_TYPING_S)
                if buffer.text != text:
                    break
                if buffer.complete_state and buffer.complete_state.completions:
                    buffer.complete_next()
                    break

        return keys

    def _acked(self, ack: asyncio.Future[Payload]) -> None:
        if isinstance(error := ack.exception(), RefusedError):
            self._print(screen.problem(error.error))
        self._redraw()


class Lines:
    """The session as plain lines: said things to standard output, progress to standard error."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[str, int]] = {}
        self._answers: set[str] = set()  # shown as messages

    def hear(self, event: str, payload: Payload) -> None:
        """Take an event of the room."""
        payload = screen.safe(payload)
        if event == "message":
            self._answers.add(payload["id"])
            who = (payload.get("author") or {}).get("name", "chatops")
            print(f"{screen.clock(payload['timestamp'])} {who}: {payload['content']}", flush=True)
        elif event == "commandResult":
            if screen.answer_id(payload) not in self._answers:
                print(screen.words(payload), flush=True)
        elif event == "backtestProgress":
            self._progress(payload)
        elif event == "messageDelta" and payload.get("doing"):
            self._aside(f"assistant: {payload['doing']}")
        elif event in ("error", "refused"):
            self._aside(str(RefusedError(payload)))
        elif event == "offline":
            self._aside(f"Not connected; trying again in {payload['retryInSeconds']} s.")

    async def converse(self, room: Room) -> int:
        """Send each line of standard input; at its end, wait until all is acked and answered."""
        code = 0
        async with asyncio.TaskGroup() as sending:
            sent: list[asyncio.Task[int]] = []
            async for line in standard_input():
                if line.strip():
                    sent.append(sending.create_task(self._send(room, line.strip())))
        for one in sent:
            code = max(code, one.result())
        return code

    async def once(self, room: Room, text: str) -> int:
        """Run one command."""
        return await run_once(room, text, self.hear)

    async def _send(self, room: Room, text: str) -> int:
        try:
            await (room.run(text) if is_command(text) else room.send(text))
        except RefusedError as refusal:
            self.hear("refused", refusal.error)
            return 1
        except LogLostError as error:
            self._aside(str(error))
            return 1
        return 0

    def _progress(self, job: Payload) -> None:
        """A line when the phase changes, and every ten per cent."""
        now = job["phase"], job["progress"] // 10
        if self._shown.get(job["backtestId"]) != now:
            self._shown[job["backtestId"]] = now
            self._aside(screen.progress_line(job))

    def _aside(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class Completions(Completer):
    """Asks the server what could follow."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def get_completions(
        self, _document: Document, _complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """Nothing at once: only the server knows."""
        return ()

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        """Return names and values for what stands before the cursor."""
        text = document.text_before_cursor
        if not text.startswith("/"):
            return
        if not complete_event.completion_requested:
            await asyncio.sleep(_TYPING_S)
        for item in await self._room.complete(text):
            yield Completion(
                item["value"],
                start_position=-len(text),
                display=item["label"],
                display_meta=item["detail"],
            )


async def run_once(room: Room, text: str, show: Listener) -> int:
    """Send ``text``, show what becomes of it, and return the exit code."""
    try:
        async with asyncio.timeout(_JOIN_WITHIN_S):
            await room.joined()
    except TimeoutError:
        message = f"The server at {room.url} does not answer."
        show("error", {"message": message, "hint": "Check --url, and that the server runs."})
        return 1
    except RefusedError as refusal:
        show("error", refusal.error)
        return 1
    try:
        if not is_command(text):
            await room.send(text)
            return 0
        result = await room.run(text)
    except asyncio.CancelledError:  # Ctrl-C
        await room.stop()
        raise
    except RefusedError as refusal:
        show("error", refusal.error)
        return 1
    except LogLostError as error:
        show("error", {"message": str(error)})
        return 1
    show("commandResult", result)
    return 0 if result["success"] else 1


def is_command(text: str) -> bool:
    """Whether the server will take it as a command; two slashes mean a literal one."""
    return text.startswith("/") and not text.startswith("//")


async def standard_input() -> AsyncGenerator[str, None]:
    """Yield its lines. The thread is a daemon, so Ctrl-C need not wait for a line."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        with suppress(RuntimeError):  # the loop has ended before the input
            for line in sys.stdin:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    while (line := await lines.get()) is not None:
        yield line


def stable_client_id() -> str:
    """Return this user's client id; make one the first time. Others must not know it."""
    path = _config_folder() / "chatops-terminal" / "client-id"
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError), open(path, "x", opener=_private) as new:
        new.write(secrets.token_urlsafe(16))
    return path.read_text().strip()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _config_folder() -> Path:
    environ = os.environ  # noqa: TID251 - the rule is for the server; this is another program
    if sys.platform == "win32":
        return Path(environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


async def serve(given: argparse.Namespace) -> int:
    """Be in the room until the person leaves it or the one command has ended."""
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    face = Terminal() if at_terminal or (given.once and sys.stdout.isatty()) else Lines()

    def own(event: str, payload: Payload) -> None:
        """What concerns our one command."""
        mine = event == "backtestProgress" and payload["requestedBy"]["name"] == given.name
        if mine or (event == "messageDelta" and room.answer is not None):
            face.hear(event, payload)

    room = Room(
        given.url,
        given.session,
        name=given.name,
        client_id=given.client_id or stable_client_id(),
        history=0 if given.once else 50,
        listener=own if given.once else face.hear,
    )
    async with room:
        return await (face.once(room, given.once) if given.once else face.converse(room))


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", default="http://127.0.0.1:8500", help="the server")
    parser.add_argument("--session", default="lobby", help="the session to join or create")
    parser.add_argument("--name", default=getpass.getuser(), help="who you are to the others")
    parser.add_argument("--client-id", help="a stable secret word; default: one is kept for you")
    parser.add_argument("--once", metavar="TEXT", help="run one command and exit with 0 or 1")
    given = parser.parse_args()
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8")
    try:
        return asyncio.run(serve(given))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())

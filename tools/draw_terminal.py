"""Draw the picture in the README: a session of a running server, as the terminal client shows it.

chatops serve &
python tools/draw_terminal.py http://127.0.0.1:8500 docs/images/terminal.svg
"""

import asyncio
import re
import sys
from io import StringIO
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "client_examples" / "python"))

import screen
from rich.console import Console
from room import Room

SESSION = "picture"
WIDTH = 110
LINES = (
    ("Kim", "Does the crossover still beat momentum on Apple?"),
    ("Lee", "/run_backtest sma_crossover AAPL short_window=10 long_window=30"),
    ("Kim", "/compare_strategies sma_crossover momentum symbols=AAPL"),
)


async def play(url: str) -> list[Any]:
    """Say the lines and return what the first one in the room saw."""
    seen: list[Any] = []

    def listen(event: str, payload: dict[str, Any]) -> None:
        if event == "message":
            seen.append(screen.message(payload))
        elif event == "commandResult":
            seen.append(screen.result(payload))
        elif event == "backtestProgress":
            final = "outcome" in payload
            seen.append(screen.ended(payload) if final else screen.bars([payload]))

    async with (
        Room(url, SESSION, name="Kim", history=0, listener=listen) as kim,
        Room(url, SESSION, name="Lee", history=0) as lee,
    ):
        await kim.joined()
        for name, text in LINES:
            room = kim if name == "Kim" else lee
            await (room.run(text) if text.startswith("/") else room.send(text))
        await asyncio.sleep(0.5)
    return seen


def main() -> None:
    """Play and draw."""
    url, target = sys.argv[1:]
    console = Console(record=True, width=WIDTH, file=StringIO())
    for piece in asyncio.run(play(url)):
        console.print(piece)
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    drawn = console.export_svg(title="chatops · session research")
    # Rich asks a server of the web for its font; a reader's own will do.
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    Path(target).write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()

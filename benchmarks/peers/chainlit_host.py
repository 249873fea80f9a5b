"""``chainlit run chainlit_echo.py`` as it comes, on a free port, until the standard input ends.

It runs in an environment of its own (see ``realtime/chainlit.py``), without this project.
"""

import json
import os
import socket
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path


def serve_orders(port: int, answers: int) -> None:
    """Say when the port is open; tell the versions when asked; end with the input."""
    with os.fdopen(answers, "w", buffering=1) as out:
        deadline = time.monotonic() + 60.0
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        out.write(f"listens on http://127.0.0.1:{port}\n")
        about = f"Chainlit {version('chainlit')}, Python {sys.version.split()[0]} asyncio"
        for line in sys.stdin:
            out.write(json.dumps({"done": json.loads(line)["do"], "about": about}) + "\n")
    os._exit(0)


def main() -> None:
    """Start the app. What Chainlit prints goes to standard error, our answers to the output."""
    answers = os.dup(1)
    os.dup2(2, 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    os.environ["CHAINLIT_HOST"] = "127.0.0.1"  # noqa: TID251 - its only way to be told
    os.environ["CHAINLIT_PORT"] = str(port)  # noqa: TID251
    # Chainlit reads its environment while it is imported.
    from chainlit.cli import run_chainlit
    from chainlit.config import config

    config.run.headless = True
    threading.Thread(target=serve_orders, args=(port, answers), daemon=True).start()
    run_chainlit(str(Path(__file__).with_name("chainlit_echo.py")))


if __name__ == "__main__":
    main()

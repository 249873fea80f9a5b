"""A real nginx with the configuration of ``deploy/``, in front of servers of a test."""

import asyncio
import os
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]

_AROUND = """
daemon off;
pid nginx.pid;
error_log stderr warn;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path temp_body;
    proxy_temp_path temp_proxy;
    fastcgi_temp_path temp_fastcgi;
    uwsgi_temp_path temp_uwsgi;
    scgi_temp_path temp_scgi;
    {configuration}
}}
"""


class Nginx:
    """A proxy with two nodes behind it; an async context manager.

    Attributes:
        url: Where clients connect.
    """

    def __init__(
        self, folder: Path, nodes: Sequence[str], *, changes: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Make it; ``changes`` are pairs of what to replace in the configuration by what."""
        self._folder = folder
        self._nodes = [urlsplit(node).netloc for node in nodes]
        self._changes = changes
        self._process: asyncio.subprocess.Process | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert program, "The tests need nginx: `make install-dev` as root, or your own."
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._folder.mkdir()
        (self._folder / "nginx.conf").write_text(
            _AROUND.format(configuration=self._configuration(port))
        )
        log = self._folder / "nginx.log"
        with log.open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(program, "-p", str(self._folder), "-c", "nginx.conf"), stderr=output
            )
        for _ in range(250):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                assert self._process.returncode is None, log.read_text()
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return self
        raise AssertionError(f"nginx does not listen: {log.read_text()}")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()  # nginx ends at once on this, and its worker with it
        await asyncio.wait_for(self._process.wait(), 10)

    def log(self) -> str:
        """Return what it has complained of."""
        return (self._folder / "nginx.log").read_text()

    def _configuration(self, port: int) -> str:
        text = (ROOT / "deploy" / "nginx.conf").read_text()
        places = [("listen 8080", f"listen 127.0.0.1:{port}")]
        places += [(f"node-{n}:8500", node) for n, node in enumerate(self._nodes, 1)]
        for before, after in [*places, *self._changes]:
            assert before in text, f"deploy/nginx.conf has no {before!r}"
            text = text.replace(before, after)
        return text

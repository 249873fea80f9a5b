"""The pages: the room as people see it, what runs here, and where the HTTP interface is tried."""

import secrets
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from aiohttp import web

_BUILT = Path(str(files("chatops.rest"))) / "assets" / "app"
_NONCE = "__CSP_NONCE__"  # client_examples/react/vite.config.ts puts it into the build
_YEAR_S = 365 * 86_400

# Of the room's page. MUI writes its styles at run time, under a nonce. `connect-src 'self'` is also
# the WebSocket of the own origin, in every browser since 2022.
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self'; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class RoomPage:
    """The page of ``client_examples/react``, as its build lies in the package.

    Files are looked up among those that were there at the start, so that no path of a request
    leads anywhere else.
    """

    def __init__(self, folder: Path = _BUILT) -> None:
        index = folder / "index.html"
        self._index = index.read_text(encoding="utf-8") if index.is_file() else None
        self._files = {path.name: path for path in folder.glob("assets/*")}

    @property
    def is_built(self) -> bool:
        """Whether there is a page to serve."""
        return self._index is not None

    def add_to(self, app: web.Application) -> None:
        """Register the routes."""
        app.router.add_get("/", self.front)
        app.router.add_get("/assets/{name}", self.file)

    async def front(self, _request: web.Request) -> web.Response:
        """Serve the page; the room it shows stands in its query, which is the page's to read."""
        assert self._index is not None  # noqa: S101 - it is served only if it is there
        nonce = secrets.token_urlsafe(16)
        # There is no ETag: a 304 would let the browser show an old nonce beside a new policy.
        return web.Response(
            text=self._index.replace(_NONCE, nonce),
            content_type="text/html",
            headers={
                "Cache-Control": "no-cache",
                "Content-Security-Policy": _CSP.format(nonce=nonce),
            },
        )

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Serve a file that has a hash in its name, compressed if the browser takes it so."""
        path = self._files.get(request.match_info["name"])
        if path is None:
            raise web.HTTPNotFound
        headers = {"Cache-Control": f"public, max-age={_YEAR_S}, immutable"}
        return web.FileResponse(path, headers=headers)


def status_page(facts: dict[str, Any]) -> str:
    """Return the page with the server's facts filled in."""
    rows = "\n".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in facts.items()
    )
    return asset("status.html").replace("<!-- facts -->", rows)


def asset(name: str) -> str:
    """Return a file of the pages."""
    return files("chatops.rest").joinpath("assets", name).read_text(encoding="utf-8")

"""What HTTP serves, besides the Socket.IO path."""

from aiohttp import web

from chatops.errors import ShuttingDownError, StoreUnavailableError
from chatops.rest.accounts import Accounts
from chatops.rest.backtests import Backtests
from chatops.rest.conversations import Conversations
from chatops.rest.files import Files
from chatops.rest.openapi import document
from chatops.rest.operations import Operation
from chatops.rest.page import RoomPage, asset, status_page
from chatops.rest.services import Services
from chatops.rest.talks import Talks

_ASSETS = {
    "/style.css": ("style.css", "text/css"),
    "/api/v1/docs": ("docs.html", "text/html"),
    "/api/v1/docs.js": ("docs.js", "text/javascript"),
}


def operations(services: Services) -> list[Operation]:
    """Return every operation, in the order in which the document lists them."""
    return [
        *Conversations(services).operations(),
        *Backtests(services).operations(),
        *Files(services).operations(),
        *Accounts(services).operations(),
    ]


class Rest:
    """The HTTP face."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._operations = operations(services)
        self._document = document(self._operations)

    def add_to(self, app: web.Application) -> None:
        """Register the routes."""
        page = RoomPage()
        if page.is_built:
            page.add_to(app)
        else:
            app.router.add_get("/", self.status)
        app.router.add_get("/status", self.status)
        app.router.add_get("/healthz", self.alive)
        app.router.add_get("/readyz", self.ready)
        app.router.add_get("/api/v1/openapi.json", self.openapi)
        for path in _ASSETS:
            app.router.add_get(path, self.asset)
        for one in self._operations:
            add = app.router.add_get if one.method == "GET" else app.router.add_post
            add(one.path, self._services.door.serve(one))
        Talks(self._services).add_to(app)

    async def status(self, _request: web.Request) -> web.Response:
        """Serve a page that says what runs here and how to connect."""
        return web.Response(text=status_page(self._services.facts()), content_type="text/html")

    async def asset(self, request: web.Request) -> web.Response:
        """Serve a file of a page."""
        name, media = _ASSETS[request.path]
        return web.Response(text=asset(name), content_type=media)

    async def openapi(self, _request: web.Request) -> web.Response:
        """Serve the document of the operations."""
        return web.json_response(self._document)

    async def alive(self, _request: web.Request) -> web.Response:
        """Answer 200 as long as the event loop turns."""
        return web.json_response({"status": "ok"})

    async def ready(self, _request: web.Request) -> web.Response:
        """Answer 200 when requests can be served, 503 when not."""
        try:
            return web.json_response({"status": "ready", **await self._services.health()})
        except (StoreUnavailableError, ShuttingDownError) as error:
            return web.json_response({"status": "unavailable", "reason": error.message}, status=503)

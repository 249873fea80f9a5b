"""What HTTP serves, besides the Socket.IO path."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from chatops.access.identity import Person
from chatops.access.permissions import Action, Target, authorize
from chatops.backtests.answers import links
from chatops.backtests.job import Job
from chatops.backtests.ports import JobStore
from chatops.errors import (
    BadParameterError,
    NotFoundError,
    ShuttingDownError,
    StoreUnavailableError,
)
from chatops.protocol.base import rfc3339
from chatops.rest.page import front_page, style_sheet
from chatops.sessions.export import entries_of, header, markdown_of, row_of
from chatops.sessions.ports import SessionStore
from chatops.sessions.service import Sessions

_TYPES = {
    "png": "image/png",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
}

# Nobody can prove an identity over HTTP yet, so all are the same person here.
_READER = Person(id="guest:http", name="guest")


@dataclass(frozen=True, slots=True)
class Rest:
    """The handlers of the HTTP face.

    Attributes:
        sessions: The rooms.
        session_store: Their logs.
        job_store: The jobs and their files.
        health: Returns how the node is, or raises what keeps it from serving.
        facts: What the server says of itself.
    """

    sessions: Sessions
    session_store: SessionStore
    job_store: JobStore
    health: Callable[[], Awaitable[dict[str, Any]]]
    facts: Callable[[], dict[str, Any]]

    def add_to(self, app: web.Application) -> None:
        """Register the routes."""
        app.router.add_get("/", self.front)
        app.router.add_get("/style.css", self.style)
        app.router.add_get("/healthz", self.alive)
        app.router.add_get("/readyz", self.ready)
        app.router.add_get("/api/v1/backtests/{id}", self.backtest)
        app.router.add_get("/api/v1/backtests/{id}/{file}", self.file)
        app.router.add_get("/api/v1/sessions/{id}/export", self.export)

    async def front(self, _request: web.Request) -> web.Response:
        """Serve a page that says what runs here and how to connect."""
        return web.Response(text=front_page(self.facts()), content_type="text/html")

    async def style(self, _request: web.Request) -> web.Response:
        """Serve the page's style sheet."""
        return web.Response(text=style_sheet(), content_type="text/css")

    async def alive(self, _request: web.Request) -> web.Response:
        """Answer 200 as long as the event loop turns."""
        return web.json_response({"status": "ok"})

    async def ready(self, _request: web.Request) -> web.Response:
        """Answer 200 when requests can be served, 503 when not."""
        try:
            return web.json_response({"status": "ready", **await self.health()})
        except (StoreUnavailableError, ShuttingDownError) as error:
            return web.json_response({"status": "unavailable", "reason": error.message}, status=503)

    async def backtest(self, request: web.Request) -> web.Response:
        """Serve a job: where it stands, and its result when it has one."""
        job = await self._job(request)
        return _json(
            {
                "backtestId": job.id,
                "kind": job.kind,
                "title": job.title,
                "state": job.state,
                "phase": job.phase,
                "progress": 100 if job.state == "completed" else min(int(job.fraction * 100), 99),
                "requestedBy": {"id": job.requested_by.id, "name": job.requested_by.name},
                "createdAt": rfc3339(job.created_at),
                "endedAt": rfc3339(job.ended_at) if job.ended_at else None,
                "fingerprint": job.fingerprint,
                "provenance": job.provenance,
                "request": job.spec,
                "links": links(job) if job.state == "completed" else {},
                "files": list(await self.job_store.file_names(job.id)),
                "error": job.failure and {"code": job.failure.code, "message": job.failure.message},
                "result": job.summary,
            }
        )

    async def file(self, request: web.Request) -> web.Response:
        """Serve a file of a completed job."""
        job = await self._job(request)
        name = request.match_info["file"]
        body = await self.job_store.file(job.id, name)
        if body is None:
            names = ", ".join(await self.job_store.file_names(job.id)) or "none yet"
            raise NotFoundError(f"{job.id} has no file {name[:64]}.", f"Its files: {names}.")
        kind = _TYPES.get(name.rpartition(".")[2], "application/octet-stream")
        headers = {"Content-Type": kind, "Cache-Control": "private, max-age=31536000, immutable"}
        if not kind.startswith("image/"):
            headers["Content-Disposition"] = f'attachment; filename="{job.id}-{name}"'
        return web.Response(body=body, headers=headers)

    async def export(self, request: web.Request) -> web.StreamResponse:
        """Serve a session's whole log, as it was when asked for."""
        form = request.query.get("format", "markdown")
        if form not in ("markdown", "json"):
            raise BadParameterError(f'There is no format "{form[:20]}".', "Use markdown or json.")
        session = await self.sessions.get(request.match_info["id"], _READER)
        ending = "md" if form == "markdown" else "json"
        response = web.StreamResponse(
            headers={
                "Content-Type": _TYPES[ending],
                "Content-Disposition": f'attachment; filename="{session.id}.{ending}"',
            }
        )
        await response.prepare(request)
        entries = entries_of(self.session_store, session)
        if form == "markdown":
            await response.write(f"# {session.title}\n\n".encode())
            async for entry in entries:
                await response.write(f"{markdown_of(entry)}\n---\n\n".encode())
        else:
            head = json.dumps(header(session), ensure_ascii=False)
            await response.write(f'{head[:-1]}, "entries": ['.encode())
            separator = ""
            async for entry in entries:
                row = json.dumps(row_of(entry), ensure_ascii=False)
                await response.write(f"{separator}\n{row}".encode())
                separator = ","
            await response.write(b"\n]}\n")
        await response.write_eof()
        return response

    async def _job(self, request: web.Request) -> Job:
        job_id = request.match_info["id"]
        job = await self.job_store.get(job_id)
        if job is None:
            raise NotFoundError(
                f'There is no backtest "{job_id[:64]}".', "Ids begin with bt_ or cmp_."
            )
        authorize(_READER, Action.READ_RESULT, Target(session_id=job.session_id, name=job.id))
        return job


def _json(values: dict[str, Any]) -> web.Response:
    return web.json_response(values, dumps=lambda v: json.dumps(v, ensure_ascii=False))

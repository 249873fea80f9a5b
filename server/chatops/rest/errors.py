"""One place where HTTP answers say what went wrong, and where common headers are set."""

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from chatops.errors import AppError, InternalError, NotFoundError
from chatops.protocol.base import new_id
from chatops.protocol.events import WireError

log = structlog.get_logger(__name__)

_CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def answers(cors_origins: tuple[str, ...]) -> Middleware:
    """Return the middleware that turns errors into JSON and adds the security headers.

    Args:
        cors_origins: Origins whose pages may read answers; ``*`` is every page.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await _handled(request, handler)
        if not response.prepared:  # a WebSocket has sent its headers already
            response.headers["Content-Security-Policy"] = _CSP
            response.headers["X-Content-Type-Options"] = "nosniff"
            origin = request.headers.get("Origin")
            if origin and (origin in cors_origins or "*" in cors_origins):
                response.headers.setdefault("Access-Control-Allow-Origin", origin)
                response.headers.setdefault("Vary", "Origin")
        return response

    return middleware


async def _handled(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return _response(NotFoundError(f"There is nothing at {request.path[:200]}.", "See /."))
    except AppError as error:
        return _response(error)
    except web.HTTPException:
        raise
    except Exception:  # the caller gets an answer, and no traceback
        request_id = new_id("req")
        log.exception("request_failed", path=request.path, request_id=request_id)
        ours = InternalError("The server failed to handle this.", "Try again.")
        return _response(ours, request_id)


def _response(error: AppError, request_id: str | None = None) -> web.Response:
    wire = WireError(
        message=error.message,
        code=error.code,
        hint=error.hint,
        request_id=request_id or new_id("req"),
        retry_after_seconds=error.retry_after_s,
    )
    return web.json_response({"error": wire.to_wire()}, status=error.http_status)

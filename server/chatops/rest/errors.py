"""One place where HTTP answers say what went wrong, and where common headers are set."""

import math
from collections.abc import Sequence

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from pydantic import ValidationError

from chatops.errors import AppError, BadPayloadError, InternalError, NotFoundError
from chatops.protocol.base import new_id
from chatops.rest.bodies import ErrorBody, FieldProblem, HttpError

log = structlog.get_logger(__name__)

_CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Content-Type, Idempotency-Key, X-Chatops-Client, "
    "X-Chatops-User",
    "Access-Control-Max-Age": "600",
}


class BadFieldsError(BadPayloadError):
    """Fields of a body or of a query are not of the contract; ``problems`` names each."""

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        first = problems[0]
        message = f"{first.field or 'The body'}: {first.problem}."
        super().__init__(message, "See /api/v1/docs for what is expected.")
        self.problems = problems

    @classmethod
    def of(cls, error: ValidationError) -> "BadFieldsError":
        """Return pydantic's complaint as ours; it never repeats what was given."""
        return cls(
            [
                FieldProblem(
                    field=".".join(str(part) for part in one["loc"]),
                    problem=one["msg"].removeprefix("Value error, "),
                )
                for one in error.errors(include_url=False, include_context=False)
            ]
        )


class TooLargeError(BadPayloadError):
    """The body is longer than it may be."""

    http_status = 413


class WrongMethodError(NotFoundError):
    """The path is there, but not for this method."""

    http_status = 405


def answers(cors_origins: tuple[str, ...]) -> Middleware:
    """Return the middleware that turns errors into JSON and adds the security headers.

    Args:
        cors_origins: Origins whose pages may read answers; ``*`` is every page.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN)
        listed = origin is not None and (origin in cors_origins or "*" in cors_origins)
        if listed and _is_preflight(request):
            response: web.StreamResponse = web.Response(status=204, headers=_PREFLIGHT)
        else:
            response = await _handled(request, handler)
        if not response.prepared:  # a WebSocket has sent its headers already
            response.headers.setdefault("Content-Security-Policy", _CSP)
            # Ids of sessions stand in addresses; other sites do not get them.
            response.headers["Referrer-Policy"] = "same-origin"
            response.headers["X-Content-Type-Options"] = "nosniff"
            if origin is not None and listed:
                response.headers.setdefault(hdrs.ACCESS_CONTROL_ALLOW_ORIGIN, origin)
                response.headers.setdefault(hdrs.VARY, hdrs.ORIGIN)
        return response

    return middleware


def _is_preflight(request: web.Request) -> bool:
    asked = request.method == hdrs.METH_OPTIONS and request.path.startswith("/api/")
    return asked and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers


async def _handled(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return _response(NotFoundError(f"There is nothing at {request.path[:200]}.", "See /."))
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods - {hdrs.METH_HEAD}))
        wrong = WrongMethodError(
            f"{request.path[:200]} does not take {request.method[:20]}.", f"It takes {allowed}."
        )
        response = _response(wrong)
        response.headers[hdrs.ALLOW] = allowed
        return response
    except AppError as error:
        return _response(error)
    except web.HTTPException:
        raise
    except Exception:  # the caller gets an answer, and no traceback
        request_id = new_id("req")
        log.exception("request_failed", path=request.path, request_id=request_id)
        return _response(unexpected(), request_id)


def unexpected() -> InternalError:
    """Return what a caller is told of a fault of ours."""
    return InternalError("The server failed to handle this.", "Try again.")


def _response(error: AppError, request_id: str | None = None) -> web.Response:
    told = HttpError(
        message=error.message,
        code=error.code,
        hint=error.hint,
        request_id=request_id or new_id("req"),
        retry_after_seconds=error.retry_after_s,
        fields=list(error.problems) if isinstance(error, BadFieldsError) else None,
    )
    body = ErrorBody(error=told).model_dump(mode="json", by_alias=True, exclude_none=True)
    response = web.json_response(body, status=error.http_status)
    if error.retry_after_s is not None:
        response.headers[hdrs.RETRY_AFTER] = str(max(math.ceil(error.retry_after_s), 1))
    return response

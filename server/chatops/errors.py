"""Every failure that a person may be told about; how a face shows it is the face's business.

::

    AppError
    ├── BadPayloadError         bad_payload         the frame or a field is not of the contract
    ├── UnknownEventError       unknown_event       no such event
    ├── UnknownCommandError     unknown_command     no such command
    ├── BadParameterError       bad_parameter       a command's argument is wrong
    ├── NotAllowedError         not_allowed         the person may not do this
    ├── NotFoundError           not_found           no such session, backtest, strategy, file
    ├── ConflictError           conflict            somebody else changed it at the same moment
    ├── RateLimitedError        rate_limited        too fast
    ├── LimitExceededError      limit_exceeded      a job took more time or memory than it may
    ├── QueueFullError          queue_full          too many jobs, questions or files wait
    ├── UpstreamFailedError     upstream_failed     a worker or another server did not do its part
    ├── AssistantOffError       assistant_off       no language model, or it is switched off
    ├── ModelNotAllowedError    model_not_allowed   the policy of a service excludes the model
    ├── BudgetUsedError         budget_used         the money for the language model is used up
    ├── StoreUnavailableError   store_unavailable   the store did not take it, or could not be read
    ├── ShuttingDownError       shutting_down       the server is going away
    └── InternalError           internal            our fault; the log knows the cause

``message`` is one sentence for a person that says what is wrong, ``hint`` one that says what to
do. Neither ever holds a traceback, a driver's text or a secret.
"""

from typing import ClassVar


class AppError(Exception):
    """A failure with a stable code and words for a person.

    Attributes:
        code: Stable snake_case word of the wire.
        http_status: What an HTTP face answers.
        retryable: Whether the same request may succeed later.
        message: What is wrong, one sentence.
        hint: What to do, one sentence, or None.
        retry_after_s: Seconds to wait before trying again, or None.
    """

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, hint: str | None = None, *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class BadPayloadError(AppError):
    """The frame or a field of it is not of the contract."""

    code = "bad_payload"
    http_status = 422


class UnknownEventError(AppError):
    """No event of this name exists."""

    code = "unknown_event"
    http_status = 404


class UnknownCommandError(AppError):
    """No command of this name exists."""

    code = "unknown_command"
    http_status = 404


class BadParameterError(AppError):
    """An argument of a command is missing, unknown or out of range."""

    code = "bad_parameter"
    http_status = 400


class NotAllowedError(AppError):
    """The person may not do this."""

    code = "not_allowed"
    http_status = 403


class NotFoundError(AppError):
    """The thing that was named does not exist, or not for this person."""

    code = "not_found"
    http_status = 404


class ConflictError(AppError):
    """Somebody else changed the thing at the same moment; nothing was overwritten."""

    code = "conflict"
    http_status = 409
    retryable = True


class RateLimitedError(AppError):
    """The person or the connection is too fast."""

    code = "rate_limited"
    http_status = 429
    retryable = True


class LimitExceededError(AppError):
    """A job took more time or memory than one may use."""

    code = "limit_exceeded"
    http_status = 422


class QueueFullError(AppError):
    """Too many jobs, questions of one person, or files wait already."""

    code = "queue_full"
    http_status = 503
    retryable = True


class UpstreamFailedError(AppError):
    """A worker or another server did not do its part."""

    code = "upstream_failed"
    http_status = 502


class AssistantOffError(AppError):
    """No language model is set up, or it is switched off here."""

    code = "assistant_off"
    http_status = 503


class ModelNotAllowedError(AppError):
    """The policy of the service excludes the model."""

    code = "model_not_allowed"
    http_status = 400


class BudgetUsedError(AppError):
    """The money that a person, a session or everybody may spend on the language model is used."""

    code = "budget_used"
    http_status = 429
    retryable = True


class StoreUnavailableError(AppError):
    """The store did not take a write, or could not be read."""

    code = "store_unavailable"
    http_status = 503
    retryable = True


class ShuttingDownError(AppError):
    """The server is going away; another node, or the next start, will take the request."""

    code = "shutting_down"
    http_status = 503
    retryable = True


class InternalError(AppError):
    """Our fault. The cause is in the log under the request id."""

    code = "internal"
    http_status = 500

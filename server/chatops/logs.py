"""Structured logs: one event a line, ids bound to each event, secrets never."""

import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, Literal

import structlog

_SECRET_KEYS = re.compile(r"token|secret|password|api_?key|authorization|cookie", re.IGNORECASE)
_URL_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")


Facts = Callable[[], Mapping[str, Any]]

_about: ContextVar[tuple[Facts, ...]] = ContextVar("about", default=())


class about:  # noqa: N801 - used as ``with about(facts):``
    """Add what ``facts`` returns to every event that is logged meanwhile.

    It is called when something is logged, and nearly every request logs nothing.
    """

    __slots__ = ("_facts", "_token")

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def __enter__(self) -> None:
        self._token = _about.set((*_about.get(), self._facts))

    def __exit__(self, *_error: object) -> None:
        _about.reset(self._token)


def _add_facts(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    found: dict[str, Any] = {}
    for facts in _about.get():
        found.update(facts())
    return {**found, **event}


def _redact(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Hide values under secret names and the user part of URLs, wherever they come from."""
    for key, value in event.items():
        if _SECRET_KEYS.search(key):
            event[key] = "***"
        elif isinstance(value, str):
            event[key] = _URL_USERINFO.sub("***@", value)
    return event


def configure(form: Literal["json", "console"], level: str) -> None:
    """Send the log to standard error in the given form.

    A second call replaces the first. Libraries' own records pass through the same processors, so
    they too are redacted.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        _add_facts,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    exceptions = [structlog.processors.format_exc_info] if form == "json" else []
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # The other formatters print local variables, and with them people's words.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *exceptions,
                _redact,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )

"""Refusing at once while the server is away, so that nobody waits for what will not come."""

import asyncio

import structlog

log = structlog.get_logger(__name__)

FAILURES = 5
REST_S = 1.0


class Breaker:
    """Counts failures in a row; after five it is open for a second, then one may try."""

    def __init__(self) -> None:
        self._failures = 0
        self._rests_until_s = 0.0
        self._probing = False

    def admits(self) -> bool:
        """Whether an operation may be tried now; if so, :meth:`ended` must be called."""
        if self._failures < FAILURES:
            return True
        if self._probing or asyncio.get_running_loop().time() < self._rests_until_s:
            return False
        self._probing = True
        return True

    def ended(self, answered: bool | None) -> None:
        """Take note of how an operation ended; None: it was given up before its end."""
        self._probing = False
        if answered is None:
            return
        if answered:
            if self._failures >= FAILURES:
                log.info("store_back")
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= FAILURES:
            self._rests_until_s = asyncio.get_running_loop().time() + REST_S
        if self._failures == FAILURES:
            log.warning("store_away", failures=FAILURES)

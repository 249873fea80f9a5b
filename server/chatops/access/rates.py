"""Token buckets: how fast one connection may be. Plain arithmetic over a clock the caller reads."""

from dataclasses import dataclass

from chatops.errors import RateLimitedError


@dataclass(frozen=True, slots=True)
class Rate:
    """``per_s`` tokens a second, at most ``burst`` saved up."""

    per_s: float
    burst: int


class TokenBucket:
    """One allowance. Not shared between connections, so it needs no lock."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._at = now

    def take(self, now: float) -> None:
        """Use one token.

        Args:
            now: Monotonic time in seconds, not before that of the last call.

        Raises:
            RateLimitedError: None is left; ``retry_after_s`` says when one will be.
        """
        self._tokens = min(
            float(self._rate.burst), self._tokens + (now - self._at) * self._rate.per_s
        )
        self._at = now
        if self._tokens < 1.0:
            wait_s = (1.0 - self._tokens) / self._rate.per_s
            raise RateLimitedError(
                "You are sending faster than this server allows.",
                f"Wait {max(wait_s, 0.1):.1f} s; the limit is {self._rate.per_s:g} a second "
                f"after a burst of {self._rate.burst}.",
                retry_after_s=max(round(wait_s, 3), 0.001),
            )
        self._tokens -= 1.0

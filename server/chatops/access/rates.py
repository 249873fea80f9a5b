"""Token buckets: how fast a connection and a person may be.

Plain arithmetic over a clock the caller reads.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from chatops.errors import RateLimitedError

MAX_PEOPLE = 10_000
"""People whose allowance is kept; the one first met is forgotten for another."""

MOST_DEBT = 8
"""Bursts that may be owed for use elsewhere: so a person on nine nodes still has one rate."""

WORTH_TELLING = 3
"""Uses in a second that other nodes are told of."""


@dataclass(frozen=True, slots=True)
class Rate:
    """``per_s`` tokens a second, at most ``burst`` saved up."""

    per_s: float
    burst: int


class TokenBucket:
    """One allowance."""

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

    def charge(self, tokens: int, now: float) -> None:
        """Take tokens that were used elsewhere; ``MOST_DEBT`` bursts are the most that is owed."""
        burst = float(self._rate.burst)
        saved = min(burst, self._tokens + (now - self._at) * self._rate.per_s)
        self._tokens, self._at = max(saved - tokens, -MOST_DEBT * burst), now


class PersonRates:
    """Allowances of people, over all their connections: those here, and by hearsay those elsewhere.

    Nodes tell each other once a second who used how much, so a person on three nodes has one
    allowance: at once as much as the nodes let through in the second before they are told, and in
    the long run its rate. A node that hears nothing limits by what it sees.
    """

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self._used: dict[str, int] = {}

    def take(self, person_id: str, now: float) -> None:
        """Use one token of the person's.

        Raises:
            RateLimitedError: None is left.
        """
        self._bucket(person_id, now).take(now)
        self._used[person_id] = self._used.get(person_id, 0) + 1

    def used(self) -> dict[str, int]:
        """Return how much people used here since this was last asked, if it is worth telling."""
        used, self._used = self._used, {}
        return {person: count for person, count in used.items() if count >= WORTH_TELLING}

    def used_elsewhere(self, used: Mapping[str, int], now: float) -> None:
        """Charge people for what they used on another node."""
        for person_id, count in used.items():
            self._bucket(person_id, now).charge(count, now)

    def _bucket(self, person_id: str, now: float) -> TokenBucket:
        bucket = self._buckets.get(person_id)
        if bucket is None:
            bucket = self._buckets[person_id] = TokenBucket(self._rate, now)
            if len(self._buckets) > MAX_PEOPLE:
                self._buckets.popitem(last=False)
        return bucket

"""Answers that may be given again, kept in this process."""

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from chatops.assistant.ports import AnswerCache

MOST_ANSWERS = 500
LONGEST_ANSWER = 64 * 1024
"""Characters; together at most some tens of megabytes are held, and usually one."""


class MemoryCache:
    """The cache of a server that is alone; what was not asked for longest goes first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def open(self, key: bytes) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def get(self, key: str) -> str | None:
        """Return what was put under the key, if it is still fresh."""
        value, until_s = self._kept.get(key, ("", 0.0))
        if time.monotonic() >= until_s:
            self._kept.pop(key, None)
            return None
        self._kept.move_to_end(key)
        return value

    async def put(self, key: str, value: str, ttl_s: float) -> None:
        """Keep the value for so many seconds, or less; not at all if it is very long."""
        self._kept.pop(key, None)
        if len(value) <= LONGEST_ANSWER:
            self._kept[key] = (value, time.monotonic() + ttl_s)
        if len(self._kept) > MOST_ANSWERS:
            self._kept.popitem(last=False)


if TYPE_CHECKING:
    _: type[AnswerCache] = MemoryCache

"""Several nodes in one loop, over one store and a bus that misbehaves."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson

from chatops.sessions.model import Hint
from chatops.sessions.ports import Bus, RoomChannel


@dataclass
class Network:
    """Carries hints between fake buses; loses, repeats and delays some."""

    chance: random.Random
    lost: float = 0.0
    repeated: float = 0.0
    slowest_s: float = 0.01
    carried: int = 0
    buses: "list[FakeBus]" = field(default_factory=list)

    def bus(self, node: str) -> "FakeBus":
        """Return the bus of one more node."""
        bus = FakeBus(node, self)
        self.buses.append(bus)
        return bus

    def carry(self, hint: Hint) -> None:
        """Bring the hint to all others, or not, once or twice, sooner or later."""
        for bus in self.buses:
            if bus.node == hint.node or hint.session_id not in bus.followed:
                continue
            for _ in range(2 if self.chance.random() < self.repeated else 1):
                if self.chance.random() >= self.lost:
                    self.carried += 1
                    delay_s = self.chance.random() * self.slowest_s
                    asyncio.get_running_loop().call_later(delay_s, bus.hear, hint)


class FakeBus:
    """One node's end of the network."""

    alone = False

    def __init__(self, node: str, network: Network) -> None:
        self.node = node
        self.healthy = True
        self.followed: set[str] = set()
        self.hear: Callable[[Hint], None] = lambda _hint: None
        self.doubt: Callable[[str | None], None] = lambda _session: None
        self.gone: Callable[[str], None] = lambda _node: None
        self._network = network

    def attach(
        self,
        hear: Callable[[Hint], None],
        doubt: Callable[[str | None], None],
        gone: Callable[[str], None],
    ) -> None:
        """Take note."""
        self.hear, self.doubt, self.gone = hear, doubt, gone

    def publish(self, hint: Hint) -> None:
        """Hand it to the network."""
        self._network.carry(replace(hint, node=self.node))

    def follow(self, session_id: str) -> None:
        """Follow at once."""
        self.followed.add(session_id)
        asyncio.get_running_loop().call_soon(self.doubt, session_id)

    def unfollow(self, session_id: str) -> None:
        """Follow no more."""
        self.followed.discard(session_id)


class FakeChannel:
    """Remembers what each connection was shown."""

    def __init__(self) -> None:
        self.members: defaultdict[str, set[str]] = defaultdict(set)
        self.shown: defaultdict[str, list[tuple[str, Any]]] = defaultdict(list)

    def enter(self, connection_id: str, session_id: str) -> None:
        """Enter."""
        self.members[session_id].add(connection_id)

    def leave(self, connection_id: str, session_id: str) -> None:
        """Leave."""
        self.members[session_id].discard(connection_id)

    def emit(self, session_id: str, event: str, payload: bytes) -> None:
        """Show it to each member."""
        for connection_id in self.members[session_id]:
            self.shown[connection_id].append((event, orjson.loads(payload)))


if TYPE_CHECKING:
    _bus: type[Bus] = FakeBus
    _channel: type[RoomChannel] = FakeChannel

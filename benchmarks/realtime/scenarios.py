"""What is measured. Each scenario takes a fresh server and a fresh load and returns figures."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.realtime.programs import (
    CHATOPS,
    FLOOR,
    NODE,
    NODE_DEFLATE,
    PLAIN,
    Peer,
    Program,
    Server,
)

Figures = dict[str, float]
Run = Callable[[Server, Program], Awaitable[Figures]]

EVENT_BYTES = 250
DELTA_BYTES = 120

_WINDOW = 100
"""Events under way at most: 25 KB a member, which the sockets' buffers hold."""

_WITHIN_S = 300.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing to measure.

    Attributes:
        name: As in the table and for ``--only``.
        peers: Who takes part.
        run: Measures one of them, once.
    """

    name: str
    peers: Sequence[Peer]
    run: Run


class Room:
    """Members in rooms, and how many events they have been sent."""

    def __init__(
        self, server: Server, load: Program, members: int, rooms: int = 1, event: str = "message"
    ) -> None:
        self._server = server
        self._load = load
        self._members = members
        self._rooms = rooms
        self._event = event
        self._sent = 0

    async def fill(self) -> None:
        """Connect the members, let them join, and wait until the server is still."""
        await self._load.order(
            "connect",
            members=self._members,
            rooms=self._rooms,
            deflate=False,
            at_once=100,
            within_s=_WITHIN_S,
        )
        # A room announces who is in it a moment after the last join: later the larger it is.
        await self._load.order("quiet", for_s=1.0 + self._members / self._rooms / 500)

    async def burst(self, events: int, *, turn: int = 1, gap_s: float = 0.0, size: int) -> None:
        """Send events to every room and wait until every member has them."""
        await self._server.order(
            "burst",
            event=self._event,
            rooms=self._rooms,
            events=events,
            bytes=size,
            turn=turn,
            gap_s=gap_s,
            first=self._sent,
        )
        self._sent += events
        await self._load.order(
            "expect", events=self._sent * self._members, within_s=_WITHIN_S
        )

    async def cost(self, events: int, *, turn: int = 1, size: int) -> Figures:
        """Send events as fast as they go, and return what one delivery costs."""
        await self.burst(min(events, 20), turn=turn, size=size)  # warm, not counted
        clock = asyncio.get_running_loop().time
        cpu_s, wall_s = self._server.cpu_s(), clock()
        for done in range(0, events, _WINDOW):
            await self.burst(min(_WINDOW, events - done), turn=turn, size=size)
        cpu_s, wall_s = self._server.cpu_s() - cpu_s, clock() - wall_s
        deliveries = events * self._members
        return {"cpu_us": cpu_s / deliveries * 1e6, "wall_us": wall_s / deliveries * 1e6}

    async def check(self) -> None:
        """Fail if a member did not receive everything once and in order."""
        await self._load.order("check", events=self._sent)


async def deliver(
    server: Server, load: Program, *, members: int, rooms: int, deliveries: int
) -> Figures:
    """Cost of a delivery, and with one room of at most 500 the latency at half the capacity."""
    room = Room(server, load, members, rooms)
    await room.fill()
    found = await room.cost(max(20, min(4000, deliveries // members)), size=EVENT_BYTES)
    if members == LATENCY_MEMBERS:
        await load.order("time", on=True)
        gap_s = 2 * members * found["wall_us"] / 1e6
        await room.burst(200, gap_s=gap_s, size=EVENT_BYTES)
        found |= await load.order("time", on=False)
    await room.check()
    return found


LATENCY_MEMBERS = 500


async def stream(
    server: Server, load: Program, *, answers: int, steps: int, paced: bool
) -> Figures:
    """Cost of a delta when ``answers`` stream at once into a room of 200.

    ``paced``: 20 deltas a second of each answer, the answers out of step with each other, as
    models write. Otherwise as fast as it goes, one delta of each answer in a turn of the loop.
    """
    members = 200
    room = Room(server, load, members, event="messageDelta")
    await room.fill()
    if not paced:
        found = await room.cost(steps * answers, turn=answers, size=DELTA_BYTES)
    else:
        await load.order("time", on=True)
        cpu_s = server.cpu_s()
        await room.burst(steps * answers, gap_s=0.05 / answers, size=DELTA_BYTES)
        found = {"cpu_us": (server.cpu_s() - cpu_s) / (steps * answers * members) * 1e6}
        found |= await load.order("time", on=False)
    await room.check()
    return found


async def acknowledge(
    server: Server, load: Program, *, people: int, times: int, window: int
) -> Figures:
    """Cost of a small validated event with an ack, and how many a second."""
    await load.order(
        "connect", members=people, rooms=0, deflate=False, at_once=people, within_s=_WITHIN_S
    )
    await load.order("acks", times=max(window, times // 10), window=window, within_s=_WITHIN_S)
    cpu_s = server.cpu_s()
    took = await load.order("acks", times=times, window=window, within_s=_WITHIN_S)
    asked = people * times
    return {"cpu_us": (server.cpu_s() - cpu_s) / asked * 1e6, "per_s": asked / took["wall_s"]}


async def storm(server: Server, load: Program, *, members: int, at_once: int) -> Figures:
    """Cost of a connect when many come together, and the memory an idle connection keeps."""
    order = partial(load.order, "connect", rooms=0, deflate=False, within_s=_WITHIN_S)
    await order(members=50, at_once=50)  # warm, not counted
    await load.order("quiet", for_s=0.5)
    cpu_s, rss = server.cpu_s(), server.rss_bytes()
    took = await order(members=members, at_once=at_once)
    cpu_s = server.cpu_s() - cpu_s
    await load.order("quiet", for_s=1.0)
    return {
        "cpu_us": cpu_s / members * 1e6,
        "wall_s": took["wall_s"],
        "kib": (server.rss_bytes() - rss) / members / 1024,
    }


async def deflating(server: Server, load: Program, *, members: int) -> Figures:
    """Memory of a connection whose client offers compression and has received three events."""
    order = partial(load.order, "connect", deflate=True, at_once=100, within_s=_WITHIN_S)
    rss = server.rss_bytes()
    await order(members=members, rooms=members // 20)
    await load.order("quiet", for_s=1.0)
    await server.order(
        "burst",
        event="message",
        rooms=members // 20,
        events=3,
        bytes=2000,
        turn=1,
        gap_s=0,
        first=0,
    )
    await load.order("expect", events=3 * members, within_s=_WITHIN_S)
    await load.order("quiet", for_s=1.0)
    await load.order("check", events=3)
    return {"kib": (server.rss_bytes() - rss) / members / 1024}


def all_scenarios(*, quick: bool, idle: int) -> list[Scenario]:
    """Return what is measured; ``quick`` a tenth of it, ``idle`` so many idle connections."""
    everybody = (CHATOPS, PLAIN, NODE, FLOOR)
    servers = (CHATOPS, PLAIN, NODE)
    deliveries = 20_000 if quick else 200_000
    found = [
        Scenario(
            f"deliver {members}" + (f" in {rooms} rooms" if rooms > 1 else ""),
            everybody,
            partial(deliver, members=members, rooms=rooms, deliveries=deliveries),
        )
        for members, rooms in ((1, 1), (10, 1), (100, 1), (500, 1), (5000, 1), (1000, 100))
        if not quick or members <= 1000
    ]
    few = 10 if quick else 60
    found += [
        Scenario("stream paced", everybody, partial(stream, answers=10, steps=few, paced=True)),
        Scenario("stream fast", everybody, partial(stream, answers=10, steps=few, paced=False)),
        Scenario(
            "ack",
            servers,
            partial(acknowledge, people=20, times=100 if quick else 1500, window=10),
        ),
    ]
    found += [
        Scenario(f"connect {members}", servers, partial(storm, members=members, at_once=members))
        for members in ((500,) if quick else (500, 5000))
    ]
    if not quick:
        found.append(
            Scenario(f"idle {idle}", servers, partial(storm, members=idle, at_once=200))
        )
    found.append(
        Scenario(
            "deflate offered",
            (*servers, NODE_DEFLATE),
            partial(deflating, members=200 if quick else 1000),
        )
    )
    return found

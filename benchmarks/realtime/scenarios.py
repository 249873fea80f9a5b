"""What is measured. Each scenario takes a fresh server and a fresh load and returns figures."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.realtime.load import Load, loading
from benchmarks.realtime.programs import (
    CHATOPS,
    FLOOR,
    NODE,
    NODE_DEFLATE,
    PLAIN,
    Peer,
    ProgramError,
    Server,
    loader,
)

Figures = dict[str, float]
Run = Callable[[Server], Awaitable[Figures]]

EVENT_BYTES = 250
DELTA_BYTES = 120

_WINDOW = 100
"""Events under way at most: 25 KB a member, which the sockets' buffers hold."""

_SHORTEST_GAP_S = 0.001
"""What every loop can time. Small rooms are paced at this, far below half of their capacity."""

_SETTLE_S = 1.0
_WITHIN_S = 120.0

STREAM_MEMBERS = 200
ANSWERS = 10


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

    def __init__(self, server: Server, load: Load, rooms: int = 1, event: str = "message") -> None:
        self._server = server
        self._load = load
        self._rooms = rooms
        self._event = event
        self._sent = 0

    async def fill(self, members: int) -> None:
        """Connect the members, let them join, and wait until the server is still."""
        await self._load.connect(members, rooms=self._rooms)
        # A room announces who is in it a moment after the last join: later the larger it is.
        await self._load.quiet(1.0 + members / self._rooms / 500)

    async def burst(self, events: int, *, size: int, turn: int = 1, gap_s: float = 0.0) -> None:
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
        await self._load.expect(self._sent)

    async def flood(self, events: int, *, size: int, turn: int = 1) -> Figures:
        """Send events as fast as they go, and return what one delivery costs, in µs."""
        await self.burst(min(events, 20), turn=turn, size=size)  # warm, not counted
        cpu_s, began = self._server.cpu_s(), time.monotonic()
        for done in range(0, events, _WINDOW):
            await self.burst(min(_WINDOW, events - done), turn=turn, size=size)
        cpu_s, wall_s = self._server.cpu_s() - cpu_s, time.monotonic() - began
        deliveries = events * self._load.members
        return {"flood_cpu_us": cpu_s / deliveries * 1e6, "wall_us": wall_s / deliveries * 1e6}

    async def pace(self, events: int, gap_s: float, *, size: int) -> Figures:
        """Send an event every ``gap_s``; return the cost of a delivery and its latency, in µs."""
        await self._load.start_timing()
        cpu_s = self._server.cpu_s()
        await self.burst(events, gap_s=gap_s, size=size)
        cpu_s = self._server.cpu_s() - cpu_s
        latency = await self._load.stop_timing()
        return {"cpu_us": cpu_s / (events * self._load.members) * 1e6, **latency}

    async def check(self) -> None:
        """Fail if a member did not receive everything once and in order."""
        await self._load.check(self._sent)


async def deliver(
    server: Server, load: Load, *, members: int, rooms: int, deliveries: int
) -> Figures:
    """Cost of a delivery: as fast as it goes, and, with latency, at half of that."""
    room = Room(server, load, rooms)
    await room.fill(members)
    found = await room.flood(max(20, min(4000, deliveries // members)), size=EVENT_BYTES)
    gap_s = max(_SHORTEST_GAP_S, 2 * members * found["wall_us"] / 1e6)
    events = max(20, min(400, deliveries // members))
    found |= await room.pace(events, gap_s, size=EVENT_BYTES)
    await room.check()
    return found


async def stream(server: Server, load: Load, *, steps: int, paced: bool) -> Figures:
    """Cost of a delta when 10 answers stream at once into a room of 200.

    ``paced``: 20 deltas a second of each answer, the answers out of step with each other, as
    models write. Otherwise as fast as it goes, one delta of each answer in a turn of the loop.
    """
    room = Room(server, load, event="messageDelta")
    await room.fill(STREAM_MEMBERS)
    if paced:
        found = await room.pace(steps * ANSWERS, 0.05 / ANSWERS, size=DELTA_BYTES)
    else:
        found = await room.flood(steps * ANSWERS, turn=ANSWERS, size=DELTA_BYTES)
    await room.check()
    return found


async def acknowledge(
    server: Server, load: Load, *, people: int, times: int, window: int
) -> Figures:
    """Cost of a small validated event with an ack, and how many a second."""
    await load.connect(people)
    await load.acks(max(window, times // 10), window)  # warm, not counted
    cpu_s = server.cpu_s()
    wall_s = await load.acks(times, window)
    asked = people * times
    return {"cpu_us": (server.cpu_s() - cpu_s) / asked * 1e6, "per_s": asked / wall_s}


async def connect(server: Server, load: Load, *, members: int, at_once: int) -> Figures:
    """Cost of a connect when many come together, and the memory an idle connection keeps.

    ``at_once`` of them are being opened at any moment. Above 128, what the kernel queues for
    aiohttp by default, the wall is that of lost SYNs and not of the server.
    """
    await load.connect(50)  # warm, not counted
    await load.quiet(0.5)
    cpu_s, rss = server.cpu_s(), server.rss_bytes()
    wall_s = await load.connect(members, at_once=at_once)
    cpu_s = server.cpu_s() - cpu_s
    await load.quiet(1.0)
    kib = (server.rss_bytes() - rss) / members / 1024
    return {"cpu_us": cpu_s / members * 1e6, "wall_s": wall_s, "kib": kib}


async def deflating(server: Server, load: Load, *, members: int) -> Figures:
    """Memory of a connection whose client offers compression and has received three events."""
    rss = server.rss_bytes()
    rooms = members // 20
    room = Room(server, load, rooms)
    await load.connect(members, rooms=rooms, deflate=True)
    await load.quiet(1.0)
    await room.burst(3, size=2000)  # long enough that every peer compresses that does it at all
    await load.quiet(1.0)
    await room.check()
    return {"kib": (server.rss_bytes() - rss) / members / 1024}


async def converse(server: Server, *, echo: bool, people: int, times: int) -> Figures:
    """Cost of a message and its answer, and how long the answer takes, with ``people`` at once.

    ``echo``: what our server shows to the room is the stored message, which is what the echo app
    does without storing it. Otherwise the message is a command of ours and its result is awaited.
    Each says something ``times`` times, and to ours ten times that: so both take seconds, in which
    a machine that others use too is as fast on the whole.

    Raises:
        ProgramError: A message was not stored by a server that stores.
    """
    ours = server.peer is CHATOPS
    dialect = "say" if echo and ours else server.peer.name
    parts = 10 if ours else 1
    async with loader("realtime.talkers", dialect, server.url) as talkers:
        await talkers.order("connect", people=people)
        await asyncio.sleep(_SETTLE_S)
        warm = max(1, times // 5)
        await talkers.order("talk", times=warm, within_s=_WITHIN_S)
        await asyncio.sleep(_SETTLE_S)
        cpu_s = server.cpu_s()
        took: list[float] = []
        for _ in range(parts):
            answer = await talkers.order("talk", times=times, within_s=_WITHIN_S)
            took += answer["took_us"]
        await asyncio.sleep(_SETTLE_S)  # what is done after the answer counts too
        cpu_s = server.cpu_s() - cpu_s
        said = warm + parts * times
        if answer["stored"] not in (None, said if echo else 2 * said):
            raise ProgramError(f"{answer['stored']} entries are stored of {said} messages")
        await talkers.order("close")
    took.sort()
    return {
        "cpu_us": cpu_s / len(took) * 1e6,
        "p50_us": took[len(took) // 2],
        "p99_us": took[len(took) * 99 // 100],
    }


def loaded(run: Callable[[Server, Load], Awaitable[Figures]]) -> Run:
    """Return the run with a load of its own."""

    async def run_with_load(server: Server) -> Figures:
        async with loading(server) as load:
            found = await run(server, load)
            await load.close()
            return found

    return run_with_load


def all_scenarios(*, quick: bool, idle: int, chainlit: Peer | None) -> list[Scenario]:
    """Return what is measured.

    Args:
        quick: Only small rooms, and few deliveries.
        idle: How many idle connections are held.
        chainlit: The echo app, or None to leave the comparison out.
    """
    found = [_delivery(members, rooms, quick=quick) for members, rooms in SIZES]
    steps = 10 if quick else 60
    acks = partial(acknowledge, people=20, times=200 if quick else 2000)
    found += [
        Scenario("stream paced", ALL, loaded(partial(stream, steps=steps, paced=True))),
        Scenario("stream fast", ALL, loaded(partial(stream, steps=steps, paced=False))),
        Scenario("ack", SERVERS, loaded(partial(acks, window=10))),
        Scenario("ack one by one", SERVERS, loaded(partial(acks, window=1))),
    ]
    found += [_connects(f"connect {many}", many) for many in (500, 5000)]
    # All at the same moment: more than the peer on Python can queue, some of whose clients are
    # never let in, so it takes no part.
    found.append(_connects("storm 5000", 5000, at_once=5000, peers=(CHATOPS, NODE)))
    found.append(_connects(f"idle {idle}", idle))
    deflate = partial(deflating, members=200 if quick else 1000)
    found.append(Scenario("deflate offered", (*SERVERS, NODE_DEFLATE), loaded(deflate)))
    if chainlit is not None:
        talk = partial(converse, people=20, times=5 if quick else 100)
        for name, echo in (("converse", False), ("echo", True)):
            found.append(Scenario(name, (CHATOPS, chainlit), partial(talk, echo=echo)))
    large = {"deliver 5000", "connect 5000", "storm 5000", f"idle {idle}"}
    return [one for one in found if not quick or one.name not in large]


SIZES = ((1, 1), (10, 1), (100, 1), (500, 1), (5000, 1), (1000, 100))
"""Members and rooms."""

SERVERS = (CHATOPS, PLAIN, NODE)
ALL = (*SERVERS, FLOOR)


def _delivery(members: int, rooms: int, *, quick: bool) -> Scenario:
    name = f"deliver {members}" + (f" in {rooms} rooms" if rooms > 1 else "")
    deliveries = 20_000 if quick else 100_000
    return Scenario(
        name, ALL, loaded(partial(deliver, members=members, rooms=rooms, deliveries=deliveries))
    )


def _connects(
    name: str, members: int, *, at_once: int = 100, peers: Sequence[Peer] = SERVERS
) -> Scenario:
    return Scenario(name, peers, loaded(partial(connect, members=members, at_once=at_once)))

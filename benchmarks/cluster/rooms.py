"""One room over two nodes: what a delivery costs, how long it takes, and how a lost bus heals."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import count
from typing import Any

from benchmarks.cluster.services import Services
from benchmarks.cpu import machine_cpu_s
from benchmarks.load import percentile
from benchmarks.realtime.load import Load, socket_url
from benchmarks.realtime.programs import CHATOPS, ROOT, Peer, Program, Server, loader, running
from benchmarks.realtime.scenarios import EVENT_BYTES, Figures, Scenario

NODE_REDIS = ROOT / "benchmarks" / "peers" / "node_redis"

FANOUT, ACROSS, HEAL = "fan-out over two nodes", "across two nodes", "healing"
NAMES = (FANOUT, ACROSS, HEAL)

MEMBERS = 500
"""On both nodes together."""

_WINDOW = 25
"""Unacked messages of one speaker at most; twice as many are said before all are awaited."""

_WITHIN_S = 120.0
_UNNOTICED_S = 2.0
"""For so long a node cannot know that the bus is lost: it hears itself each second, so the last
time was at most a second before, and it misses itself after three."""

_rooms = count()


class TwoNodes:
    """Two servers, members on both in one room, and a speaker on each."""

    def __init__(self, servers: tuple[Server, Server], programs: list[Program]) -> None:
        self.servers = servers
        self.load = Load(programs)
        self._programs = programs
        self._said = 0

    async def fill(self, members: int, frame_bytes: int) -> None:
        """Connect the members, settle, and learn how long a message must be."""
        await self.load.connect(members, rooms=1)
        # A room announces who is in it a moment after the last join: later the larger it is.
        await self.load.quiet(1.0 + members / 500)
        await self.say(1)
        await asyncio.gather(*(one.order("fit", frame_bytes=frame_bytes) for one in self._programs))

    async def say(self, messages: int, gap_s: float = 0.0) -> list[float]:
        """Let both speak until all have heard it; return how long each ack took, in µs."""
        answers = await asyncio.gather(
            *(self._say(node, messages, gap_s) for node in range(len(self._programs)))
        )
        await self.load.expect(self._said)
        return [took for answer in answers for took in answer["took_us"]]

    async def say_across(self, messages: int, gap_s: float) -> tuple[list[int], list[int]]:
        """Let one speak; return from its sending, and from its ack, to the other node, in µs."""
        answer = await self._say(0, messages, gap_s)
        await self.load.expect(self._said)
        heard = (await self._programs[1].order("heard", speaker=0))["heard_us"][-messages:]
        acked_us, took_us = answer["acked_us"], answer["took_us"]
        from_ack = [at - acked for at, acked in zip(heard, acked_us, strict=True)]
        return [wait + took for wait, took in zip(from_ack, took_us, strict=True)], from_ack

    async def _say(self, node: int, messages: int, gap_s: float) -> dict[str, Any]:
        self._said += messages
        return await self._programs[node].order(
            "say", messages=messages, gap_s=gap_s, window=_WINDOW, within_s=_WITHIN_S
        )

    async def check(self) -> None:
        """Fail if a member did not receive everything once, with the same bytes as all others.

        On our nodes also if members saw different orders.
        """
        await self.load.check(self._said)

    def cpu_s(self) -> float:
        """Return the processor seconds of both servers so far."""
        return sum(server.cpu_s() for server in self.servers)

    def load_cpu_s(self) -> float:
        """Return the processor seconds of the load so far."""
        return sum(program.cpu_s() for program in self._programs)


@asynccontextmanager
async def two_nodes(first: Server) -> AsyncIterator[TwoNodes]:
    """Start another node beside the first, and the load of both, in a process for each node."""
    room = f"room-{next(_rooms):03d}"
    order = "one" if first.peer.name == CHATOPS.name else "each"
    async with AsyncExitStack() as stack:
        servers = first, await stack.enter_async_context(running(first.peer))
        programs = [
            await stack.enter_async_context(
                loader("cluster.members", socket_url(server), room, str(number), order)
            )
            for number, server in enumerate(servers)
        ]
        nodes = TwoNodes(servers, programs)
        yield nodes
        await nodes.load.close()


class Meter:
    """Processor time of everything that takes part."""

    def __init__(self, nodes: TwoNodes, services: Services) -> None:
        self._nodes = nodes
        self._services = services
        self._began, self._began_s = self._used(), time.monotonic()

    def figures(self, things: int, prefix: str = "") -> Figures:
        """Return the cost of each of so many things since the start, in µs.

        And how many cores others on this machine were using, who are no part of it.
        """
        wall_s = time.monotonic() - self._began_s
        spent = {name: used - self._began[name] for name, used in self._used().items()}
        others_s = spent.pop("machine") - sum(spent.values())
        return {
            **{f"{prefix}{name}_us": one / things * 1e6 for name, one in spent.items()},
            f"{prefix}wall_us": wall_s / things * 1e6,
            f"{prefix}others_cores": others_s / wall_s,
        }

    def _used(self) -> dict[str, float]:
        return {
            "servers": self._nodes.cpu_s(),
            **self._services.cpu_s(),
            "load": self._nodes.load_cpu_s(),
            "machine": machine_cpu_s(),
        }


async def fan_out(first: Server, *, services: Services, messages: int, per_s: float) -> Figures:
    """Cost of a delivery, as fast as it goes and paced, and how long the paced ones take.

    ``messages`` are those of each speaker; paced, both together say ``per_s`` a second.
    """
    async with two_nodes(first) as nodes:
        await nodes.fill(MEMBERS, EVENT_BYTES)
        await nodes.say(20)  # warm, not counted
        deliveries = messages * len(nodes.servers) * MEMBERS
        meter = Meter(nodes, services)
        for _ in range(0, messages, 2 * _WINDOW):
            await nodes.say(2 * _WINDOW)
        found = meter.figures(deliveries, "fast_")
        await nodes.load.start_timing()
        meter = Meter(nodes, services)
        took_us = await nodes.say(messages, len(nodes.servers) / per_s)
        found |= meter.figures(deliveries)
        found |= await nodes.load.stop_timing()
        await nodes.check()
    return found | {"ack_p50_us": statistics.median(took_us), "ack_p99_us": percentile(took_us, 99)}


async def across(first: Server, *, services: Services, messages: int) -> Figures:
    """Time from the sending on one node to the receipt on the other, one member on each.

    With so few members, the cost is that of a message, not of its deliveries.
    """
    async with two_nodes(first) as nodes:
        await nodes.fill(len(nodes.servers), EVENT_BYTES)
        await nodes.say_across(20, 0.01)  # warm, not counted
        meter = Meter(nodes, services)
        took_us, _ = await nodes.say_across(messages, 0.01)
        found = meter.figures(messages)
        await nodes.check()
    return found | {"p50_us": statistics.median(took_us), "p99_us": percentile(took_us, 99)}


async def heal(first: Server, *, services: Services, messages: int) -> Figures:
    """Time from the ack on one node to the receipt on the other while Redis is stopped.

    First while the nodes do not know yet, then when both have noticed.
    """
    async with two_nodes(first) as nodes:
        await nodes.fill(len(nodes.servers), EVENT_BYTES)
        services.redis.pause()
        try:
            _, early_us = await nodes.say_across(messages, _UNNOTICED_S / messages)
            for server in nodes.servers:
                await server.until_said('"bus_degraded"')
            # Out of step with the looks at the store, which come every 0.4 to 0.6 s.
            _, late_us = await nodes.say_across(messages, 0.37)
        finally:
            services.redis.resume()
        await nodes.check()
    return {
        "early_p50_s": statistics.median(early_us) / 1e6,
        "early_max_s": max(early_us) / 1e6,
        "late_p50_s": statistics.median(late_us) / 1e6,
        "late_max_s": max(late_us) / 1e6,
    }


def scenarios(services: Services, *, quick: bool, per_s: float) -> list[Scenario]:
    """Return what is measured; the peer on Node has the same Redis, and stores nothing."""
    ours = Peer(
        CHATOPS.name,
        CHATOPS.command,
        {**CHATOPS.environment, **services.environment("rooms")},
        warm=(*CHATOPS.warm, '"bus_up"'),
    )
    node = Peer("node", ["node", str(NODE_REDIS / "server.mjs")], {"REDIS_URL": services.redis_url})
    run: Callable[[Server], Awaitable[Figures]] = partial(
        fan_out, services=services, messages=100 if quick else 300, per_s=per_s
    )
    return [
        Scenario(FANOUT, (ours, node), run),
        Scenario(
            ACROSS, (ours, node), partial(across, services=services, messages=100 if quick else 500)
        ),
        Scenario(HEAL, (ours,), partial(heal, services=services, messages=5 if quick else 20)),
    ]

"""Several nodes on one MongoDB and one Redis, all real; and what must hold in the end."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.log import check_numbers, stored_log
from tests.support.members import NodeMember, PythonMember
from tests.support.server import ServerProcess
from tests.support.services import Mongod, Service, mongod, redis_server
from tests.support.waiting import until

Member = PythonMember | NodeMember

SESSION = "desk"


@dataclass
class Fleet:
    """The services and the nodes.

    Attributes:
        mongo: The store.
        redis: The bus.
        nodes: The servers, each on a port of its own.
    """

    mongo: Mongod
    redis: Service
    nodes: list[ServerProcess]

    @property
    def urls(self) -> list[str]:
        """Where the nodes are."""
        return [node.url for node in self.nodes]

    def environment(self) -> dict[str, str]:
        """Return what a further process of this cluster needs to know."""
        return {
            "MONGODB_URI": self.mongo.uri("chatops"),
            "REDIS_URL": f"redis://127.0.0.1:{self.redis.port}/0",
            "CHATOPS_RATE_LIMIT": "off",
        }

    def logs(self) -> str:
        """Return all that the nodes have logged."""
        return "".join(node.log() for node in self.nodes)


@asynccontextmanager
async def fleet(folder: Path, nodes: int = 3, **settings: str) -> AsyncIterator[Fleet]:
    """Run the services and so many nodes until the block ends."""
    with mongod(folder / "mongo") as mongo, redis_server(folder / "redis") as redis:
        made = Fleet(mongo, redis, [])
        try:
            for number in range(nodes):
                environment = {"CHATOPS_BACKTEST_WORKERS": "1", **made.environment(), **settings}
                made.nodes.append(ServerProcess(folder / f"node{number}", **environment))
            await asyncio.gather(*(node.start() for node in made.nodes))
            yield made
            await asyncio.gather(*(node.stop() for node in made.nodes))
        finally:
            await asyncio.gather(*(node.kill() for node in made.nodes))


@dataclass
class Talk:
    """Members on all nodes who talk for as long as they are let.

    Attributes:
        members: Who is in the session.
        sent: What they have said.
    """

    members: list[Member]
    chance: random.Random
    pause_s: float = 0.02
    sent: list[str] = field(default_factory=list)
    _stopped: bool = False

    async def go_on(self) -> None:
        """Say something again and again, each time somebody else."""
        while not self._stopped:
            member = self.chance.choice(self.members)
            self.sent.append(f"{len(self.sent)} 안녕 {self.chance.random()}")
            member.send(self.sent[-1])
            await asyncio.sleep(self.pause_s * 2 * self.chance.random())

    def stop(self) -> None:
        """Say no more."""
        self._stopped = True

    @property
    def acked(self) -> int:
        """How many messages are known to be stored."""
        return sum(len(member.acked) for member in self.members)


@asynccontextmanager
async def talking(cluster: Fleet, *, seed: int = 1, pause_s: float = 0.02) -> AsyncIterator[Talk]:
    """Let two Python members and a Node member on each node talk until the block ends."""
    async with AsyncExitStack() as stack:
        members: list[Member] = []
        for number, url in enumerate(cluster.urls):
            for kind in (PythonMember, PythonMember, NodeMember)[: 3 if number == 0 else 2]:
                member = kind(url, SESSION, f"member {len(members)}")
                members.append(await stack.enter_async_context(member))
        talk = Talk(members, random.Random(seed), pause_s)
        going = asyncio.get_running_loop().create_task(talk.go_on())
        try:
            yield talk
        finally:
            talk.stop()
            await going


async def settle(cluster: Fleet, talk: Talk, within_s: float = 60.0) -> list[dict[str, Any]]:
    """Wait until everybody has seen everything; then nothing may be lost, doubled or disordered.

    Every acked entry is stored once, numbers are 1 to n, every node has the same log, and every
    member saw exactly this log, in order.
    """
    talk.stop()
    await until(
        lambda: talk.acked == len(talk.sent),
        within_s,
        f"every message is acked: {talk.acked} of {len(talk.sent)}",
    )
    logs = [await stored_log(url, SESSION) for url in cluster.urls]
    log = logs[0]
    assert all(other == log for other in logs)
    check_numbers(log)
    expected = [(entry["seq"], entry.get("content") or entry["message"]) for entry in log]
    said = [entry["content"] for entry in log if entry["content"] in set(talk.sent)]
    assert sorted(said) == sorted(talk.sent)
    for member in talk.members:
        await until(
            lambda m=member: len(m.seen) >= len(log),  # type: ignore[misc]
            within_s,
            f"all is seen: {len(member.seen)} of {len(log)}",
        )
        assert member.seen == expected
        assert member.trouble == []
        stored = dict(expected)
        assert all(stored[seq] == text for text, seq in member.acked.items())
    return log


async def burst(
    cluster: Fleet, fault: Callable[[Talk], Awaitable[None]], *, seed: int = 1
) -> list[dict[str, Any]]:
    """Let people talk on every node while the fault happens; return the log that all agree on."""
    async with talking(cluster, seed=seed) as talk:
        await until(lambda: talk.acked >= 30, 30, "everybody talks")
        await fault(talk)
        before = talk.acked
        await until(lambda: talk.acked >= before + 30, 60, "the talk goes on")
        return await settle(cluster, talk)


def tracebacks(cluster: Fleet) -> Sequence[str]:
    """Return the lines of the nodes' logs that hold a traceback."""
    return [line for line in cluster.logs().splitlines() if "Traceback" in line]

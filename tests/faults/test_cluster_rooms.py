"""One room on several nodes, while its services and nodes are killed, paused and cut off."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import socketio
from redis.asyncio import Redis

from tests.support.fleet import SESSION, Fleet, Talk, burst, fleet, settle, talking, tracebacks
from tests.support.log import check_numbers, stored_log
from tests.support.members import PythonMember
from tests.support.waiting import until

# python-socketio's client drops the connection of a handshake that was cut without closing it.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.timeout(240),
]

ALWAYS: list[pytest.MarkDecorator] = []
LONG = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with fleet(tmp_path) as made:
        yield made
        assert not tracebacks(made)


def lengths(short: float, long: float) -> list[Any]:
    return [pytest.param(short, marks=ALWAYS), pytest.param(long, marks=LONG)]


@pytest.mark.parametrize("seconds", lengths(5, 40))
async def test_redis_killed_in_a_burst(cluster: Fleet, seconds: float) -> None:
    async def fault(_talk: Talk) -> None:
        cluster.redis.kill()
        await asyncio.sleep(seconds)
        cluster.redis.restart()
        await asyncio.sleep(2)

    await burst(cluster, fault)


@pytest.mark.parametrize("seconds", lengths(5, 30))
async def test_redis_paused_in_a_burst(cluster: Fleet, seconds: float) -> None:
    async def fault(talk: Talk) -> None:
        cluster.redis.pause()
        before = talk.acked
        try:
            await asyncio.sleep(seconds)
            # The ack never waits for Redis.
            assert talk.acked > before + 20 * seconds
        finally:
            cluster.redis.resume()

    await burst(cluster, fault)


@pytest.mark.parametrize("cuts", lengths(10, 60))
async def test_subscribers_cut_every_half_second(cluster: Fleet, cuts: float) -> None:
    async def fault(_talk: Talk) -> None:
        async with Redis(port=cluster.redis.port) as client:
            for _ in range(int(cuts)):
                await asyncio.sleep(0.5)
                await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # type: ignore[no-untyped-call]

    await burst(cluster, fault)


@pytest.mark.parametrize("rounds", lengths(2, 10))
async def test_mongod_killed_in_a_burst(cluster: Fleet, rounds: float) -> None:
    async def fault(talk: Talk) -> None:
        for _ in range(int(rounds)):
            cluster.mongo.kill()
            await asyncio.sleep(1)
            await asyncio.to_thread(cluster.mongo.restart)
            before = talk.acked
            await until(lambda least=before: talk.acked > least + 20, 60, "it is written again")  # type: ignore[misc]

    await burst(cluster, fault)


@pytest.mark.parametrize("seconds", lengths(5, 30))
async def test_mongod_paused_in_a_burst(cluster: Fleet, seconds: float) -> None:
    async def fault(_talk: Talk) -> None:
        cluster.mongo.pause()
        try:
            await asyncio.sleep(seconds)
        finally:
            cluster.mongo.resume()

    await burst(cluster, fault)


@pytest.mark.parametrize("seconds", lengths(4, 20))
async def test_both_down_at_once(cluster: Fleet, seconds: float) -> None:
    async def fault(_talk: Talk) -> None:
        cluster.redis.kill()
        cluster.mongo.kill()
        await asyncio.sleep(seconds)
        cluster.redis.restart()
        await asyncio.to_thread(cluster.mongo.restart)

    await burst(cluster, fault)


@pytest.mark.parametrize("rounds", lengths(1, 5))
async def test_a_rolling_restart_under_load(cluster: Fleet, rounds: float) -> None:
    async def fault(_talk: Talk) -> None:
        for _ in range(int(rounds)):
            for node in cluster.nodes:
                assert await node.stop(within_s=8) == 0
                await node.start()
                await asyncio.sleep(0.5)

    await burst(cluster, fault)


async def test_nodes_killed_one_after_the_other(cluster: Fleet) -> None:
    async def fault(_talk: Talk) -> None:
        for node in cluster.nodes:
            await node.kill()
            await asyncio.sleep(1)
            await node.start()

    await burst(cluster, fault)


async def test_joining_during_a_burst_shows_everything_once(cluster: Fleet) -> None:
    async with talking(cluster, pause_s=0.005) as talk:
        late: list[PythonMember] = []
        try:
            for number in range(12):
                member = PythonMember(cluster.urls[number % 3], SESSION, f"late {number}")
                late.append(await member.__aenter__())
                await asyncio.sleep(0.1)
            log = await settle(cluster, talk)
            for member in late:
                await until(lambda m=member: m.seen[-1][0] == log[-1]["seq"], 20, "all is seen")  # type: ignore[misc]
                numbers = [seq for seq, _ in member.seen]
                assert numbers == list(range(numbers[0], log[-1]["seq"] + 1))
        finally:
            for member in late:
                await member.__aexit__(None, None, None)


async def test_the_same_message_sent_on_three_nodes_at_once_is_stored_once(cluster: Fleet) -> None:
    clients = [socketio.AsyncSimpleClient() for _ in cluster.nodes]
    try:
        for client, url in zip(clients, cluster.urls, strict=True):
            await client.connect(
                url,
                socketio_path="/ws/chatops",
                auth={"clientId": "one-person", "name": "Ann"},
                transports=["websocket"],
            )
        for number in range(50):
            payload = {
                "sessionId": SESSION,
                "content": f"{number}",
                "clientMessageId": f"k{number}",
            }
            acks = await asyncio.gather(*(c.call("sendMessage", payload) for c in clients))
            assert all(ack["ok"] for ack in acks), acks
            assert len({ack["message"]["seq"] for ack in acks}) == 1
            assert len({ack["message"]["id"] for ack in acks}) == 1
    finally:
        for client in clients:
            await client.disconnect()
    log = await stored_log(cluster.urls[0], SESSION)
    check_numbers(log)
    assert [entry["content"] for entry in log] == [f"{number}" for number in range(50)]


class Roamer:
    """A light client that goes to another node when its own is gone, and joins where it was."""

    def __init__(self, urls: list[str], number: int) -> None:
        self.seen: list[int] = []
        self.moves = 0
        self._urls = urls
        self._number = number
        self._client: socketio.AsyncClient | None = None
        self._moving: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Connect to the next node that takes it."""
        while True:
            url = self._urls[(self._number + self.moves) % len(self._urls)]
            client = socketio.AsyncClient(reconnection=False)
            client.on("message", self._hear)
            client.on("disconnect", self._gone)
            try:
                await client.connect(url, socketio_path="/ws/chatops", transports=["websocket"])
                before = len(self.seen)
                after = self.seen[-1] if self.seen else 0
                ack = await client.call("joinSession", {"sessionId": SESSION, "afterSeq": after})
                assert ack["ok"], ack
                assert not ack["more"]
            except (socketio.exceptions.SocketIOError, OSError):
                self.moves += 1
                await asyncio.sleep(0.1)
                continue
            # What came live since is in the list already, after what was missed.
            self.seen[before:before] = [entry["seq"] for entry in ack["entries"]]
            self._client = client
            return

    async def close(self) -> None:
        """Hang up for good."""
        client, self._client = self._client, None
        if self._moving is not None:
            self._moving.cancel()
        if client is not None:
            await client.disconnect()

    def _hear(self, payload: dict[str, Any]) -> None:
        self.seen.append(payload["seq"])

    def _gone(self, *_reason: Any) -> None:
        if self._client is not None:
            self._client = None
            self.moves += 1
            self._moving = asyncio.get_running_loop().create_task(self.connect())


@pytest.mark.parametrize("people", lengths(60, 300))
async def test_a_node_killed_with_many_clients(cluster: Fleet, people: float) -> None:
    roamers = [Roamer(cluster.urls, number) for number in range(int(people))]
    try:
        for first in range(0, len(roamers), 20):
            await asyncio.gather(*(roamer.connect() for roamer in roamers[first : first + 20]))
        survivors = Fleet(cluster.mongo, cluster.redis, cluster.nodes[:2])
        async with talking(survivors) as talk:
            await until(lambda: talk.acked >= 50, 30, "everybody talks")
            await cluster.nodes[2].kill()
            before = talk.acked
            await until(lambda: talk.acked >= before + 150, 60, "the talk goes on")
            log = await settle(survivors, talk)
            everything = list(range(1, len(log) + 1))
            for roamer in roamers:
                await until(lambda r=roamer: len(r.seen) >= len(log), 30, "all is seen")  # type: ignore[misc]
                assert roamer.seen == everything
        assert sum(roamer.moves > 0 for roamer in roamers) >= people / 3 - 1
    finally:
        for roamer in roamers:
            await roamer.close()

"""Tickets over a real Redis: sent without waiting, taken by Celery, trusted with nothing."""

import asyncio
import logging
import pickle
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from redis import Redis

from chatops.backtests.job import Asker, Job
from chatops.backtests.jobs.service import Jobs
from chatops.stores.sqlite import SqliteStore
from chatops.tasks import Supervisor
from chatops.workers.celery import QUEUE, TICKET, CeleryTaker, CeleryTickets
from chatops.workers.pool import ProcessPool
from tests.contracts.jobs import ANN, BEN, asker, job
from tests.support.fakes import Air, FakeRooms, FakeWorkers
from tests.support.services import Service, redis_server
from tests.support.waiting import until

PREFIX = "team"
KEY = f"{PREFIX}:{QUEUE}"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Service]:
    with redis_server(tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    made = Supervisor()
    yield made
    await made.close(0.5)


@pytest.fixture
async def tickets(redis: Service) -> AsyncIterator[CeleryTickets]:
    made = CeleryTickets(url(redis), PREFIX)
    made.open()
    yield made
    await made.close(5)


def url(redis: Service) -> str:
    return f"redis://127.0.0.1:{redis.port}/0"


def client(redis: Service) -> Redis:
    return Redis(port=redis.port, socket_timeout=5)


def waiting(redis: Service) -> int:
    with client(redis) as connection:
        found: Any = connection.llen(KEY)
        return int(found)


async def test_as_many_tickets_wait_as_jobs_are_ready_and_no_more(
    redis: Service, tickets: CeleryTickets
) -> None:
    tickets.offer(3)
    await until(lambda: waiting(redis) == 3, 5, "three tickets wait")
    for _ in range(5):
        tickets.offer(3)
        await asyncio.sleep(0.05)
    tickets.offer(4)
    await until(lambda: waiting(redis) == 4, 5, "one more is sent, and only one")
    with client(redis) as connection:
        keys: Any = connection.keys("*")
    assert all(key.decode().startswith(f"{PREFIX}:") for key in keys)


async def test_nobody_waits_for_a_redis_that_is_paused_and_tickets_come_with_a_later_offer(
    redis: Service, tickets: CeleryTickets
) -> None:
    tickets.offer(1)
    await until(lambda: waiting(redis) == 1, 5, "a ticket waits")
    redis.pause()
    slowest_s = 0.0
    for _ in range(200):
        before = time.perf_counter()
        tickets.offer(2)
        slowest_s = max(slowest_s, time.perf_counter() - before)
        await asyncio.sleep(0.02)
    redis.resume()
    assert slowest_s < 0.5

    def offered_again() -> bool:
        tickets.offer(2)
        return waiting(redis) == 2

    await until(offered_again, 10, "the second ticket is sent")


async def test_closing_with_redis_away_takes_no_longer_than_allowed(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as redis:
        sender = CeleryTickets(url(redis), PREFIX)
        sender.open()
        redis.pause()
        sender.offer(1)
        before = time.monotonic()
        await sender.close(0.5)
        assert time.monotonic() - before < 2
        redis.resume()


class Takes:
    """What tickets are for in tests: it holds each until it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.at_once = 0
        self.most = 0
        self.go = asyncio.Event()

    async def __call__(self) -> None:
        self.begun += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await self.go.wait()
        self.at_once -= 1


async def test_tickets_are_taken_by_as_many_as_there_are_slots_and_each_once(
    redis: Service, tickets: CeleryTickets, supervisor: Supervisor
) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    root = list(logging.getLogger().handlers)
    takes = Takes()
    taker = CeleryTaker(url(redis), PREFIX, supervisor, slots=2, take=takes)
    tickets.offer(5)
    taker.open()
    await until(lambda: takes.begun == 2, 10, "two are taken")
    await until(lambda: waiting(redis) == 3, 5, "the rest is left to other workers")
    takes.go.set()
    await until(lambda: takes.begun == 5, 10, "all are taken")
    await until(lambda: acked(redis), 5, "all are acknowledged")
    assert takes.most == 2
    before = time.monotonic()
    await taker.close(5)
    assert time.monotonic() - before < 3
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert logging.getLogger().handlers == root


def acked(redis: Service) -> bool:
    with client(redis) as connection:
        return not connection.exists(f"{PREFIX}:unacked", KEY)


async def test_a_ticket_at_work_is_not_given_up_by_a_taker_that_stops(
    redis: Service, tickets: CeleryTickets, supervisor: Supervisor
) -> None:
    takes = Takes()
    taker = CeleryTaker(url(redis), PREFIX, supervisor, slots=1, take=takes)
    tickets.offer(2)
    taker.open()
    await until(lambda: takes.begun == 1, 10, "one is taken")
    taker.stop()
    await asyncio.sleep(0.5)
    takes.go.set()
    await taker.close(5)
    assert (takes.begun, takes.at_once) == (1, 0)
    assert waiting(redis) == 1


async def test_a_taker_outlives_its_redis(
    redis: Service, tickets: CeleryTickets, supervisor: Supervisor
) -> None:
    takes = Takes()
    takes.go.set()
    taker = CeleryTaker(url(redis), PREFIX, supervisor, slots=1, take=takes)
    tickets.offer(1)
    taker.open()
    await until(lambda: takes.begun == 1, 10, "one is taken")
    redis.kill()
    tickets.offer(1)
    await asyncio.sleep(1)
    redis.restart()

    def taken_again() -> bool:
        tickets.offer(1)
        return takes.begun > 1

    await until(taken_again, 20, "tickets are taken again")
    await taker.close(5)


class Trap:
    """Leaves a trace where it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.path),)


async def test_a_message_that_would_run_code_is_not_read(
    redis: Service, supervisor: Supervisor, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    pickle.loads(pickle.dumps(Trap(str(trace))))  # noqa: S301 - so the trap works
    assert trace.exists()
    trace.unlink()
    forger = Celery(broker=url(redis), set_as_current=False)
    forger.conf.broker_transport_options = {"global_keyprefix": f"{PREFIX}:"}
    with forger.connection_for_write() as connection:
        message: tuple[Any, ...] = ([Trap(str(trace))], {}, {})
        forger.send_task(
            TICKET, args=message, connection=connection, serializer="pickle", queue=QUEUE
        )
    assert waiting(redis) == 1
    takes = Takes()
    taker = CeleryTaker(url(redis), PREFIX, supervisor, slots=1, take=takes)
    taker.open()
    await until(lambda: waiting(redis) == 0, 10, "the message was taken")
    await taker.close(5)
    assert not trace.exists()
    assert takes.begun == 0


class Side:
    """A server or a worker in this loop; both share one store."""

    def __init__(
        self, store: SqliteStore, air: Air, tickets: CeleryTickets, workers: Any = None
    ) -> None:
        self.rooms = FakeRooms()
        self.supervisor = Supervisor()
        self.workers = workers
        self.jobs = Jobs(
            store.jobs,
            self.rooms,
            self.supervisor,
            air.node(),
            workers=workers,
            tickets=tickets,
            queue_limit=100,
        )

    async def submit(self, job_id: str, *askers: Asker, **fields: Any) -> Job:
        made = job(job_id, *askers, fingerprint=job_id)
        return await self.jobs.submit(replace(made, **fields))

    async def stop(self) -> None:
        await self.jobs.close()
        await self.supervisor.close(0.2)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(tmp_path / "data", lease_s=2.0)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def air() -> Air:
    return Air()


@pytest.fixture
async def face(store: SqliteStore, air: Air, tickets: CeleryTickets) -> AsyncIterator[Side]:
    made = Side(store, air, tickets)
    await made.jobs.open()
    yield made
    await made.stop()


@pytest.fixture
async def back(store: SqliteStore, air: Air, tickets: CeleryTickets) -> AsyncIterator[Side]:
    made = Side(store, air, tickets, FakeWorkers(1))
    await made.jobs.open()
    yield made
    await made.stop()


@pytest.fixture
async def taker(redis: Service, back: Side) -> AsyncIterator[CeleryTaker]:
    slots = back.workers.slots
    made = CeleryTaker(url(redis), PREFIX, back.supervisor, slots=slots, take=back.jobs.run_next)
    made.open()
    yield made
    await back.jobs.close()
    for started in back.workers.tasks:
        if not started.result.done():
            started.die()
    await made.close(5)


@pytest.mark.usefixtures("taker")
async def test_a_job_goes_by_ticket_from_the_asking_to_the_answer(face: Side, back: Side) -> None:
    await face.submit("bt_1", asker("c1"))
    (await back.workers.started(0)).done(figure=1)
    ended, _ = await back.rooms.end_of("c1")
    assert (ended.state, ended.summary, ended.attempt) == ("completed", {"figure": 1}, 1)
    await until(lambda: not face.jobs.standing(), 3, "the server knows that it has ended")


@pytest.mark.usefixtures("taker")
async def test_jobs_are_taken_in_fair_order_and_a_comparison_after_its_runs(
    face: Side, back: Side
) -> None:
    for n in range(3):
        await face.submit(f"bt_a{n}", asker(f"a{n}"))
    await face.submit("bt_b", asker("b", person=BEN), requested_by=BEN)
    parts = ("bt_a1", "bt_b")
    await face.submit("cmp_1", asker("c", person=ANN), kind="comparison", depends_on=parts)
    for number in range(5):
        (await back.workers.started(number)).done()
    await back.rooms.end_of("c")
    order = [work.task.job_id for work in back.workers.tasks]
    assert order == ["bt_a0", "bt_b", "bt_a1", "bt_a2", "cmp_1"]


@pytest.mark.usefixtures("taker")
async def test_tickets_too_many_do_no_harm(
    face: Side, back: Side, tickets: CeleryTickets, redis: Service
) -> None:
    tickets.offer(30)
    await face.submit("bt_1", asker("c1"))
    (await back.workers.started(0)).done()
    await back.rooms.end_of("c1")
    await until(lambda: acked(redis), 10, "every ticket is taken")
    assert len(back.workers.tasks) == 1


@pytest.mark.usefixtures("taker")
async def test_jobs_whose_tickets_were_lost_are_run_all_the_same(
    face: Side, back: Side, redis: Service
) -> None:
    await face.submit("bt_1", asker("c1"))
    first = await back.workers.started(0)
    await face.submit("bt_2", asker("c2"))
    with client(redis) as connection:
        connection.flushall()
    first.done()
    (await back.workers.started(1)).done()
    assert (await back.rooms.end_of("c2"))[0].state == "completed"


@pytest.mark.usefixtures("taker")
async def test_a_job_asked_for_while_redis_is_away_runs_within_seconds(
    face: Side, back: Side, redis: Service
) -> None:
    redis.kill()
    asked_at = time.monotonic()
    await face.submit("bt_1", asker("c1"))
    assert time.monotonic() - asked_at < 1
    (await back.workers.started(0)).done()
    assert time.monotonic() - asked_at < 4
    await back.rooms.end_of("c1")
    redis.restart()


async def test_a_worker_that_goes_leaves_what_runs_to_others_in_time(
    face: Side,
    store: SqliteStore,
    air: Air,
    tickets: CeleryTickets,
    redis: Service,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "support"), prepend=":")
    supervisor = Supervisor()
    pool = ProcessPool(
        supervisor,
        slots=1,
        market_folder=tmp_path,
        timeout_s=100,
        memory_mb=1024,
        entry="worker_tasks:open_work",
    )
    pool.open()
    going = Side(store, air, tickets, pool)
    await going.jobs.open()
    taker = CeleryTaker(url(redis), PREFIX, supervisor, slots=1, take=going.jobs.run_next)
    taker.open()
    spec = {**job("x").spec, "do": "deaf"}
    await face.submit("bt_1", asker("c1"), spec=spec)
    await until(
        lambda: any(now.job.phase == "loading" for now in going.jobs.standing()), 30, "it runs"
    )
    before = time.monotonic()
    taker.stop()
    await going.jobs.close()
    assert not await going.jobs.idle(0.5)
    await pool.close()
    assert await going.jobs.idle(1)
    await taker.close(2)
    assert time.monotonic() - before < 5
    left = await store.jobs.get("bt_1")
    assert left is not None
    assert (left.state, left.attempt) == ("queued", 1)
    await until(lambda: waiting(redis) >= 1, 5, "a ticket calls another worker")
    await going.stop()
    await supervisor.close(0.2)

"""Jobs over several nodes that share one store: who runs, who tells, who repairs."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chatops.backtests.job import Asker, Job
from chatops.backtests.jobs.service import Jobs
from chatops.backtests.work import Progress
from chatops.errors import NotFoundError
from chatops.protocol.base import utc_now
from chatops.stores.sqlite import SqliteStore
from chatops.tasks import Supervisor
from tests.contracts.jobs import ANN, BEN, asker, job
from tests.support.fakes import Air, FakeRooms, FakeSignals, FakeWorkers, Heard, Shaky
from tests.support.waiting import until

LEASE_S = 2.0
REPAIRED_WITHIN_S = 10.0


class ClusterNode:
    """One node: its jobs, its workers, and what it told the rooms."""

    def __init__(self, store: SqliteStore, signals: FakeSignals, slots: int) -> None:
        shaky: Any = Shaky(store.jobs)  # mypy cannot know what it passes on
        self.store = shaky
        self.signals = signals
        self.workers = FakeWorkers(slots)
        self.rooms = FakeRooms()
        self.supervisor = Supervisor()
        self.jobs = Jobs(
            shaky,
            self.rooms,
            self.supervisor,
            signals,
            workers=self.workers if slots else None,
            queue_limit=100,
        )

    async def submit(self, job_id: str, *askers: Asker, **fields: Any) -> Job:
        made = job(job_id, *askers, fingerprint=fields.pop("same", job_id))
        return await self.jobs.submit(replace(made, **fields))

    def die(self) -> None:
        """End as if killed: whatever it was about to do is never done."""
        self.store.cut = True
        self.signals.deaf = True

    async def stop(self) -> None:
        await self.jobs.close()
        await self.supervisor.close(0)


class Cluster:
    """The nodes, over one store."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.air = Air()
        self.nodes: list[ClusterNode] = []

    async def node(self, slots: int) -> ClusterNode:
        node = ClusterNode(self.store, self.air.node(), slots)
        self.nodes.append(node)
        await node.jobs.open()
        return node

    def ends(self, command_id: str) -> list[tuple[Job, Asker]]:
        return [end for n in self.nodes for end in n.rooms.ends if end[1].command_id == command_id]

    async def end_of(self, command_id: str) -> Job:
        """Wait for the one end of a command, whichever node tells it."""
        await until(
            lambda: bool(self.ends(command_id)), REPAIRED_WITHIN_S, f"{command_id} has its answer"
        )
        ((ended, _),) = self.ends(command_id)
        return ended

    def heard(self, job_id: str, room: str = "room") -> list[Heard]:
        told = [one for node in self.nodes for one in node.rooms.progressed]
        return sorted(
            (one for one in told if one.job.id == job_id and one.room == room),
            key=lambda one: one.at_s,
        )


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    store = SqliteStore(tmp_path / "data", lease_s=LEASE_S)
    await store.open()
    made = Cluster(store)
    yield made
    for node in made.nodes:
        await node.stop()
    await store.close()


async def test_a_job_asked_for_on_one_node_runs_on_another_and_is_answered_once(
    cluster: Cluster,
) -> None:
    face, back = await cluster.node(0), await cluster.node(1)
    await face.submit("bt_1", asker("c1"))
    (await back.workers.started(0)).done(figure=1)
    assert (await cluster.end_of("c1")).summary == {"figure": 1}
    await until(lambda: not face.jobs.standing(), 5, "the other node forgets the job")
    assert await face.jobs.owed() == set()


async def test_without_any_signal_a_job_still_runs_and_ends(cluster: Cluster) -> None:
    face, back = await cluster.node(0), await cluster.node(1)
    cluster.air.silent = True
    await face.submit("bt_1", asker("c1"))
    asked_at = time.monotonic()
    work = await back.workers.started(0)
    assert time.monotonic() - asked_at < 3
    work.done()
    await cluster.end_of("c1")
    await until(lambda: not face.jobs.standing(), 3, "the other node forgets the job")


async def test_while_signals_are_known_to_be_lost_the_looks_come_oftener(cluster: Cluster) -> None:
    face, back = await cluster.node(0), await cluster.node(1)
    cluster.air.silent = True
    back.signals.healthy = False
    await asyncio.sleep(2.5)  # the wait that began before is over
    await face.submit("bt_1", asker("c1"))
    asked_at = time.monotonic()
    await back.workers.started(0)
    assert time.monotonic() - asked_at < 1


@pytest.mark.parametrize("silent", [False, True], ids=["signals", "no signals"])
async def test_a_job_is_cancelled_from_any_node_within_2_s(cluster: Cluster, silent: bool) -> None:
    face, back = await cluster.node(0), await cluster.node(1)
    await face.submit("bt_1", asker("c1"))
    await back.workers.started(0)
    cluster.air.silent = silent
    asked_at = time.monotonic()
    await face.jobs.cancel("bt_1", BEN)
    ended = await cluster.end_of("c1")
    assert (ended.state, ended.ended_by) == ("cancelled", BEN)
    assert time.monotonic() - asked_at < (2 if silent else 0.9)
    with pytest.raises(NotFoundError):
        await face.jobs.cancel("bt_1", BEN)


async def test_a_waiting_job_is_cancelled_from_a_node_that_has_not_heard_of_it(
    cluster: Cluster,
) -> None:
    face, other = await cluster.node(0), await cluster.node(0)
    cluster.air.silent = True
    await face.submit("bt_1", asker("c1"))
    await other.jobs.cancel("bt_1", BEN)
    assert (await cluster.end_of("c1")).state == "cancelled"


async def test_of_many_nodes_one_runs_each_job(cluster: Cluster) -> None:
    nodes = [await cluster.node(2) for _ in range(3)]
    commands = [f"c{n}" for n in range(20)]
    await asyncio.gather(
        *(nodes[n % 3].submit(f"bt_{n}", asker(c)) for n, c in enumerate(commands))
    )

    def finish_all() -> bool:
        for node in nodes:
            for work in node.workers.tasks:
                if not work.result.done():
                    work.done()
        return all(cluster.ends(command) for command in commands)

    await until(finish_all, 20, "every job has ended")
    runs = Counter(work.task.job_id for node in nodes for work in node.workers.tasks)
    assert runs == Counter(f"bt_{n}" for n in range(20))
    assert all(len(cluster.ends(command)) == 1 for command in commands)
    assert all(len(node.workers.tasks) > 0 for node in nodes)


async def test_a_node_that_opens_leaves_the_running_jobs_of_others_alone(cluster: Cluster) -> None:
    first = await cluster.node(1)
    await first.submit("bt_1", asker("c1"))
    work = await first.workers.started(0)
    second = await cluster.node(1)
    await asyncio.sleep(LEASE_S + 3)  # the lease is renewed meanwhile, or it would be taken
    assert [now.job.state for now in second.jobs.standing()] == ["running"]
    work.done()
    assert (await cluster.end_of("c1")).attempt == 1
    assert second.workers.tasks == []


async def test_what_a_dead_node_was_running_another_runs_again(cluster: Cluster) -> None:
    dead = await cluster.node(1)
    await dead.submit("bt_1", asker("c1"))
    await dead.workers.started(0)
    await dead.submit("bt_2", asker("c2"))
    dead.die()
    other = await cluster.node(2)
    started = [await other.workers.started(n) for n in range(2)]
    assert {work.task.job_id for work in started} == {"bt_1", "bt_2"}
    for work in started:
        work.done()
    assert [(await cluster.end_of(c)).attempt for c in ("c1", "c2")] == [2, 1]
    assert dead.rooms.ends == []


async def test_a_job_that_outlives_two_nodes_is_interrupted_by_whoever_is_left(
    cluster: Cluster,
) -> None:
    first, second = await cluster.node(1), await cluster.node(1)
    await first.submit("bt_1", asker("c1"))
    await first.workers.started(0)
    first.die()
    await second.workers.started(0)
    second.die()
    for _ in range(2):  # both repair it at once
        await cluster.node(0)
    ended = await cluster.end_of("c1")
    assert (ended.state, ended.attempt) == ("interrupted", 2)


async def test_a_job_whose_node_died_while_it_was_to_be_stopped_was_cancelled(
    cluster: Cluster,
) -> None:
    face, dead = await cluster.node(1), await cluster.node(1)
    for n in (1, 2):
        await face.submit(f"bt_{n}", asker(f"c{n}"))
    work = await dead.workers.started(0)
    dead.die()
    await face.jobs.cancel(work.task.job_id, BEN)
    ended = await cluster.end_of(work.task.job_id.replace("bt_", "c"))
    assert (ended.state, ended.ended_by, ended.attempt) == ("cancelled", BEN, 1)


async def test_an_answer_that_a_dead_node_owed_is_given_by_another(cluster: Cluster) -> None:
    await cluster.node(0)
    await cluster.node(0)
    await cluster.store.jobs.submit(job("bt_1", asker("c1")), fresh=False, queue_limit=9)
    await cluster.store.jobs.start("bt_1", utc_now())
    before = utc_now() - timedelta(seconds=10)
    await cluster.store.jobs.finish("bt_1", 1, "completed", before, summary={"figure": 1})
    await until(lambda: bool(cluster.ends("c1")), 5, "somebody answers")
    assert {who.command_id for _, who in cluster.ends("c1")} == {"c1"}
    while await cluster.store.jobs.owed():  # noqa: ASYNC110 - the store tells nobody
        await asyncio.sleep(0.01)


async def test_a_node_that_lost_its_lease_writes_nothing_and_the_others_result_stands(
    cluster: Cluster,
) -> None:
    slow = await cluster.node(1)
    await slow.submit("bt_1", asker("c1"))
    stale = await slow.workers.started(0)
    slow.store.failures["renew"] = 1_000
    slow.signals.deaf = slow.workers.deaf = True
    other = await cluster.node(1)
    fresh = await other.workers.started(0)
    slow.store.failures.clear()
    stale.on_progress(Progress("running", 0.7))
    stale.done(figure="stale")
    await until(lambda: not slow.jobs._board.busy(), 3, "the slow node has let go of it")
    record = await cluster.store.jobs.get("bt_1")
    assert record is not None
    assert (record.state, record.attempt, record.fraction) == ("running", 2, 0.0)
    fresh.done(figure="fresh")
    ended = await cluster.end_of("c1")
    assert ended.summary == {"figure": "fresh"}
    assert slow.rooms.ends == []


async def test_a_lost_attempt_is_stopped(cluster: Cluster) -> None:
    slow = await cluster.node(1)
    await slow.submit("bt_1", asker("c1"))
    stale = await slow.workers.started(0)
    slow.store.failures["renew"] = 1_000
    slow.signals.deaf = True
    await (await cluster.node(1)).workers.started(0)
    slow.store.failures.clear()
    await until(stale.result.done, 3, "the worker is stopped")


async def test_a_store_that_was_away_for_longer_than_a_lease_costs_no_run(
    cluster: Cluster,
) -> None:
    nodes = [await cluster.node(1), await cluster.node(1)]
    await nodes[0].submit("bt_1", asker("c1"))
    work = await nodes[0].workers.started(0)
    for node in nodes:
        node.store.failures = dict.fromkeys(("renew", "lapsed", "active", "owed"), 1_000)
    nodes[1].signals.healthy = False  # it looks oftener than the other renews
    await asyncio.sleep(LEASE_S + 1)
    nodes[1].store.failures.clear()
    await asyncio.sleep(0.7)
    nodes[0].store.failures.clear()
    await asyncio.sleep(4)
    work.done()
    assert (await cluster.end_of("c1")).attempt == 1
    assert nodes[1].workers.tasks == []


async def test_a_node_that_goes_in_good_order_hands_its_jobs_over_at_once(
    cluster: Cluster,
) -> None:
    old, new = await cluster.node(1), await cluster.node(0)
    await old.submit("bt_1", asker("c1"))
    work = await old.workers.started(0)
    new = await cluster.node(1)
    await old.jobs.close()
    left_at = time.monotonic()
    work.die()  # as the pool does when it closes
    again = await new.workers.started(0)
    assert time.monotonic() - left_at < 0.9
    again.done()
    assert (await cluster.end_of("c1")).state == "completed"


async def test_who_joins_through_another_node_is_told_at_once_by_the_node_that_runs_it(
    cluster: Cluster,
) -> None:
    runs, other = await cluster.node(1), await cluster.node(0)
    await runs.submit("bt_1", asker("c1"), same="f")
    work = await runs.workers.started(0)
    await until(lambda: len(cluster.heard("bt_1")) == 1, 5, "the first room is told")
    met = await other.submit("bt_2", asker("c2", "other room", BEN), same="f")
    joined_at = time.monotonic()
    await until(lambda: bool(cluster.heard("bt_1", "other room")), 5, "the other room is told")
    assert met.id == "bt_1"
    assert time.monotonic() - joined_at < 0.9
    assert len(cluster.heard("bt_1")) == 1
    assert other.rooms.progressed == []
    work.done()
    for command in ("c1", "c2"):
        assert (await cluster.end_of(command)).state == "completed"
    assert other.rooms.ends == []


async def test_one_node_tells_a_room_and_once_a_second_at_most(cluster: Cluster) -> None:
    face, back = await cluster.node(0), await cluster.node(1)
    await cluster.node(0)
    await face.submit("bt_0", asker("c0"))
    before = await back.workers.started(0)
    await face.submit("bt_1", asker("c1"))
    await until(lambda: bool(cluster.heard("bt_1")), 5, "the room hears that its job waits")
    before.done()
    work = await back.workers.started(1)
    for step in range(30):
        work.on_progress(Progress("running", step / 40))
        await asyncio.sleep(0.1)
    work.done()
    await cluster.end_of("c1")
    heard = cluster.heard("bt_1")
    assert [one.at_s for one in heard] == sorted({one.at_s for one in heard})
    assert min(later.at_s - one.at_s for one, later in pairwise(heard)) >= 0.99
    assert len(heard) >= 3
    by_face = [one.job.phase for one in face.rooms.progressed if one.job.id == "bt_1"]
    by_back = [one.job.phase for one in back.rooms.progressed if one.job.id == "bt_1"]
    assert set(by_face) == {"queued"}
    assert set(by_back) == {"running"}
    versions = [one.job.version for one in heard]
    assert versions == sorted(set(versions))


async def test_other_nodes_know_how_far_a_job_is(cluster: Cluster) -> None:
    face, back = await cluster.node(0), await cluster.node(1)
    await face.submit("bt_1", asker("c1"))
    work = await back.workers.started(0)
    work.on_progress(Progress("running", 0.6, "half way"))

    def shown() -> list[tuple[str, float, str]]:
        return [(n.job.phase, n.job.fraction, n.job.note) for n in face.jobs.standing()]

    await until(lambda: shown() == [("running", 0.6, "half way")], 5, "the other node knows")
    assert face.jobs.standing()[0].position is None


async def test_the_order_is_fair_over_all_nodes(cluster: Cluster) -> None:
    one, two = await cluster.node(1), await cluster.node(1)
    for n in range(4):
        await one.submit(f"bt_a{n}", asker(f"a{n}"))
    started = [await node.workers.started(0) for node in (one, two)]
    await one.submit("bt_b", asker("b", person=BEN), requested_by=BEN)
    await until(lambda: len(two.jobs.standing()) == 5, 5, "both nodes know all")
    for node in (one, two):
        waiting = [now.job.id for now in node.jobs.standing() if now.position]
        assert waiting == ["bt_b", "bt_a2", "bt_a3"]
    started[1].done()
    assert (await two.workers.started(1)).task.job_id == "bt_b"


async def test_jobs_heard_of_together_start_in_their_order(cluster: Cluster) -> None:
    face, back = await cluster.node(0), await cluster.node(4)
    cluster.air.silent = True
    asked = [f"bt_{n}" for n in range(8)]
    for job_id in asked:
        await face.submit(job_id, asker(job_id))
    for job_id in asked:
        back.signals._changed(job_id)  # before the first of them is read
    assert [(await back.workers.started(n)).task.job_id for n in range(4)] == asked[:4]


async def test_whose_turn_it_was_last_is_known_to_all_nodes(cluster: Cluster) -> None:
    face, back = await cluster.node(0), await cluster.node(1)
    await face.submit("bt_a0", asker("a0"))
    work = await back.workers.started(0)
    await face.submit("bt_a1", asker("a1"))
    await face.submit("bt_b", asker("b", person=BEN), requested_by=BEN)
    await until(lambda: face.jobs.standing()[0].job.state == "running", 5, "the start is known")
    await back.jobs.close()
    work.done()
    await cluster.end_of("a0")
    await until(lambda: len(face.jobs.standing()) == 2, 5, "its end is known")
    assert [now.job.id for now in face.jobs.standing()] == ["bt_b", "bt_a1"]


async def test_a_waiting_job_has_a_time_on_a_node_without_slots(cluster: Cluster) -> None:
    face, back = await cluster.node(0), await cluster.node(1)
    await face.submit("bt_0", asker("c0"))
    (await back.workers.started(0)).done()
    await cluster.end_of("c0")
    for n in (1, 2):
        await face.submit(f"bt_{n}", asker(f"c{n}"))
    await back.workers.started(1)
    await until(lambda: face.jobs.standing()[0].position is None, 5, "one runs")
    running, waiting = face.jobs.standing()
    assert (running.position, waiting.position) == (None, 1)
    assert running.eta_s is not None
    assert waiting.eta_s is not None
    assert waiting.eta_s >= running.eta_s


async def test_a_comparison_whose_runs_were_on_two_nodes(cluster: Cluster) -> None:
    face = await cluster.node(0)
    backs = [await cluster.node(1), await cluster.node(1)]
    for n in (1, 2):
        await face.submit(f"bt_{n}")
    await face.submit("cmp_1", asker("c"), kind="comparison", depends_on=("bt_1", "bt_2"))
    works = {w.task.job_id: w for w in [await back.workers.started(0) for back in backs]}
    assert set(works) == {"bt_1", "bt_2"}
    works["bt_1"].on_progress(Progress("running", 0.5))
    works["bt_2"].on_progress(Progress("running", 0.25))

    def shown() -> float:
        return next(now.job.fraction for now in face.jobs.standing() if now.job.id == "cmp_1")

    await until(lambda: shown() == pytest.approx(0.8 * 0.375), 5, "the mean of both is shown")
    await until(
        lambda: cluster.heard("cmp_1")[-1].job.fraction == pytest.approx(0.3), 3, "and is told"
    )
    works["bt_1"].done(run=1)
    works["bt_2"].done(run=2)
    await until(lambda: any(len(b.workers.tasks) > 1 for b in backs), 3, "the comparison runs")
    (own,) = [b.workers.tasks[1] for b in backs if len(b.workers.tasks) > 1]
    assert own.task.inputs == [{"run": 1}, {"run": 2}]
    own.on_progress(Progress("running", 0.5))
    await until(lambda: shown() == pytest.approx(0.9), 5, "its own work is shown, once reckoned")
    own.done()
    assert (await cluster.end_of("c")).state == "completed"
    fractions = [one.job.fraction for one in cluster.heard("cmp_1")]
    assert fractions == sorted(fractions)


async def test_cancelling_a_comparison_leaves_a_run_that_another_node_has_come_to_need(
    cluster: Cluster,
) -> None:
    one, two = await cluster.node(0), await cluster.node(0)
    await one.submit("bt_1")
    await one.submit("cmp_1", asker("c1"), kind="comparison", depends_on=("bt_1",))
    cluster.air.silent = True
    await two.submit("cmp_2", asker("c2"), kind="comparison", depends_on=("bt_1",))
    await one.jobs.cancel("cmp_1", ANN)
    assert {job.id for job in await cluster.store.jobs.active()} == {"bt_1", "cmp_2"}
    await two.jobs.cancel("cmp_2", ANN)
    assert await cluster.store.jobs.active() == []


@pytest.mark.parametrize("silent", [False, True], ids=["signals", "no signals"])
async def test_a_node_learns_that_a_job_has_ended_on_another(
    cluster: Cluster, silent: bool
) -> None:
    face, back = await cluster.node(0), await cluster.node(1)
    await face.submit("bt_1", asker("c1"))
    waiting = [asyncio.ensure_future(face.jobs.ended("bt_1")) for _ in range(3)]
    work = await back.workers.started(0)
    cluster.air.silent = silent
    waiting.pop().cancel()
    assert not any(one.done() for one in waiting)
    work.done(figure=1)
    async with asyncio.timeout(5 if silent else 1):
        ended = await asyncio.gather(*waiting)
    assert [(job.state, job.summary) for job in ended] == [("completed", {"figure": 1})] * 2
    assert [one.command_id for one in ended[0].askers] == ["c1"]


async def test_the_end_of_a_job_that_has_ended_is_known_at_once(cluster: Cluster) -> None:
    face, back = await cluster.node(0), await cluster.node(1)
    await face.submit("bt_1", asker("c1"))
    (await back.workers.started(0)).done()
    await cluster.end_of("c1")
    await face.submit("bt_2", asker("c2"), same="bt_1")
    async with asyncio.timeout(2):
        assert (await face.jobs.ended("bt_1")).askers[-1].joined == "reused"
    with pytest.raises(NotFoundError):
        await face.jobs.ended("bt_none")

"""Jobs from the asking to the answer, over the real SQLite store and fake workers."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chatops.backtests.job import Job
from chatops.backtests.jobs.service import Jobs
from chatops.backtests.ports import JobFilter
from chatops.backtests.provenance import fingerprint
from chatops.backtests.work import Progress
from chatops.cluster.local import Alone
from chatops.errors import BadParameterError, NotFoundError, QueueFullError, ShuttingDownError
from chatops.stores.sqlite import SqliteStore
from chatops.tasks import Supervisor
from tests.contracts.jobs import ANN, BEN, asker, job
from tests.support.fakes import FakeRooms, FakeWorkers, Heard, Shaky

PLANNED: dict[str, Any] = {"code": {}, "data": {"AAPL": "ab12"}, "engine": {}, "settings": {}}


class Service:
    """The service and everything around it."""

    def __init__(self, store: SqliteStore, slots: int, queue_limit: int) -> None:
        shaky: Any = Shaky(store.jobs)  # mypy cannot know what it passes on
        self.store = shaky
        self.workers = FakeWorkers(slots)
        self.rooms = FakeRooms()
        self.supervisor = Supervisor()
        self.jobs = Jobs(
            shaky,
            self.rooms,
            self.supervisor,
            Alone(),
            workers=self.workers,
            queue_limit=queue_limit,
        )

    async def stop(self) -> None:
        await self.jobs.close()
        await self.supervisor.close(0)

    async def submit(self, job_id: str, *commands: str, **fields: Any) -> Job:
        fresh = fields.pop("fresh", False)
        people = fields.pop("person", ANN)
        askers = [asker(command, person=people) for command in commands]
        made = replace(job(job_id, *askers, fingerprint=fields.pop("same", job_id)), **fields)
        made = replace(made, provenance=PLANNED, requested_by=people)
        return await self.jobs.submit(made, fresh=fresh)

    def heard(self, job_id: str) -> list[Heard]:
        return [one for one in self.rooms.progressed if one.job.id == job_id]


Open = Callable[..., Awaitable[Service]]


@pytest.fixture
async def open_service(tmp_path: Path) -> AsyncIterator[Open]:
    stores: list[SqliteStore] = []
    services: list[Service] = []

    async def open_one(slots: int = 2, queue_limit: int = 100) -> Service:
        """Open a service, in the place of the one before if there was one."""
        await close_all()
        store = SqliteStore(tmp_path / "data")
        await store.open()
        stores.append(store)
        service = Service(store, slots, queue_limit)
        services.append(service)
        await service.jobs.open()
        return service

    async def close_all() -> None:
        for service in services:
            await service.stop()
        for store in stores:
            await store.close()

    yield open_one
    await close_all()


async def test_a_job_runs_and_answers_its_asker_once(open_service: Open) -> None:
    service = await open_service()
    await service.submit("bt_1", "c1")
    work = await service.workers.started(0)
    assert work.task.job_id == "bt_1"
    work.done(metrics={"trades": 3}, provenance=PLANNED)
    ended, who = await service.rooms.end_of("c1")
    assert (ended.state, ended.summary, who.joined) == (
        "completed",
        {"metrics": {"trades": 3}, "provenance": PLANNED},
        "created",
    )
    assert await service.store.file("bt_1", "equity.csv") == b"time,equity\n"
    await asyncio.wait_for(until_nothing_is_owed(service), 10)
    assert service.jobs.standing() == []
    assert await service.jobs.owed() == set()


async def until_nothing_is_owed(service: Service) -> None:
    while await service.store.owed():  # noqa: ASYNC110 - the store tells nobody
        await asyncio.sleep(0.01)


async def test_waiting_jobs_have_a_place_in_the_queue_and_a_time(open_service: Open) -> None:
    service = await open_service(slots=1)
    await service.submit("bt_0", "c0")
    first = await service.workers.started(0)
    await asyncio.sleep(0.05)
    first.done()
    await service.rooms.end_of("c0")
    for n in (1, 2, 3):
        await service.submit(f"bt_{n}", f"c{n}", created_at=job("x", minute=n).created_at)
    await service.workers.started(1)
    places = [(now.job.id, now.position) for now in service.jobs.standing()]
    assert places == [("bt_1", None), ("bt_2", 1), ("bt_3", 2)]
    etas = [now.eta_s for now in service.jobs.standing()]
    assert etas[1] is not None
    assert etas[2] is not None
    assert 0.05 <= etas[1] < etas[2] < 5
    (await service.workers.started(1)).done()
    # The one behind is told of its better place.
    await service.rooms.until(lambda: [h.position for h in service.heard("bt_3")][-1:] == [1])
    versions = [one.job.version for one in service.heard("bt_3")]
    assert versions == sorted(set(versions))


async def test_progress_comes_at_once_then_once_a_second_and_only_on_change(
    open_service: Open,
) -> None:
    service = await open_service()
    await service.submit("bt_1", "c1")
    work = await service.workers.started(0)
    for step in range(25):
        work.on_progress(Progress("running", step / 30))
        await asyncio.sleep(0.1)
    await asyncio.sleep(1.1)  # quiet: nothing new to say
    work.done()
    await service.rooms.end_of("c1")
    heard = service.heard("bt_1")
    gaps = [later.at_s - one.at_s for one, later in pairwise(heard)]
    assert 3 <= len(heard) <= 5
    assert min(gaps) >= 0.99
    fractions = [one.job.fraction for one in heard]
    assert fractions == sorted(set(fractions))
    assert fractions[-1] == pytest.approx(24 / 30)
    versions = [one.job.version for one in heard]
    assert versions == sorted(set(versions))
    (end, _) = service.rooms.ends[0]
    assert end.version > versions[-1]


async def test_20_equal_requests_at_once_are_one_run_and_20_answers(open_service: Open) -> None:
    service = await open_service()
    await asyncio.gather(*(service.submit(f"bt_{n}", f"c{n}", same="f") for n in range(20)))
    (await service.workers.started(0)).done()
    for n in range(20):
        await service.rooms.end_of(f"c{n}")
    assert len(service.workers.tasks) == 1
    assert len(service.rooms.ends) == 20
    joined = [who.joined for _, who in service.rooms.ends]
    assert sorted(joined) == ["created"] + ["joined"] * 19
    heard: defaultdict[str, int] = defaultdict(int)
    for one in service.rooms.progressed:
        heard[one.room] += 1
    assert max(heard.values()) <= 2  # one room, well within two seconds


async def test_a_room_that_joins_is_told_at_once_and_the_first_room_is_not_told_again(
    open_service: Open,
) -> None:
    service = await open_service()
    await service.submit("bt_1", "c1", same="f")
    await service.workers.started(0)
    await service.rooms.until(lambda: len(service.heard("bt_1")) == 1)
    other = replace(job("bt_2", asker("c2", "other room", BEN), fingerprint="f"))
    await service.jobs.submit(other)
    await service.rooms.until(lambda: len(service.heard("bt_1")) == 2)
    first, second = service.heard("bt_1")
    assert (first.room, second.room) == ("room", "other room")
    assert second.at_s - first.at_s < 0.9


async def test_a_finished_run_is_reused_and_fresh_forces_another(open_service: Open) -> None:
    service = await open_service()
    await service.submit("bt_1", "c1", same="f")
    (await service.workers.started(0)).done()
    await service.rooms.end_of("c1")
    met = await service.submit("bt_2", "c2", same="f")
    ended, who = await service.rooms.end_of("c2")
    assert (met.id, ended.id, who.joined) == ("bt_1", "bt_1", "reused")
    assert len(service.workers.tasks) == 1
    assert (await service.submit("bt_3", "c3", same="f", fresh=True)).id == "bt_3"
    (await service.workers.started(1)).done()
    assert (await service.rooms.end_of("c3"))[1].joined == "created"


async def test_cancelling_a_queued_job_ends_it_without_a_worker(open_service: Open) -> None:
    service = await open_service(slots=1)
    await service.submit("bt_1", "c1")
    await service.workers.started(0)
    await service.submit("bt_2", "c2")
    await service.jobs.cancel("bt_2", BEN)
    ended, _ = await service.rooms.end_of("c2")
    assert (ended.state, ended.ended_by) == ("cancelled", BEN)
    assert len(service.workers.tasks) == 1


async def test_cancelling_a_running_job_stops_its_worker_and_names_who(open_service: Open) -> None:
    service = await open_service()
    await service.submit("bt_1", "c1")
    await service.workers.started(0)
    await service.jobs.cancel("bt_1", BEN)
    ended, _ = await service.rooms.end_of("c1")
    assert (ended.state, ended.ended_by) == ("cancelled", BEN)
    with pytest.raises(NotFoundError):
        await service.jobs.cancel("bt_1", BEN)


async def test_a_worker_that_is_killed_while_it_is_cancelled_was_cancelled(
    open_service: Open,
) -> None:
    service = await open_service()
    await service.submit("bt_1", "c1")
    work = await service.workers.started(0)
    service.workers.deaf = True
    await service.jobs.cancel("bt_1", BEN)
    work.die()
    assert (await service.rooms.end_of("c1"))[0].state == "cancelled"


async def compare(service: Service, *, wanted: str | None = None) -> Job:
    """Submit two runs, the second for ``wanted`` too if given, and their comparison."""
    for n in (1, 2):
        commands = (wanted,) if wanted and n == 2 else ()
        await service.submit(f"bt_{n}", *commands)
    return await service.submit("cmp_1", "c", kind="comparison", depends_on=("bt_1", "bt_2"))


async def test_cancelling_a_comparison_takes_the_runs_nobody_else_wants(
    open_service: Open,
) -> None:
    service = await open_service(slots=1)
    await compare(service, wanted="c2")
    await service.workers.started(0)
    await service.jobs.cancel("cmp_1", BEN)
    assert (await service.rooms.end_of("c"))[0].state == "cancelled"
    (await service.workers.started(1)).done()
    assert (await service.rooms.end_of("c2"))[0].state == "completed"
    first = await service.store.get("bt_1")
    assert (first.state, first.ended_by) == ("cancelled", BEN)


async def test_a_comparison_shows_the_mean_of_its_runs_then_its_own_work(
    open_service: Open,
) -> None:
    service = await open_service()
    await compare(service)
    first, second = await service.workers.started(0), await service.workers.started(1)
    first.on_progress(Progress("running", 0.5))
    second.on_progress(Progress("running", 0.25))
    (now,) = [now for now in service.jobs.standing() if now.job.id == "cmp_1"]
    assert (now.job.phase, now.position) == ("running", None)
    assert now.job.fraction == pytest.approx(0.8 * 0.375)
    first.done(run=1)
    second.done(run=2)
    own = await service.workers.started(2)
    assert own.task.inputs == [{"run": 1}, {"run": 2}]
    assert set(own.task.files) == {"0/equity.csv", "1/equity.csv"}
    own.on_progress(Progress("running", 0.5))
    (now,) = service.jobs.standing()
    assert now.job.fraction == pytest.approx(0.9)
    await service.rooms.until(
        lambda: [h.job.fraction for h in service.heard("cmp_1")][-1] == pytest.approx(0.9)
    )
    own.done()
    assert (await service.rooms.end_of("c"))[0].state == "completed"
    fractions = [one.job.fraction for one in service.heard("cmp_1")]
    assert fractions == sorted(fractions)


async def test_a_comparison_fails_with_the_reason_of_the_run_that_failed(
    open_service: Open,
) -> None:
    service = await open_service()
    await compare(service)
    (await service.workers.started(0)).fail(BadParameterError("AAPL has no bars.", "Import."))
    (await service.workers.started(1)).done()
    ended, _ = await service.rooms.end_of("c")
    assert ended.state == "failed"
    assert ended.failure is not None
    assert ended.failure.message == "MACD on AAPL · 애플 failed: AAPL has no bars."
    assert ended.failure.hint == "Type /rerun cmp_1 to try all of it again."


async def test_a_lost_worker_means_once_more_then_interrupted(open_service: Open) -> None:
    service = await open_service()
    await service.submit("bt_1", "c1")
    (await service.workers.started(0)).die()
    (await service.workers.started(1)).die()
    ended, _ = await service.rooms.end_of("c1")
    assert (ended.state, ended.attempt) == ("interrupted", 2)
    assert ended.failure is not None
    assert ended.failure.hint == "Type /rerun bt_1 to run it anew."
    assert len(service.workers.tasks) == 2


async def test_the_second_try_counts(open_service: Open) -> None:
    service = await open_service()
    await service.submit("bt_1", "c1")
    (await service.workers.started(0)).die()
    (await service.workers.started(1)).done(figure=1)
    ended, _ = await service.rooms.end_of("c1")
    assert (ended.state, ended.summary) == ("completed", {"figure": 1})


@pytest.mark.parametrize("method", ["start", "get", "finish", "answered", "progress"])
async def test_a_store_that_is_away_for_a_while_costs_time_and_no_result(
    open_service: Open, method: str
) -> None:
    service = await open_service()
    service.store.failures[method] = 2
    await service.submit("bt_1", "c1", repeats="bt_0")
    work = await service.workers.started(0)
    work.on_progress(Progress("running", 0.5))
    work.done(figure=1)
    await service.rooms.until(lambda: bool(service.rooms.ends))
    assert service.rooms.ends[0][0].summary == {"figure": 1}
    await asyncio.wait_for(until_nothing_is_owed(service), 10)


async def test_a_fault_of_ours_ends_the_job_in_words(open_service: Open) -> None:
    service = await open_service()
    await service.submit("bt_1", "c1")
    (await service.workers.started(0)).fail(ZeroDivisionError("secret"))
    ended, _ = await service.rooms.end_of("c1")
    assert ended.failure is not None
    assert (ended.state, ended.failure.code) == ("failed", "internal")
    assert "secret" not in ended.failure.message


async def test_a_new_process_takes_up_what_the_old_one_left(open_service: Open) -> None:
    old = await open_service(slots=1)
    await old.submit("bt_1", "c1")
    await old.workers.started(0)
    await old.submit("bt_2", "c2")
    await old.submit("bt_3", "c3")
    await old.store.finish("bt_3", None, "cancelled", job("x").created_at, ended_by=BEN)
    await old.stop()
    new = await open_service(slots=1)
    assert (await new.rooms.end_of("c3"))[0].state == "cancelled"  # it was owed
    assert await new.jobs.owed() == {"c1", "c2"}
    for number in range(2):
        (await new.workers.started(number)).done()
    ended = [await new.rooms.end_of(command) for command in ("c1", "c2")]
    assert [(end.id, end.attempt, end.state) for end, _ in ended] == [
        ("bt_1", 2, "completed"),
        ("bt_2", 1, "completed"),
    ]
    assert old.rooms.ends == []


async def test_a_job_that_kills_two_processes_is_not_tried_a_third_time(
    open_service: Open,
) -> None:
    for _ in range(2):
        service = await open_service()
        if not service.jobs.standing():
            await service.submit("bt_1", "c1")
        await service.workers.started(0)
        await service.stop()
    last = await open_service()
    ended, _ = await last.rooms.end_of("c1")
    assert ended.state == "interrupted"
    assert last.workers.tasks == []


async def test_after_close_nothing_is_taken_and_nothing_starts(open_service: Open) -> None:
    service = await open_service(slots=1)
    await service.submit("bt_1", "c1")
    work = await service.workers.started(0)
    await service.submit("bt_2", "c2")
    await service.jobs.close()
    with pytest.raises(ShuttingDownError):
        await service.submit("bt_3", "c3")
    work.die()  # as the pool does when it closes
    assert await service.jobs.idle(5)
    assert len(service.workers.tasks) == 1
    states = {job.id: job.state for job in await service.store.list_jobs(JobFilter())}
    assert states == {"bt_1": "queued", "bt_2": "queued"}  # for whoever takes them


async def test_one_persons_many_jobs_do_not_keep_another_waiting(open_service: Open) -> None:
    service = await open_service(slots=1)
    for n in range(4):
        await service.submit(f"bt_a{n}", f"a{n}")
    await service.submit("bt_b", "b", person=BEN)
    (await service.workers.started(0)).done()
    assert (await service.workers.started(1)).task.job_id == "bt_b"


async def test_a_full_queue_refuses_in_words(open_service: Open) -> None:
    service = await open_service(slots=1, queue_limit=1)
    await service.submit("bt_1", "c1")
    await service.workers.started(0)
    await service.submit("bt_2", "c2")
    with pytest.raises(QueueFullError) as refused:
        await service.submit("bt_3", "c3")
    assert refused.value.hint


async def test_data_that_changed_before_the_loading_give_the_job_its_true_proof(
    open_service: Open,
) -> None:
    service = await open_service()
    await service.submit("bt_1", "c1", same="planned")
    true = {**PLANNED, "data": {"AAPL": "cd34"}}
    (await service.workers.started(0)).done(provenance=true)
    ended, _ = await service.rooms.end_of("c1")
    assert (ended.fingerprint, ended.provenance) == (fingerprint(true), true)
    # Who asks for what was planned gets a run of their own, not the result of other data.
    assert (await service.submit("bt_2", "c2", same="planned")).id == "bt_2"
    assert (await service.submit("bt_3", "c3", same=fingerprint(true))).id == "bt_1"


@pytest.mark.parametrize(
    ("part", "before", "after", "word"),
    [
        ("data", {"AAPL": "aaaa"}, {"AAPL": "bbbb"}, "Data of AAPL has changed (aaaa → bbbb)."),
        ("code", {"execute.py": "aa"}, {"execute.py": "bb"}, "Code execute.py has changed"),
        ("engine", {"bt": "1.4"}, {"bt": "1.5"}, "Version of bt was 1.4, is 1.5."),
        ("settings", {"fee": 0.1}, {"fee": 0.2}, "Setting fee was 0.1, is 0.2."),
    ],
)
async def test_a_repeated_run_names_each_difference(
    open_service: Open, part: str, before: dict[str, Any], after: dict[str, Any], word: str
) -> None:
    service = await open_service()
    await service.submit("bt_1", "c1", same="f")
    old = {**PLANNED, part: before}
    (await service.workers.started(0)).done(metrics={"x": 1}, provenance=old)
    await service.rooms.end_of("c1")
    await service.submit("bt_2", "c2", same="f", fresh=True, repeats="bt_1")
    new = {**PLANNED, part: after}
    (await service.workers.started(1)).done(metrics={"x": 2}, provenance=new)
    ended, _ = await service.rooms.end_of("c2")
    assert ended.summary is not None
    found = ended.summary["rerunOf"]
    assert (found["backtestId"], found["identical"], len(found["differences"])) == (
        "bt_1",
        False,
        1,
    )
    assert found["differences"][0].startswith(word)


async def test_a_repeated_run_is_said_to_be_identical_after_a_restart_too(
    open_service: Open,
) -> None:
    service = await open_service()
    await service.submit("bt_1", "c1", same="f")
    (await service.workers.started(0)).done(metrics={"x": 1}, provenance=PLANNED)
    await service.rooms.end_of("c1")
    await service.submit("bt_2", "c2", same="f", fresh=True, repeats="bt_1")
    await service.workers.started(1)
    await service.stop()
    again = await open_service()
    (await again.workers.started(0)).done(metrics={"x": 1}, provenance=PLANNED)
    ended, _ = await again.rooms.end_of("c2")
    assert ended.summary is not None
    assert ended.summary["rerunOf"] == {
        "backtestId": "bt_1",
        "identical": True,
        "differences": [],
    }

"""``JobStore``: submitting, running, ending. Finding jobs is in ``test_job_store_queries``."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest

from chatops.backtests.job import Failure
from chatops.backtests.ports import JobStore, Proof
from chatops.errors import QueueFullError
from tests.contracts.conftest import LEASE_S, OpenStore
from tests.contracts.jobs import ANN, BEN, NOW, asker, job, run, submit

LATER = NOW + timedelta(minutes=1)

FINAL: tuple[Literal["completed", "failed", "cancelled", "interrupted"], ...] = (
    "completed",
    "failed",
    "cancelled",
    "interrupted",
)


async def test_an_unknown_job_is_none_everywhere(jobs: JobStore) -> None:
    assert await jobs.get("bt_x") is None
    assert await jobs.start("bt_x", NOW) is None
    assert await jobs.progress("bt_x", 1, "running", 0.5, "") is None
    assert await jobs.requeue("bt_x", 1) is None
    assert await jobs.finish("bt_x", None, "cancelled", NOW) is None
    assert await jobs.file("bt_x", "equity.csv") is None
    assert list(await jobs.file_names("bt_x")) == []
    await jobs.answered("bt_x", "c")


async def test_a_submitted_job_is_read_back_whole(jobs: JobStore) -> None:
    named = replace(asker("c2", "other", BEN), strategy=("my_macd", 3))
    made = replace(job("bt_1", asker("c1"), named), depends_on=("bt_a", "bt_b"), repeats="bt_0")
    assert await submit(jobs, made) == made
    assert await jobs.get("bt_1") == made


async def test_an_equal_active_job_is_joined(jobs: JobStore) -> None:
    await submit(jobs, job("bt_1", asker("c1"), fingerprint="f"))
    joined = await submit(jobs, job("bt_2", asker("c2", "other", BEN), fingerprint="f"))
    assert (joined.id, joined.version) == ("bt_1", 2)
    assert joined.askers == (asker("c1"), replace(asker("c2", "other", BEN), joined="joined"))
    await jobs.start("bt_1", NOW)
    running = await submit(jobs, job("bt_3", asker("c3"), fingerprint="f"))
    assert (running.id, running.state, running.version) == ("bt_1", "running", 4)
    assert [each.joined for each in running.askers] == ["created", "joined", "joined"]
    assert await jobs.get("bt_1") == running
    assert await jobs.get("bt_2") is None


async def test_an_equal_completed_job_is_reused_with_its_summary(jobs: JobStore) -> None:
    done = await run(jobs, job("bt_1", asker("c1"), fingerprint="f"))
    reused = await submit(jobs, job("bt_2", asker("c2"), fingerprint="f"))
    assert (reused.id, reused.state, reused.version) == ("bt_1", "completed", done.version + 1)
    assert reused.summary == {"id": "bt_1"}
    assert reused.askers[-1] == replace(asker("c2"), joined="reused")


async def test_the_newest_completed_job_is_reused(jobs: JobStore) -> None:
    await run(jobs, job("bt_2", fingerprint="f", minute=2))
    await run(jobs, job("bt_1", fingerprint="f", minute=1))
    assert (await submit(jobs, job("bt_3", asker("c"), fingerprint="f"))).id == "bt_2"


async def test_an_active_job_is_met_before_a_completed_one(jobs: JobStore) -> None:
    await run(jobs, job("bt_1", fingerprint="f"))
    await submit(jobs, job("bt_2", fingerprint="f", minute=1), fresh=True)
    await submit(jobs, job("bt_3", fingerprint="f", minute=2), fresh=True)
    assert (await submit(jobs, job("bt_4", asker("c"), fingerprint="f"))).id == "bt_2"


@pytest.mark.parametrize("state", ["failed", "cancelled", "interrupted"])
async def test_a_job_without_result_is_never_reused(
    jobs: JobStore, state: Literal["failed", "cancelled", "interrupted"]
) -> None:
    await submit(jobs, job("bt_1", asker("c1"), fingerprint="f"))
    await jobs.finish("bt_1", None, state, NOW)
    assert (await submit(jobs, job("bt_2", asker("c2"), fingerprint="f"))).id == "bt_2"


async def test_fresh_always_makes_a_new_job(jobs: JobStore) -> None:
    await run(jobs, job("bt_1", asker("c1"), fingerprint="f"))
    for index in (2, 3):
        made = job(f"bt_{index}", asker(f"c{index}"), fingerprint="f")
        assert await submit(jobs, made, fresh=True) == made


@pytest.mark.parametrize("fresh", [True, False])
async def test_a_repeated_command_gets_the_job_it_met_first(jobs: JobStore, fresh: bool) -> None:
    first = await submit(jobs, job("bt_1", asker("c1"), fingerprint="f"), fresh=fresh)
    again = job("bt_2", asker("c1"), fingerprint="other words")
    assert await submit(jobs, again, fresh=fresh) == first
    assert await submit(jobs, again, fresh=fresh, limit=0) == first
    await jobs.start("bt_1", NOW)
    done = await jobs.finish("bt_1", 1, "completed", NOW, summary={})
    assert await submit(jobs, again, fresh=fresh) == done
    assert await jobs.get("bt_2") is None


async def test_a_repeated_joiner_is_not_added_twice(jobs: JobStore) -> None:
    await submit(jobs, job("bt_1", asker("c1"), fingerprint="f"))
    joined = await submit(jobs, job("bt_2", asker("c2"), fingerprint="f"))
    assert await submit(jobs, job("bt_3", asker("c2"), fingerprint="f")) == joined


async def test_a_repeated_job_id_gets_the_stored_job(jobs: JobStore) -> None:
    first = await submit(jobs, job("bt_1"), fresh=True)
    assert await submit(jobs, job("bt_1"), fresh=True) == first


async def test_a_member_without_askers_joins_and_changes_nothing(jobs: JobStore) -> None:
    first = await submit(jobs, job("bt_1", asker("c1"), fingerprint="f"))
    assert await submit(jobs, job("bt_2", fingerprint="f")) == first
    await jobs.start("bt_1", NOW)
    done = await jobs.finish("bt_1", 1, "completed", NOW, summary={})
    assert await submit(jobs, job("bt_3", fingerprint="f")) == done
    alone = job("bt_4")
    assert await submit(jobs, alone) == alone


async def test_20_concurrent_equal_requests_make_one_job_with_20_askers(jobs: JobStore) -> None:
    met = await asyncio.gather(
        *(submit(jobs, job(f"bt_{n}", asker(f"c{n}"), fingerprint="f")) for n in range(20))
    )
    assert len({each.id for each in met}) == 1
    assert sorted(each.version for each in met) == list(range(1, 21))
    stored = await jobs.get(met[0].id)
    assert stored is not None
    assert sorted(each.command_id for each in stored.askers) == sorted(f"c{n}" for n in range(20))
    assert sorted(each.joined for each in stored.askers) == ["created"] + ["joined"] * 19
    assert len(await jobs.active()) == 1


async def test_concurrent_retries_of_one_fresh_command_make_one_job(jobs: JobStore) -> None:
    met = await asyncio.gather(
        *(submit(jobs, job(f"bt_{n}", asker("c")), fresh=True) for n in range(20))
    )
    assert len({each.id for each in met}) == 1
    assert len(await jobs.active()) == 1


async def test_a_full_queue_refuses_new_jobs_but_not_joiners(jobs: JobStore) -> None:
    for index in range(3):
        await submit(jobs, job(f"bt_{index}", fingerprint=f"f{index}"), limit=3)
    with pytest.raises(QueueFullError) as refused:
        await submit(jobs, job("bt_9", asker("c9")), limit=3)
    assert refused.value.hint
    assert await jobs.get("bt_9") is None
    assert (await submit(jobs, job("bt_8", asker("c8"), fingerprint="f1"), limit=3)).id == "bt_1"
    await jobs.start("bt_0", NOW)
    assert (await submit(jobs, job("bt_9", asker("c9")), limit=3)).id == "bt_9"


async def test_concurrent_submissions_never_pass_the_queue_limit(jobs: JobStore) -> None:
    results = await asyncio.gather(
        *(submit(jobs, job(f"bt_{n}"), limit=5) for n in range(30)), return_exceptions=True
    )
    assert sum(isinstance(result, QueueFullError) for result in results) == 25
    assert len(await jobs.active()) == 5


async def test_starting_takes_a_queued_job_once(jobs: JobStore) -> None:
    await submit(jobs, job("bt_1"))
    started = await asyncio.gather(*(jobs.start("bt_1", NOW) for _ in range(8)))
    (running,) = [each for each in started if each is not None]
    assert (running.state, running.attempt, running.version) == ("running", 1, 2)
    assert running.started_at == NOW
    assert running.phase != "queued"
    assert await jobs.get("bt_1") == running


async def test_progress_belongs_to_the_running_attempt(jobs: JobStore) -> None:
    await submit(jobs, job("bt_1"))
    assert await jobs.progress("bt_1", 0, "running", 0.1, "early") is None
    await jobs.start("bt_1", NOW)
    moved = await jobs.progress("bt_1", 1, "analyzing", 0.75, "지표")
    assert moved is not None
    assert (moved.phase, moved.fraction, moved.note, moved.version) == (
        "analyzing",
        0.75,
        "지표",
        3,
    )
    assert await jobs.progress("bt_1", 2, "running", 0.9, "") is None
    assert await jobs.get("bt_1") == moved


async def test_a_queued_job_takes_only_the_phase_queued(jobs: JobStore) -> None:
    await submit(jobs, job("bt_1"))
    told = await jobs.progress("bt_1", 0, "queued", 0.0, "")
    assert told is not None
    assert (told.phase, told.fraction, told.version) == ("queued", 0.0, 2)
    assert await jobs.progress("bt_1", 0, "loading", 0.1, "") is None
    assert await jobs.progress("bt_1", 1, "queued", 0.0, "") is None


async def test_a_requeued_job_waits_again_and_its_old_attempt_is_over(jobs: JobStore) -> None:
    await submit(jobs, job("bt_1"))
    assert await jobs.requeue("bt_1", 0) is None
    await jobs.start("bt_1", NOW)
    await jobs.progress("bt_1", 1, "running", 0.5, "half")
    assert await jobs.requeue("bt_1", 2) is None
    waiting = await jobs.requeue("bt_1", 1)
    assert waiting is not None
    assert (waiting.state, waiting.phase, waiting.fraction) == ("queued", "queued", 0.0)
    assert (waiting.attempt, waiting.version, waiting.started_at) == (1, 4, None)
    assert await jobs.progress("bt_1", 1, "running", 0.9, "") is None
    assert await jobs.finish("bt_1", 1, "completed", NOW, summary={}) is None
    assert await jobs.requeue("bt_1", 1) is None
    again = await jobs.start("bt_1", NOW)
    assert again is not None
    assert again.attempt == 2
    assert await jobs.finish("bt_1", 1, "completed", NOW, summary={"stale": True}) is None
    assert await jobs.requeue("bt_1", 1) is None
    assert await jobs.get("bt_1") == again


async def test_finishing_stores_the_result_and_the_files_together(jobs: JobStore) -> None:
    await submit(jobs, job("bt_1", asker("c1")))
    await jobs.start("bt_1", NOW)
    files = {"trades.csv": b"", "chart.png": bytes(range(256)) * 40, "equity.csv": "열".encode()}
    end = NOW + timedelta(seconds=3)
    done = await jobs.finish(
        "bt_1", 1, "completed", end, summary={"metrics": {"sharpe": None, "이름": 1.5}}, files=files
    )
    assert done is not None
    assert (done.state, done.phase, done.fraction, done.version) == ("completed", "done", 1.0, 3)
    assert (done.ended_at, done.failure, done.ended_by) == (end, None, None)
    assert done.summary == {"metrics": {"sharpe": None, "이름": 1.5}}
    assert await jobs.get("bt_1") == done
    assert list(await jobs.file_names("bt_1")) == ["chart.png", "equity.csv", "trades.csv"]
    assert {name: await jobs.file("bt_1", name) for name in files} == files
    assert await jobs.file("bt_1", "other.csv") is None


async def test_the_true_proof_of_a_result_takes_the_place_of_the_planned_one(
    jobs: JobStore,
) -> None:
    await submit(jobs, job("bt_1", asker("c1"), fingerprint="planned"))
    await jobs.start("bt_1", NOW)
    proof = Proof("true", {"data": {"AAPL": "cd34"}})
    done = await jobs.finish("bt_1", 1, "completed", NOW, summary={}, proof=proof)
    assert done is not None
    assert (done.fingerprint, done.provenance) == (proof.fingerprint, proof.provenance)
    assert await jobs.get("bt_1") == done
    again = job("bt_2", asker("c2"), fingerprint="planned")
    assert (await submit(jobs, again)).id == "bt_2"
    assert (await submit(jobs, job("bt_3", asker("c3"), fingerprint="true"))).id == "bt_1"


async def test_a_dropped_result_leaves_no_files(jobs: JobStore) -> None:
    await submit(jobs, job("bt_1"))
    await jobs.start("bt_1", NOW)
    assert await jobs.finish("bt_1", 2, "completed", NOW, summary={}, files={"a": b"x"}) is None
    assert list(await jobs.file_names("bt_1")) == []


async def test_a_failure_is_kept_in_words(jobs: JobStore) -> None:
    await submit(jobs, job("bt_1"))
    await jobs.start("bt_1", NOW)
    failure = Failure("bad_parameter", "No prices for AAPL.", "Import them first.")
    ended = await jobs.finish("bt_1", 1, "failed", NOW, failure=failure)
    assert ended is not None
    assert (ended.state, ended.failure, ended.summary) == ("failed", failure, None)
    assert await jobs.get("bt_1") == ended


async def test_a_queued_or_running_job_is_ended_whatever_the_attempt(jobs: JobStore) -> None:
    await submit(jobs, job("bt_1"))
    await submit(jobs, job("bt_2"))
    await jobs.start("bt_2", NOW)
    for name in ("bt_1", "bt_2"):
        ended = await jobs.finish(name, None, "cancelled", NOW, ended_by=BEN)
        assert ended is not None
        assert (ended.state, ended.ended_by) == ("cancelled", BEN)
    assert await jobs.start("bt_1", NOW) is None


@pytest.mark.parametrize("state", FINAL)
async def test_an_ended_job_never_changes_again(
    jobs: JobStore, state: Literal["completed", "failed", "cancelled", "interrupted"]
) -> None:
    await submit(jobs, job("bt_1"))
    await jobs.start("bt_1", NOW)
    ended = await jobs.finish("bt_1", 1, state, NOW)
    assert await jobs.start("bt_1", NOW) is None
    assert await jobs.progress("bt_1", 1, "running", 0.5, "") is None
    assert await jobs.requeue("bt_1", 1) is None
    for again in FINAL:
        for attempt in (None, 1):
            assert await jobs.finish("bt_1", attempt, again, NOW, files={"a": b"x"}) is None
    assert await jobs.get("bt_1") == ended
    assert list(await jobs.file_names("bt_1")) == []


async def test_of_many_concurrent_ends_one_counts(jobs: JobStore) -> None:
    await submit(jobs, job("bt_1"))
    await jobs.start("bt_1", NOW)
    ends = await asyncio.gather(
        *(
            jobs.finish("bt_1", 1 if n % 2 else None, FINAL[n % 4], NOW, files={"n": b"%d" % n})
            for n in range(12)
        )
    )
    (index,) = [n for n, end in enumerate(ends) if end is not None]
    assert await jobs.file("bt_1", "n") == b"%d" % index


async def test_a_lease_lapses_unless_it_is_renewed(jobs: JobStore) -> None:
    await submit(jobs, job("bt_1", asker("a")))
    await submit(jobs, job("bt_2", asker("b")))
    assert await jobs.renew("bt_1", 1) is None
    await jobs.start("bt_1", NOW)
    await jobs.start("bt_2", NOW)
    assert list(await jobs.lapsed()) == []
    for _ in range(3):
        await asyncio.sleep(0.45 * LEASE_S)
        renewed = await jobs.renew("bt_1", 1)
        assert renewed is not None
        assert (renewed.state, renewed.ended_by) == ("running", None)
    assert [one.id for one in await jobs.lapsed()] == ["bt_2"]


async def test_an_attempt_that_is_over_cannot_be_renewed(jobs: JobStore) -> None:
    await submit(jobs, job("bt_1", asker("a")))
    await jobs.start("bt_1", NOW)
    await jobs.requeue("bt_1", 1)
    assert await jobs.renew("bt_1", 1) is None
    await jobs.start("bt_1", NOW)
    assert await jobs.renew("bt_1", 1) is None
    assert await jobs.renew("bt_1", 2) is not None
    await jobs.finish("bt_1", 2, "completed", NOW, summary={})
    assert await jobs.renew("bt_1", 2) is None
    assert await jobs.renew("bt_x", 1) is None


async def test_what_a_server_that_is_gone_was_running_lapses(
    jobs: JobStore, successor: OpenStore
) -> None:
    await submit(jobs, job("bt_1", asker("a")))
    await jobs.start("bt_1", NOW)
    later = (await successor()).jobs
    await asyncio.sleep(1.1 * LEASE_S)
    assert [one.id for one in await later.lapsed()] == ["bt_1"]


async def test_of_many_starters_one_gets_the_job(jobs: JobStore) -> None:
    await submit(jobs, job("bt_1", asker("a")))
    started = await asyncio.gather(*(jobs.start("bt_1", NOW) for _ in range(16)))
    assert sum(one is not None for one in started) == 1


async def test_cancelling_ends_a_queued_job_and_marks_a_running_one(jobs: JobStore) -> None:
    await submit(jobs, job("bt_1", asker("a")))
    ended = await jobs.cancel("bt_1", BEN, LATER)
    assert ended is not None
    assert (ended.state, ended.phase, ended.ended_by) == ("cancelled", "done", BEN)
    assert ended.ended_at == LATER
    assert await jobs.cancel("bt_1", ANN, LATER) is None
    assert await jobs.cancel("bt_x", ANN, LATER) is None

    await submit(jobs, job("bt_2", asker("b")))
    await jobs.start("bt_2", NOW)
    marked = await jobs.cancel("bt_2", BEN, LATER)
    assert marked is not None
    assert (marked.state, marked.ended_by, marked.ended_at) == ("running", BEN, None)
    again = await jobs.cancel("bt_2", ANN, LATER)
    assert again is not None
    assert again.ended_by == BEN
    renewed = await jobs.renew("bt_2", 1)
    assert renewed is not None
    assert renewed.ended_by == BEN

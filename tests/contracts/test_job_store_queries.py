"""``JobStore``: lists, what is owed to whom, and durations."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from chatops.backtests.ports import JobFilter, JobStore
from chatops.backtests.requests import ComparisonRequest
from chatops.sessions.model import Session
from chatops.sessions.ports import SessionStore
from tests.contracts.jobs import ANN, NOW, asker, job, run, spec, submit


async def test_active_jobs_are_oldest_first(jobs: JobStore) -> None:
    for index, minute in enumerate((3, 1, 2)):
        await submit(jobs, job(f"bt_{index}", minute=minute))
    await jobs.start("bt_2", NOW)
    assert [each.id for each in await jobs.active()] == ["bt_1", "bt_2", "bt_0"]
    await jobs.finish("bt_2", 1, "failed", NOW)
    assert [each.id for each in await jobs.active()] == ["bt_1", "bt_0"]


async def listed(jobs: JobStore, **which: Any) -> list[str]:
    return [each.id for each in await jobs.list_jobs(JobFilter(**which))]


async def test_jobs_are_listed_newest_first_and_filtered(jobs: JobStore) -> None:
    members = (spec("macd", "MSFT"), spec("bollinger", "AAPL", "IBM"))
    await run(jobs, job("bt_1", minute=2, request=spec("macd", "AAPL", "MSFT")))
    await submit(jobs, job("bt_2", minute=1, request=spec("momentum", "IBM"), session_id="other"))
    await submit(
        jobs,
        job("cmp_3", minute=3, kind="comparison", request=ComparisonRequest(members=members)),
    )
    assert await listed(jobs) == ["cmp_3", "bt_1", "bt_2"]
    assert await listed(jobs, limit=2) == ["cmp_3", "bt_1"]
    assert await listed(jobs, limit=0) == []
    assert await listed(jobs, kind="comparison") == ["cmp_3"]
    assert await listed(jobs, states=("queued",)) == ["cmp_3", "bt_2"]
    assert await listed(jobs, states=("completed", "failed")) == ["bt_1"]
    assert await listed(jobs, states=()) == []
    assert await listed(jobs, session_id="other") == ["bt_2"]
    assert await listed(jobs, strategy="macd") == ["cmp_3", "bt_1"]
    assert await listed(jobs, strategy="bollinger") == ["cmp_3"]
    assert await listed(jobs, symbol="IBM") == ["cmp_3", "bt_2"]
    assert await listed(jobs, symbol="MSFT", kind="backtest") == ["bt_1"]
    assert await listed(jobs, symbol="IBM", strategy="macd", session_id="room") == ["cmp_3"]
    assert await listed(jobs, symbol="ibm' OR 1") == []


async def test_a_listed_job_is_whole(jobs: JobStore) -> None:
    done = await run(jobs, job("bt_1", asker("c1")))
    assert list(await jobs.list_jobs(JobFilter())) == [done]


async def test_a_joined_job_is_listed_in_every_askers_session(jobs: JobStore) -> None:
    await submit(jobs, job("bt_1", asker("c1"), fingerprint="f"))
    await submit(jobs, job("bt_2", asker("c2", "other"), fingerprint="f", session_id="other"))
    assert await listed(jobs, session_id="room") == ["bt_1"]
    assert await listed(jobs, session_id="other") == ["bt_1"]
    assert await listed(jobs, session_id="third") == []


async def test_ended_jobs_are_owed_to_the_unanswered_oldest_first(jobs: JobStore) -> None:
    await submit(jobs, job("bt_0", asker("waits")))
    await run(jobs, job("bt_none", minute=9))
    await run(jobs, job("bt_2", asker("c2"), minute=2))
    await run(jobs, job("bt_1", asker("c1"), asker("c1b"), minute=1))
    assert [each.id for each in await jobs.owed()] == ["bt_1", "bt_2"]
    await jobs.answered("bt_1", "c1")
    await jobs.answered("bt_1", "c1")
    await jobs.answered("bt_1", "unknown")
    first, _ = await jobs.owed()
    assert first.askers == (asker("c1b"),)
    assert first.summary == {"id": "bt_1"}
    whole = await jobs.get("bt_1")
    assert whole is not None
    assert whole.askers == (asker("c1"), asker("c1b"))
    await jobs.answered("bt_1", "c1b")
    await jobs.answered("bt_2", "c2")
    assert list(await jobs.owed()) == []


async def test_a_reused_job_is_owed_again_to_the_new_asker_only(jobs: JobStore) -> None:
    await run(jobs, job("bt_1", asker("c1"), fingerprint="f"))
    await jobs.answered("bt_1", "c1")
    await submit(jobs, job("bt_2", asker("c2"), fingerprint="f"))
    (owed,) = await jobs.owed()
    assert owed.askers == (replace(asker("c2"), joined="reused"),)


async def test_a_deleted_session_is_owed_nothing_but_its_jobs_stay(
    jobs: JobStore, sessions: SessionStore
) -> None:
    await sessions.create_session(Session("room", "e", "Room", ANN, NOW))
    await run(jobs, job("bt_1", asker("c1"), asker("c2"), asker("far", "other")))
    await jobs.answered("bt_1", "c1")
    assert list(await sessions.expire(NOW + timedelta(days=1))) == ["room"]
    (owed,) = await jobs.owed()
    assert owed.askers == (asker("far", "other"),)
    stored = await jobs.get("bt_1")
    assert stored is not None
    assert stored.askers == (asker("c1"), asker("far", "other"))


async def test_durations_are_of_the_newest_completed_jobs_of_a_kind(jobs: JobStore) -> None:
    for minute, seconds in ((1, 1.5), (3, 3.0), (2, 2.25)):
        await run(jobs, job(f"bt_{minute}", minute=minute), seconds=seconds)
    comparison = ComparisonRequest(members=(spec(), spec("momentum")))
    await run(jobs, job("cmp_1", minute=4, kind="comparison", request=comparison), seconds=9)
    await submit(jobs, job("bt_9"))
    await jobs.start("bt_9", NOW)
    await jobs.finish("bt_9", 1, "failed", NOW + timedelta(days=1))
    assert list(await jobs.durations_s("backtest", 10)) == [3.0, 2.25, 1.5]
    assert list(await jobs.durations_s("backtest", 2)) == [3.0, 2.25]
    assert list(await jobs.durations_s("comparison", 2)) == [9.0]
    assert list(await jobs.durations_s("other", 2)) == []

"""Jobs as the tests of the contract make them."""

from datetime import UTC, datetime, timedelta

from chatops.access.identity import Person
from chatops.backtests.job import Asker, Job, JobKind
from chatops.backtests.ports import JobStore
from chatops.backtests.requests import BacktestRequest, ComparisonRequest

ANN = Person("client:ann", "Ann")
BEN = Person("client:ben", "김벤")
NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)


def spec(strategy: str = "macd", *symbols: str) -> BacktestRequest:
    return BacktestRequest(
        strategy_id=strategy, strategy_type="macd", params={}, symbols=symbols or ("AAPL",)
    )


def asker(command_id: str, session_id: str = "room", person: Person = ANN) -> Asker:
    return Asker(command_id, session_id, person, f"/run {command_id}", NOW)


def job(
    job_id: str,
    *askers: Asker,
    fingerprint: str | None = None,
    minute: int = 0,
    kind: JobKind = "backtest",
    request: BacktestRequest | ComparisonRequest | None = None,
    session_id: str = "room",
) -> Job:
    return Job(
        id=job_id,
        kind=kind,
        title="MACD on AAPL · 애플",
        fingerprint=fingerprint or job_id,
        provenance={"engine": "bt 1.4", "data": {"AAPL": "ab12"}},
        spec=(request or spec()).model_dump(mode="json"),
        requested_by=ANN,
        session_id=session_id,
        created_at=NOW + timedelta(minutes=minute),
        askers=askers,
    )


async def submit(jobs: JobStore, made: Job, *, fresh: bool = False, limit: int = 1000) -> Job:
    return await jobs.submit(made, fresh=fresh, queue_limit=limit)


async def run(jobs: JobStore, made: Job, *, seconds: float = 5.0) -> Job:
    """Submit the job, start it and complete it ``seconds`` later."""
    stored = await submit(jobs, made, fresh=True)
    await jobs.start(stored.id, stored.created_at)
    end = stored.created_at + timedelta(seconds=seconds)
    done = await jobs.finish(stored.id, 1, "completed", end, summary={"id": stored.id})
    assert done is not None
    return done

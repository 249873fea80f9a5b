"""What jobs are found by, whichever store keeps them."""

from typing import Any

from chatops.backtests.job import Job


def labels_of(job: Job) -> set[tuple[str, str]]:
    """Return the session of a job, and its strategies and symbols, its members' included."""
    requests: list[dict[str, Any]] = job.spec.get("members", [job.spec])
    strategies = {("strategy", request["strategy_id"]) for request in requests}
    symbols = {("symbol", symbol) for request in requests for symbol in request["symbols"]}
    return {("session", job.session_id)} | strategies | symbols

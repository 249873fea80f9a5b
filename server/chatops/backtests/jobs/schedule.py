"""Which job is next, and how long a waiting one will wait. Pure functions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from statistics import median

from chatops.backtests.job import Job


def fair_order(
    waiting: Sequence[Job], running: Sequence[Job], last_turn: Mapping[str, int] | None = None
) -> list[Job]:
    """Return the waiting jobs in the order in which they will start.

    Round robin over people: a person's n-th job, counting those that run, comes before anybody's
    (n+1)-th; among equals whoever had their last turn longer ago is first, then the older job. So
    one person's fifty jobs do not keep another's only one waiting.

    Args:
        waiting: The jobs to order.
        running: The jobs that run.
        last_turn: By person, a number that is higher the later their newest job was started.
    """
    turns = last_turn or {}
    taken = Counter(job.requested_by.id for job in running)
    ranked: list[tuple[int, int, float, str, Job]] = []
    for job in sorted(waiting, key=lambda job: (job.created_at, job.id)):
        person = job.requested_by.id
        taken[person] += 1
        age = job.created_at.timestamp()
        ranked.append((taken[person], turns.get(person, 0), age, job.id, job))
    return [job for *_, job in sorted(ranked, key=lambda row: row[:4])]


def typical_s(durations_s: Sequence[float]) -> float | None:
    """Return the median duration in seconds, or None when nothing has run yet."""
    return median(durations_s) if durations_s else None


def running_eta_s(elapsed_s: float, fraction: float, usual_s: float | None) -> float | None:
    """Return the seconds a running job still needs.

    From its own pace once a tenth is done, before that from what such jobs usually take.
    """
    if fraction >= 0.1:
        return elapsed_s * (1.0 - fraction) / fraction
    return None if usual_s is None else max(usual_s - elapsed_s, 0.0)


def waiting_eta_s(
    position: int,
    slots: int,
    usual_s: Mapping[str, float | None],
    kind: str,
    running_left_s: Sequence[float | None],
) -> float | None:
    """Return the seconds until a waiting job will have ended.

    Args:
        position: 1 for the job that starts next.
        slots: Jobs that run at once.
        usual_s: Median duration by kind of job, seconds.
        kind: The waiting job's kind.
        running_left_s: Seconds each running job still needs.
    """
    usual = usual_s.get(kind)
    if usual is None:
        return None
    free_at = [usual if left is None else left for left in running_left_s]
    free_at += [0.0] * (slots - len(free_at))
    heapify(free_at)
    ends_at = usual
    for _ in range(position):
        ends_at = heappop(free_at) + usual
        heappush(free_at, ends_at)
    return ends_at

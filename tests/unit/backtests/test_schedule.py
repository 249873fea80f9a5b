"""The order of waiting jobs, and how long they will wait."""

from dataclasses import replace

import pytest

from chatops.access.identity import Person
from chatops.backtests.job import Job
from chatops.backtests.jobs.schedule import fair_order, running_eta_s, typical_s, waiting_eta_s
from tests.contracts.jobs import ANN, BEN, job

CAT = Person("client:cat", "Cat")


def of(person: Person, job_id: str, minute: int) -> Job:
    return replace(job(job_id, minute=minute), requested_by=person)


def order(waiting: list[Job], running: list[Job]) -> list[str]:
    return [one.id for one in fair_order(waiting, running)]


def test_one_person_is_served_in_the_order_of_asking() -> None:
    waiting = [of(ANN, "b", 2), of(ANN, "a", 1), of(ANN, "c", 3)]
    assert order(waiting, []) == ["a", "b", "c"]


def test_fifty_jobs_of_one_do_not_keep_another_waiting() -> None:
    many = [of(ANN, f"a{n:02}", n) for n in range(50)]
    assert order([*many, of(BEN, "b", 59)], []).index("b") == 1


def test_jobs_that_run_count_as_turns_taken() -> None:
    waiting = [of(ANN, "a2", 1), of(BEN, "b1", 9)]
    assert order(waiting, [of(ANN, "a1", 0)]) == ["b1", "a2"]


def test_three_people_take_turns() -> None:
    waiting = [of(ANN, "a1", 0), of(ANN, "a2", 1), of(BEN, "b1", 2), of(BEN, "b2", 3)]
    assert order([*waiting, of(CAT, "c1", 4)], []) == ["a1", "b1", "c1", "a2", "b2"]


def test_with_one_slot_people_still_take_turns() -> None:
    waiting = [of(ANN, "a2", 1), of(ANN, "a3", 2), of(BEN, "b1", 9)]
    found = fair_order(waiting, [], {ANN.id: 1})
    assert [one.id for one in found] == ["b1", "a2", "a3"]


def test_equally_old_jobs_have_a_fixed_order() -> None:
    jobs = [of(ANN, "y", 0), of(BEN, "x", 0)]
    assert order(jobs, []) == order(jobs[::-1], []) == ["x", "y"]


@pytest.mark.parametrize(("durations", "usual"), [([], None), ([3.0], 3.0), ([1, 2, 90], 2)])
def test_the_usual_duration_is_the_median(durations: list[float], usual: float | None) -> None:
    assert typical_s(durations) == usual


@pytest.mark.parametrize(
    ("elapsed", "fraction", "usual", "left"),
    [
        (10.0, 0.5, None, 10.0),  # its own pace
        (10.0, 0.5, 99.0, 10.0),
        (2.0, 0.05, 10.0, 8.0),  # too early to tell: what is usual
        (20.0, 0.05, 10.0, 0.0),
        (2.0, 0.05, None, None),
    ],
)
def test_what_a_running_job_still_needs(
    elapsed: float, fraction: float, usual: float | None, left: float | None
) -> None:
    assert running_eta_s(elapsed, fraction, usual) == left


@pytest.mark.parametrize(
    ("position", "slots", "left", "eta"),
    [
        (1, 1, [4.0], 14.0),
        (2, 1, [4.0], 24.0),
        (1, 2, [4.0], 10.0),  # a slot is free
        (1, 2, [4.0, 7.0], 14.0),
        (3, 2, [4.0, 7.0], 24.0),
        (1, 1, [None], 20.0),  # nothing known of the running one: as long as usual
    ],
)
def test_what_a_waiting_job_will_need(
    position: int, slots: int, left: list[float | None], eta: float
) -> None:
    assert waiting_eta_s(position, slots, {"backtest": 10.0}, "backtest", left) == eta


def test_without_experience_there_is_no_estimate() -> None:
    assert waiting_eta_s(1, 1, {"backtest": None}, "backtest", []) is None

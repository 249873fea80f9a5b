"""One person's allowance over connections and nodes."""

import pytest

from chatops.access.rates import MAX_PEOPLE, MOST_DEBT, PersonRates, Rate
from chatops.errors import RateLimitedError

RATE = Rate(per_s=2.0, burst=4)


def spend(rates: PersonRates, person: str, now: float) -> int:
    """Use tokens until none is left; return how many there were."""
    for count in range(100):
        try:
            rates.take(person, now)
        except RateLimitedError:
            return count
    raise AssertionError("there is no limit")


def test_a_person_has_one_allowance_and_gets_it_back_in_time() -> None:
    rates = PersonRates(RATE)
    assert spend(rates, "ann", 0.0) == 4
    assert spend(rates, "ben", 0.0) == 4
    assert spend(rates, "ann", 1.0) == 2


def test_what_was_used_elsewhere_counts_and_the_debt_is_bounded() -> None:
    rates = PersonRates(RATE)
    rates.used_elsewhere({"ann": 3}, 0.0)
    assert spend(rates, "ann", 0.0) == 1
    rates.used_elsewhere({"ann": 10**9}, 0.0)
    with pytest.raises(RateLimitedError) as refused:
        rates.take("ann", 0.0)
    assert refused.value.retry_after_s == (MOST_DEBT * 4 + 1) / 2  # and one token, at two a second
    assert spend(rates, "ann", (MOST_DEBT + 1) * 2.0) == 4


def test_two_nodes_that_tell_each_other_let_through_about_one_allowance() -> None:
    rate = Rate(per_s=10.0, burst=20)
    here, there = PersonRates(rate), PersonRates(rate)
    through = 0
    for second in range(20):
        for node in (here, there):
            through += spend(node, "ann", float(second))
        used = here.used(), there.used()
        there.used_elsewhere(used[0], second + 0.5)
        here.used_elsewhere(used[1], second + 0.5)
    # One node alone lets 20 + 19 x 10 through; without hearsay two let through twice as much.
    assert 200 <= through <= 260


@pytest.mark.parametrize("rest_s", [1, 4, 8, 12])
def test_bursts_on_many_nodes_at_once_do_not_make_the_rate_higher(rest_s: int) -> None:
    rate = Rate(per_s=10.0, burst=20)
    nodes = [PersonRates(rate) for _ in range(6)]
    through = 0
    for second in range(0, 240, rest_s):
        through += sum(spend(node, "ann", float(second)) for node in nodes)
        used = [node.used() for node in nodes]
        for node, own in zip(nodes, used, strict=True):
            for told in used:
                if told is not own:
                    node.used_elsewhere(told, second + 0.5)
    assert through <= 240 * 10 * 1.1 + 6 * 20


def test_idle_talk_is_not_told_and_nothing_is_told_twice() -> None:
    rates = PersonRates(RATE)
    rates.take("ann", 0.0)
    spend(rates, "ben", 0.0)
    assert rates.used() == {"ben": 4}
    assert rates.used() == {}


def test_people_without_number_take_bounded_memory() -> None:
    rates = PersonRates(RATE)
    for number in range(MAX_PEOPLE + 100):
        rates.take(f"p{number}", 0.0)
    assert len(rates._buckets) == MAX_PEOPLE

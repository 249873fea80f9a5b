"""Who a connection is, and what of it others see."""

import pytest

from chatops.access.identity import local_person


def test_the_word_of_a_client_makes_the_same_person_everywhere() -> None:
    # Written down, since ids are stored: another value would make everybody somebody else.
    person = local_person("Kim", "browser-1", "c1")
    assert person.id == "client:5c3a7f09948902dd109dc4a16e588320"
    assert local_person("Lee", "browser-1", "c2").id == person.id
    assert local_person("Kim", "browser-2", "c1").id != person.id


@pytest.mark.parametrize("seen", ["client:5c3a7f09948902dd109dc4a16e588320", "EXPECTED", "browser"])
def test_who_says_what_others_see_is_somebody_else(seen: str) -> None:
    victim = local_person("Kim", "browser-1", "c1")
    assert "browser-1" not in victim.id
    assert local_person(victim.name, seen, "c2").id != victim.id
    assert local_person(seen, None, "c2").id != victim.id


def test_a_name_alone_is_the_same_person_as_ever() -> None:
    assert local_person(" Kim ", None, "c1").id == "name:kim"
    assert local_person(None, None, "c1").id == "guest:c1"

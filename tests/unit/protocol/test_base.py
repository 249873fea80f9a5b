import re
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from chatops.protocol.base import (
    ClientMessageId,
    PersonName,
    SessionId,
    Timestamp,
    WireModel,
    new_id,
    new_sorted_id,
    rfc3339,
    rfc3339_now,
    utc_now,
)


class Sample(WireModel):
    first_seen: Timestamp
    last_word: str | None = None


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 999_999, UTC), "2026-01-02T03:04:05.999Z"),
        (
            datetime(2026, 1, 1, 8, tzinfo=timezone(timedelta(hours=9))),
            "2025-12-31T23:00:00.000Z",
        ),
        (
            datetime(2026, 1, 1, tzinfo=timezone(-timedelta(hours=3, minutes=30))),
            "2026-01-01T03:30:00.000Z",
        ),
    ],
)
def test_times_are_written_in_utc_with_milliseconds(at: datetime, text: str) -> None:
    assert rfc3339(at) == text


@given(st.datetimes(datetime(1900, 1, 1), datetime(9000, 1, 1), timezones=st.timezones()))  # noqa: DTZ001 - hypothesis wants naive limits
def test_a_written_time_is_the_same_moment_but_for_less_than_a_millisecond(at: datetime) -> None:
    lost = at - datetime.fromisoformat(rfc3339(at))
    assert timedelta() <= lost < timedelta(milliseconds=1)


def test_now_is_aware() -> None:
    assert utc_now().utcoffset() == timedelta()


def test_sorted_ids_sort_by_the_time_of_their_making() -> None:
    ids = []
    for _ in range(5):
        ids.append(new_sorted_id("cmd"))
        time.sleep(0.002)
    assert ids == sorted(ids)
    assert all(re.fullmatch(r"cmd_[0-9a-f]{21}", one) for one in ids)
    assert len({new_sorted_id("cmd") for _ in range(5_000)}) == 5_000


def test_the_present_time_is_written_as_any_other() -> None:
    before = utc_now()
    text = rfc3339_now()
    written = datetime.fromisoformat(text)
    assert before - timedelta(milliseconds=1) < written <= utc_now()
    assert rfc3339(written) == text


def test_ids_have_their_prefix_and_sixty_bits_and_do_not_repeat() -> None:
    ids = {new_id("msg") for _ in range(5_000)}
    assert len(ids) == 5_000
    assert all(re.fullmatch(r"msg_[0-9a-f]{15}", one) for one in ids)


@pytest.mark.parametrize("good", ["session_1697472000000", "a", "A-b_9" * 12])
def test_session_ids_of_the_contract_are_accepted(good: str) -> None:
    assert TypeAdapter(SessionId).validate_python(good) == good


@pytest.mark.parametrize(
    "bad", ["", "a b", "a/b", "a\n", "한국", "x" * 65, "a:b", "../a", 7, None, ["a"]]
)
def test_other_session_ids_are_refused(bad: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(SessionId).validate_python(bad)


@pytest.mark.parametrize("bad", ["", "a b", "a\x00", "é", "x" * 129, "a\n"])
def test_client_message_ids_are_visible_ascii(bad: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(ClientMessageId).validate_python(bad)


def test_names_may_be_korean_but_not_empty_or_endless() -> None:
    adapter = TypeAdapter(PersonName)
    assert adapter.validate_python("김민수") == "김민수"
    for bad in ("", "x" * 201):
        with pytest.raises(ValidationError):
            adapter.validate_python(bad)


def test_the_wire_has_camel_case_no_nulls_and_written_times() -> None:
    sample = Sample(first_seen=datetime(2026, 1, 2, tzinfo=UTC))
    assert sample.to_wire() == {"firstSeen": "2026-01-02T00:00:00.000Z"}
    assert Sample.model_validate({"firstSeen": "2026-01-02T00:00:00Z", "later": 1}) == sample

"""What a packet may look like, told from its text alone."""

from typing import Any

import pytest

from chatops.realtime.guard import BadEvent, FrameError, parse


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ('21["a",{"b":1}]', (2, "/", 1, ["a", {"b": 1}])),
        ('2["a"]', (2, "/", None, ["a"])),
        ('2/,7["a"]', (2, "/", 7, ["a"])),
        ('2/room,7["a"]', (2, "/room", 7, ["a"])),
        ('2999999999999999["a"]', (2, "/", 999_999_999_999_999, ["a"])),
        ("0", (0, "/", None, None)),
        ('0{"name":"Ann"}', (0, "/", None, {"name": "Ann"})),
        ("0/room?x=1,", (0, "/room", None, None)),
        ("1", (1, "/", None, None)),
        ("31[]", (3, "/", 1, [])),
    ],
)
def test_a_packet_is_taken_apart(text: str, packet: tuple[Any, ...]) -> None:
    assert parse(text) == packet


@pytest.mark.parametrize(
    "text",
    [
        *("", "4", "5", '51-["a"]', "2", "2[]", "21[]", "2{}", '21{"a":1}', "2[1]", "29"),
        '21x["a"]',
        '2٣["a"]',  # digits, but not those of the protocol
        '29999999999999999["a"]',
        *(None, 1e5, b'21["a"]', {"a": 1}, ["a"]),
    ],
)
def test_what_is_no_packet_of_a_client_is_refused(text: Any) -> None:
    try:
        kind, _, _, value = parse(text)
    except FrameError:
        return
    assert kind == 2
    assert isinstance(value, BadEvent)


@pytest.mark.parametrize("head", ["2", "21", "2/,1"])
def test_an_event_that_is_too_large_is_still_an_event(head: str) -> None:
    value = parse(head + '["a","' + "가" * 22_000 + '"]')[3]
    assert isinstance(value, BadEvent)
    assert "64 KiB" in value.reason

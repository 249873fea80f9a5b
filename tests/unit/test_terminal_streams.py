"""The terminal client's answers while they are written."""

from typing import Any

from tests.support.members import Streams


def piece(index: int, delta: str, message_id: str = "a", **more: str) -> dict[str, Any]:
    return {"messageId": message_id, "replyTo": "q", "index": index, "delta": delta, **more}


def stream(index: int, content: str) -> dict[str, Any]:
    return {"messageId": "a", "replyTo": "q", "index": index, "content": content}


def test_a_piece_that_comes_again_is_shown_once() -> None:
    streams = Streams()
    shown = [streams.add(piece(index, text)) for index, text in ((0, "a"), (1, "b"), (1, "b"))]
    assert [one and one["text"] for one in shown] == ["a", "ab", None]


def test_what_the_writer_does_is_over_with_the_next_piece() -> None:
    streams = Streams()
    streams.add(piece(0, "", doing="run_backtest"))
    assert streams.written["a"].doing == "run_backtest"
    streams.add(piece(1, "It"))
    assert streams.written["a"].doing is None


def test_pieces_after_the_message_are_dropped() -> None:
    streams = Streams()
    streams.add(piece(0, "a"))
    streams.end("a")
    assert streams.add(piece(1, "b")) is None
    assert streams.written == {}
    assert streams.joined([stream(1, "ab")]) == []


def test_a_join_gives_what_was_missed_and_the_pieces_that_came_meanwhile() -> None:
    streams = Streams()
    streams.add(piece(0, "a"))
    streams.hold()
    assert [streams.add(piece(index, text)) for index, text in ((2, "c"), (3, "d"))] == [None, None]
    shown = streams.joined([stream(2, "abc")])
    assert [(one["delta"], one["text"]) for one in shown] == [("bc", "abc"), ("d", "abcd")]
    again = streams.add(piece(4, "e"))
    assert again is not None
    assert again["text"] == "abcde"


def test_a_join_older_than_the_pieces_takes_nothing_back() -> None:
    streams = Streams()
    for index, text in enumerate("abc"):
        streams.add(piece(index, text))
    streams.hold()
    assert streams.joined([stream(1, "ab")]) == []
    assert streams.written["a"].text == "abc"


def test_what_is_no_longer_written_is_forgotten_at_a_join() -> None:
    streams = Streams()
    streams.add(piece(0, "a"))
    streams.hold()
    assert streams.joined([]) == []
    assert streams.written == {}

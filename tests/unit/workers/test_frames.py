import asyncio
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatops.workers import frames
from chatops.workers.frames import Frame, FrameError, encode, read, read_async

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Lone surrogates are no text; the server refuses them at its doors.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


class Bytes:
    """A source that hands out bytes and then ends."""

    def __init__(self, content: bytes) -> None:
        self.rest = content

    def __call__(self, size: int) -> bytes:
        if len(self.rest) < size:
            raise EOFError
        part, self.rest = self.rest[:size], self.rest[size:]
        return part


def envelope(content: Any, blobs: bytes = b"") -> bytes:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack(">I", len(text)) + text + blobs


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.text(), JSON, max_size=4),
            st.dictionaries(st.text(), st.binary(), max_size=4),
        ),
        max_size=4,
    )
)
def test_frames_written_one_after_the_other_are_read_back_equal(
    contents: list[tuple[dict[str, Any], dict[str, bytes]]],
) -> None:
    source = Bytes(b"".join(encode(Frame(header, blobs)) for header, blobs in contents))
    assert [read(source) for _ in contents] == [Frame(*content) for content in contents]
    assert source.rest == b""


async def test_a_stream_that_arrives_byte_by_byte_gives_the_same_frame() -> None:
    frame = Frame({"type": "task", "name": "삼성전자"}, {"a": b"", "b": bytes(range(256))})
    reader = asyncio.StreamReader(limit=16)
    for byte in encode(frame):
        reader.feed_data(bytes([byte]))
    assert await read_async(reader) == frame


@pytest.mark.parametrize("cut", [1, 4, 5, 30, -1])
async def test_a_stream_that_ends_in_a_frame_is_told_from_a_frame(cut: int) -> None:
    content = encode(Frame({"type": "report"}, {"a": b"abc"}))[:cut]
    with pytest.raises(EOFError):
        read(Bytes(content))
    reader = asyncio.StreamReader()
    reader.feed_data(content)
    reader.feed_eof()
    with pytest.raises(asyncio.IncompleteReadError):
        await read_async(reader)


@pytest.mark.parametrize(
    "content",
    [
        struct.pack(">I", frames.MAX_ENVELOPE_BYTES + 1),
        envelope(b"\xff\xfe"),
        envelope(b"not json"),
        envelope(b"[" * 100_000),
        envelope([]),
        envelope({"header": {}}),
        envelope({"header": [], "blobs": []}),
        envelope({"header": {}, "blobs": 3}),
        envelope({"header": {}, "blobs": [["a"]]}),
        envelope({"header": {}, "blobs": [["a", "3"]]}),
        envelope({"header": {}, "blobs": [["a", True]]}),
        envelope({"header": {}, "blobs": [[["a"], 1]]}),
        envelope({"header": {}, "blobs": [["a", -1]]}),
        envelope({"header": {}, "blobs": [["a", 1], ["a", 1]]}, b"xy"),
        envelope({"header": {}, "blobs": [["a", frames.MAX_BLOBS_BYTES + 1]]}),
        envelope({"header": {}, "blobs": [[str(i), 0] for i in range(frames.MAX_BLOBS + 1)]}),
    ],
    ids=lambda content: content[4:44].decode("latin-1") or "long envelope",
)
def test_bytes_that_are_no_frame_are_refused(content: bytes) -> None:
    with pytest.raises(FrameError):
        read(Bytes(content))


def test_a_frame_beyond_the_limits_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_BLOBS_BYTES", 9)
    encode(Frame({}, {"a": b"123456789"}))
    with pytest.raises(FrameError):
        encode(Frame({}, {"a": b"12345", "b": b"12345"}))
    monkeypatch.setattr(frames, "MAX_ENVELOPE_BYTES", 100)
    with pytest.raises(FrameError):
        encode(Frame({"text": "x" * 100}))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_json_are_not_written(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(Frame({"sharpe": number}))

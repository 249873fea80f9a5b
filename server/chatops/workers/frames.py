"""What flows through the pipes between the server and its workers: a JSON header and named blobs.

A frame is the length of the envelope (4 bytes, big-endian), the envelope
``{"header": {...}, "blobs": [[name, bytes], ...]}`` as UTF-8 JSON, then the blobs one after the
other. Unlike pickle it cannot run code, and every size is checked before memory is taken for it.
"""

import asyncio
import json
import struct
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_ENVELOPE_BYTES = 32 << 20
MAX_BLOBS = 1024
MAX_BLOBS_BYTES = 512 << 20

_LENGTH = struct.Struct(">I")


class FrameError(ValueError):
    """The bytes are no frame, or the frame is larger than allowed."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message.

    Attributes:
        header: JSON values; NaN and infinity are refused.
        blobs: Bytes by name.
    """

    header: Mapping[str, Any]
    blobs: Mapping[str, bytes] = field(default_factory=dict)


def encode(frame: Frame) -> bytes:
    """Return the frame's bytes.

    Raises:
        FrameError: It is larger than allowed.
        ValueError: The header holds NaN or infinity.
        TypeError: The header holds what JSON cannot.
    """
    sizes = [[name, len(blob)] for name, blob in frame.blobs.items()]
    envelope = json.dumps(
        {"header": frame.header, "blobs": sizes}, allow_nan=False, separators=(",", ":")
    ).encode()
    if len(envelope) > MAX_ENVELOPE_BYTES:
        raise FrameError(f"an envelope of {len(envelope)} bytes")
    _check_blobs([len(blob) for blob in frame.blobs.values()])
    return b"".join((_LENGTH.pack(len(envelope)), envelope, *frame.blobs.values()))


def decoding() -> Generator[int, bytes, Frame]:
    """Decode one frame without doing I/O: yields how many bytes it needs next, returns the frame.

    Raises:
        FrameError: The bytes are no frame.
    """
    (length,) = _LENGTH.unpack((yield _LENGTH.size))
    if length > MAX_ENVELOPE_BYTES:
        raise FrameError(f"an envelope of {length} bytes")
    header, sizes = _parse((yield length))
    blobs = {}
    for name, size in sizes:
        blobs[name] = yield size
    return Frame(header, blobs)


def read(read_exactly: Callable[[int], bytes]) -> Frame:
    """Return the next frame; what ``read_exactly`` raises passes through."""
    steps = decoding()
    wanted = next(steps)
    while True:
        try:
            wanted = steps.send(read_exactly(wanted))
        except StopIteration as end:
            frame: Frame = end.value
            return frame


async def read_async(reader: asyncio.StreamReader) -> Frame:
    """Return the next frame. Not safe to cancel: the rest of a frame is lost for the next call.

    Raises:
        asyncio.IncompleteReadError: The stream has ended.
        FrameError: The bytes are no frame.
    """
    steps = decoding()
    wanted = next(steps)
    while True:
        part = await reader.readexactly(wanted)
        try:
            wanted = steps.send(part)
        except StopIteration as end:
            frame: Frame = end.value
            return frame


def _parse(envelope: bytes) -> tuple[dict[str, Any], list[tuple[str, int]]]:
    try:
        content = json.loads(envelope)
        header, blobs = content["header"], content["blobs"]
        sizes = [(name, size) for name, size in blobs]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FrameError("the envelope is not of the form") from error
    named = all(isinstance(name, str) and type(size) is int for name, size in sizes)
    if not named or not isinstance(header, dict) or len({name for name, _ in sizes}) < len(sizes):
        raise FrameError("the envelope is not of the form")
    _check_blobs([size for _, size in sizes])
    return header, sizes


def _check_blobs(sizes: list[int]) -> None:
    if len(sizes) > MAX_BLOBS or min(sizes, default=0) < 0 or sum(sizes) > MAX_BLOBS_BYTES:
        raise FrameError(f"{len(sizes)} blobs of {sum(sizes)} bytes")

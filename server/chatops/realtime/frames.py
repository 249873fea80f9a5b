"""WebSocket frames of a server (RFC 6455, section 5.2): unmasked, whole, uncompressed."""

import struct

_TEXT, _CLOSE, _PONG = 0x81, 0x88, 0x8A


def text_frame(payload: bytes) -> bytes:
    """Return the text frame around UTF-8 text."""
    length = len(payload)
    if length < 126:
        return _SHORT[length] + payload
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2) + payload
    return _head(_TEXT, length) + payload


def pong_frame(payload: bytes) -> bytes:
    """Return the answer to a ping with this payload, of 125 bytes at most."""
    return _head(_PONG, len(payload)) + payload


def close_frame(code: int) -> bytes:
    """Return a close frame with a status code."""
    return _head(_CLOSE, 2) + struct.pack("!H", code)


def _head(kind: int, length: int) -> bytes:
    if length < 126:
        return bytes((kind, length))
    if length < 65_536:
        return struct.pack("!BBH", kind, 126, length)
    return struct.pack("!BBQ", kind, 127, length)


_SHORT = tuple(_head(_TEXT, length) for length in range(126))

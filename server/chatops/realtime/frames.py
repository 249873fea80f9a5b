"""WebSocket frames of a server (RFC 6455, section 5.2): unmasked, whole, uncompressed."""

_TEXT, _CLOSE, _PONG = 0x81, 0x88, 0x8A

_SHORT = tuple(bytes((_TEXT, length)) for length in range(126))
_LONG, _LONGEST = bytes((_TEXT, 126)), bytes((_TEXT, 127))
"""How frames begin: with their length, or before its two or eight bytes."""


def text_frame(payload: bytes) -> bytes:
    """Return the text frame around UTF-8 text."""
    length = len(payload)
    if length < 126:
        head = _SHORT[length]
    elif length < 65_536:
        head = _LONG + length.to_bytes(2)
    else:
        head = _LONGEST + length.to_bytes(8)
    return head + payload


def pong_frame(payload: bytes) -> bytes:
    """Return the answer to a ping with this payload, of 125 bytes at most."""
    return bytes((_PONG, len(payload))) + payload


def close_frame(code: int) -> bytes:
    """Return a close frame with a status code."""
    return bytes((_CLOSE, 2)) + code.to_bytes(2)

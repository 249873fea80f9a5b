"""What is wrong with a payload, in words for the person who writes the client."""

from pydantic import ValidationError

from chatops.errors import BadPayloadError
from chatops.protocol.base import MAX_CONTENT

_HINTS = {
    "content": f"content is text of 1 to {MAX_CONTENT:,} characters.",
    "command": f"command is text of 1 to {MAX_CONTENT:,} characters.",
    "sessionId": "sessionId is 1 to 64 letters, digits, - or _.",
    "clientMessageId": "clientMessageId is 1 to 128 visible ASCII characters.",
    "afterSeq": "afterSeq is the last seq you have seen, a whole number from 0.",
    "limit": "limit is a whole number from 0 to 500.",
    "parameters": 'parameters is an object: named values, or {"args": [...]}, or both.',
    "metadata": "metadata is an object.",
}


def payload_error(error: ValidationError) -> BadPayloadError:
    """Return the first fault of a payload as an error of the wire."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    if not field:
        return BadPayloadError(
            "The payload must be a JSON object.", "See the events of this server."
        )
    problem = {
        "missing": "is missing",
        "string_too_long": "is too long",
        "string_too_short": "is empty",
    }.get(first["type"], "is not valid")
    return BadPayloadError(
        f"{field} {problem}.", _HINTS.get(field, "See the events of this server.")
    )

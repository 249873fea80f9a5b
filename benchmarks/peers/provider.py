"""A provider of language models that answers at once: the same 60 pieces, in one write."""

import asyncio
import json
from typing import Any

from aiohttp import web

PIECES = 60


async def serve() -> None:
    """Serve on a free port of this machine until the process is ended."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", _answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"provider listens on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


async def _answer(request: web.Request) -> web.StreamResponse:
    await request.read()
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    await response.write(_BODY)
    await response.write_eof()
    return response


def _event(choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": "gpt-4o",
        "choices": choices,
        "usage": usage,
    }
    return f"data: {json.dumps(chunk)}\n\n".encode()


_PIECE = _event([{"index": 0, "delta": {"content": " momentum"}, "finish_reason": None}])
_END = _event([{"index": 0, "delta": {}, "finish_reason": "stop"}])
_USAGE = {
    "prompt_tokens": 1_200,
    "completion_tokens": PIECES,
    "total_tokens": 1_200 + PIECES,
    "prompt_tokens_details": {"cached_tokens": 1_024},
}
_BODY = _PIECE * PIECES + _END + _event([], _USAGE) + b"data: [DONE]\n\n"

if __name__ == "__main__":
    asyncio.run(serve())

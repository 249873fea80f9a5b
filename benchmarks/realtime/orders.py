"""Orders to a program of the load: JSON lines on its standard input, one answer for each."""

import asyncio
import json
import sys
from collections.abc import Collection

import picows


async def serve_orders(taker: object, names: Collection[str]) -> None:
    """Call the methods of ``taker`` that are ordered until the input ends.

    ``{"do": name, ...}`` is answered by what the method returns, or by ``{"failed": why}``.
    """
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        order = json.loads(line)
        name = order.pop("do")
        try:
            if name not in names:
                raise ValueError(f"no order {name}")
            answer = await getattr(taker, name)(**order)
        except (OSError, ValueError, picows.WSError) as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)

"""One room, every client and every transport: all see the same messages in the same order."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import socketio

from tests.support.node import ready_node
from tests.support.raw import RawClient
from tests.support.server import ServerProcess
from tests.support.waiting import until

LISTENER = Path(__file__).parents[1] / "support" / "js" / "listener.mjs"
WAYS = (["websocket"], ["polling"], ["polling", "websocket"])
TEXTS = ("a", "é" * 130, "삼성전자 📈 " * 40, "x" * 5_000, "{'not': \"json\"} \\ \u2028")
COUNT = 120

Seen = list[tuple[int, str]]


@asynccontextmanager
async def javascript(url: str, transports: list[str]) -> AsyncIterator[Seen]:
    """A member on socket.io-client in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        ready_node(),
        str(LISTENER),
        url,
        "desk",
        *transports,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    first = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
    assert first == {"joined": True}
    seen: Seen = []

    async def listen(lines: asyncio.StreamReader) -> None:
        while line := await lines.readline():
            said = json.loads(line)
            seen.append((said["seq"], said["content"]))

    listening = asyncio.get_running_loop().create_task(listen(process.stdout))
    try:
        yield seen
    finally:
        listening.cancel()
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@asynccontextmanager
async def python(url: str, transports: list[str]) -> AsyncIterator[Seen]:
    """A member on python-socketio's client."""
    client = socketio.AsyncClient(reconnection=False)
    seen: Seen = []
    client.on("message", lambda message: seen.append((message["seq"], message["content"])))
    await client.connect(url, socketio_path="/ws/chatops", transports=transports)
    assert (await client.call("joinSession", "desk"))["ok"]
    try:
        yield seen
    finally:
        await client.disconnect()


async def test_every_client_on_every_transport_sees_one_order(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", CHATOPS_RATE_LIMIT="off")
    await server.start()
    try:
        async with AsyncExitStack() as stack:
            seen = [
                await stack.enter_async_context(member(server.url, ways))
                for member in (javascript, python)
                for ways in WAYS
            ]
            speakers = [
                await stack.enter_async_context(RawClient(server.url, auth={"name": f"S{n}"}))
                for n in range(3)
            ]
            said: Seen = []

            async def speak(client: RawClient, first: int) -> None:
                for number in range(first, COUNT, len(speakers)):
                    content = f"{number} {TEXTS[number % len(TEXTS)]}"[:5_000]
                    payload = {"sessionId": "desk", "content": content}
                    ack = await client.ask(number, "sendMessage", payload)
                    said.append((ack["message"]["seq"], content))

            await asyncio.gather(*(speak(one, first) for first, one in enumerate(speakers)))
            said.sort()
            assert [seq for seq, _ in said] == list(range(1, COUNT + 1))
            await until(lambda: all(len(one) >= COUNT for one in seen), 30, "all have everything")
            assert seen == [said] * len(seen)
    finally:
        assert await server.stop() == 0

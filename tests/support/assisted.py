"""People in a room with an assistant, whose model is a provider of the tests' own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from chatops.bootstrap import Node
from tests.support.caller import Caller
from tests.support.inprocess import running_node
from tests.support.provider import KEY, Provider


@asynccontextmanager
async def room(
    folder: Path, provider: Provider, *names: str, **settings: object
) -> AsyncIterator[tuple[Node, list[Caller]]]:
    """Yield a server with that provider, and people in one room of it."""
    chosen = {"openai_api_key": KEY, "openai_base_url": provider.url, **settings}
    async with AsyncExitStack() as stack:
        node, url = await stack.enter_async_context(running_node(folder, **chosen))
        people = [await stack.enter_async_context(Caller(url, "room", name)) for name in names]
        yield node, people


async def ask(person: Caller, text: str) -> str:
    """Say it; return the message's id."""
    ack = await person.ask("sendMessage", sessionId=person.session, content=text)
    return str(ack["message"]["id"])


async def answer(person: Caller, question: str) -> dict[str, Any]:
    """Wait for the answer to a message; it may have been given before the person joined."""
    before = [one for one in person.joined["entries"] if replies_to(one) == question]
    return (
        before[0]
        if before
        else await person.hears("message", lambda one: replies_to(one) == question)
    )


def replies_to(message: dict[str, Any]) -> str | None:
    found: str | None = (message.get("metadata") or {}).get("replyTo")
    return found

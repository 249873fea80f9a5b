"""Commands whose storing nobody confirmed, and commands that a dead node left open."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from chatops.access.identity import Person
from chatops.access.permissions import authorize
from chatops.chat import doubts
from chatops.chat.service import Chat
from chatops.cluster.local import Alone
from chatops.dispatch.dispatcher import Dispatcher
from chatops.dispatch.registry import Registry
from chatops.dispatch.result import CommandResult, Outcome
from chatops.dispatch.spec import CommandContext, CommandSpec, Parameters
from chatops.errors import StoreUnavailableError
from chatops.sessions.entries import user_message
from chatops.sessions.model import Appended, Entry, NewEntry, SessionChange
from chatops.sessions.service import Sessions
from chatops.stores.sqlite import SqliteStore
from chatops.tasks import Supervisor
from tests.support.nodes import FakeChannel
from tests.support.waiting import until

ANN = Person("client:ann", "Ann")
ROOM = "desk"


class Nothing(Parameters):
    """No parameters."""


class Unsure:
    """A session store that loses words, and knows of entries only later.

    Attributes:
        silenced: How many entries are still to be stored without a word about it.
        kept_back: Set it to have an entry stored only when it is called.
        away: How many questions for an entry are still to be refused.
    """

    def __init__(self, store: Any) -> None:
        self._store = store
        self.silenced = 0
        self.kept_back: list[Callable[[], Any]] | None = None
        self.away = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def append(
        self, session_id: str, entry: NewEntry, *, change: SessionChange | None = None
    ) -> Appended:
        if self.kept_back is not None and entry.kind == "message":
            self.kept_back.append(lambda: self._store.append(session_id, entry, change=change))
            raise StoreUnavailableError("The store did not answer.", "Try again.")
        done: Appended = await self._store.append(session_id, entry, change=change)
        if self.silenced:
            self.silenced -= 1
            raise StoreUnavailableError("The store did not answer.", "Try again.")
        return done

    async def find(self, session_id: str, author_id: str, key: str) -> Entry | None:
        if self.away:
            self.away -= 1
            raise StoreUnavailableError("The store is away.", "Try again.")
        found: Entry | None = await self._store.find(session_id, author_id, key)
        return found


class NobodyAsks:
    """Questions of rooms without an assistant."""

    async def owed(self) -> set[str]:
        return set()


class ChatNode:
    """The chat of one node; it has one command, whose runs it counts."""

    def __init__(self, store: SqliteStore, supervisor: Supervisor) -> None:
        self.store = Unsure(store.sessions)
        self.runs: list[str] = []
        self.channel = FakeChannel()
        sessions: Any = self.store  # mypy cannot know what it passes on
        self.sessions = Sessions(sessions, self.channel, Alone(), supervisor)
        spec = CommandSpec(
            name="count",
            family="Test",
            summary="Count",
            parameters=Nothing,
            run=self._count,
            example="/count",
        )
        dispatcher = Dispatcher(Registry([spec]), authorize)
        questions: Any = NobodyAsks()
        self.chat = Chat(self.sessions, dispatcher, questions, supervisor)

    async def _count(self, ctx: CommandContext, _given: Nothing) -> Outcome:
        self.runs.append(ctx.command_id)
        return CommandResult("counted")

    async def say(self, key: str | None = None) -> str | None:
        done = await self.chat.post(ROOM, ANN, "/count", key=key, whisper=lambda _e, _p: None)
        return done.command_id

    async def unsure(self, key: str | None = None) -> None:
        with pytest.raises(StoreUnavailableError):
            await self.say(key)


Cluster = Callable[[], ChatNode]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(tmp_path / "data")
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def node(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    monkeypatch.setattr(doubts, "LOOKS_S", (0.05, 0.1, 0.2, 0.4))
    supervisor = Supervisor()
    first = ChatNode(store, supervisor)
    await first.sessions.enter(ROOM, ANN)
    yield lambda: ChatNode(store, supervisor)
    await supervisor.close(0)


async def results(store: SqliteStore) -> list[str | None]:
    entries = await store.sessions.read(ROOM, 0, 100)
    return [entry.command_id for entry in entries if entry.kind == "commandResult"]


@pytest.mark.parametrize("key", [None, "m1"], ids=["without a key", "with a key"])
async def test_a_command_that_was_stored_without_a_word_runs_without_a_retry(
    node: Cluster, store: SqliteStore, key: str | None
) -> None:
    one = node()
    one.store.silenced, one.store.away = 1, 3
    await one.unsure(key)
    await until(lambda: len(one.runs) == 1, 3, "it runs")
    await asyncio.sleep(1)
    assert len(one.runs) == 1
    assert await results(store) == one.runs
    (message,) = [e for e in await store.sessions.read(ROOM, 0, 9) if e.kind == "message"]
    assert message.payload.get("clientMessageId") == key


async def test_a_command_that_lands_only_later_runs_then(node: Cluster) -> None:
    one = node()
    one.store.kept_back = []
    await one.unsure()
    await asyncio.sleep(0.2)
    assert one.runs == []
    await one.store.kept_back[0]()
    await until(lambda: len(one.runs) == 1, 3, "it runs")


async def test_a_command_that_was_not_stored_is_forgotten(node: Cluster) -> None:
    one = node()
    one.store.kept_back = []
    await one.unsure("m1")
    await asyncio.sleep(1)
    await one.store.kept_back[0]()
    await asyncio.sleep(0.5)
    assert one.runs == []  # nobody looks any longer; it stays open until this node is gone


async def test_a_retry_on_the_same_node_runs_it_at_once_and_once(
    node: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubts, "LOOKS_S", (1.5,))
    one = node()
    one.store.silenced = 1
    await one.unsure("m1")
    command_id = await one.say("m1")
    await until(lambda: one.runs == [command_id], 1.4, "it runs before anybody looked")
    await asyncio.sleep(2)
    assert one.runs == [command_id]


async def test_a_retry_on_another_node_leaves_it_to_the_first(
    node: Cluster, store: SqliteStore
) -> None:
    one, two = node(), node()
    one.store.silenced = 1
    await one.unsure("m1")
    command_id = await two.say("m1")
    await until(lambda: one.runs == [command_id], 3, "the first runs it")
    await asyncio.sleep(0.5)
    assert two.runs == []
    assert await results(store) == [command_id]


async def test_a_retry_that_another_node_stored_first_is_run_there_alone(
    node: Cluster, store: SqliteStore
) -> None:
    one, two = node(), node()
    one.store.kept_back = []
    await one.unsure("m1")
    command_id = await two.say("m1")
    await one.store.kept_back[0]()  # it meets the entry of the other node
    await asyncio.sleep(1)
    assert (one.runs, two.runs) == ([], [command_id])
    assert await results(store) == [command_id]


async def test_open_commands_of_the_dead_are_closed_once_and_those_of_jobs_are_left(
    tmp_path: Path,
) -> None:
    supervisor = Supervisor()
    first = SqliteStore(tmp_path / "data")
    await first.open()
    left = ChatNode(first, supervisor)
    await left.sessions.enter(ROOM, ANN)
    for command_id in ("c1", "c2"):
        entry = user_message(ROOM, ANN, "/count", key=None, command_id=command_id)
        await left.sessions.append(ROOM, entry)
    asked: list[str] = []

    async def owed() -> set[str]:
        asked.append("owed")
        return {"c2"}

    await left.chat.close_open_commands(owed, at_once=True)
    assert asked == []  # they are this server's own, so nobody is asked
    await first.close()

    store = SqliteStore(tmp_path / "data")
    await store.open()
    heirs = [ChatNode(store, supervisor) for _ in range(2)]
    for closed in ([], ["c1"], ["c1"]):  # the first look may find one that only seems dead
        await asyncio.gather(
            *(heir.chat.close_open_commands(owed, at_once=False) for heir in heirs)
        )
        assert await results(store) == closed
    late = user_message(ROOM, ANN, "/count", key=None, command_id="c3")
    await heirs[0].sessions.append(ROOM, late)
    await heirs[1].chat.close_open_commands(owed, at_once=True)
    assert await results(store) == ["c1"]
    await supervisor.close(0)
    await store.close()

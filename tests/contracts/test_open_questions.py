"""Every sentence of ``SessionStore`` on questions, and on what an entry changes of its session."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from chatops.access.identity import Person
from chatops.sessions.entries import assistant_message, user_message
from chatops.sessions.model import Entry, NewEntry, Session, SessionChange
from chatops.sessions.ports import SessionStore
from tests.contracts.conftest import OpenStore

ANN = Person("client:ann", "Ann")
NOW = datetime(2026, 3, 1, tzinfo=UTC)


async def make(sessions: SessionStore, *names: str) -> None:
    for name in names:
        await sessions.create_session(Session(name, f"e-{name}", name, ANN, NOW))


def question(text: str, room: str = "room", key: str | None = None) -> NewEntry:
    return user_message(room, ANN, text, key=key, asks=True)


def answer(asked: Entry) -> NewEntry:
    turn = asked.payload["id"]
    return assistant_message(asked.session_id, f"re-{turn}", "So it is.", turn=turn, metadata={})


async def ask(sessions: SessionStore, text: str, room: str = "room") -> Entry:
    return (await sessions.append(room, question(text, room))).entry


def texts(entries: Sequence[Entry]) -> list[str]:
    return [entry.payload["content"] for entry in entries]


async def test_a_question_is_open_until_its_answer_is_stored(sessions: SessionStore) -> None:
    await make(sessions, "room")
    await sessions.append("room", user_message("room", ANN, "plain", key=None))
    first, second = await ask(sessions, "first"), await ask(sessions, "second")
    assert list(await sessions.open_questions("room")) == [first, second]
    assert list(await sessions.open_questions()) == [first, second]
    await sessions.append("room", answer(first))
    assert list(await sessions.open_questions("room")) == [second]
    await sessions.append("room", answer(second))
    assert list(await sessions.open_questions("room")) == []
    assert list(await sessions.open_questions()) == []


async def test_questions_are_of_their_session_or_of_all_oldest_first(
    sessions: SessionStore,
) -> None:
    await make(sessions, "one", "two")
    for text, room in (("a", "one"), ("b", "two"), ("c", "one"), ("d", "two")):
        await ask(sessions, text, room)
    assert texts(await sessions.open_questions()) == ["a", "b", "c", "d"]
    assert texts(await sessions.open_questions("one")) == ["a", "c"]
    assert texts(await sessions.open_questions("two")) == ["b", "d"]
    assert list(await sessions.open_questions("nowhere")) == []


async def test_an_answer_in_another_session_answers_nothing(sessions: SessionStore) -> None:
    await make(sessions, "one", "two")
    asked = await ask(sessions, "why?", "one")
    await sessions.append("two", answer(asked))
    assert list(await sessions.open_questions()) == [asked]


async def test_a_repeat_of_question_or_answer_changes_nothing(sessions: SessionStore) -> None:
    await make(sessions, "room")
    asked = (await sessions.append("room", question("why?", key="k"))).entry
    again = await sessions.append("room", question("why?", key="k"))
    assert again.duplicate
    assert list(await sessions.open_questions("room")) == [asked]
    await sessions.append("room", answer(asked))
    assert (await sessions.append("room", answer(asked))).duplicate
    assert (await sessions.append("room", question("why?", key="k"))).duplicate
    assert list(await sessions.open_questions("room")) == []


async def test_what_was_said_plainly_is_no_question_when_it_is_repeated_as_one(
    sessions: SessionStore,
) -> None:
    await make(sessions, "room")
    await sessions.append("room", user_message("room", ANN, "why?", key="k"))
    assert (await sessions.append("room", question("why?", key="k"))).duplicate
    assert list(await sessions.open_questions()) == []


async def test_many_who_ask_and_answer_at_once_leave_open_what_is_open(
    sessions: SessionStore,
) -> None:
    await make(sessions, "room")

    async def talk(number: int) -> None:
        asked = await ask(sessions, f"{number}")
        if number % 4:
            ends = await asyncio.gather(*(sessions.append("room", answer(asked)) for _ in range(2)))
            assert sorted(end.duplicate for end in ends) == [False, True]

    await asyncio.gather(*(talk(number) for number in range(40)))
    left = await sessions.open_questions("room")
    assert sorted(map(int, texts(left))) == list(range(0, 40, 4))
    assert [entry.seq for entry in left] == sorted(entry.seq for entry in left)


async def test_questions_outlive_the_server_that_took_them(
    sessions: SessionStore, successor: OpenStore
) -> None:
    await make(sessions, "room")
    first, second = await ask(sessions, "first"), await ask(sessions, "second")
    await sessions.append("room", answer(first))
    sessions = (await successor()).sessions
    assert list(await sessions.open_questions()) == [second]


async def test_what_was_trimmed_is_not_open(sessions: SessionStore) -> None:
    await make(sessions, "room")
    await ask(sessions, "old")
    asked = await ask(sessions, "new")
    await sessions.trim("room", 1)
    assert list(await sessions.open_questions()) == [asked]
    await sessions.trim("room", 0)
    assert list(await sessions.open_questions()) == []
    assert list(await sessions.open_questions("room")) == []


async def test_a_session_that_is_gone_has_no_questions(sessions: SessionStore) -> None:
    await make(sessions, "room")
    await ask(sessions, "why?")
    await sessions.expire(datetime.now(UTC) + timedelta(days=1))
    assert list(await sessions.open_questions()) == []
    await make(sessions, "room")
    assert list(await sessions.open_questions("room")) == []
    asked = await ask(sessions, "again?")
    assert list(await sessions.open_questions("room")) == [asked]


async def test_a_session_says_which_messages_the_assistant_answers(
    sessions: SessionStore,
) -> None:
    await make(sessions, "room")
    off = Session("quiet", "e", "Quiet", ANN, NOW, assistant="off")
    assert await sessions.create_session(off) == (off, True)
    assert await sessions.get_session("quiet") == off
    session = await sessions.get_session("room")
    assert session is not None
    assert session.assistant == "always"


async def test_an_entry_changes_what_it_names_of_its_session_and_nothing_else(
    sessions: SessionStore,
) -> None:
    await make(sessions, "room")

    async def change(change: SessionChange, key: str) -> tuple[str, str]:
        entry = user_message("room", ANN, "changed", key=key)
        await sessions.append("room", entry, change=change)
        session = await sessions.get_session("room")
        assert session is not None
        return session.title, session.assistant

    assert await change(SessionChange(assistant="addressed"), "1") == ("room", "addressed")
    assert await change(SessionChange(title="Desk"), "2") == ("Desk", "addressed")
    assert await change(SessionChange("Pit", "off"), "3") == ("Pit", "off")
    assert await change(SessionChange("Other", "always"), "3") == ("Pit", "off")
    assert await change(SessionChange(), "4") == ("Pit", "off")

"""Every sentence of ``SessionStore``."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chatops.access.identity import Person
from chatops.errors import NotFoundError
from chatops.sessions.model import (
    Entry,
    EntryKind,
    Head,
    NewEntry,
    Preface,
    Session,
    SessionChange,
)
from chatops.sessions.ports import SessionStore
from tests.contracts.conftest import OpenStore

ANN = Person("client:ann", "Ann")
BEN = Person("client:ben", "김벤")
NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)


def room(name: str = "room", epoch: str = "e1", created_at: datetime = NOW) -> Session:
    return Session(name, epoch, f"Title of {name}", ANN, created_at)


def said(
    text: str,
    *,
    author: Person = ANN,
    key: str | None = None,
    kind: EntryKind = "message",
    command_id: str | None = None,
) -> NewEntry:
    payload: dict[str, Any] = {"content": text, "sessionId": "room"}
    return NewEntry(kind, author, payload, key, command_id)


def numbers(entries: Sequence[Entry]) -> list[int]:
    return [entry.seq for entry in entries]


async def fill(sessions: SessionStore, count: int, name: str = "room") -> None:
    await sessions.create_session(room(name))
    for index in range(1, count + 1):
        await sessions.append(name, said(f"text {index}", key=f"k{index}"))


async def test_an_unknown_session_is_none_and_has_no_entries(sessions: SessionStore) -> None:
    assert await sessions.get_session("room") is None
    assert list(await sessions.read("room", 0, 10)) == []
    assert list(await sessions.read_newest("room", 10)) == []


async def test_a_created_session_is_read_back_whole(sessions: SessionStore) -> None:
    stored, new = await sessions.create_session(room())
    assert new
    assert stored == room()
    assert await sessions.get_session("room") == room()


async def test_a_second_creation_returns_the_first_session(sessions: SessionStore) -> None:
    await sessions.create_session(room())
    other = Session("room", "other epoch", "Other title", BEN, NOW + timedelta(days=1))
    assert await sessions.create_session(other) == (room(), False)
    assert await sessions.get_session("room") == room()


async def test_of_many_concurrent_creators_exactly_one_creates(sessions: SessionStore) -> None:
    made = await asyncio.gather(
        *(sessions.create_session(room(epoch=f"e{index}")) for index in range(32))
    )
    assert sum(new for _, new in made) == 1
    assert len({stored.epoch for stored, _ in made}) == 1


async def test_an_entry_gets_the_next_number_in_its_payload_too(sessions: SessionStore) -> None:
    await sessions.create_session(room())
    first = await sessions.append("room", said("하나 → one", key="a"))
    second = await sessions.append("room", said("two", author=BEN, command_id="cmd"))
    assert not first.duplicate
    assert first.entry == Entry(
        "room", 1, "message", ANN.id, {"content": "하나 → one", "sessionId": "room", "seq": 1}
    )
    assert second.entry.seq == second.entry.payload["seq"] == 2
    assert second.entry.command_id == "cmd"
    assert list(await sessions.read("room", 0, 10)) == [first.entry, second.entry]
    session = await sessions.get_session("room")
    assert session is not None
    assert (session.first_seq, session.last_seq) == (1, 2)


async def test_an_append_does_not_change_the_callers_payload(sessions: SessionStore) -> None:
    await sessions.create_session(room())
    entry = said("text")
    await sessions.append("room", entry)
    assert entry == said("text")


async def test_appending_to_no_session_is_not_found(sessions: SessionStore) -> None:
    with pytest.raises(NotFoundError):
        await sessions.append("nowhere", said("text", key="k"))
    with pytest.raises(NotFoundError):
        await sessions.append("nowhere", said("text"))


async def test_a_failed_append_leaves_its_neighbours_alone(sessions: SessionStore) -> None:
    await sessions.create_session(room())
    results = await asyncio.gather(
        *(
            sessions.append("nowhere" if index % 3 == 0 else "room", said(f"{index}"))
            for index in range(30)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(result, NotFoundError) for result in results) == 10
    assert numbers(await sessions.read("room", 0, 100)) == list(range(1, 21))


async def test_sessions_are_numbered_independently(sessions: SessionStore) -> None:
    await fill(sessions, 3, "one")
    await fill(sessions, 2, "two")
    assert numbers(await sessions.read("one", 0, 10)) == [1, 2, 3]
    assert numbers(await sessions.read("two", 0, 10)) == [1, 2]


async def test_64_concurrent_appenders_leave_no_hole_and_no_reader_sees_one(
    sessions: SessionStore,
) -> None:
    await sessions.create_session(room())
    per_sender, total = 10, 640

    async def send(sender: int) -> list[int]:
        author = Person(f"client:{sender}", f"P{sender}")
        return [
            (
                await sessions.append("room", said(f"{index}", author=author, key=f"{index}"))
            ).entry.seq
            for index in range(per_sender)
        ]

    async def watch() -> int:
        cursor = rounds = 0
        while cursor < total:
            news = numbers(await sessions.read("room", cursor, 1000))
            assert news == list(range(cursor + 1, cursor + 1 + len(news)))
            newest = numbers(await sessions.read_newest("room", 7))
            assert newest == list(range(newest[0], newest[0] + len(newest))) if newest else True
            cursor += len(news)
            rounds += 1
        return rounds

    async with asyncio.TaskGroup() as group:
        watchers = [group.create_task(watch()) for _ in range(3)]
        senders = [group.create_task(send(index)) for index in range(64)]
    given = [sender.result() for sender in senders]
    assert all(mine == sorted(mine) for mine in given)
    assert sorted(seq for mine in given for seq in mine) == list(range(1, total + 1))
    assert all(watcher.result() > 1 for watcher in watchers)


async def test_what_one_node_begins_first_is_stored_first(sessions: SessionStore) -> None:
    await sessions.create_session(room())
    texts = [f"text {index}" for index in range(150)]
    done = await asyncio.gather(*(sessions.append("room", said(text)) for text in texts))
    assert [one.entry.payload["content"] for one in done] == texts
    assert numbers([one.entry for one in done]) == list(range(1, 151))


async def test_an_acked_entry_is_at_once_visible_to_every_reader(sessions: SessionStore) -> None:
    await sessions.create_session(room())
    for index in range(1, 30):
        await sessions.append("room", said("text"))
        seen = await asyncio.gather(*(sessions.read("room", index - 1, 5) for _ in range(4)))
        assert [numbers(entries) for entries in seen] == [[index]] * 4


async def test_a_repeat_returns_the_first_entry_and_changes_nothing(
    sessions: SessionStore,
) -> None:
    await sessions.create_session(room())
    first = await sessions.append("room", said("first", key="k", command_id="c1"))
    await sessions.append("room", said("between"))
    again = await sessions.append(
        "room", said("other words", key="k", command_id="c2"), change=SessionChange("Other")
    )
    assert again.duplicate
    assert again.entry == first.entry
    assert numbers(await sessions.read("room", 0, 10)) == [1, 2]
    session = await sessions.get_session("room")
    assert session is not None
    assert (session.title, session.last_seq) == ("Title of room", 2)


async def test_a_key_belongs_to_one_author_and_one_session(sessions: SessionStore) -> None:
    await sessions.create_session(room("one"))
    await sessions.create_session(room("two"))
    done = [
        await sessions.append("one", said("a", key="k")),
        await sessions.append("one", said("b", key="k", author=BEN)),
        await sessions.append("two", said("c", key="k")),
    ]
    assert not any(appended.duplicate for appended in done)


async def test_entries_without_a_key_are_never_duplicates(sessions: SessionStore) -> None:
    await sessions.create_session(room())
    done = [await sessions.append("room", said("same")) for _ in range(3)]
    assert [appended.duplicate for appended in done] == [False] * 3


async def test_concurrent_retries_store_one_entry_each(sessions: SessionStore) -> None:
    await sessions.create_session(room())
    done = await asyncio.gather(
        *(sessions.append("room", said(f"{index % 8}", key=f"k{index % 8}")) for index in range(64))
    )
    assert sum(not appended.duplicate for appended in done) == 8
    assert numbers(await sessions.read("room", 0, 100)) == list(range(1, 9))
    for key in range(8):
        assert len({appended.entry.seq for appended in done[key::8]}) == 1


async def test_a_cancelled_append_can_be_repeated_with_its_key(sessions: SessionStore) -> None:
    await sessions.create_session(room())
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(sessions.append("room", said(f"{index}", key=f"k{index}")))
            for index in range(40)
        ]
        await asyncio.sleep(0)  # let every sender reach the store
        for task in tasks[::2]:
            task.cancel()
    again = [await sessions.append("room", said("x", key=f"k{index}")) for index in range(40)]
    assert all(appended.duplicate for appended in again[1::2])
    assert numbers(await sessions.read("room", 0, 100)) == list(range(1, 41))


async def test_a_title_given_with_an_entry_renames_the_session(sessions: SessionStore) -> None:
    await fill(sessions, 1)
    await sessions.append("room", said("renamed"), change=SessionChange(title="새 제목"))
    session = await sessions.get_session("room")
    assert session is not None
    assert (session.title, session.epoch, session.owner) == ("새 제목", "e1", ANN)
    await sessions.append("room", said("more"))
    session = await sessions.get_session("room")
    assert session is not None
    assert session.title == "새 제목"


async def test_reading_is_oldest_first_and_at_most_limit(sessions: SessionStore) -> None:
    await fill(sessions, 9)
    assert numbers(await sessions.read("room", 0, 4)) == [1, 2, 3, 4]
    assert numbers(await sessions.read("room", 4, 4)) == [5, 6, 7, 8]
    assert numbers(await sessions.read("room", 8, 4)) == [9]
    assert numbers(await sessions.read("room", 9, 4)) == []
    assert numbers(await sessions.read("room", 1000, 4)) == []
    assert numbers(await sessions.read("room", 0, 0)) == []
    assert numbers(await sessions.read_newest("room", 4)) == [6, 7, 8, 9]
    assert numbers(await sessions.read_newest("room", 40)) == list(range(1, 10))
    assert numbers(await sessions.read_newest("room", 0)) == []


async def test_open_commands_are_the_messages_without_a_result_that_a_gone_server_took(
    sessions: SessionStore, successor: OpenStore
) -> None:
    await sessions.create_session(room("one"))
    await sessions.create_session(room("two"))
    await sessions.append("one", said("plain"))
    await sessions.append("two", said("/z", command_id="z"))
    await sessions.append("one", said("/m", command_id="m"))
    await sessions.append("two", said("/a", command_id="a"))
    await sessions.append("one", said("/b", command_id="b"))
    await sessions.append("one", said("done", kind="commandResult", command_id="b"))
    await sessions.append("one", said("of another room", kind="commandResult", command_id="z"))
    assert list(await sessions.open_commands()) == []
    sessions = (await successor()).sessions
    await sessions.append("one", said("/mine", command_id="mine"))
    opened = await sessions.open_commands()
    assert [(entry.session_id, entry.command_id) for entry in opened] == [
        ("two", "z"),
        ("one", "m"),
        ("two", "a"),
    ]
    await sessions.append("two", said("done", kind="commandResult", command_id="z"))
    assert [entry.command_id for entry in await sessions.open_commands()] == ["m", "a"]


async def test_a_preface_is_stored_with_its_entry(sessions: SessionStore) -> None:
    await sessions.create_session(room())
    preface = Preface("backtestProgress", {"progress": 100, "message": "끝 <&>"})
    new = replace(said("done", kind="commandResult"), preface=preface)
    stored = (await sessions.append("room", new)).entry
    assert stored.preface == preface
    assert list(await sessions.read("room", 0, 10)) == [stored]
    assert "progress" not in stored.payload


async def test_heads_are_of_the_sessions_that_exist(sessions: SessionStore) -> None:
    await fill(sessions, 3, "one")
    await sessions.create_session(room("two", epoch="e7"))
    heads = await sessions.heads(["one", "two", "nowhere"])
    assert heads == {"one": Head("e1", 3), "two": Head("e7", 0)}
    await sessions.trim("one", 0)
    assert (await sessions.heads(["one"]))["one"].last_seq == 3
    assert await sessions.heads([]) == {}


async def test_trimming_keeps_the_newest_and_their_numbers(sessions: SessionStore) -> None:
    await fill(sessions, 10)
    await sessions.trim("room", 3)
    assert numbers(await sessions.read("room", 0, 100)) == [8, 9, 10]
    session = await sessions.get_session("room")
    assert session is not None
    assert (session.first_seq, session.last_seq) == (8, 10)
    assert (await sessions.append("room", said("next"))).entry.seq == 11
    assert (await sessions.append("room", said("x", key="k9"))).duplicate


async def test_trimming_less_than_is_kept_changes_nothing(sessions: SessionStore) -> None:
    await fill(sessions, 4)
    await sessions.trim("room", 2)
    await sessions.trim("room", 4)
    await sessions.trim("room", 100)
    await sessions.trim("nowhere", 1)
    session = await sessions.get_session("room")
    assert session is not None
    assert (session.first_seq, session.last_seq) == (3, 4)


async def test_a_session_trimmed_to_nothing_goes_on_counting(sessions: SessionStore) -> None:
    await fill(sessions, 4)
    await sessions.trim("room", 0)
    session = await sessions.get_session("room")
    assert session is not None
    assert (session.first_seq, session.last_seq) == (5, 4)
    assert (await sessions.append("room", said("next"))).entry.seq == 5
    assert numbers(await sessions.read("room", 0, 10)) == [5]


async def test_a_session_expires_by_its_newest_entry_or_its_creation(
    sessions: SessionStore,
) -> None:
    old = datetime.now(UTC) - timedelta(days=2)
    await sessions.create_session(room("silent", created_at=old))
    await sessions.create_session(room("spoken", created_at=old))
    await sessions.create_session(room("young", created_at=datetime.now(UTC)))
    await sessions.append("spoken", said("text", key="k"))
    assert list(await sessions.expire(old)) == []
    assert list(await sessions.expire(datetime.now(UTC) - timedelta(days=1))) == ["silent"]
    assert await sessions.get_session("silent") is None
    assert numbers(await sessions.read("spoken", 0, 10)) == [1]
    gone = await sessions.expire(datetime.now(UTC) + timedelta(days=1))
    assert sorted(gone) == ["spoken", "young"]
    assert await sessions.get_session("spoken") is None
    assert list(await sessions.read("spoken", 0, 10)) == []


async def test_an_expired_id_that_is_created_again_begins_anew(sessions: SessionStore) -> None:
    await fill(sessions, 5)
    await sessions.append("room", said("/a", command_id="a"))
    await sessions.expire(datetime.now(UTC) + timedelta(days=1))
    assert list(await sessions.open_commands()) == []
    with pytest.raises(NotFoundError):
        await sessions.append("room", said("text", key="k1"))
    again, new = await sessions.create_session(room(epoch="e2"))
    assert new
    assert (again.epoch, again.first_seq, again.last_seq) == ("e2", 1, 0)
    first = await sessions.append("room", said("text", key="k1"))
    assert (first.entry.seq, first.duplicate) == (1, False)


async def test_an_entry_is_found_by_its_authors_key_in_its_session(sessions: SessionStore) -> None:
    await fill(sessions, 3)
    found = await sessions.find("room", ANN.id, "k2")
    assert found is not None
    assert found.seq == 2
    assert await sessions.find("room", BEN.id, "k2") is None
    assert await sessions.find("room", ANN.id, "k9") is None
    assert await sessions.find("elsewhere", ANN.id, "k2") is None

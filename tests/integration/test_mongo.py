"""What only the MongoDB store can be asked: many nodes on one database, and what it refuses.

What happens while MongoDB is away is in ``faults/test_mongo_away.py``.
"""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from chatops.access.identity import SYSTEM, Person
from chatops.assistant.ports import Floor, Saying
from chatops.errors import (
    InternalError,
    LimitExceededError,
    NotFoundError,
    QueueFullError,
    StoreUnavailableError,
)
from chatops.sessions.entries import assistant_message, user_message
from chatops.sessions.model import Appended, Head, NewEntry, SessionChange
from chatops.stores import mongo_writer
from chatops.stores.mongo import MongoStore
from chatops.stores.mongo_database import Driver
from chatops.stores.mongo_schema import SCHEMA_VERSION
from chatops.tasks import Supervisor
from tests.contracts.jobs import NOW, asker, job, submit
from tests.support.mongo import MongoNodes, append, make_room, mongo_nodes, stored_keys
from tests.support.services import Mongod, mongod
from tests.support.waiting import until

SECRET = "pass%40word"  # noqa: S105 - of nobody
HOUR = timedelta(hours=1)


@pytest.fixture(params=["motor", "pymongo"])
def driver(request: pytest.FixtureRequest) -> Driver:
    chosen: Driver = request.param
    return chosen


@pytest.fixture
async def nodes(mongo_server: Mongod, driver: Driver) -> AsyncIterator[MongoNodes]:
    async with mongo_nodes(mongo_server, driver) as opener:
        yield opener


async def refusal(uri: str, driver: Driver) -> StoreUnavailableError:
    """Return what a person is told who opens the store."""
    store = MongoStore(uri, Supervisor(), driver=driver)
    with pytest.raises(StoreUnavailableError) as refused:
        await store.open()
    await store.close()
    return refused.value


def commands(nodes: MongoNodes, name: str) -> int:
    """Return how many commands of the name the server has had."""
    with nodes.server.client() as client:
        metrics = client.admin.command("serverStatus")["metrics"]
    count: int = metrics["commands"][name]["total"]
    return count


# ------------------------------------------------------------------- opening


async def test_a_mongod_that_is_no_replica_set_is_refused(tmp_path: Path, driver: Driver) -> None:
    with mongod(tmp_path, replica_set=False) as alone:
        told = await refusal(alone.uri("chatops"), driver)
        assert "not a replica set" in told.message
        assert told.hint is not None
        assert "--replSet" in told.hint
        assert "rs.initiate()" in told.hint
        with alone.client() as client:
            assert "chatops" not in client.list_database_names()


async def test_a_database_of_a_newer_version_is_refused(nodes: MongoNodes, driver: Driver) -> None:
    await (await nodes.open()).close()
    with nodes.plain() as plain:
        plain["meta"].update_one({"_id": "schema"}, {"$set": {"version": SCHEMA_VERSION + 1}})
    told = await refusal(nodes.uri, driver)
    assert f"schema {SCHEMA_VERSION + 1}; this version knows {SCHEMA_VERSION}" in told.message
    assert "newer version" in (told.hint or "")


async def test_a_wrong_password_is_said_in_words_without_it(
    mongo_server: Mongod, driver: Driver
) -> None:
    uri = mongo_server.uri("chatops").replace("//", f"//ann:{SECRET}@")
    told = await refusal(f"{uri}?authSource=admin", driver)
    assert "password" in told.message
    assert "readWrite" in (told.hint or "")
    assert SECRET not in str(told)


async def test_a_server_that_is_not_there_is_named_without_the_password(driver: Driver) -> None:
    begun_s = time.monotonic()
    told = await refusal(f"mongodb://ann:{SECRET}@127.0.0.1:1/chatops?replicaSet=rs0", driver)
    assert time.monotonic() - begun_s < 4
    assert "answers at 127.0.0.1:1." in told.message
    assert SECRET not in str(told)


@pytest.mark.parametrize(
    "uri",
    [
        f"mongodb://ann:{SECRET}/x@host:1/chatops",
        f"mongodb://ann:{SECRET}@host:port/chatops",
        f"http://ann:{SECRET}@host/",
        "",
        f"mongodb://ann:{SECRET}@host/chatops?timeoutMS=soon",
    ],
)
async def test_what_is_no_address_is_refused_without_repeating_it(uri: str, driver: Driver) -> None:
    told = await refusal(uri, driver)
    assert "MONGODB_URI" in told.message
    assert "mongodb://user:password@" in (told.hint or "")
    assert SECRET not in str(told)
    assert told.__cause__ is None
    assert told.__suppress_context__


async def test_the_address_may_leave_out_the_database_and_set_its_own_bounds(
    mongo_server: Mongod, driver: Driver
) -> None:
    store = MongoStore(
        f"mongodb://127.0.0.1:{mongo_server.port}/?timeoutMS=7000&w=1", Supervisor(), driver=driver
    )
    try:
        await store.open()
        assert store.database.name == "chatops"
        assert store.database._timeout_s == 7.0
        assert store.database["entries"].write_concern.document == {"w": "majority", "j": True}
    finally:
        await store.close()
        mongo_server.drop("chatops")


async def test_many_nodes_may_open_a_database_that_is_new_at_once(nodes: MongoNodes) -> None:
    stores = await asyncio.gather(*(nodes.open() for _ in range(6)))
    assert len({await store.secret() for store in stores}) == 1
    await make_room(stores[0])
    assert (await append(stores[5], "a")).entry.seq == 1


async def test_the_secret_is_of_the_database_and_stays(mongo_server: Mongod) -> None:
    async with mongo_nodes(mongo_server, "motor") as one, mongo_nodes(mongo_server, "pymongo") as b:
        first, second = await one.open(), await b.open()
        secret = await first.secret()
        assert (len(secret), type(secret)) == (32, bytes)
        assert await second.secret() != secret
        await first.close()
        assert await (await one.open()).secret() == secret


async def test_a_store_that_is_closed_says_so(nodes: MongoNodes) -> None:
    store = await nodes.open()
    await make_room(store)
    waiting = [asyncio.ensure_future(append(store, f"k{index}")) for index in range(50)]
    await asyncio.sleep(0)
    await store.close()
    assert [one.entry.seq for one in await asyncio.gather(*waiting)] == list(range(1, 51))
    await store.close()
    for late in (append(store, "late"), store.sessions.get_session("room"), store.ping()):
        with pytest.raises(StoreUnavailableError, match="closed"):
            await late


async def test_making_a_store_loads_no_driver() -> None:
    code = (
        "import sys\n"
        "from chatops.stores.mongo import MongoStore\n"
        "from chatops.tasks import Supervisor\n"
        "MongoStore('mongodb://nowhere', Supervisor())\n"
        "print([name for name in ('motor', 'pymongo', 'bson') if name in sys.modules])"
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# ------------------------------------------------------------------- appending


async def test_two_nodes_append_to_one_session_and_no_reader_sees_a_hole(nodes: MongoNodes) -> None:
    stores = await asyncio.gather(nodes.open(), nodes.open())
    await make_room(stores[0])
    each, total = 6, 64 * 6
    acked: dict[str, int] = {}

    async def send(sender: int) -> None:
        for index in range(each):
            key = f"{sender}-{index}"
            acked[key] = (await append(stores[sender % 2], key)).entry.seq

    async def watch(store: MongoStore) -> None:
        cursor = 0
        while cursor < total:
            news = [entry.seq for entry in await store.sessions.read("room", cursor, 1000)]
            assert news == list(range(cursor + 1, cursor + 1 + len(news)))
            newest = [entry.seq for entry in await store.sessions.read_newest("room", 7)]
            assert newest == list(range(newest[0], newest[0] + len(newest))) if newest else True
            cursor += len(news)

    async with asyncio.TaskGroup() as group:
        for store in stores:
            group.create_task(watch(store))
        for sender in range(64):
            group.create_task(send(sender))
    keys = await stored_keys(stores[0])
    assert {key: keys.index(key) + 1 for key in keys} == acked
    assert len(keys) == total


async def test_a_key_that_comes_to_many_nodes_at_once_is_stored_once(nodes: MongoNodes) -> None:
    stores = await asyncio.gather(*(nodes.open() for _ in range(3)))
    await make_room(stores[0])
    done = await asyncio.gather(
        *(append(store, f"k{index}") for index in range(20) for store in stores for _ in range(2))
    )
    assert sum(not one.duplicate for one in done) == 20
    assert sorted(await stored_keys(stores[0])) == sorted(f"k{index}" for index in range(20))
    for index in range(20):
        assert len({one.entry.seq for one in done[6 * index : 6 * index + 6]}) == 1


async def test_those_who_wait_are_stored_together(nodes: MongoNodes) -> None:
    store = await nodes.open()
    await make_room(store)

    async def send(sender: int) -> None:
        for index in range(10):
            await append(store, f"{sender}-{index}")

    before = commands(nodes, "insert")
    await asyncio.gather(*(send(sender) for sender in range(64)))
    assert commands(nodes, "insert") - before <= 640 / 8
    assert len(await stored_keys(store)) == 640


async def test_nodes_that_write_to_one_session_take_turns(nodes: MongoNodes) -> None:
    stores = await asyncio.gather(*(nodes.open() for _ in range(4)))
    await make_room(stores[0])
    each, senders = 20, 16

    async def send(node: int, sender: int) -> None:
        for index in range(each):
            stored = await append(stores[node], f"{node}-{sender}-{index}")
            for other in stores:
                if other is not stores[node]:
                    other.sessions.heard("room", stored.epoch, stored.entry.seq)

    before = commands(nodes, "insert")
    async with asyncio.TaskGroup() as group:
        for sender in range(senders):
            for node in range(len(stores)):
                group.create_task(send(node, sender))
    total = len(stores) * each * senders
    assert commands(nodes, "insert") - before < total / 4
    keys = await stored_keys(stores[0])
    assert len(keys) == total
    longest = max(len(list(run)) for _, run in groupby(keys, lambda key: key[0]))
    assert longest <= each * senders / 2


async def test_a_number_that_went_to_another_node_is_not_read_if_that_node_tells(
    nodes: MongoNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_writer, "_FIRST_WAIT_S", 0.5)
    monkeypatch.setattr(mongo_writer, "_LONGEST_WAIT_S", 1.0)
    one, other = await nodes.open(), await nodes.open()
    await make_room(one)
    await append(one, "a")
    told = await append(other, "b")

    before = commands(nodes, "find")
    async with asyncio.TaskGroup() as tasks:
        late = tasks.create_task(append(one, "c"))
        await asyncio.sleep(0.3)  # the number 2 is refused meanwhile
        one.sessions.heard("room", told.epoch, told.entry.seq)
    assert late.result().entry.seq == 3
    assert commands(nodes, "find") == before


async def test_an_entry_that_mongodb_refuses_is_its_senders_trouble(nodes: MongoNodes) -> None:
    store = await nodes.open()
    await make_room(store)
    with nodes.plain() as database:
        database.command("collMod", "entries", validator={"key": {"$ne": "bad"}})
    with pytest.raises(InternalError):
        await append(store, "bad")
    assert (await append(store, "good")).entry.seq == 1


async def test_an_entry_that_is_too_large_harms_no_neighbour(nodes: MongoNodes) -> None:
    store = await nodes.open()
    await make_room(store)

    async def huge() -> Appended:
        content = "x" * 17_000_000
        return await store.sessions.append(
            "room", NewEntry("message", SYSTEM, {"content": content})
        )

    results = await asyncio.gather(
        append(store, "a"),
        huge(),
        append(store, "nul \0 $dollar .dot"),
        append(store, "lone \ud800"),
        append(store, "c"),
        return_exceptions=True,
    )
    assert isinstance(results[1], LimitExceededError)
    assert "17.0 MB" in results[1].message
    assert isinstance(results[3], TypeError)
    assert await stored_keys(store) == ["a", "nul \0 $dollar .dot", "c"]


async def test_entries_that_are_large_together_are_all_stored(nodes: MongoNodes) -> None:
    store = await nodes.open()
    await make_room(store)
    large = [
        NewEntry("message", SYSTEM, {"content": f"{index}" * 3_000_000}, f"k{index}")
        for index in range(8)
    ]
    done = await asyncio.gather(*(store.sessions.append("room", entry) for entry in large))
    assert [one.entry.seq for one in done] == list(range(1, 9))
    assert [text[0] for text in await stored_keys(store)] == [f"{index}" for index in range(8)]


async def test_a_cancelled_sender_does_not_break_the_batch(nodes: MongoNodes) -> None:
    store = await nodes.open()
    await make_room(store)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(append(store, f"k{index}")) for index in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
    assert [task.cancelled() for task in tasks] == [index % 3 == 0 for index in range(20)]
    assert await stored_keys(store) == [f"k{index}" for index in range(20)]


async def test_a_title_is_seen_with_its_entry_and_not_after_it(nodes: MongoNodes) -> None:
    writer, reader = await asyncio.gather(nodes.open(), nodes.open())
    await make_room(writer)
    renames = 30

    async def rename() -> None:
        for index in range(1, renames + 1):
            entry = NewEntry("message", SYSTEM, {"content": f"{index}"}, f"k{index}")
            await writer.sessions.append("room", entry, change=SessionChange(title=f"{index}"))

    async def watch() -> None:
        seen = 0
        while seen < renames:
            seen = len(await reader.sessions.read("room", 0, 1000))
            session = await reader.sessions.get_session("room")
            assert session is not None
            assert int(session.title.replace("Room", "0")) >= seen

    await asyncio.gather(rename(), watch())


async def test_heads_of_500_sessions_are_two_commands_that_read_only_the_index(
    nodes: MongoNodes,
) -> None:
    store = await nodes.open()
    names = [f"room{index}" for index in range(500)]
    for some in range(0, 500, 50):
        await asyncio.gather(*(make_room(store, name) for name in names[some : some + 50]))
    spoken = names[::5]
    for key in ("a", "b", "c"):
        await asyncio.gather(*(append(store, key, name) for name in spoken))
    with nodes.plain() as plain:
        plain.command("profile", 2)
        heads = await store.sessions.heads(names)
        plain.command("profile", 0)
        commands = list(plain["system.profile"].find({"appName": "chatops"}))
    assert heads == {name: Head("epoch", 3 if name in set(spoken) else 0) for name in names}
    found, ends = [one for one in commands if one["ns"].split(".")[1] in ("sessions", "entries")]
    assert found["ns"].endswith(".sessions")
    assert found["docsExamined"] == 500
    assert ends["planSummary"].startswith("DISTINCT_SCAN")
    assert ends["docsExamined"] == 0
    assert ends["keysExamined"] <= 1000


# ------------------------------------------------------------------- expiry


async def test_a_node_that_remembers_a_deleted_session_cannot_write_into_its_successor(
    nodes: MongoNodes,
) -> None:
    deleter, other = await asyncio.gather(nodes.open(), nodes.open())
    await make_room(deleter)
    await append(other, "a")
    await append(other, "b")
    assert list(await deleter.sessions.expire(datetime.now(UTC) + HOUR)) == ["room"]
    with pytest.raises(NotFoundError):
        await append(other, "c")
    await make_room(deleter)
    await append(other, "d")
    assert list(await other.sessions.expire(datetime.now(UTC) + HOUR)) == ["room"]
    await make_room(other)
    again = await append(other, "a")
    assert (again.entry.seq, again.duplicate) == (1, False)
    assert await stored_keys(deleter) == ["a"]


async def test_a_session_that_is_used_at_this_moment_is_deleted_whole_or_not_at_all(
    nodes: MongoNodes,
) -> None:
    deleter, other = await asyncio.gather(nodes.open(), nodes.open())
    for turn in range(15):
        name = f"room{turn}"
        await make_room(deleter, name)
        await append(other, "first", name)
        before = datetime.now(UTC)
        gone, late = await asyncio.gather(
            deleter.sessions.expire(before), append(other, "late", name), return_exceptions=True
        )
        assert not isinstance(gone, BaseException)
        if name in gone:
            assert isinstance(late, NotFoundError)
            assert await other.sessions.get_session(name) is None
        else:
            assert isinstance(late, Appended)
            assert await stored_keys(deleter, name) == ["first", "late"]


async def test_two_nodes_expire_a_session_once(nodes: MongoNodes) -> None:
    one, two = await asyncio.gather(nodes.open(), nodes.open())
    names = [f"room{index}" for index in range(20)]
    for name in names:
        await make_room(one, name)
    later = datetime.now(UTC) + HOUR
    gone = await asyncio.gather(one.sessions.expire(later), two.sessions.expire(later))
    assert sorted([*gone[0], *gone[1]]) == sorted(names)


async def test_the_entries_of_a_deleted_session_go_when_nobody_can_be_writing_there(
    nodes: MongoNodes,
) -> None:
    store = await nodes.open()
    await make_room(store)
    for key in "abc":
        await append(store, key)
    later = datetime.now(UTC) + HOUR
    await store.sessions.expire(later)
    with nodes.plain() as plain:
        await store.sessions.expire(later)
        assert plain["entries"].count_documents({}) == 4
        plain["entries"].update_one({"kind": "closed"}, {"$inc": {"atUs": -3_600_000_000}})
        await store.sessions.expire(later)
        assert plain["entries"].count_documents({}) == 0


async def test_an_append_does_not_write_to_the_session_but_keeps_it_from_expiring(
    nodes: MongoNodes,
) -> None:
    store = await nodes.open()
    await make_room(store)
    with nodes.plain() as plain:
        plain["sessions"].update_one({}, {"$set": {"touchedUs": 1}})
        before = plain["sessions"].find_one()
        await append(store, "a")
        assert plain["sessions"].find_one() == before
        assert list(await store.sessions.expire(datetime.now(UTC) - HOUR)) == []
        touched = plain["sessions"].find_one()
        assert abs(touched["touchedUs"] / 1e6 - time.time()) < 60


async def test_a_long_log_is_trimmed_in_steps(nodes: MongoNodes) -> None:
    store = await nodes.open()
    await make_room(store)
    await asyncio.gather(*(append(store, f"{index}") for index in range(4500)))
    await store.sessions.trim("room", 10)
    entries = await store.sessions.read("room", 0, 100)
    assert [entry.seq for entry in entries] == list(range(4491, 4501))
    with nodes.plain() as plain:
        assert plain["entries"].count_documents({}) == 10


# ------------------------------------------------------------------- servers that are gone


def command(name: str) -> NewEntry:
    return NewEntry("message", SYSTEM, {"content": f"/{name}"}, name, command_id=name)


def result(name: str) -> NewEntry:
    return NewEntry("commandResult", SYSTEM, {"message": "done"}, f"r:{name}", command_id=name)


async def test_the_commands_of_a_server_that_fell_silent_are_open(nodes: MongoNodes) -> None:
    silent, other = await asyncio.gather(nodes.open(), nodes.open())
    await make_room(silent)
    for name in ("a", "b", "c"):
        await silent.sessions.append("room", command(name))
    await other.sessions.append("room", command("mine"))
    await silent.sessions.append("room", result("b"))
    assert list(await other.sessions.open_commands()) == []
    with nodes.plain() as plain:
        past = datetime.now(UTC) - HOUR
        plain["nodes"].update_one({"_id": silent.nodes.own}, {"$set": {"until": past}})
        opened = await other.sessions.open_commands()
        assert [entry.command_id for entry in opened] == ["a", "c"]
        await silent.beat()
        assert list(await other.sessions.open_commands()) == []
        await silent.close()
        await other.sessions.append("room", result("a"))
        assert [entry.command_id for entry in await other.sessions.open_commands()] == ["c"]
        still_open = plain["entries"].find({"open": {"$exists": True}})
        assert {entry["commandId"] for entry in still_open} == {"c", "mine"}


async def test_a_command_with_a_result_is_not_open_though_it_is_marked_so(
    nodes: MongoNodes,
) -> None:
    gone, other = await asyncio.gather(nodes.open(), nodes.open())
    await make_room(gone)
    await gone.sessions.append("room", command("a"))
    await gone.sessions.append("room", result("a"))
    with nodes.plain() as plain:
        marked = {"$set": {"open": gone.nodes.own}}
        plain["entries"].update_one({"kind": "message"}, marked)
    await gone.close()
    assert list(await other.sessions.open_commands()) == []


async def test_a_question_with_an_answer_is_not_open_though_it_is_marked_so(
    nodes: MongoNodes,
) -> None:
    store = await nodes.open()
    await make_room(store)
    asked = user_message("room", SYSTEM, "why?", key=None, asks=True)
    turn = asked.payload["id"]
    await store.sessions.append("room", asked)
    await store.sessions.append(
        "room", assistant_message("room", "msg_2", "So it is.", turn=turn, metadata={})
    )
    with nodes.plain() as plain:
        marked = {"question": {"$exists": True}}
        await until(lambda: plain["entries"].count_documents(marked) == 0, 5, "it is unmarked")
        plain["entries"].update_one({"seq": 1}, {"$set": {"question": turn}})
    assert list(await store.sessions.open_questions()) == []
    assert list(await store.sessions.open_questions("room")) == []


async def test_questions_of_one_session_keep_their_order_though_clocks_differ(
    nodes: MongoNodes,
) -> None:
    store = await nodes.open()
    await make_room(store)
    for text in ("first", "second"):
        entry = user_message("room", SYSTEM, text, key=None, asks=True)
        await store.sessions.append("room", entry)
    with nodes.plain() as plain:
        plain["entries"].update_one({"seq": 1}, {"$inc": {"atUs": 5_000_000}})
    assert [entry.seq for entry in await store.sessions.open_questions("room")] == [1, 2]


async def test_a_session_of_before_the_assistant_has_it_always(nodes: MongoNodes) -> None:
    store = await nodes.open()
    await make_room(store)
    with nodes.plain() as plain:
        plain["sessions"].update_one({}, {"$unset": {"assistant": ""}})
    session = await store.sessions.get_session("room")
    assert session is not None
    assert session.assistant == "always"


async def test_a_server_goes_on_saying_that_it_lives(nodes: MongoNodes) -> None:
    store = await nodes.open()
    with nodes.plain() as plain:
        first = plain["nodes"].find_one()["until"]
        deadline_s = time.monotonic() + 10
        while plain["nodes"].find_one()["until"] == first:
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.1)
        await store.close()
        assert plain["nodes"].count_documents({}) == 0


# ------------------------------------------------------------------- floors


async def test_of_takers_on_many_nodes_one_gets_the_floor_and_the_others_see_who(
    nodes: MongoNodes,
) -> None:
    stores = await asyncio.gather(*(nodes.open() for _ in range(3)))
    await make_room(stores[0])
    for fence in range(1, 6):
        taken = await asyncio.gather(*(stores[n % 3].floors.take("room") for n in range(21)))
        assert [one for one in taken if one is not None] == [fence]
        saying = Saying("msg_1", "msg_2", f"word {fence}")
        holder = stores[taken.index(fence) % 3]
        await holder.floors.keep("room", fence, saying)
        seen = await asyncio.gather(*(store.floors.saying("room") for store in stores))
        assert seen == [Floor("room", fence, saying)] * 3
        assert await stores[fence % 3].floors.stop("room", SYSTEM)
        floor = await holder.floors.keep("room", fence, saying)
        assert floor is not None
        assert floor.stopped_by == SYSTEM
        await holder.floors.give_back("room", fence)


# ------------------------------------------------------------------- jobs


async def test_nodes_together_never_pass_the_queue_limit(nodes: MongoNodes) -> None:
    stores = await asyncio.gather(*(nodes.open() for _ in range(3)))
    results = await asyncio.gather(
        *(submit(stores[n % 3].jobs, job(f"bt_{n}"), limit=5) for n in range(24)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, QueueFullError) for one in results) == 19
    assert len(await stores[0].jobs.active()) == 5


async def test_equal_requests_through_many_nodes_are_one_job(nodes: MongoNodes) -> None:
    stores = await asyncio.gather(*(nodes.open() for _ in range(3)))
    met = await asyncio.gather(
        *(
            submit(stores[n % 3].jobs, job(f"bt_{n}", asker(f"c{n // 2}"), fingerprint="f"))
            for n in range(24)
        )
    )
    assert len({one.id for one in met}) == 1
    stored = await stores[0].jobs.get(met[0].id)
    assert stored is not None
    assert sorted(one.command_id for one in stored.askers) == sorted(f"c{n}" for n in range(12))


async def test_of_starters_on_many_nodes_one_gets_the_job(nodes: MongoNodes) -> None:
    stores = await asyncio.gather(*(nodes.open() for _ in range(3)))
    await submit(stores[0].jobs, job("bt_1"))
    started = await asyncio.gather(*(stores[n % 3].jobs.start("bt_1", NOW) for n in range(12)))
    assert sum(one is not None for one in started) == 1


async def test_words_that_look_like_the_databases_language_are_kept(nodes: MongoNodes) -> None:
    jobs = (await nodes.open()).jobs
    odd = Person("$state", "$$NOW {$add: 1} \0")
    await submit(jobs, replace(job("bt_$1", asker("$c", "$room", odd)), title="$title"))
    await jobs.start("bt_$1", NOW)
    moved = await jobs.progress("bt_$1", 1, "running", 0.5, "$note")
    assert moved is not None
    assert (moved.note, moved.title, moved.askers[0].person) == ("$note", "$title", odd)
    marked = await jobs.cancel("bt_$1", odd, NOW)
    assert marked is not None
    assert marked.ended_by == odd


async def test_results_larger_than_a_document_are_kept_whole(nodes: MongoNodes) -> None:
    one, other = await asyncio.gather(nodes.open(), nodes.open())
    await submit(one.jobs, job("bt_1", asker("c")))
    await one.jobs.start("bt_1", NOW)
    noise = random.Random(1).randbytes(11_000_000)
    summary = {"points": [random.Random(2).random()] * 1_100_000, "이름": "값"}
    done = await one.jobs.finish(
        "bt_1", 1, "completed", NOW, summary=summary, files={"noise.bin": noise, "empty": b""}
    )
    assert done is not None
    assert done.summary == summary
    for stored in (await other.jobs.get("bt_1"), (await other.jobs.owed())[0]):
        assert stored == done
    assert await other.jobs.file("bt_1", "noise.bin") == noise
    assert list(await other.jobs.file_names("bt_1")) == ["empty", "noise.bin"]
    with nodes.plain() as plain:
        sizes = [len(part["body"]) for part in plain["job_files"].find()]
    assert max(sizes) <= 8_000_000
    assert len(sizes) > 4


async def test_files_of_an_attempt_that_lost_its_job_are_never_seen(nodes: MongoNodes) -> None:
    store = await nodes.open()
    await submit(store.jobs, job("bt_1"))
    await store.jobs.start("bt_1", NOW)
    # What a server leaves that dies between its files and the end of the job.
    await store.jobs._results.put("bt_1", "lost", None, {"stale.csv": b"stale"})
    assert list(await store.jobs.file_names("bt_1")) == []
    await store.jobs.requeue("bt_1", 1)
    await store.jobs.start("bt_1", NOW)
    await store.jobs.finish("bt_1", 2, "completed", NOW, summary={}, files={"true.csv": b"true"})
    assert list(await store.jobs.file_names("bt_1")) == ["true.csv"]
    assert await store.jobs.file("bt_1", "stale.csv") is None
    with nodes.plain() as plain:
        assert plain["job_files"].count_documents({}) == 1


def explain(plain: Any, collection: str, which: dict[str, Any], **options: Any) -> str:
    query = {"find": collection, "filter": which, **options}
    return str(plain.command("explain", query, verbosity="queryPlanner")["queryPlanner"])


@pytest.mark.parametrize(
    ("collection", "which", "options", "index"),
    [
        ("entries", {"log": 1, "seq": {"$gt": 5}}, {"sort": {"seq": 1}}, "number"),
        ("entries", {"log": 1, "authorId": "a", "key": "k"}, {}, "key"),
        ("entries", {"$or": [{"log": 1, "authorId": "a", "key": "k"}]}, {}, "key"),
        (
            "entries",
            {"$or": [{"log": 1, "kind": "commandResult", "commandId": "a"}]},
            {},
            "result",
        ),
        ("entries", {"log": 1, "sessionId": "a", "question": {"$in": ["q"]}}, {}, "question"),
        ("entries", {"kind": "closed", "atUs": {"$lt": 5}}, {}, "closed"),
        ("floors", {"until": {"$exists": True}}, {"hint": "held"}, "held"),
        ("jobs", {"askers.commandId": "c"}, {}, "command"),
        ("jobs", {"labels": {"$all": ["session:a"]}}, {"sort": {"createdAt": -1}}, "labels"),
        (
            "jobs",
            {"askers.answered": False, "state": {"$nin": ["queued", "running"]}},
            {"sort": {"createdAt": 1, "number": 1}},
            "owed",
        ),
    ],
)
async def test_what_is_asked_often_uses_an_index(
    mongo_server: Mongod,
    collection: str,
    which: dict[str, Any],
    options: dict[str, Any],
    index: str,
) -> None:
    async with mongo_nodes(mongo_server, "pymongo") as nodes:
        await nodes.open()
        with nodes.plain() as plain:
            plan = explain(plain, collection, which, **options)
    assert "COLLSCAN" not in plan
    assert f"'indexName': '{index}'" in plan

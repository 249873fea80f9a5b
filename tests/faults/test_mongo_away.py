"""MongoDB paused, killed and back again: what is acked is there once, and nobody waits for long."""

import asyncio
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from chatops.access.identity import SYSTEM
from chatops.assistant.ports import Floor, Saying
from chatops.errors import StoreUnavailableError
from chatops.sessions.model import Appended
from chatops.stores.mongo import MongoStore
from chatops.stores.mongo_database import Driver
from chatops.tasks import Supervisor
from tests.contracts.jobs import NOW, asker, job, submit
from tests.support.disk import fill_the_disk, small_disk
from tests.support.mongo import MongoNodes, append, make_room, mongo_nodes, stored_keys
from tests.support.services import Mongod, guarded_mongod, mongod, replica_set
from tests.support.waiting import until

PATIENCE_S = 60.0


@pytest.fixture(params=["motor", "pymongo"])
async def nodes(mongo_server: Mongod, request: pytest.FixtureRequest) -> AsyncIterator[MongoNodes]:
    driver: Driver = request.param
    async with mongo_nodes(mongo_server, driver) as opener:
        yield opener


@contextmanager
def paused(server: Mongod) -> Iterator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


async def insist(store: MongoStore, key: str) -> Appended:
    """Append again and again, as a client does, until it is acked."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await append(store, key)
        except StoreUnavailableError as error:
            if time.monotonic() > deadline_s or not error.retry_after_s:
                raise
            await asyncio.sleep(0.1)


async def refused_in_s(work: Awaitable[object]) -> tuple[float, StoreUnavailableError]:
    begun_s = time.monotonic()
    with pytest.raises(StoreUnavailableError) as refused:
        await work
    return time.monotonic() - begun_s, refused.value


async def test_an_append_to_a_paused_mongodb_may_be_stored_and_its_retry_finds_out(
    nodes: MongoNodes,
) -> None:
    store = await nodes.open()
    await make_room(store)
    await append(store, "before")
    with paused(nodes.server):
        took_s, error = await refused_in_s(append(store, "a"))
        assert took_s < 3.5
        assert "may or may not be saved" in error.message
        assert "same id" in (error.hint or "")
        assert error.retry_after_s
    assert (await insist(store, "a")).entry.seq == 2
    assert (await insist(store, "b")).entry.seq == 3
    assert await stored_keys(store) == ["before", "a", "b"]


async def test_a_holder_finds_its_floor_again_when_mongodb_is_back(nodes: MongoNodes) -> None:
    store = await nodes.open()
    await make_room(store)
    fence = await store.floors.take("room")
    assert fence is not None
    saying = Saying("msg_1", "msg_2", "So far")
    await store.floors.keep("room", fence, saying)
    with paused(nodes.server):
        took_s, error = await refused_in_s(store.floors.stop("room", SYSTEM))
        assert took_s < 3.5
        assert "may or may not be saved" in error.message
    more = Saying("msg_1", "msg_2", "So far and further")
    assert await store.floors.stop("room", SYSTEM)
    assert await store.floors.keep("room", fence, more) == Floor("room", fence, more, SYSTEM)


async def test_many_sessions_are_refused_soon_and_then_at_once(nodes: MongoNodes) -> None:
    store = await nodes.open()
    names = [f"room{index}" for index in range(40)]
    await asyncio.gather(*(make_room(store, name) for name in names))
    await asyncio.gather(*(append(store, "before", name) for name in names))
    with paused(nodes.server):
        begun_s = time.monotonic()
        first = await asyncio.gather(
            *(append(store, "a", name) for name in names), return_exceptions=True
        )
        assert time.monotonic() - begun_s < 5
        assert all(isinstance(one, StoreUnavailableError) for one in first)
        took_s, error = await refused_in_s(append(store, "b", "room0"))
        assert took_s < 1
        assert "was not saved" in error.message
        took_s, error = await refused_in_s(store.sessions.read("room0", 0, 10))
        assert took_s < 1
        assert "could not be read" in error.message
    for name in names[:3]:
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                await append(store, "a", name)
                break
            except StoreUnavailableError:
                assert time.monotonic() < deadline_s
                await asyncio.sleep(0.1)
        assert await stored_keys(store, name) == ["before", "a"]
    await store.ping()


async def test_what_is_not_sent_is_surely_not_saved(tmp_path: Path) -> None:
    with mongod(tmp_path) as server:
        for driver in ("motor", "pymongo"):
            nodes = MongoNodes(server, driver)
            store = await nodes.open()
            await make_room(store)
            await append(store, "before")
            server.kill()
            await asyncio.sleep(1.0)  # until the driver has noticed
            await refused_in_s(append(store, "a"))
            took_s, error = await refused_in_s(append(store, "b"))
            assert took_s < 3.5
            assert "was not saved" in error.message
            await asyncio.to_thread(server.restart)
            assert (await insist(store, "c")).entry.seq == 2
            assert await stored_keys(store) == ["before", "c"]
            await nodes.close()


@pytest.mark.parametrize("driver", ["motor", "pymongo"])
@pytest.mark.parametrize("servers", [mongod, pytest.param(replica_set, marks=pytest.mark.long)])
async def test_killed_in_a_burst_every_acked_entry_is_there_once(
    tmp_path: Path,
    driver: Driver,
    servers: Callable[[Path], AbstractContextManager[Any]],
) -> None:
    with servers(tmp_path) as server:
        nodes = MongoNodes(server, driver)
        stores = [await nodes.open(), await nodes.open()]
        await make_room(stores[0])
        acked: dict[str, int] = {}
        stop = asyncio.Event()

        async def send(sender: int) -> None:
            index = 0
            while not stop.is_set():
                key = f"{sender}-{index}"
                acked[key] = (await insist(stores[sender % 2], key)).entry.seq
                index += 1

        async with asyncio.TaskGroup() as group:
            for sender in range(32):
                group.create_task(send(sender))
            for _ in range(2):
                await asyncio.sleep(0.5)
                before = len(acked)
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.restart)
                deadline_s = time.monotonic() + PATIENCE_S
                while len(acked) < before + 64:
                    assert time.monotonic() < deadline_s
                    await asyncio.sleep(0.05)
            stop.set()
        keys = await stored_keys(stores[1])
        assert len(set(keys)) == len(keys)
        assert {key: keys.index(key) + 1 for key in keys} == acked
        await nodes.close()


@pytest.mark.parametrize("driver", ["motor", "pymongo"])
async def test_a_full_disk_of_mongodb_costs_nothing_that_was_acked(
    tmp_path: Path, driver: Driver
) -> None:
    folder = tmp_path / "disk"
    with small_disk(folder, "350m") as (prefix, inside), mongod(folder, prefix=prefix) as server:
        nodes = MongoNodes(server, driver)
        store = await nodes.open()
        await make_room(store)
        acked: dict[str, int] = {}
        refused: dict[str, StoreUnavailableError] = {}

        async def send(sender: int) -> None:
            index = 0
            while not refused:
                key = f"{sender}-{index}-{secrets.token_hex(2000)}"
                index += 1
                try:
                    acked[key] = (await append(store, key)).entry.seq
                except StoreUnavailableError as error:
                    refused[key] = error

        async with asyncio.TaskGroup() as group:
            for sender in range(16):
                group.create_task(send(sender))
            await until(lambda: len(acked) > 100, PATIENCE_S, "some are stored")
            await asyncio.to_thread(fill_the_disk, inside / "ballast")
        assert all(error.retry_after_s for error in refused.values())
        await until(lambda: server.ended, 10, "mongod gives up, as it does without room")
        (inside / "ballast").unlink()
        server.kill()
        await asyncio.to_thread(server.restart)
        for key in refused:
            acked[key] = (await insist(store, key)).entry.seq
        keys = await stored_keys(store)
        assert {key: keys.index(key) + 1 for key in keys} == acked
        assert len(set(keys)) == len(keys)
        await nodes.close()


async def test_the_end_of_a_job_that_nobody_acked_is_found_by_its_repeat(
    nodes: MongoNodes,
) -> None:
    store = await nodes.open()
    jobs = store.jobs
    for turn in range(3):
        name = f"bt_{turn}"
        await submit(jobs, job(name, asker(f"c{turn}")))
        await jobs.start(name, NOW)

        async def finish(name: str = name) -> None:
            files = {"a.csv": name.encode()}
            while True:
                try:
                    done = await jobs.finish(name, 1, "completed", NOW, summary={}, files=files)
                except StoreUnavailableError:
                    await asyncio.sleep(0.1)
                else:
                    assert done is not None
                    assert done.state == "completed"
                    return

        finishing = asyncio.ensure_future(finish())
        await asyncio.sleep(0.002 * turn)
        with paused(nodes.server):
            await asyncio.sleep(3)
        await asyncio.wait_for(finishing, PATIENCE_S)
        assert await jobs.file(name, "a.csv") == name.encode()


async def test_a_transaction_that_was_cut_off_does_not_keep_others_out(nodes: MongoNodes) -> None:
    one, other = await asyncio.gather(nodes.open(), nodes.open())
    for turn in range(3):
        sending = asyncio.gather(
            *(submit(one.jobs, job(f"bt_{turn}_{n}")) for n in range(30)), return_exceptions=True
        )
        await asyncio.sleep(0.03)
        with paused(nodes.server):
            await asyncio.sleep(3)
        begun_s = time.monotonic()
        while True:
            try:
                await submit(other.jobs, job(f"bt_other_{turn}"))
                break
            except StoreUnavailableError:
                assert time.monotonic() - begun_s < 15, "the gate is locked"
                await asyncio.sleep(0.1)
        for n, done in enumerate(await sending):
            again = await submit_again(one, f"bt_{turn}_{n}")
            assert again == f"bt_{turn}_{n}", done
    assert len(await other.jobs.active()) == 3 * 31


async def submit_again(store: MongoStore, name: str) -> str:
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return (await submit(store.jobs, job(name))).id
        except StoreUnavailableError:
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.1)


async def test_a_node_killed_while_it_submits_does_not_keep_others_out(nodes: MongoNodes) -> None:
    await outlive_a_node_killed_while_it_submits(await nodes.open(), nodes.uri, nodes.driver)


@pytest.mark.parametrize("driver", ["motor", "pymongo"])
async def test_who_may_only_read_and_write_is_not_kept_out_by_a_dead_node_either(
    tmp_path: Path, driver: Driver
) -> None:
    with guarded_mongod(tmp_path, secrets.token_hex(8)) as server:
        uri = server.uri("chatops", "writer")
        supervisor = Supervisor()
        store = MongoStore(uri, supervisor, driver=driver)
        await store.open()
        await outlive_a_node_killed_while_it_submits(store, uri, driver)
        await store.close()
        await supervisor.close(5)


async def outlive_a_node_killed_while_it_submits(
    store: MongoStore, uri: str, driver: Driver
) -> None:
    program = [sys.executable, "-m", "tests.support.mongo_killed_in_submit"]
    dead = await asyncio.create_subprocess_exec(*program, uri, driver)
    assert await dead.wait() == -signal.SIGKILL
    begun_s = time.monotonic()
    await submit(store.jobs, job("bt_alive", asker("alive")))
    assert time.monotonic() - begun_s < 8
    assert [one.id for one in await store.jobs.active()] == ["bt_alive"]


async def test_a_server_whose_database_was_away_lives_again_when_it_is_back(
    nodes: MongoNodes,
) -> None:
    store = await nodes.open()
    with paused(nodes.server):
        _, error = await refused_in_s(store.ping())
        assert error.retry_after_s
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            await store.ping()
            break
        except StoreUnavailableError:
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.1)
    assert await store.nodes.live() == [store.nodes.own]


async def test_closing_while_mongodb_is_away_ends_soon(nodes: MongoNodes) -> None:
    store = await nodes.open()
    await make_room(store)
    with paused(nodes.server):
        waiting = asyncio.ensure_future(append(store, "a"))
        await asyncio.sleep(0)
        begun_s = time.monotonic()
        await store.close()
        assert time.monotonic() - begun_s < 10
        with pytest.raises(StoreUnavailableError):
            await waiting

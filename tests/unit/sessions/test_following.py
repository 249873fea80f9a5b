"""Rooms on several nodes over one store, with hints that are lost, doubled, late and reordered."""

import asyncio
import random
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from chatops.access.identity import Person
from chatops.errors import StoreUnavailableError
from chatops.sessions import following
from chatops.sessions.entries import user_message
from chatops.sessions.model import Preface
from tests.support.nodes import Network
from tests.support.toynodes import ANN, BEN, ROOM, ToyNode, nodes
from tests.support.waiting import until


@pytest.mark.parametrize("lost", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(4))
async def test_every_member_on_every_node_sees_the_log_whatever_the_bus_does(
    tmp_path: Path, lost: float, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "HEAL_EVERY_S", 0.1)
    chance = random.Random(seed)
    network = Network(chance, lost=lost, repeated=0.3)
    async with nodes(tmp_path, network) as (store, made):
        seen: dict[str, list[int]] = {}
        where: dict[str, ToyNode] = {}

        async def wander(name: str) -> None:
            """Say things, and join again on another node, from where one was."""
            person = Person(f"client:{name}", name)
            seen[name] = []
            for visit in range(4):
                node, connection = chance.choice(made), f"{name}/{visit}"
                where[name] = node
                ack = await node.join(connection, person, after=len(seen[name]))
                seen[name] += [entry.seq for entry in ack.entries]
                for number in range(5):
                    key = f"{visit}.{number}"
                    await node.say(f"{name} {key}", person, key)
                    if chance.random() < 0.15:  # a retry, through whichever node
                        await chance.choice(made).say(f"{name} {key}", person, key)
                    await asyncio.sleep(chance.random() * 0.01)
                if visit < 3:
                    node.sessions.drop(connection)
                    seen[name] += node.log_of(connection)

        await asyncio.gather(*(wander(f"p{number}") for number in range(6)))
        stored = [entry.seq for entry in await store.sessions.read(ROOM, 0, 1000)]
        assert stored == list(range(1, 6 * 20 + 1))

        def whole(name: str) -> list[int]:
            return seen[name] + where[name].log_of(f"{name}/3")

        await until(
            lambda: all(len(whole(name)) >= len(stored) for name in seen), 10, "all have all"
        )
        assert {name: whole(name) for name in seen} == dict.fromkeys(seen, stored)


async def test_the_next_entry_is_shown_from_the_hint_without_a_store_read(tmp_path: Path) -> None:
    async with nodes(tmp_path, Network(random.Random(1))) as (_, (first, second, _third)):
        await first.join("a")
        await second.join("b", BEN)
        await asyncio.sleep(0.1)
        second.store.failures = {"read": 10**6, "heads": 10**6, "get_session": 10**6}
        for number in range(20):
            await first.say(f"{number}")
            await asyncio.sleep(0.02)
        assert second.log_of("b") == list(range(1, 21))


async def test_a_hole_is_filled_from_the_store_in_order(tmp_path: Path) -> None:
    network = Network(random.Random(1), slowest_s=0.0)
    async with nodes(tmp_path, network) as (_, (first, second, _third)):
        await first.join("a")
        await second.join("b", BEN)
        await asyncio.sleep(0.05)
        network.lost = 1.0
        for number in range(5):
            await first.say(f"{number}")
        assert second.log_of("b") == []
        network.lost = 0.0
        await first.say("last")
        await until(lambda: second.log_of("b") == [1, 2, 3, 4, 5, 6], 5, "the hole is filled")


async def test_a_preface_comes_just_before_its_entry_on_every_node(tmp_path: Path) -> None:
    async with nodes(tmp_path, Network(random.Random(1))) as (_, made):
        for number, node in enumerate(made):
            await node.join(f"c{number}")
        await asyncio.sleep(0.05)
        entry = user_message(ROOM, ANN, "result", key=None)
        preface = Preface("backtestProgress", {"progress": 100})
        await made[0].sessions.append(ROOM, replace(entry, preface=preface))

        def shown(number: int) -> list[str]:
            events = made[number].channel.shown[f"c{number}"]
            return [event for event, _ in events if event != "presence"]

        def both_shown(number: int) -> bool:
            return len(shown(number)) == 2

        for number in range(3):
            await until(partial(both_shown, number), 5, "both are shown")
            assert shown(number) == ["backtestProgress", "message"]


async def test_a_store_that_is_away_while_others_write_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "HEAL_EVERY_S", 0.1)
    network = Network(random.Random(1), lost=1.0)
    async with nodes(tmp_path, network) as (_, (first, second, _third)):
        await second.join("b", BEN)
        second.store.failures = {"heads": 5, "read": 3}
        for number in range(5):
            await first.say(f"{number}") if number else await first.join("a")
        await until(lambda: second.log_of("b") == [1, 2, 3, 4], 5, "the log is shown")
        second.store.failures = {"append": 1}
        with pytest.raises(StoreUnavailableError):
            await second.say("no")


async def test_who_is_there_is_known_on_every_node_until_a_node_is_silent(tmp_path: Path) -> None:
    async with nodes(tmp_path, Network(random.Random(1))) as (_, (first, second, third)):
        await first.join("a", ANN)
        await second.join("b", BEN)
        await second.join("b2", ANN)

        def names(node: ToyNode) -> list[str]:
            return sorted(one.person.name for one in node.sessions.people(ROOM))

        await until(lambda: names(first) == names(second) == ["Ann", "Ben"], 5, "both know both")
        await third.join("c", Person("client:cy", "Cy"))
        await until(lambda: names(first) == names(third) == ["Ann", "Ben", "Cy"], 5, "all know all")
        second.sessions.drop("b")
        await until(lambda: names(first) == ["Ann", "Cy"], 5, "Ben has left")
        first.bus.gone("n2")
        assert names(first) == ["Ann"]
        third.sessions.drop("c")
        first.bus.doubt(None)
        await until(lambda: names(second) == ["Ann"], 5, "Cy has left")


async def test_a_log_that_began_again_sends_its_members_to_join_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "HEAL_EVERY_S", 0.05)
    async with nodes(tmp_path, Network(random.Random(1))) as (store, (first, _second, _third)):
        ack = await first.join("a")
        await first.say("old")
        for table in ("entries", "sessions"):
            await store.database.write(lambda c, t=table: c.execute(f"DELETE FROM {t}").rowcount)  # type: ignore[misc]  # noqa: S608
        await until(lambda: not first.sessions.is_member("a", ROOM), 5, "the room is empty")
        again = await first.join("a", after=1)
        assert again.session.epoch != ack.session.epoch
        assert again.gap

"""Text that is written piece by piece, on several nodes, over a bus that loses and reorders."""

import asyncio
import random
from pathlib import Path

import pytest

from chatops.sessions import following
from chatops.sessions.entries import assistant_message, user_message
from chatops.sessions.model import Hint
from tests.support.nodes import Network
from tests.support.toynodes import ANN, ROOM, ToyNode, nodes
from tests.support.waiting import until

WORDS = [f"word{number} " for number in range(60)]
WHOLE = "".join(WORDS)


def text_of(node: ToyNode, connection: str) -> str:
    """Return what a connection saw of the message while it was written."""
    shown = [p for event, p in node.channel.shown[connection] if event == "messageDelta"]
    assert [one["index"] for one in shown] == sorted({one["index"] for one in shown})
    return "".join(one["delta"] for one in shown)


async def write(node: ToyNode, message_id: str = "msg_answer") -> None:
    """Write the message from the node, and store it."""
    for number, word in enumerate(WORDS):
        node.sessions.streams.write(ROOM, message_id, "msg_question", word)
        if number % 10 == 9:
            node.sessions.streams.repeat(ROOM)
        await asyncio.sleep(0.002)
    node.sessions.streams.close(ROOM)
    entry = assistant_message(ROOM, message_id, WHOLE, turn=message_id, metadata={})
    await node.sessions.append(ROOM, entry)


@pytest.mark.parametrize("lost", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(3))
async def test_everybody_sees_a_beginning_of_the_text_and_then_the_whole(
    tmp_path: Path, lost: float, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "HEAL_EVERY_S", 0.1)
    network = Network(random.Random(seed), lost=lost, repeated=0.3)
    async with nodes(tmp_path, network) as (_, made):
        for number, node in enumerate(made):
            await node.join(f"c{number}")
        await write(made[0])
        await until(lambda: all(n.log_of(f"c{i}") for i, n in enumerate(made)), 10, "all have it")
        await asyncio.sleep(0.05)  # what is late comes now
        assert text_of(made[0], "c0") == WHOLE
        for number, node in enumerate(made):
            assert WHOLE.startswith(text_of(node, f"c{number}"))
            shown = [event for event, _ in node.channel.shown[f"c{number}"]]
            assert "messageDelta" not in shown[shown.index("message") :]
        if lost == 0.0:
            assert all(len(text_of(n, f"c{i}")) > len(WHOLE) / 2 for i, n in enumerate(made))


async def test_who_comes_later_is_told_what_was_said_and_then_the_rest(tmp_path: Path) -> None:
    network = Network(random.Random(1), slowest_s=0.0)
    async with nodes(tmp_path, network, count=2) as (_, (here, there)):
        await here.join("c0")
        writing = asyncio.ensure_future(write(here))
        await until(lambda: len(text_of(here, "c0")) > 100, 5, "it has begun")
        ack = await here.join("late")
        assert ack.stream is not None
        assert ack.stream.reply_to == "msg_question"
        await there.join("far")
        await writing
        assert ack.stream.text + text_of(here, "late") == WHOLE
        await until(lambda: bool(there.log_of("far")), 5, "it is whole")
        assert text_of(there, "far") == WHOLE
        assert (await here.join("after")).stream is None
        assert (await there.join("after")).stream is None


async def test_a_message_after_a_message(tmp_path: Path) -> None:
    network = Network(random.Random(1))
    async with nodes(tmp_path, network, count=2) as (_, (here, there)):
        await here.join("c0")
        await there.join("c1")
        await write(here, "msg_1")
        await write(there, "msg_2")
        await until(lambda: len(here.log_of("c0")) == 2, 5, "both are there")
        for node, connection in ((here, "c0"), (there, "c1")):
            shown = node.channel.shown[connection]
            ids = [p["messageId"] for event, p in shown if event == "messageDelta"]
            assert ids == sorted(ids)
            assert set(ids) == {"msg_1", "msg_2"}


async def test_what_others_say_meanwhile_does_not_begin_it_again(tmp_path: Path) -> None:
    network = Network(random.Random(1), slowest_s=0.0)
    async with nodes(tmp_path, network, count=2) as (_, (here, there)):
        await here.join("c0")
        await there.join("c1")
        writing = asyncio.ensure_future(write(here))
        await until(lambda: len(text_of(there, "c1")) > 100, 5, "it has begun")
        forged = {"role": "assistant"}
        await there.sessions.append(ROOM, user_message(ROOM, ANN, "Hi", key=None, metadata=forged))
        earlier = assistant_message(ROOM, "msg_0", "Imported", turn="msg_q0", metadata={})
        await there.sessions.append(ROOM, earlier)
        await writing
        await until(lambda: len(there.log_of("c1")) == 3, 5, "all have it")
        assert text_of(here, "c0") == text_of(there, "c1") == WHOLE


async def test_nothing_of_it_is_shown_after_its_end(tmp_path: Path) -> None:
    network = Network(random.Random(1), slowest_s=0.0)
    async with nodes(tmp_path, network, count=2) as (_, (here, there)):
        await here.join("c0")
        here.sessions.streams.write(ROOM, "msg_1", "msg_question", "So far")
        ended = assistant_message(ROOM, "msg_1", "So far", turn="msg_question", metadata={})
        await there.sessions.append(ROOM, ended)
        await until(lambda: here.log_of("c0") == [1], 5, "another node has ended it")
        here.sessions.streams.write(ROOM, "msg_1", "msg_question", " and further")
        here.sessions.streams.close(ROOM)
        assert text_of(here, "c0") == "So far"
        assert (await here.join("late")).stream is None


async def test_junk_of_another_node_changes_nothing(tmp_path: Path) -> None:
    network = Network(random.Random(1), slowest_s=0.0)
    async with nodes(tmp_path, network, count=2) as (_, (here, there)):
        await here.join("c0")
        for junk in (b"[]", b"{", b'{"messageId": 1}', b"null"):
            for event in ("messageDelta", ".stream"):
                hint = Hint(ROOM, event, junk)
                there.bus.publish(hint)
        await asyncio.sleep(0.02)
        assert text_of(here, "c0") == ""
        await here.say("all is well", ANN)
        assert here.log_of("c0") == [1]

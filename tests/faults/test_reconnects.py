"""Two clients in one session, cut off again and again, see what the store has, in order, once."""

import asyncio
import random
from functools import partial
from pathlib import Path

import pytest

from tests.support.log import check_numbers, stored_log
from tests.support.members import NodeMember, PythonMember
from tests.support.proxy import CuttingProxy
from tests.support.server import ServerProcess
from tests.support.waiting import until

# python-socketio's client drops the connection of a handshake that was cut without closing it.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
async def test_nothing_is_lost_or_doubled_through_reconnects(tmp_path: Path, seed: int) -> None:
    await play(tmp_path, seed, reconnects=30, server_deaths=1)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_nothing_is_lost_or_doubled_through_1000_reconnects(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    await play(tmp_path, seed, reconnects=1000, server_deaths=12)


def has_seen(member: PythonMember | NodeMember, count: int) -> bool:
    return len(member.seen) >= count


async def play(folder: Path, seed: int, *, reconnects: int, server_deaths: int) -> None:
    """Send from both clients while connections are cut at random; compare at the end."""
    print(f"seed {seed}")  # noqa: T201 - to play it again
    chance = random.Random(seed)
    server = ServerProcess(folder / "data", CHATOPS_RATE_LIMIT="off", CHATOPS_BACKTEST_WORKERS="1")
    sent: list[str] = []
    async with server, CuttingProxy(server.url) as proxy:
        async with (
            PythonMember(proxy.url, "desk", "Pia") as pia,
            NodeMember(proxy.url, "desk", "Noa") as noa,
        ):
            members = (pia, noa)
            die_at = {reconnects * (n + 1) // (server_deaths + 1) for n in range(server_deaths)}
            while proxy.cuts < reconnects:
                for _ in range(chance.randrange(1, 6)):
                    member = chance.choice(members)
                    sent.append(f"{len(sent)} 안녕 {chance.random()}")
                    member.send(sent[-1])
                await asyncio.sleep(chance.choice((0.0, 0.005, 0.02, 0.1, 0.3)))
                proxy.cut()
                if due := {cut for cut in die_at if cut <= proxy.cuts}:
                    die_at -= due
                    await server.kill()
                    await server.start()
            await until(
                lambda: len(pia.acked) + len(noa.acked) == len(sent), 60, "every message is acked"
            )
            log = await stored_log(server.url, "desk")
            for member in members:
                await until(partial(has_seen, member, len(log)), 30, "all has been seen")
        check_numbers(log)
        expected = [(entry["seq"], entry["content"]) for entry in log]
        assert sorted(text for _, text in expected) == sorted(sent)
        for member in members:
            assert member.seen == expected
            assert member.trouble == []
            assert all(dict(expected)[seq] == text for text, seq in member.acked.items())

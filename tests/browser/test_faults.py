"""Two browsers in one session, while everything that can go wrong does."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.support.browser import TALL, Person, running_browser
from tests.support.held import held_worker
from tests.support.log import check_numbers, stored_log
from tests.support.proxy import CuttingProxy
from tests.support.server import ServerProcess

SESSION = "desk"
CUT_S = 20.0
RUN = "/run_backtest momentum AAPL,IBM,MSFT,GOOG momentum_period={} --fresh"

# python-socketio's client drops the connection of a handshake that was cut without closing it.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.timeout(300)
async def test_both_show_what_the_store_has_and_nothing_twice(tmp_path: Path) -> None:
    server = ServerProcess(
        tmp_path / "data", CHATOPS_BACKTEST_WORKERS="1", CHATOPS_ASSISTANT_MODE="off"
    )
    async with (
        server,
        CuttingProxy(server.url) as way,
        running_browser() as one,
        running_browser() as other,
    ):
        kim = await Person.at(one, "Kim", viewport=TALL)
        lee = await Person.at(other, "Lee", viewport=TALL)
        people: Sequence[Person] = (kim, lee)
        for person in people:
            await person.enter(way.url, SESSION)
        await both_see_a_backtest(server, kim, lee)

        said = [RUN.format(days) for days in (80, 100, 120)]
        async with held_worker(server) as worker:
            for text in said:
                await kim.say(text)
            await worker.half_done(people)
            await lee.page.reload()
            await lee.connected()
            await worker.half_done(people)
            await server.kill()
        said += await everybody_says(people, "while the server is away")
        await server.start()
        for person in people:
            await person.connected()

        way.close()
        await asyncio.sleep(CUT_S / 2)
        said += await everybody_says(people, "without a network")
        await asyncio.sleep(CUT_S / 2)
        way.open()

        everything = 2 + len(said) + 3  # the first run and its result, and three more results
        newcomer = await Person.at(one, "Mo", viewport=TALL)
        await newcomer.enter(server.url, SESSION)
        people = (kim, lee, newcomer)
        for person in people:
            await expect(person.rows).to_have_count(everything, timeout=60_000)
        log = await stored_log(server.url, SESSION)
        contents = [entry["content"] for entry in log if entry["type"] == "message"]
        assert sorted(contents) == sorted([RUN.format(60), *said])
        await check_transcripts(people, log)


async def both_see_a_backtest(server: ServerProcess, kim: Person, lee: Person) -> None:
    for person in (kim, lee):
        await person.watch_bars()
    async with held_worker(server) as worker:
        await kim.say(RUN.format(60))
        await worker.half_done([kim, lee])
    for person in (kim, lee):
        await expect(person.rows).to_have_count(2, timeout=30_000)  # what was asked, and its result
    shown = await kim.bars()
    assert shown == await lee.bars() == sorted(shown)
    assert len(shown) >= 2


async def everybody_says(people: Sequence[Person], what: str) -> list[str]:
    said = [f"{person.name} {what}" for person in people]
    for person, text in zip(people, said, strict=True):
        await person.say(text)
    return said


async def check_transcripts(people: Sequence[Person], log: list[dict[str, Any]]) -> None:
    """Assert that everybody sees the log, each entry once, and nothing beside it."""
    check_numbers(log)
    transcripts = [await person.transcript() for person in people]
    for person, rows in zip(people, transcripts, strict=True):
        assert [seq for seq, _ in rows] == [entry["seq"] for entry in log]
        assert await person.page.locator("[role=article][aria-posinset]").count() == len(log)
        assert person.violations == person.failures == []
    for entry, *rows in zip(log, *transcripts, strict=True):
        texts = [text for _, text in rows]
        if entry["type"] == "message":
            assert all(entry["content"] in text for text in texts)
        else:
            assert len(set(texts)) == 1
            assert "momentum" in texts[0]

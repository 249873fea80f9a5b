"""What the page looks like in its main states: a picture of each, and no serious finding of axe."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.support.browser import Person, running_browser
from tests.support.held import held_worker
from tests.support.looks import check
from tests.support.proxy import CuttingProxy
from tests.support.server import ServerProcess

DESKTOP = {"width": 1100, "height": 760}
PHONE = {"width": 360, "height": 740}
QUICK_RUN = "/run_backtest sma_crossover AAPL start=2005-01-01 fee=0.001"
SLOW_RUN = "/run_backtest momentum AAPL,IBM,MSFT,GOOG --fresh"
COMPARISON = "/compare_strategies sma_crossover momentum macd symbols=AAPL"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    data = tmp_path / "data"
    off = ServerProcess(data, CHATOPS_BACKTEST_WORKERS="1", CHATOPS_ASSISTANT_MODE="off")
    async with off as running:
        yield running


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with running_browser() as running:
        yield running


async def see(person: Person, command: str, count: int) -> None:
    """Give a command and wait until its result is drawn."""
    await person.say(command)
    await person.has(count)
    await expect(person.row(count).get_by_role("img").first).to_be_visible()
    await person.is_at_the_end()


async def test_every_state(server: ServerProcess, browser: Browser) -> None:
    async with CuttingProxy(server.url) as way:
        kim = await Person.at(browser, "Kim", viewport=DESKTOP)
        files: list[str] = []
        kim.page.on("request", lambda request: files.append(request.url))
        await kim.enter(way.url, "desk")
        await expect(kim.page.get_by_role("button", name="Run a backtest")).to_be_visible()
        await check(kim, "empty")
        first = len(files)

        await kim.page.get_by_role("textbox", name="Message").press_sequentially("/run")
        await expect(kim.page.get_by_role("option").first).to_be_visible()
        await check(kim, "palette")

        async with held_worker(server) as worker:
            await kim.say(SLOW_RUN)
            await worker.half_done([kim])
            await check(kim, "running")
        await kim.has(2)
        await see(kim, QUICK_RUN, count=4)
        await check(kim, "result")
        assert any(one.endswith(".js") for one in files[first:]), "charts are loaded when needed"
        await see(kim, COMPARISON, count=6)
        await check(kim, "comparison")

        way.close()
        await expect(kim.page.get_by_text("Reconnecting…")).to_be_visible()
        await kim.say("Shall we take the first one?")
        await check(kim, "disconnected")
        way.open()
        await kim.connected()
        await kim.has(7)


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("mobile", {"viewport": PHONE, "has_touch": True}),
        ("dark", {"viewport": DESKTOP, "color_scheme": "dark"}),
        ("korean", {"viewport": DESKTOP, "locale": "ko-KR"}),
    ],
)
async def test_every_look(
    server: ServerProcess, browser: Browser, name: str, profile: dict[str, Any]
) -> None:
    lee = await Person.at(browser, "이서연" if name == "korean" else "Lee", **profile)
    await lee.page.goto(f"{server.url}/?session=desk")
    await expect(lee.page.get_by_role("textbox")).to_be_visible()
    await check(lee, f"{name}-empty")
    await see(lee, QUICK_RUN, count=2)
    await lee.say("안녕하세요" if name == "korean" else "Better than holding it.")
    await lee.has(3)
    await check(lee, name)

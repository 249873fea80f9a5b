"""A long session scrolls as smoothly as a page with nothing on it."""

import asyncio
from pathlib import Path

from playwright.async_api import expect

from tests.support.browser import LIST, Person, running_browser
from tests.support.caller import Caller
from tests.support.proxy import CuttingProxy
from tests.support.server import ServerProcess

MESSAGES = 5_000
TEXT = "The 20-day average crossed the 50-day one on 2008-10-02, and what came then is well known."

# Scrolls up for two seconds, 1,500 pixels a second; counts the frames, and those that show nothing
# in their middle.
_SCROLL = """(selector) => new Promise((done) => {
    const box = document.querySelector(selector)
    const { left, top, width, height } = box.getBoundingClientRect()
    const [x, y] = [left + width / 2, top + height / 2]
    let [frames, empty, before] = [0, 0, performance.now()]
    const end = before + 2000
    const step = (now) => {
        frames += 1
        box.scrollTop -= 1.5 * (now - before)
        before = now
        const row = document.elementFromPoint(x, y)?.closest('[role=article]')
        if (!row) empty += 1
        if (now < end) requestAnimationFrame(step)
        else done([frames, empty])
    }
    requestAnimationFrame(step)
})"""
_EMPTY = """<body style="margin:0"><div id="box" style="height:100vh;overflow:auto">
    <div style="height:400000px"></div></div>"""


async def test_5000_messages_scroll_as_smoothly_as_none(tmp_path: Path) -> None:
    server = ServerProcess(
        tmp_path / "data", CHATOPS_RATE_LIMIT="off", CHATOPS_ASSISTANT_MODE="off"
    )
    async with (
        server,
        CuttingProxy(server.url) as way,
        running_browser() as browser,
        Caller(server.url, "desk", "Mo") as mo,
    ):
        empty = await Person.at(browser, "nobody")
        await empty.page.set_content(_EMPTY)
        kim = await Person.at(browser, "Kim")
        await kim.enter(way.url, "desk")
        await kim.say("I will be back.")
        await expect(kim.rows).to_have_count(1)
        way.close()
        for start in range(1, MESSAGES, 100):
            numbers = range(start, min(start + 100, MESSAGES))
            texts = [f"No. {number}: {TEXT * (1 + number % 4)}" for number in numbers]
            await asyncio.gather(
                *(mo.ask("sendMessage", sessionId="desk", content=text) for text in texts)
            )
        way.open()
        await kim.has(MESSAGES)
        await kim.is_at_the_end()
        assert await kim.rows.last.get_attribute("aria-setsize") == str(MESSAGES)
        assert await kim.rows.count() < 100

        ratios = []
        for _ in range(3):
            await empty.page.bring_to_front()
            await empty.page.evaluate("document.querySelector('#box').scrollTop = 300000")
            most, _ = await empty.page.evaluate(_SCROLL, "#box")
            await kim.page.bring_to_front()
            frames, blank = await kim.page.evaluate(_SCROLL, LIST)
            ratios.append(frames / most)
            assert blank <= frames * 0.05
        assert max(ratios) > 0.9, ratios

        # Who has gone up reads on in peace, and is told of what came.
        top = "box => box.scrollTop"
        before = await kim.page.locator(LIST).evaluate(top)
        await mo.ask("sendMessage", sessionId="desk", content="One more.")
        told = kim.page.get_by_role("button", name="1 new message")
        await expect(told).to_be_visible()
        assert await kim.page.locator(LIST).evaluate(top) == before
        await told.click()
        await kim.has(MESSAGES + 1)
        assert kim.failures == kim.violations == []

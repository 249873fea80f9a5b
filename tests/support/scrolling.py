"""A session of 5,000 messages, seen by somebody who scrolls through it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import expect

from tests.support.browser import LIST, Person, running_browser
from tests.support.caller import Caller
from tests.support.proxy import CuttingProxy
from tests.support.server import ServerProcess

MESSAGES = 5_000
TEXT = "The 20-day average crossed the 50-day one on 2008-10-02, and what came then is well known."

# Scrolls up for two seconds, 1,500 pixels a second; notes the time of each frame, and counts those
# that show nothing in their middle.
_SCROLL = """(selector) => new Promise((done) => {
    const box = document.querySelector(selector)
    const { left, top, width, height } = box.getBoundingClientRect()
    const [x, y] = [left + width / 2, top + height / 2]
    const frames = []
    let [blank, before] = [0, performance.now()]
    const end = before + 2000
    const step = (now) => {
        frames.push(now)
        box.scrollTop -= 1.5 * (now - before)
        before = now
        const row = document.elementFromPoint(x, y)?.closest('[role=article]')
        if (!row) blank += 1
        if (now < end) requestAnimationFrame(step)
        else done([frames, blank])
    }
    requestAnimationFrame(step)
})"""
# What stands in the middle, and where, when ten frames in a row have shown the same: rows that have
# just come into sight are measured a moment later.
_MIDDLE = """(box) => new Promise((done) => {
    const { left, top, width, height } = box.getBoundingClientRect()
    let [seen, frames] = ['', 0]
    const look = () => {
        const at = document.elementFromPoint(left + width / 2, top + height / 2)
        const row = at?.closest('[role=article]')
        const now = row ? `${row.dataset.seq} at ${row.getBoundingClientRect().top}` : ''
        frames = now && now === seen ? frames + 1 : 0
        seen = now
        if (frames < 10) requestAnimationFrame(look)
        else done(now)
    }
    look()
})"""
_EMPTY = """<body style="margin:0"><div id="box" style="height:100vh;overflow:auto">
    <div style="height:400000px"></div></div>"""


@dataclass(frozen=True)
class Scrolled:
    """What was seen in two seconds.

    Attributes:
        frames_ms: When each frame was, milliseconds of the page's clock.
        blank: Frames that showed nothing in their middle.
    """

    frames_ms: list[float]
    blank: int


@dataclass(frozen=True)
class LongRoom:
    """The session, and a page with nothing on it to compare it with.

    Attributes:
        kim: Who is in the session, at its end.
        empty: Who looks at nothing.
        mo: Who has said it all.
    """

    kim: Person
    empty: Person
    mo: Caller


async def scrolled(person: Person, selector: str) -> Scrolled:
    """Scroll up from where they are."""
    await person.page.bring_to_front()
    frames_ms, blank = await person.page.evaluate(_SCROLL, selector)
    return Scrolled(frames_ms, blank)


async def scrolled_empty(person: Person) -> Scrolled:
    """Scroll up through nothing."""
    await person.page.evaluate("document.querySelector('#box').scrollTop = 300000")
    return await scrolled(person, "#box")


async def in_the_middle(person: Person) -> str:
    """Return which message they have before their eyes, and where, once it stands still."""
    found: str = await person.page.locator(LIST).evaluate(_MIDDLE)
    return found


@asynccontextmanager
async def long_room(folder: Path) -> AsyncIterator[LongRoom]:
    """Fill the session while somebody who is in it is away, and bring them back to its end."""
    server = ServerProcess(folder / "data", CHATOPS_RATE_LIMIT="off", CHATOPS_ASSISTANT_MODE="off")
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
        yield LongRoom(kim, empty, mo)

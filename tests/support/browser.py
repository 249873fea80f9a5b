"""People at a browser: Chromium, driven by Playwright, with the page that the server gives."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from playwright.async_api import Browser, ConsoleMessage, Locator, Page, async_playwright, expect

ROOT = Path(__file__).parents[2]
REACT = ROOT / "client_examples" / "react"
SCREENSHOTS = ROOT / "tests" / "browser" / "screenshots"
LIST = "[data-virtuoso-scroller]"
TALL = {"width": 1000, "height": 8000}  # everything that was said is in it

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_TELL_VIOLATIONS = """addEventListener('securitypolicyviolation', (event) =>
    console.error(`POLICY ${event.violatedDirective} ${event.blockedURI}`))"""
_AT_THE_END = """box => new Promise((done) => {
    const look = () => {
        if (box.scrollHeight - box.clientHeight - box.scrollTop <= 1) done()
        else requestAnimationFrame(look)
    }
    look()
})"""
_ROWS = """rows => rows.map(row => [Number(row.dataset.seq), row.innerText])"""
# What every bar shows, from the first moment on.
_WATCH_BARS = """() => {
    window.bars = []
    const look = () => {
        for (const bar of document.querySelectorAll('[role=article] [role=progressbar]')) {
            const now = Number(bar.getAttribute('aria-valuenow'))
            if (window.bars.at(-1) !== now) window.bars.push(now)
        }
    }
    new MutationObserver(look).observe(document.body, {
        subtree: true, childList: true, attributeFilter: ['aria-valuenow'],
    })
}"""


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """Start a browser with an empty profile."""
    path = shutil.which("chromium")
    assert path is not None, (
        "Chromium is needed to test the page; on Debian: apt-get install chromium"
    )
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, headless=True, args=list(_FLAGS)
        )
        try:
            yield browser
        finally:
            await browser.close()


class Person:
    """Somebody in a session, with a profile of their own.

    Attributes:
        page: What they look at.
        violations: What the policy of the page forbade.
        failures: Errors that nothing caught.
    """

    def __init__(self, page: Page, name: str) -> None:
        self.page = page
        self.name = name
        self.violations: list[str] = []
        self.failures: list[str] = []
        page.on("console", self._told)
        page.on("pageerror", lambda error: self.failures.append(str(error)))

    @classmethod
    async def at(cls, browser: Browser, name: str, **context: Any) -> Self:
        """Give somebody a profile; ``context`` is what Playwright knows of it."""
        profile = await browser.new_context(**{"locale": "en-US", **context})
        await profile.add_init_script(_TELL_VIOLATIONS)
        await profile.add_init_script(
            f"localStorage.getItem('chatops.name') ?? "
            f"localStorage.setItem('chatops.name', '{name}')"
        )
        return cls(await profile.new_page(), name)

    async def enter(self, url: str, session: str) -> None:
        """Open the page of a session and wait until it is connected."""
        await self.page.goto(f"{url}/?session={session}")
        await self.connected()

    async def connected(self, within_s: float = 30.0) -> None:
        """Wait until the page says so."""
        await expect(self.page.get_by_text("Connected", exact=True)).to_be_visible(
            timeout=within_s * 1000
        )

    async def say(self, text: str) -> None:
        """Type it and press Enter."""
        box = self.page.get_by_role("textbox")
        await box.fill(text)
        await box.press("Enter")

    async def watch_bars(self) -> None:
        """Note from now on what progress is shown."""
        await self.page.evaluate(_WATCH_BARS)

    async def bars(self) -> list[int]:
        """Return what progress was shown since."""
        found: list[int] = await self.page.evaluate("window.bars")
        return found

    async def has(self, count: int, within_s: float = 30.0) -> None:
        """Wait until the log has so many entries and the newest is on the screen."""
        await expect(self.row(count)).to_be_in_viewport(timeout=within_s * 1000)

    async def is_at_the_end(self) -> None:
        """Wait until the list stands at its end, where who was there has been kept."""
        async with asyncio.timeout(10):
            await self.page.locator(LIST).evaluate(_AT_THE_END)

    def row(self, seq: int) -> Locator:
        """Return the row of an entry; it is there if it is near what is on the screen."""
        return self.page.locator(f"[role=article][data-seq='{seq}']")

    @property
    def rows(self) -> Locator:
        """The rows of the log."""
        return self.page.locator("[role=article][data-seq]")

    async def transcript(self) -> list[tuple[int, str]]:
        """Return number and text of every row, as they stand on the page."""
        return [(seq, text) for seq, text in await self.rows.evaluate_all(_ROWS)]

    async def picture(self, name: str) -> None:
        """Keep what is seen as a picture."""
        SCREENSHOTS.mkdir(exist_ok=True)
        await self.page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")

    def _told(self, message: ConsoleMessage) -> None:
        if message.text.startswith("POLICY") or "Content Security Policy" in message.text:
            self.violations.append(message.text)

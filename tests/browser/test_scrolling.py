"""A long session scrolls as smoothly as a page with nothing on it."""

from pathlib import Path

from playwright.async_api import expect

from tests.support.browser import LIST
from tests.support.scrolling import MESSAGES, in_the_middle, long_room, scrolled, scrolled_empty


async def test_5000_messages_scroll_as_smoothly_as_none(tmp_path: Path) -> None:
    async with long_room(tmp_path) as room:
        kim, mo = room.kim, room.mo
        assert await kim.rows.last.get_attribute("aria-setsize") == str(MESSAGES)
        assert await kim.rows.count() < 100

        ratios = []
        for _ in range(3):
            most = await scrolled_empty(room.empty)
            seen = await scrolled(kim, LIST)
            ratios.append(len(seen.frames_ms) / len(most.frames_ms))
            assert seen.blank <= len(seen.frames_ms) * 0.05
        assert max(ratios) > 0.9, ratios

        # Who has gone up reads on in peace, and is told of what came.
        before = await in_the_middle(kim)
        await mo.ask("sendMessage", sessionId="desk", content="One more.")
        told = kim.page.get_by_role("button", name="1 new message")
        await expect(told).to_be_visible()
        assert await in_the_middle(kim) == before
        await told.click()
        await kim.has(MESSAGES + 1)
        assert kim.failures == kim.violations == []

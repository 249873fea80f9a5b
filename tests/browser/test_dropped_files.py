"""Files that are dropped on the window."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.support.browser import Person, running_browser
from tests.support.looks import check
from tests.support.server import ServerProcess

HEAD = "Date,Open,High,Low,Close,Volume\n"
PRICES = HEAD + "".join(
    f"2024-{1 + day // 28:02}-{1 + day % 28:02},{10 + day % 7},30,5,{11 + day % 5},100\n"
    for day in range(200)
)
PHONE = {"width": 360, "height": 740}

# What a browser does while somebody drags a file over the page, and lets it go.
_DRAG = """([name, text, kinds]) => {
    const dataTransfer = new DataTransfer()
    dataTransfer.items.add(new File([text], name))
    for (const kind of kinds)
        document.body.dispatchEvent(
            new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }))
}"""


async def drag(person: Person, name: str, text: str, *kinds: str) -> None:
    await person.page.evaluate(_DRAG, [name, text, kinds])


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
async def test_prices_that_are_dropped_can_be_used(tmp_path: Path, locale: str) -> None:
    server = ServerProcess(
        tmp_path / "data", CHATOPS_BACKTEST_WORKERS="1", CHATOPS_ASSISTANT_MODE="off"
    )
    words = {
        "en-US": ("Drop prices or strategies here", "Import a file", "Close"),
        "ko-KR": ("가격 또는 전략 파일을 여기에 놓으세요", "파일 가져오기", "닫기"),
    }
    drop_here, choose, close = words[locale]
    async with server, running_browser() as browser:
        kim = await Person.at(browser, "Kim", locale=locale, viewport=PHONE)
        await kim.page.goto(f"{server.url}/?session=desk")
        await expect(kim.page.get_by_role("textbox")).to_be_visible()
        await drag(kim, "TSLA.csv", PRICES, "dragover")
        await expect(kim.page.get_by_text(drop_here)).to_be_visible()
        await check(kim, f"drop-{locale[:2]}")
        await drag(kim, "TSLA.csv", PRICES, "drop")
        await expect(kim.page.get_by_text(drop_here)).not_to_be_visible()
        await kim.has(1)
        await expect(kim.row(1)).to_contain_text(
            "Kim imported TSLA 1d, 200 bars from 2024-01-01 to 2024-08-04"
        )
        await check(kim, f"imported-{locale[:2]}")
        await kim.say("/run_backtest buy_and_hold TSLA")
        await kim.has(3)
        await expect(kim.row(3)).to_contain_text("TSLA")
        await expect(kim.row(3).get_by_role("img").first).to_be_visible()

        await kim.page.get_by_role("alert").get_by_role("button", name=close).click()
        async with kim.page.expect_file_chooser() as opened:
            await kim.page.get_by_role("button", name=choose).focus()
            await kim.page.keyboard.press("Enter")
        bad = {
            "name": "BAD.csv",
            "mimeType": "text/csv",
            "buffer": PRICES.replace(",30,", ",=1+1,").encode(),
        }
        await (await opened.value).set_files(bad)  # type: ignore[arg-type]  # it takes these
        told = kim.page.get_by_role("alert")
        await expect(told).to_contain_text("BAD.csv, line 2")
        await check(kim, f"refused-{locale[:2]}")
        assert await kim.row(4).count() == 0

"""The build of the page: what the first visit loads, and what waits until it is needed."""

import re
from pathlib import Path

import pytest

from tests.support.browser import ROOT

APP = ROOT / "server" / "chatops" / "rest" / "assets" / "app"
MOST_KIB = 350


@pytest.fixture
def first_page() -> set[Path]:
    """Return the files that the page loads before anything is asked of it."""
    index = APP / "index.html"
    assert index.is_file(), "run `make page` first"
    waiting = [
        APP / name for name in re.findall(r'(?:src|href)="/(assets/[^"]+)"', index.read_text())
    ]
    found: set[Path] = set()
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        if file.suffix == ".js":
            imports = re.findall(r'(?:from|import)\s*"\./([^"]+\.js)"', file.read_text())
            waiting += [APP / "assets" / name for name in imports]
    return found


def test_the_first_page_is_small(first_page: set[Path]) -> None:
    assert any(file.suffix == ".js" for file in first_page)
    kib = sum(Path(f"{file}.gz").stat().st_size for file in first_page) / 1024
    assert kib <= MOST_KIB


def test_cards_of_results_and_their_charts_wait_until_one_is_shown(first_page: set[Path]) -> None:
    later = {file.name.partition("-")[0] for file in set(APP.glob("assets/*.js")) - first_page}
    assert {"BacktestCard", "ComparisonCard"} <= later


def test_nothing_in_it_needs_an_exception_of_the_policy(first_page: set[Path]) -> None:
    index = (APP / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", index)
    assert not re.search(r'(?:src|href)="(?:https?:|//|data:)', index)
    assert index.count("__CSP_NONCE__") >= 1


def test_every_file_is_there_in_compressed_form_too() -> None:
    files = [file for file in APP.glob("assets/*") if file.suffix not in (".gz", ".br")]
    assert files
    for file in files:
        assert Path(f"{file}.gz").is_file()
        assert Path(f"{file}.br").is_file()
        assert re.search(r"-[\w-]{8}\.\w+$", file.name), "it is kept for good, so it needs a hash"

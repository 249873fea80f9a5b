"""The catalogue and the cache of bars: always the files as they are now, read only once."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from chatops.backtests.market.bars import Bars
from chatops.backtests.market.catalogue import Catalogue
from chatops.backtests.market.files import Origin, write_bars
from chatops.backtests.market.loader import MarketData
from chatops.errors import BadParameterError, NotFoundError, StoreUnavailableError


def put(folder: Path, symbol: str, price: float, *, bars: int = 50, timeframe: str = "1d") -> str:
    """Writes bars around a price and returns their hash."""
    close = np.linspace(price, price * 1.5, bars)
    ts = np.datetime64("2020-01-01", "s") + np.arange(bars) * np.timedelta64(1, "D")
    made = Bars(symbol, timeframe, ts, close, close + 1, close - 1, close, np.ones(bars))
    write_bars(made, folder, Origin("a test"))
    return made.content_hash


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "own"


@pytest.fixture
def bundled(tmp_path: Path) -> Path:
    put(tmp_path / "bundled", "AAPL", 10)
    put(tmp_path / "bundled", "MSFT", 20)
    return tmp_path / "bundled"


@pytest.fixture
def catalogue(own: Path, bundled: Path) -> Catalogue:
    return Catalogue(own, bundled)


def test_the_server_imports_the_catalogue_without_numpy_pandas_or_duckdb() -> None:
    program = (
        "import sys, chatops.backtests.market.catalogue;"
        "print(sorted({'numpy', 'pandas', 'duckdb', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_missing_folder_of_ones_own_leaves_the_bundled_prices(catalogue: Catalogue) -> None:
    sets = catalogue.data_sets()
    assert [(each.symbol, each.timeframe, each.rows, each.bundled) for each in sets] == [
        ("AAPL", "1d", 50, True),
        ("MSFT", "1d", 50, True),
    ]
    assert sets[0].first is not None
    assert sets[0].first.isoformat() == "2020-01-01T00:00:00+00:00"
    assert sets[0].size_bytes == sets[0].path.stat().st_size
    assert sets[0].source == "a test"


def test_ones_own_file_hides_the_bundled_one(catalogue: Catalogue, own: Path) -> None:
    before = catalogue.content_hash("AAPL", "1d")
    mine = put(own, "AAPL", 77)
    assert before != mine
    assert catalogue.content_hash("AAPL", "1d") == mine
    assert [each.bundled for each in catalogue.data_sets()] == [False, True]


def test_a_file_swapped_while_the_catalogue_holds_it_shows_at_once(
    catalogue: Catalogue, own: Path
) -> None:
    first = put(own, "TEST", 10)
    assert catalogue.content_hash("TEST", "1d") == first
    second = put(own, "TEST", 30, bars=60)
    assert catalogue.content_hash("TEST", "1d") == second
    assert {each.symbol: each.rows for each in catalogue.data_sets()}["TEST"] == 60
    (own / "TEST.1d.parquet").unlink()
    assert "TEST" not in {each.symbol for each in catalogue.data_sets()}
    with pytest.raises(NotFoundError):
        catalogue.find("TEST", "1d")


def test_an_unchanged_file_is_not_opened_again(catalogue: Catalogue, own: Path) -> None:
    put(own, "TEST", 10)
    known = catalogue.find("TEST", "1d")
    path, state = known.path, known.path.stat()
    # Other content under the same time and size: only opening the file could tell.
    path.write_bytes(b"x" * state.st_size)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert catalogue.find("TEST", "1d") is known


def test_a_broken_file_is_listed_with_a_sentence_and_hurts_no_other(
    catalogue: Catalogue, own: Path
) -> None:
    own.mkdir()
    (own / "AAPL.1d.parquet").write_bytes(b"garbage")
    (own / "apple.parquet").write_bytes(b"garbage")
    broken = {each.symbol: each.problem for each in catalogue.data_sets() if each.problem}
    assert broken["AAPL"].startswith("AAPL.1d.parquet is not a readable Parquet file.")
    assert "is not named SYMBOL.timeframe.parquet" in broken["APPLE"]
    assert catalogue.find("MSFT", "1d").rows == 50
    with pytest.raises(BadParameterError, match="prices of AAPL 1d are broken"):
        catalogue.find("AAPL", "1d")


def test_unfinished_and_foreign_files_are_not_data_sets(catalogue: Catalogue, own: Path) -> None:
    own.mkdir()
    (own / ".TEST.1d.parquet.0123.tmp").write_bytes(b"half")
    (own / ".hidden.parquet").write_bytes(b"half")
    (own / "notes.txt").write_text("x")
    assert len(catalogue.data_sets()) == 2


def test_an_unknown_symbol_names_its_nearest(catalogue: Catalogue) -> None:
    with pytest.raises(NotFoundError, match="no prices of APPL") as caught:
        catalogue.find("APPL", "1d")
    assert caught.value.hint == "Did you mean AAPL?"
    with pytest.raises(NotFoundError) as caught:
        catalogue.find("ZZZZZZ", "1d")
    assert caught.value.hint == "`/symbols` lists what there is."


def test_another_timeframe_tells_which_ones_there_are(catalogue: Catalogue, own: Path) -> None:
    put(own, "AAPL", 10, timeframe="1h")
    with pytest.raises(NotFoundError, match="no 1m prices of AAPL") as caught:
        catalogue.find("AAPL", "1m")
    assert caught.value.hint == "There are 1d and 1h prices of it."
    assert catalogue.timeframes("AAPL") == ["1d", "1h"]


@pytest.mark.parametrize("symbol", ["../../etc/passwd", "aapl", "A/B"])
def test_a_malformed_symbol_is_refused(catalogue: Catalogue, symbol: str) -> None:
    with pytest.raises(BadParameterError, match="is not a symbol"):
        catalogue.find(symbol, "1d")


def test_a_folder_that_is_a_file_is_said_so(tmp_path: Path, bundled: Path) -> None:
    (tmp_path / "own").write_text("in the way")
    with pytest.raises(StoreUnavailableError, match="folder of market data cannot be read"):
        Catalogue(tmp_path / "own", bundled).data_sets()


def test_bars_are_read_once_and_again_when_they_change(own: Path, bundled: Path) -> None:
    market = MarketData(own, bundled)
    assert market.status().hit_rate is None
    first = market.load("AAPL", "1d")
    assert market.load("AAPL", "1d") is first
    changed = put(own, "AAPL", 99, bars=70)
    assert market.load("AAPL", "1d").content_hash == changed
    put(own, "AAPL", 98, bars=80)
    market.load("AAPL", "1d")
    status = market.status()
    assert (status.hits, status.misses, status.hit_rate) == (1, 3, 0.25)
    # The file that was replaced is forgotten; the bundled one, another file, is not.
    assert [(each.symbol, each.rows, each.size_bytes) for each in status.entries] == [
        ("AAPL", 50, 2400),
        ("AAPL", 80, 3840),
    ]
    assert status.size_bytes == 6240


def test_the_bars_used_longest_ago_leave_when_the_memory_is_full(own: Path, bundled: Path) -> None:
    put(own, "IBM", 30)
    market = MarketData(own, bundled, capacity_bytes=2 * 2400)
    for symbol in ("AAPL", "MSFT", "AAPL", "IBM"):
        market.load(symbol, "1d")
    assert [each.symbol for each in market.status().entries] == ["AAPL", "IBM"]


def test_one_data_set_larger_than_the_memory_is_still_served(own: Path, bundled: Path) -> None:
    market = MarketData(own, bundled, capacity_bytes=1)
    assert len(market.load("AAPL", "1d")) == 50
    assert len(market.load("MSFT", "1d")) == 50
    assert [each.symbol for each in market.status().entries] == ["MSFT"]

"""The prices that come with the package are the ones the reference results were made with."""

import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from chatops.backtests.market.catalogue import Catalogue
from chatops.backtests.market.loader import MarketData
from chatops.backtests.market.names import BUNDLED_FOLDER

TOOL = Path(__file__).parents[3] / "tools" / "vendor_prices.py"

FINGERPRINTS = {
    "AAPL": (3270, "2000-03-01", 60713.005771, 60759.901279),
    "FB": (196, "2012-05-18", 5022.710200, 5041.911900),
    "GOOG": (2148, "2004-08-19", 512245.838080, 512491.430901),
    "IBM": (3270, "2000-03-01", 295723.011408, 295461.762359),
    "MSFT": (3270, "2000-03-01", 68182.450499, 68187.442547),
}


@pytest.mark.parametrize("symbol", FINGERPRINTS)
def test_the_sums_of_closes_and_opens_are_the_recorded_ones(
    symbol: str, market: MarketData
) -> None:
    rows, first, closes, opens = FINGERPRINTS[symbol]
    bars = market.load(symbol, "1d")
    assert len(bars) == rows
    assert f"{bars.first_time:%Y-%m-%d}" == first
    assert f"{bars.last_time:%Y-%m-%d}" == "2013-03-01"
    assert f"{bars.close.sum():.6f}" == f"{closes:.6f}"
    assert f"{bars.open.sum():.6f}" == f"{opens:.6f}"


def test_the_catalogue_lists_them_and_nothing_else(tmp_path: Path) -> None:
    sets = Catalogue(tmp_path).data_sets()
    assert [each.symbol for each in sets] == sorted(FINGERPRINTS)
    assert all(each.problem is None and each.bundled for each in sets)
    assert {each.source for each in sets} == {"stocks.csv.gz of bokeh_sampledata 2026.1"}


def test_each_file_carries_its_licence_and_adjustment() -> None:
    for symbol in FINGERPRINTS:
        path = str(BUNDLED_FOLDER / f"{symbol}.1d.parquet")
        rows = duckdb.connect(":memory:").execute(
            "SELECT key, value FROM parquet_kv_metadata(?)", [path]
        )
        notes = {key.decode(): value.decode() for key, value in rows.fetchall()}
        assert notes["licence"].startswith("Public domain")
        assert "adjusted close / close" in notes["adjusted"]
        assert notes["timeframe"] == "1d"
        assert re.fullmatch("[0-9a-f]{64}", notes["content_hash"])


def test_the_notice_tells_source_licence_and_the_same_fingerprints() -> None:
    notice = (BUNDLED_FOLDER / "NOTICE.md").read_text(encoding="utf-8")
    assert "5abadf99b2d394f920120a27de6f0df129859d71d4cfb0bf661bcc99446ab1fd" in notice
    assert "Public domain" in notice
    for symbol, (rows, first, closes, opens) in FINGERPRINTS.items():
        days = f"{rows} | {first} | 2013-03-01"
        assert f"| `{symbol}.1d.parquet` | {days} | {closes:.6f} | {opens:.6f} |" in notice


def test_the_tool_refuses_every_other_source(tmp_path: Path) -> None:
    wrong = tmp_path / "stocks.csv.gz"
    wrong.write_bytes(b"something else")
    done = subprocess.run(
        [sys.executable, TOOL, wrong, tmp_path / "out"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "is not stocks.csv.gz of bokeh_sampledata 2026.1" in done.stdout
    assert not (tmp_path / "out").exists()

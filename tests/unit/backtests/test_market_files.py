"""Files of bars: what is written is read again, whole or not at all."""

import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pytest

from chatops.backtests.market.bars import Bars
from chatops.backtests.market.files import Origin, inspect_file, read_bars, write_bars
from chatops.backtests.market.names import bars_path, split_stem
from chatops.errors import BadParameterError, StoreUnavailableError

ORIGIN = Origin("a test's own bars", "none", "none")


def made(price: float, bars: int = 100, symbol: str = "TEST") -> Bars:
    close = np.linspace(price, price * 1.5, bars)
    ts = np.datetime64("2020-01-01", "s") + np.arange(bars) * np.timedelta64(1, "D")
    return Bars(symbol, "1d", ts, close, close + 1, close - 1, close, np.arange(bars, dtype=float))


def drop_in(path: Path, query: str) -> None:
    """Writes a Parquet file as somebody else's tool would."""
    duckdb.connect(":memory:").execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")


def test_bars_come_back_as_they_were_and_read_only(tmp_path: Path) -> None:
    bars = made(10)
    path = write_bars(bars, tmp_path, ORIGIN)
    again = read_bars(path, "TEST", "1d")
    for name in ("ts", "open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(again, name), getattr(bars, name))
        assert not getattr(again, name).flags.writeable
    assert again.content_hash == bars.content_hash
    assert again.ts.dtype == np.dtype("datetime64[s]")
    assert [each.name for each in tmp_path.iterdir()] == ["TEST.1d.parquet"]


def test_a_file_tells_what_it_holds(tmp_path: Path) -> None:
    bars = made(10)
    facts = inspect_file(write_bars(bars, tmp_path, ORIGIN), "TEST", "1d")
    assert (facts.rows, facts.first, facts.last) == (100, bars.first_time, bars.last_time)
    assert (facts.content_hash, facts.source) == (bars.content_hash, "a test's own bars")


def test_folders_with_quotes_korean_and_wildcards_are_only_names(tmp_path: Path) -> None:
    folder = tmp_path / "가격 'A' [1] *?"
    bars = made(10)
    write_bars(made(20), tmp_path / "가격 'A' 1 xy", ORIGIN)
    assert (
        read_bars(write_bars(bars, folder, ORIGIN), "TEST", "1d").content_hash == bars.content_hash
    )


@pytest.mark.parametrize("symbol", ["../AAPL", "A/B", "A\\B", "", ".A", "aapl", "A" * 33, "A\n"])
def test_no_symbol_leaves_the_folder(tmp_path: Path, symbol: str) -> None:
    with pytest.raises(BadParameterError, match="is not a symbol"):
        bars_path(tmp_path, symbol, "1d")


@pytest.mark.parametrize("symbol", ["A", "BRK.B", "005930.KS", "EURUSD=X", "BTC-USD"])
def test_usual_symbols_are_symbols(tmp_path: Path, symbol: str) -> None:
    path = bars_path(tmp_path, symbol, "1d")
    assert path.parent == tmp_path
    assert split_stem(path.name.removesuffix(".parquet")) == (symbol, "1d")


def test_a_timeframe_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadParameterError, match="is not a timeframe"):
        bars_path(tmp_path, "AAPL", "1y")


def test_a_changed_price_is_noticed(tmp_path: Path) -> None:
    path = write_bars(made(10), tmp_path, ORIGIN)
    changed = made(10)
    changed.close[50] += 0.01  # after the hash was taken
    write_bars(changed, tmp_path, ORIGIN)
    with pytest.raises(BadParameterError, match="is damaged"):
        read_bars(path, "TEST", "1d")


def test_a_file_put_there_by_hand_is_hashed_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "TEST.1d.parquet"
    drop_in(
        path,
        "SELECT DATE '2020-01-01' + i::INT AS ts, 10 open, 11 high, 9 low, 10 AS close, 5 volume"
        " FROM range(3) t(i)",
    )
    assert len(read_bars(path, "TEST", "1d")) == 3
    assert (
        inspect_file(path, "TEST", "1d").content_hash == read_bars(path, "TEST", "1d").content_hash
    )


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT 1 AS ts", "has no column open and no high"),
        ("SELECT 'x' ts, 1 open, 1 high, 1 low, 1 close, 1 volume FROM range(2)", "ts that is not"),
        (
            "SELECT DATE '2020-01-01' + i::INT AS ts, 'x' open, 1 high, 1 low, 1 close, 1 volume"
            " FROM range(2) t(i)",
            "no number in the column open",
        ),
        (
            "SELECT DATE '2020-01-02' - i::INT AS ts, 1 open, 1 high, 1 low, 1 close, 1 volume"
            " FROM range(2) t(i)",
            r"bar 2 .*2020-01-01.*before the one above",
        ),
        (
            "SELECT DATE '2020-01-01' + i::INT AS ts, 1 open, 1 high, 1 low, nullif(1, i) AS close,"
            " 1 volume FROM range(2) t(i)",
            "bar 2 .*the close is missing",
        ),
        (
            "SELECT NULL::DATE ts, 1 open, 1 high, 1 low, 1 close, 1 volume FROM range(2)",
            "ts that is not",
        ),
        (
            "SELECT DATE '2020-01-01' ts, 1 open, 1 high, 1 low, 1 close, 1 volume WHERE false",
            "fewer than 2",
        ),
    ],
)
def test_a_bad_file_put_there_by_hand_is_refused_in_words(
    tmp_path: Path, query: str, words: str
) -> None:
    path = tmp_path / "TEST.1d.parquet"
    drop_in(path, query)
    with pytest.raises(BadParameterError, match=words):
        read_bars(path, "TEST", "1d")
    with pytest.raises(BadParameterError, match=words):
        inspect_file(path, "TEST", "1d")


def test_garbage_and_absence_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "TEST.1d.parquet"
    with pytest.raises(StoreUnavailableError, match="cannot be read"):
        read_bars(path, "TEST", "1d")
    path.write_bytes(b"not a parquet file at all")
    with pytest.raises(BadParameterError, match="not a readable Parquet file"):
        read_bars(path, "TEST", "1d")
    path.write_bytes(b"")
    with pytest.raises(BadParameterError, match="not a readable Parquet file"):
        read_bars(path, "TEST", "1d")


def test_a_truncated_file_is_broken(tmp_path: Path) -> None:
    path = write_bars(made(10), tmp_path, ORIGIN)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadParameterError):
        read_bars(path, "TEST", "1d")


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailableError, match="could not be written"):
        write_bars(made(10), tmp_path / "file" / "folder", ORIGIN)


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
import numpy as np
from chatops.backtests.market.bars import Bars
from chatops.backtests.market.files import Origin, write_bars

folder, event = Path(sys.argv[1]), sys.argv[2]
close = np.full(100_000, 20.0)
ts = np.datetime64("2020-01-01", "s") + np.arange(len(close)) * np.timedelta64(1, "D")
bars = Bars("TEST", "1d", ts, close, close, close, close, close)

def die_in_the_middle(name, arguments):
    if name == event and str(arguments[0]).endswith(".tmp"):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(die_in_the_middle)
write_bars(bars, folder, Origin("new"))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("event", ["open", "os.rename"])
def test_a_writer_killed_before_it_is_done_leaves_the_old_bars(tmp_path: Path, event: str) -> None:
    old = made(10)
    path = write_bars(old, tmp_path, ORIGIN)
    killed = subprocess.run([sys.executable, "-c", KILLED_WRITER, tmp_path, event], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [each.suffix for each in tmp_path.iterdir() if each != path] == [".tmp"]
    assert read_bars(path, "TEST", "1d").content_hash == old.content_hash


ENDLESS_WRITER = """
import sys
from itertools import cycle
from pathlib import Path
import numpy as np
from chatops.backtests.market.bars import Bars
from chatops.backtests.market.files import Origin, write_bars

ts = np.datetime64("2020-01-01", "s") + np.arange(20_000) * np.timedelta64(1, "D")
both = []
for seed in (1, 2):
    close = 10 + np.random.default_rng(seed).random(len(ts))
    both.append(Bars("TEST", "1d", ts, close, close, close, close, close))
for number, bars in enumerate(cycle(both)):
    write_bars(bars, Path(sys.argv[1]), Origin("endless"))
    if number == 1:
        print(both[0].content_hash, both[1].content_hash, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be replaced there")
def test_readers_see_one_of_both_files_while_they_are_swapped_and_after_a_kill(
    tmp_path: Path,
) -> None:
    path = tmp_path / "TEST.1d.parquet"
    seen = set()
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS_WRITER, tmp_path], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        hashes = set(writer.stdout.readline().split())
        try:
            for _ in range(40):
                seen.add(read_bars(path, "TEST", "1d").content_hash)
        finally:
            writer.kill()
    seen.add(read_bars(path, "TEST", "1d").content_hash)
    assert len(hashes) == 2
    assert seen <= hashes

"""Importing prices: forgiving about form, strict about figures, and all or nothing."""

import gzip
from pathlib import Path

import duckdb
import pytest

from chatops.backtests.market.files import Origin, read_bars
from chatops.backtests.market.importer import Imported, import_files
from chatops.errors import AppError, BadParameterError, StoreUnavailableError

HEADER = "Date,Open,High,Low,Close,Volume"
GOOD = [
    "2024-01-02,10,11,9,10.5,100",
    "2024-01-03,10.5,12,10,11,200",
    "2024-01-04,11,12,10,11.5,300",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "market"


def write(folder: Path, *lines: str, name: str = "TEST.csv", encoding: str = "utf-8") -> Path:
    folder.parent.mkdir(exist_ok=True)
    path = folder.parent / name
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def refused(folder: Path, path: Path, **options: object) -> AppError:
    """The refusal, after which nothing may have been written."""
    with pytest.raises(BadParameterError) as caught:
        import_files([path], folder, **options)  # type: ignore[arg-type] # options of one test each
    assert not folder.exists()
    assert caught.value.hint
    return caught.value


def closes(done: Imported) -> list[float]:
    return [float(each) for each in read_bars(done.path, done.symbol, done.timeframe).close]


def test_a_plain_file_becomes_bars_named_after_it(folder: Path) -> None:
    [done] = import_files([write(folder, HEADER, *GOOD)], folder)
    assert (done.symbol, done.timeframe, done.rows, done.notes) == ("TEST", "1d", 3, ())
    assert done.path == folder / "TEST.1d.parquet"
    bars = read_bars(done.path, "TEST", "1d")
    assert bars.content_hash == done.content_hash
    assert [str(day)[:10] for day in bars.ts] == ["2024-01-02", "2024-01-03", "2024-01-04"]
    assert bars.open.tolist() == [10, 10.5, 11]
    assert bars.volume.tolist() == [100, 200, 300]


@pytest.mark.parametrize(
    "header",
    [
        "date,open,high,low,close,volume",
        " TIMESTAMP , Open Price, HIGH, low_price, Close, Vol.",
        '"Date","Open","High","Low","Last","Volume"',
        "날짜,시가,고가,저가,종가,거래량",
    ],
)
def test_columns_are_found_whatever_their_spelling(folder: Path, header: str) -> None:
    [done] = import_files([write(folder, header, *GOOD)], folder)
    assert closes(done) == [10.5, 11, 11.5]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_columns_and_order_are_understood(folder: Path, separator: str) -> None:
    lines = ["Close,Remark,Low,High,Open,Date"]
    lines += [f"{10 + i},x,9,15,{10 + i},2024-01-0{2 + i}" for i in range(3)]
    path = write(folder, *(line.replace(",", separator) for line in lines))
    assert closes(import_files([path], folder)[0]) == [10, 11, 12]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_korean_names_and_text_are_safe(folder: Path, encoding: str) -> None:
    path = write(
        folder,
        "날짜,시가,고가,저가,종가,비고",
        *(f"{row},메모" for row in (line.rpartition(",")[0] for line in GOOD)),
        name="삼성전자 주가.csv",
        encoding=encoding,
    )
    [done] = import_files([path], folder, symbol="005930.KS")
    assert done.path.name == "005930.KS.1d.parquet"
    assert done.notes == ("The volume is missing in 3 rows and counts as 0.",)


def test_a_name_that_is_no_symbol_asks_for_one(folder: Path) -> None:
    error = refused(folder, write(folder, HEADER, *GOOD, name="삼성전자.csv"))
    assert error.message.startswith("The name of 삼성전자.csv is not a symbol")
    assert "Give the symbol" in (error.hint or "")


@pytest.mark.parametrize(
    ("dates", "first"),
    [
        (["20240102", "20240103", "20240104"], "2024-01-02T00:00:00"),
        (["2024/1/2", "2024/1/3", "2024/1/4"], "2024-01-02T00:00:00"),
        (["02.01.2024", "03.01.2024", "04.01.2024"], "2024-01-02T00:00:00"),
        (["01/12/2024", "01/13/2024", "01/14/2024"], "2024-01-12T00:00:00"),
        (["12/01/2024", "13/01/2024", "14/01/2024"], "2024-01-12T00:00:00"),
        (["1704153600", "1704240000", "1704326400"], "2024-01-02T00:00:00"),
        (["1704153600000", "1704240000000", "1704326400000"], "2024-01-02T00:00:00"),
        (
            ["2024-01-02 00:00:00+09:00", "2024-01-03T00:00:00+09:00", "2024-01-04 00:00:00+09:00"],
            "2024-01-02T00:00:00",
        ),
        (
            ["2024-01-02T14:30:00Z", "2024-01-02T14:31:00Z", "2024-01-02T14:32:00Z"],
            "2024-01-02T14:30:00",
        ),
        (
            ["2024-01-02 09:30:00-05:00", "2024-01-02 09:31:00-05:00", "2024-01-02 09:32:00-05:00"],
            "2024-01-02T14:30:00",
        ),
    ],
)
def test_times_are_read_in_their_usual_forms(folder: Path, dates: list[str], first: str) -> None:
    rows = [f"{date},{row.partition(',')[2]}" for date, row in zip(dates, GOOD, strict=True)]
    [done] = import_files([write(folder, HEADER, *rows)], folder)
    assert str(read_bars(done.path, "TEST", done.timeframe).ts[0]) == first


def test_a_date_and_a_clock_in_two_columns_are_one_time(folder: Path) -> None:
    rows = [f"2024-01-02,9:3{i},10,11,9,10" for i in range(3)]
    [done] = import_files([write(folder, "Date,Time,Open,High,Low,Close", *rows)], folder)
    assert (done.timeframe, f"{done.first:%H:%M}") == ("1m", "09:30")


def test_a_date_that_may_be_two_is_refused(folder: Path) -> None:
    rows = [f"0{i}/02/2024,10,11,9,10,1" for i in (1, 2, 3)]
    error = refused(folder, write(folder, HEADER, *rows))
    assert error.message == "TEST.csv, line 2: '01/02/2024' may be month/day or day/month."


@pytest.mark.parametrize(
    ("step", "timeframe"), [(60, "1m"), (300, "5m"), (3600, "1h"), (86400, "1d"), (604800, "1w")]
)
def test_the_spacing_tells_the_timeframe(folder: Path, step: int, timeframe: str) -> None:
    rows = [f"{1704153600 + i * step},10,11,9,10,1" for i in range(5)]
    assert import_files([write(folder, HEADER, *rows)], folder)[0].timeframe == timeframe


def test_a_spacing_that_is_none_or_another_than_asked_is_refused(folder: Path) -> None:
    rows = [f"{1704153600 + i * 777},10,11,9,10,1" for i in range(4)]
    odd = write(folder, HEADER, *rows, name="ODD.csv")
    assert "777 seconds apart" in refused(folder, odd).message
    error = refused(folder, write(folder, HEADER, *GOOD), timeframe="1h")
    assert error.message == "The bars of TEST.csv are 1d apart, not 1h."
    assert import_files([odd], folder, timeframe="15m")[0].timeframe == "15m"


def test_the_files_name_may_tell_the_timeframe(folder: Path) -> None:
    friday_and_monday = ["2024-01-05,10,11,9,10,1", "2024-01-08,10,11,9,10,1"]
    [done] = import_files([write(folder, HEADER, *friday_and_monday, name="brk.b.1d.csv")], folder)
    assert (done.symbol, done.timeframe) == ("BRK.B", "1d")


def test_rows_in_another_order_are_sorted_and_that_is_said(folder: Path) -> None:
    [done] = import_files([write(folder, HEADER, *reversed(GOOD))], folder)
    assert closes(done) == [10.5, 11, 11.5]
    assert done.notes == ("The rows were sorted by time.",)


def test_an_adjusted_close_adjusts_all_prices_and_the_volume(folder: Path) -> None:
    rows = ["2024-01-02,100,110,90,100,10,50", "2024-01-03,50,55,45,52,20,52"]
    [done] = import_files([write(folder, f"{HEADER},Adj Close", *rows)], folder)
    bars = read_bars(done.path, "TEST", "1d")
    assert bars.open.tolist() == [50, 50]
    assert bars.high.tolist() == [55, 55]
    assert bars.low.tolist() == [45, 45]
    assert bars.close.tolist() == [50, 52]
    assert bars.volume.tolist() == [20, 20]
    assert "adjusted close" in done.notes[0]


def test_an_adjusted_close_that_is_missing_is_refused(folder: Path) -> None:
    rows = [f"{row},{adjusted}" for row, adjusted in zip(GOOD, ("10", "", "11"), strict=True)]
    error = refused(folder, write(folder, f"{HEADER},Adj. Close", *rows))
    assert error.message.startswith("TEST.csv, line 3 (2024-01-03): the adjusted close is missing")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2024-01-03,10.5,12,10,11,200", "this time is there twice"),
        ("2024-01-05,,12,10,11,200", "the open is missing"),
        ("2024-01-05,nan,12,10,11,200", "the open is missing"),
        ("2024-01-05,10,inf,10,11,200", "the high is inf"),
        ("2024-01-05,10,12,0,11,200", "the low is 0"),
        ("2024-01-05,10,12,9,-11,200", "the close is -11"),
        ("2024-01-05,10,10.4,9,10.5,200", "the high 10.4 is below the open or the close (10.5)"),
        ("2024-01-05,10,12,10.2,11,200", "the low 10.2 is above the open or the close (10)"),
        ("2024-01-05,10,12,9,11,-1", "the volume is -1"),
        ("2024-01-05,10,12,9,11,inf", "the volume is inf"),
    ],
)
def test_a_bad_row_is_named_with_file_line_and_day(folder: Path, row: str, message: str) -> None:
    error = refused(folder, write(folder, HEADER, *GOOD, row))
    day = row[:10]
    assert error.message == f"TEST.csv, line 5 ({day}): {message}."


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2024-01-05,ten,12,10,11,200", "TEST.csv, line 5: the open 'ten' is not a number."),
        ("2024-01-05,10,12,10,11", "TEST.csv, line 5: 5 fields instead of 6."),
        ("tomorrow,10,12,10,11,200", "TEST.csv, line 5: 'tomorrow' is not a time."),
        (",10,12,10,11,200", "TEST.csv, line 5: the time is missing."),
        ("2024-13-05,10,12,10,11,200", "TEST.csv, line 5: '2024-13-05' is not a time."),
    ],
)
def test_a_cell_that_is_no_figure_is_named_with_its_line(
    folder: Path, row: str, message: str
) -> None:
    assert refused(folder, write(folder, HEADER, *GOOD, row)).message == message


def test_thousands_are_understood_and_decimal_commas_are_not(folder: Path) -> None:
    rows = [f'2024-01-0{i},"1,000.5",1001,1000,1000.5,"1,234,567"' for i in (2, 3)]
    [done] = import_files([write(folder, HEADER, *rows)], folder)
    assert read_bars(done.path, "TEST", "1d").volume.tolist() == [1234567, 1234567]
    rows = [f"2024-01-0{i};10,5;11;10;10,5;1" for i in (2, 3)]
    path = write(folder, HEADER.replace(",", ";"), *rows)
    with pytest.raises(BadParameterError, match=r"line 2: the open '10,5' is not a number"):
        import_files([path], folder)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_rows_are_refused(folder: Path, count: int) -> None:
    error = refused(folder, write(folder, HEADER, *GOOD[:count]))
    assert "no rows" in error.message or "fewer than 2 bars" in error.message


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["Date,Open,High,Low", "2024-01-02,1,1,1"], "TEST.csv has no column close."),
        (["Open,High,Low,Close", "1,1,1,1"], "TEST.csv has no column date."),
        ([HEADER + ",Adj Close,adjusted_close"], "two columns for adj_close"),
        ([""], "TEST.csv has no column date and no open"),
    ],
)
def test_missing_and_double_columns_are_named(folder: Path, lines: list[str], message: str) -> None:
    assert message in refused(folder, write(folder, *lines)).message


@pytest.mark.parametrize("ratio", [1 / 2, 2, 1 / 3, 3, 1 / 4, 4, 1 / 7, 0.51, 1.95, 20, 1 / 28])
def test_a_jump_that_looks_like_a_split_is_refused_unless_allowed(
    folder: Path, ratio: float
) -> None:
    price = 100 * ratio
    path = write(
        folder,
        HEADER,
        "2024-01-02,100,100,100,100,1",
        f"2024-01-03,{price},{price},{price},{price},1",
        f"2024-01-04,{price},{price},{price},{price},1",
    )
    error = refused(folder, path)
    assert error.message.startswith("TEST.csv, line 3 (2024-01-03): the close ")
    assert "looks like a split" in error.message
    assert "allow jumps" in (error.hint or "")
    [done] = import_files([path], folder, allow_jumps=True)
    assert closes(done)[0] == 100
    assert len(read_bars(done.path, "TEST", "1d")) == 3  # and it can be read again


@pytest.mark.parametrize("ratio", [0.6, 0.75, 1.3, 1.7, 2.4, 0.42])
def test_a_real_crash_is_not_taken_for_a_split(folder: Path, ratio: float) -> None:
    price = 100 * ratio
    rows = ["2024-01-02,100,100,100,100,1", f"2024-01-03,{price},{price},{price},{price},1"]
    assert import_files([write(folder, HEADER, *rows)], folder)[0].rows == 2


def test_a_symbol_column_gives_one_data_set_each(folder: Path) -> None:
    rows = [f"{symbol},{row}" for row in GOOD for symbol in ("bbb", "AAA")]
    path = write(folder, f"Ticker,{HEADER}", *rows, name="many of them.csv")
    assert [done.symbol for done in import_files([path], folder)] == ["AAA", "BBB"]
    assert [done.symbol for done in import_files([path], folder, symbol="BBB")] == ["BBB"]
    with pytest.raises(BadParameterError, match="has no rows of CCC") as caught:
        import_files([path], folder, symbol="CCC")
    assert caught.value.hint == "It has AAA, BBB."


def test_a_line_of_the_second_symbol_is_named_by_its_own_line(folder: Path) -> None:
    rows = [f"{symbol},{row}" for row in GOOD for symbol in ("AAA", "BBB")]
    rows[3] = "BBB,2024-01-03,-1,12,10,11,200"
    error = refused(folder, write(folder, f"Symbol,{HEADER}", *rows))
    assert error.message == "TEST.csv, line 5 (2024-01-03): the open is -1."


def test_a_bad_file_keeps_the_good_one_beside_it_out(folder: Path) -> None:
    good = write(folder, HEADER, *GOOD, name="GOOD.csv")
    bad = write(folder, HEADER, *GOOD, "2024-01-05,x,1,1,1,1", name="BAD.csv")
    with pytest.raises(BadParameterError, match=r"BAD\.csv, line 5"):
        import_files([good, bad], folder)
    assert not folder.exists()


def test_two_files_of_one_data_set_are_refused(folder: Path) -> None:
    one = write(folder, HEADER, *GOOD, name="A.csv")
    other = write(folder, HEADER, *GOOD, name="a.txt")
    with pytest.raises(BadParameterError, match=r"a\.txt and A\.csv both hold A 1d"):
        import_files([one, other], folder)


def test_parquet_and_gzip_give_the_same_bars_as_text(folder: Path) -> None:
    text = write(folder, HEADER, *GOOD)
    zipped = folder.parent / "ZIPPED.csv.gz"
    zipped.write_bytes(gzip.compress(text.read_bytes()))
    parquet = folder.parent / "PARQUET.parquet"
    duckdb.connect(":memory:").execute(f"COPY (FROM '{text}') TO '{parquet}' (FORMAT parquet)")
    done = import_files([text, zipped, parquet], folder, origin=Origin("here", "mine"))
    assert len({each.content_hash for each in done}) == 1
    assert [each.symbol for each in done] == ["TEST", "ZIPPED", "PARQUET"]


def test_a_parquet_file_with_a_missing_price_names_its_row(folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    path = folder.parent / "TEST.parquet"
    rows = duckdb.sql(
        "SELECT DATE '2024-01-01' + i::INT AS date, 1 AS open, 1 AS high, 1 AS low,"
        " nullif(1, i) AS close FROM range(3) t(i)"
    )
    assert rows is not None
    rows.write_parquet(str(path))
    error = refused(folder, path)
    assert error.message == "TEST.parquet, line 2 (2024-01-02): the close is missing."


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("A.xlsx", b"PK", "is neither CSV nor Parquet"),
        ("A.csv", b"\xff\xfe\x00\x81", "is not a text file"),
        ("A.csv.gz", b"plain", "is not gzipped"),
        ("A.parquet", b"plain", "is not a readable Parquet file"),
    ],
)
def test_a_file_of_another_kind_is_said_so(
    folder: Path, name: str, content: bytes, message: str
) -> None:
    path = folder.parent / name
    path.write_bytes(content)
    assert message in refused(folder, path).message


def test_a_file_that_is_not_there_is_said_so(folder: Path) -> None:
    with pytest.raises(StoreUnavailableError, match=r"NONE\.csv cannot be read"):
        import_files([folder / "NONE.csv"], folder)


@pytest.mark.parametrize(("option", "value"), [("symbol", "../X"), ("timeframe", "2d")])
def test_malformed_options_are_refused(folder: Path, option: str, value: str) -> None:
    assert "is not a" in refused(folder, write(folder, HEADER, *GOOD), **{option: value}).message


def test_importing_again_replaces_the_bars(folder: Path) -> None:
    import_files([write(folder, HEADER, *GOOD)], folder)
    [done] = import_files([write(folder, HEADER, *GOOD[:2])], folder)
    assert closes(done) == [10.5, 11]
    assert [each.name for each in folder.iterdir()] == ["TEST.1d.parquet"]

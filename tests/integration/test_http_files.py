"""Files over HTTP: all of a file comes in, or nothing; the room sees what, its sender what not."""

import asyncio
import gzip
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pytest
import pytest_asyncio

from chatops.bootstrap import Node
from chatops.rest import operations
from tests.support.caller import Caller
from tests.support.http import Api, Told, api_of
from tests.support.inprocess import running_node
from tests.support.log import stored_log

pytestmark = pytest.mark.asyncio(loop_scope="module")

SESSION = "/api/v1/chatops-advanced/session"
HEAD = "Date,Open,High,Low,Close,Volume\n"
ROWS = "".join(
    f"2024-{1 + day // 28:02}-{1 + day % 28:02},{10 + day % 7},30,5,{11 + day % 5},100\n"
    for day in range(200)
)
PRICES = (HEAD + ROWS).encode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Node, str]]:
    folder = tmp_path_factory.mktemp("files")
    async with running_node(folder, import_max_mb=1, assistant_mode="off") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def api(server: tuple[Node, str]) -> AsyncIterator[Api]:
    async with api_of(server[1]) as it:
        yield it


async def new_session(api: Api) -> str:
    return str((await api.post(f"{SESSION}/create")).body["session_id"])


async def drop(api: Api, session: str, name: str, content: bytes, **query: str) -> Told:
    return await api.post(
        f"{SESSION}/{session}/files", content, None, name=name, user_id="Kim", **query
    )


async def refused(api: Api, server: tuple[Node, str], name: str, content: bytes) -> dict[str, Any]:
    """The refusal, after which nothing may be there and the room was told nothing."""
    session = await new_session(api)
    folder = server[0].settings.market_folder
    before = sorted(folder.glob("*")) if folder.exists() else []
    told = await drop(api, session, name, content)
    assert await stored_log(server[1], session) == []
    assert (sorted(folder.glob("*")) if folder.exists() else []) == before
    assert told.error["hint"]
    return told.error | {"status": told.status}


async def test_prices_that_were_sent_can_be_used_and_the_room_sees_it(
    api: Api, server: tuple[Node, str]
) -> None:
    session = await new_session(api)
    async with Caller(server[1], session, "Lee") as lee:
        told = await drop(api, session, "TSLA.csv", PRICES)
        assert told.status == 200, told.text
        [prices] = told.body["prices"]
        assert (prices["symbol"], prices["timeframe"]) == ("TSLA", "1d")
        assert (prices["bars"], prices["state"]) == (200, "new")
        assert prices["first"] == "2024-01-01T00:00:00.000Z"
        [entry] = await stored_log(server[1], session)
        assert entry["content"] == told.body["message"]
        assert "Kim imported TSLA 1d, 200 bars from 2024-01-01 to 2024-08-04" in entry["content"]
        assert (entry["role"], entry["author"]["id"]) == ("system", "name:kim")
        result = await lee.say("/run_backtest buy_and_hold TSLA")
        assert result["success"], result["message"]

    # Once more changes nothing, and nobody has to read of it.
    [file] = server[0].settings.market_folder.glob("TSLA.*")
    before = file.stat()
    again = await drop(api, session, "TSLA.csv", PRICES)
    assert again.body["prices"][0]["state"] == "unchanged"
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert len(await stored_log(server[1], session)) == 3


async def test_other_prices_of_a_symbol_are_replaced_with_leave_alone(
    api: Api, server: tuple[Node, str]
) -> None:
    problem = await refused(api, server, "AAPL.csv", PRICES)
    assert (problem["status"], problem["code"]) == (409, "conflict")
    assert "AAPL 1d" in problem["message"]
    assert "came with chatops" in problem["message"]
    session = await new_session(api)
    told = await drop(api, session, "AAPL.csv", PRICES, replace="true")
    assert told.body["prices"][0]["state"] == "replaced"
    assert "in the place of others" in told.body["message"]
    # One of several that is refused keeps the others out.
    rows = PRICES.decode().splitlines()
    two = [f"Symbol,{rows[0]}"]
    two += [f"{symbol},{row}" for symbol in ("IBM", "NEWCO") for row in rows[1:]]
    problem = await refused(api, server, "two.csv", "\n".join(two).encode())
    assert problem["code"] == "conflict"
    assert "IBM" in problem["message"]
    assert "NEWCO" not in problem["message"]
    both = "\n".join(two).replace("IBM", "OTHERCO").encode()
    told = await drop(api, session, "two.csv", both)
    assert [one["symbol"] for one in told.body["prices"]] == ["NEWCO", "OTHERCO"]


def _parquet(folder: Path, name: str, query: str) -> bytes:
    path = folder / name
    duckdb.connect().execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path.read_bytes()


BAD = {
    "empty.csv": b"",
    "HEAD.csv": HEAD.encode(),
    "notes.exe": PRICES,
    "no ending": PRICES,
    "not a symbol!.csv": PRICES,
    "X1.parquet": b"PAR1 no more of it",
    "X2.csv.gz": b"\x1f\x8b\x08\x00" + os.urandom(64),
    "X3.csv.gz": gzip.compress(bytes(300 << 20), 1)[: 1 << 20],
    "X4.csv": PRICES.replace(b",11,100", b',"=HYPERLINK(""http://x"")",100', 1),
    "X5.csv": b"Symbol," + PRICES.replace(b"\n2024", b"\n../../etc/passwd,2024"),
    "X6.csv": b"Symbol," + PRICES.replace(b"\n2024", b"\n=1+1,2024"),
    "X7.csv": os.urandom(1000),
    "X8.csv": PRICES + b"2025-01-01,nan,1,1,1,1\n",
    "X9.csv": PRICES + PRICES.splitlines()[1] + b"\n",
    "deep.json": b"[" * 1000,
    "none.json": b'{"strategies": []}',
    "presets.json": b'{"name": "momentum", "type": "momentum", "params": {"momentum_period": 3}}',
    "rule.json": b'{"name": "mine", "type": "__class__"}',
    "late.json": b'[{"name": "fine", "type": "macd"}, {"name": "../x", "type": "macd"}]',
    "twice.json": b'[{"name": "fine", "type": "macd"}, {"name": "fine", "type": "macd"}]',
    "word.json": b'{"name": "w", "type": "momentum", "params": {"momentum_period": "9"}}',
}


@pytest.mark.parametrize("name", BAD)
async def test_a_file_that_does_not_pass_leaves_nothing(
    api: Api, server: tuple[Node, str], name: str
) -> None:
    problem = await refused(api, server, name, BAD[name])
    assert problem["status"] == 400
    assert problem["code"] == "bad_parameter"
    assert (await server[0].store.strategies.list_strategies()) == []


@pytest.mark.parametrize(
    "name", ["../TSLA.csv", "a\\b.csv", ".csv", "a\x00.csv", "한" * 100 + ".csv"]
)
async def test_a_name_is_no_path(api: Api, server: tuple[Node, str], name: str) -> None:
    assert (await refused(api, server, name, PRICES))["code"] == "bad_parameter"


async def test_a_few_bytes_that_stand_for_many_rows_are_refused(
    api: Api, server: tuple[Node, str], tmp_path: Path
) -> None:
    bomb = _parquet(
        tmp_path,
        "BOMB.parquet",
        "SELECT DATE '2024-01-02' AS date, 1.0 AS open, 1.0 AS high, 1.0 AS low, 1.0 AS close"
        " FROM range(3_000_000)",
    )
    assert len(bomb) < 1 << 20
    problem = await refused(api, server, "BOMB.parquet", bomb)
    assert "3,000,000 rows" in problem["message"]


async def test_what_is_too_long_or_nowhere_is_refused(api: Api, server: tuple[Node, str]) -> None:
    problem = await refused(api, server, "LONG.csv", PRICES + b"\n" * (1 << 20))
    assert problem["status"] == 413
    problem = await refused(api, server, "long.json", b" " * 65 * 1024 + b"{}")
    assert problem["status"] == 413
    told = await drop(api, "nowhere", "TSLA.csv", PRICES)
    assert told.error["code"] == "not_found"


async def test_the_room_goes_on_while_a_file_is_read(api: Api, server: tuple[Node, str]) -> None:
    session = await new_session(api)
    async with Caller(server[1], session, "Lee") as lee:
        coming = asyncio.create_task(drop(api, session, "SLOW.csv", HEAD.encode() + _many(9_000)))
        acked = 0
        while not coming.done():
            ack = await lee.ask("sendMessage", sessionId=session, content="still here")
            assert ack["ok"]
            acked += 1
            await asyncio.sleep(0.02)
        assert (await coming).status == 200
    assert acked > 10


@asynccontextmanager
async def stalled(url: str, session: str) -> AsyncIterator[asyncio.StreamReader]:
    """An upload of which nothing arrives but its beginning."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        head = f"POST {SESSION}/{session}/files?name=A.csv HTTP/1.1\r\nHost: x\r\n"
        writer.write(f"{head}Content-Length: 1000\r\n\r\nDate".encode())
        await writer.drain()
        yield reader
    finally:
        writer.close()


async def test_only_a_few_files_are_held_and_the_next_is_asked_to_wait(
    api: Api, server: tuple[Node, str], capsys: pytest.CaptureFixture[str]
) -> None:
    session = await new_session(api)
    async with AsyncExitStack() as held:
        for _ in range(4):
            await held.enter_async_context(stalled(server[1], session))
        deadline = asyncio.get_running_loop().time() + 10
        while (told := await drop(api, session, "TSLA.csv", PRICES)).status == 200:
            assert asyncio.get_running_loop().time() < deadline, "nothing holds the four places"
        assert (told.status, told.error["code"]) == (503, "queue_full")
        assert told.error["retryAfterSeconds"]
        assert (await api.post(f"{SESSION}/create")).status == 200
    deadline = asyncio.get_running_loop().time() + 10
    while (told := await drop(api, session, "TSLA.csv", PRICES)).status == 503:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)
    assert told.status == 200
    assert "request_failed" not in "".join(capsys.readouterr())


async def test_a_body_that_does_not_come_is_not_waited_for(
    api: Api, server: tuple[Node, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await new_session(api)
    monkeypatch.setattr(operations, "_BODY_WITHIN_S", 0.3)
    async with stalled(server[1], session) as reader:
        answer = await reader.readuntil(b"}}")
    assert b"HTTP/1.1 422" in answer
    assert b"did not arrive within 0.3 seconds" in answer


def _many(rows: int) -> bytes:
    return b"".join(
        b"%d-%02d-%02d,10,12,9,11,100\n" % (1950 + n // 336, 1 + n // 28 % 12, 1 + n % 28)
        for n in range(rows)
    )


async def test_strategies_that_were_listed_can_be_brought_back(
    api: Api, server: tuple[Node, str]
) -> None:
    session = await new_session(api)
    word = {"X-Chatops-Client": "a-word-of-hers"}
    several = [
        {"name": "fast_cross", "type": "sma_crossover", "params": {"short_window": 10}},
        {"name": "slow", "type": "momentum", "description": "=1+1"},
    ]
    path = f"{SESSION}/{session}/files"
    query = {"name": "mine.json", "user_id": "Kim"}
    told = await api.post(path, json.dumps(several).encode(), word, **query)
    assert [(one["name"], one["state"]) for one in told.body["strategies"]] == [
        ("fast_cross", "new"),
        ("slow", "new"),
    ]
    async with Caller(server[1], session, "Kim", clientId=word["X-Chatops-Client"]) as kim:
        # Hers, as if she had typed them.
        edited = await kim.say("/strategy edit fast_cross long_window=40")
        assert edited["success"], edited["message"]
        listed = await kim.say("/strategies")
        again = await api.post(path, json.dumps(listed["data"]).encode(), word, **query)
        assert {one["state"] for one in again.body["strategies"]} == {"unchanged"}
        shown = await kim.say("/strategy show slow")
        again = await api.post(path, json.dumps(shown["data"]).encode(), word, **query)
        assert [one["name"] for one in again.body["strategies"]] == ["slow"]
    # Another of the same name is not overwritten, and what stands beside it stays out.
    other = [{"name": "beside", "type": "macd"}, {"name": "slow", "type": "macd"}]
    told = await api.post(path, json.dumps(other).encode(), word, **query)
    assert "slow" in told.error["message"]
    kept = await server[0].store.strategies.list_strategies()
    assert [one.id for one in kept] == ["fast_cross", "slow"]
    told = await api.post(path, PRICES, {"X-Chatops-Client": "no spaces"}, **query)
    assert told.status == 422

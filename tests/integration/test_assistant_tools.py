"""Commands as a model's tools: real runs in real workers, over the real store and room."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chatops.access.identity import Person
from chatops.access.permissions import Action, Target, authorize
from chatops.assistant.figures import Figures
from chatops.assistant.messages import ToolCall
from chatops.assistant.results import SUMMARY
from chatops.assistant.tools import MOST_CALLS, Toolbelt, ToolOutcome, Tools
from chatops.backtests.answers import figure
from chatops.backtests.jobs.service import Jobs
from chatops.backtests.market.catalogue import Catalogue
from chatops.backtests.planning import Planner
from chatops.backtests.strategies.book import StrategyBook
from chatops.chat.reports import JobReports
from chatops.cluster.local import Alone
from chatops.commands import Toolbox, build_registry
from chatops.dispatch.dispatcher import Dispatcher
from chatops.errors import NotAllowedError, StoreUnavailableError
from chatops.sessions.service import Sessions
from chatops.stores.sqlite import SqliteStore
from chatops.tasks import Supervisor
from chatops.workers.pool import ProcessPool
from tests.support.nodes import FakeChannel
from tests.support.waiting import until

ANN, BEN = Person("client:ann", "Ann"), Person("client:ben", "김벤")
ROOM = "desk"
DEADLINE_S = 60.0


class Desk:
    """A room with commands, strategies and workers, and no model."""

    def __init__(self, folder: Path) -> None:
        self.supervisor = Supervisor()
        self.store = SqliteStore(folder / "data")
        self.channel = FakeChannel()
        self.sessions = Sessions(self.store.sessions, self.channel, Alone(), self.supervisor)
        self.pool = ProcessPool(
            self.supervisor, slots=1, market_folder=folder, timeout_s=DEADLINE_S, memory_mb=1024
        )
        self.jobs = Jobs(
            self.store.jobs,
            JobReports(self.sessions),
            self.supervisor,
            Alone(),
            workers=self.pool,
            queue_limit=20,
        )
        book, catalogue = StrategyBook(self.store.strategies), Catalogue(folder)
        no_assistant: Any = None  # its own commands are no tools
        box = Toolbox(
            sessions=self.sessions,
            jobs=self.jobs,
            job_store=self.store.jobs,
            planner=Planner(book, catalogue, ("AAPL",)),
            book=book,
            catalogue=catalogue,
            builder=no_assistant,
            questions=no_assistant,
            turns=no_assistant,
            usage=no_assistant,
            policies=no_assistant,
            limits=no_assistant,
            server_facts=lambda: {"version": "1.2.3"},
        )
        self.registry = build_registry(box)

    def tools(self, wait_s: float = DEADLINE_S, may: Any = authorize) -> Tools:
        return Tools(self.registry, Dispatcher(self.registry, may), self.jobs, wait_s=wait_s)

    def turn(self, person: Person = ANN, **how: Any) -> Toolbelt:
        return self.tools(**how).for_turn(person, ROOM, Figures())

    async def log(self) -> list[dict[str, Any]]:
        return [entry.payload for entry in await self.sessions.read_newest(ROOM, 50)]


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Desk]:
    """Provide a desk whose workers have not come yet."""
    made = Desk(tmp_path)
    await made.store.open()
    made.sessions.open()
    await made.jobs.open()
    await made.sessions.enter(ROOM, ANN)
    yield made
    await made.jobs.close()
    await made.supervisor.close(0)
    await made.store.close()


@pytest.fixture
async def desk(shop: Desk) -> AsyncIterator[Desk]:
    shop.pool.open()
    yield shop
    await shop.jobs.close()
    await shop.pool.close()


def call(tool: str, arguments: str | None = None, **values: Any) -> ToolCall:
    return ToolCall("call_1", tool, json.dumps(values) if arguments is None else arguments)


async def run(belt: Toolbelt, tool: str, arguments: str | None = None, **values: Any) -> Any:
    """Run a tool; return what the model reads, as JSON, and the step."""
    outcome: ToolOutcome = await asyncio.wait_for(
        belt.run(call(tool, arguments, **values)), DEADLINE_S
    )
    assert belt.steps[-1] is outcome.step
    return json.loads(outcome.content), outcome.step


async def test_a_run_is_the_rooms_and_its_figures_reach_the_model_as_references(
    desk: Desk,
) -> None:
    desk.channel.enter("c1", ROOM)
    figures = Figures()
    belt = desk.tools().for_turn(ANN, ROOM, figures)
    told, step = await run(
        belt,
        "run_backtest",
        strategy="sma_crossover",
        symbols=["AAPL"],
        start="2005-01-01",
        params={"short_window": 10, "long_window": 30},
    )
    assert step.success
    line = "/run_backtest sma_crossover AAPL start=2005-01-01 short_window=10 long_window=30"
    assert step.to_wire() == {
        "command": line,
        "arguments": {
            "strategy": "sma_crossover",
            "symbols": ["AAPL"],
            "start": "2005-01-01",
            "params": {"short_window": 10, "long_window": 30},
        },
        "summary": step.summary,
        "durationMs": step.duration_ms,
        "success": True,
    }
    assert "sma_crossover" in step.summary
    assert step.duration_ms > 10
    await until_answered(desk)
    (entry,) = await desk.log()
    assert entry["command"] == line
    assert entry["requestedBy"] == {"id": ANN.id, "name": ANN.name}
    job = await desk.store.jobs.get(told["facts"]["backtestId"])
    assert job is not None
    assert job.summary is not None
    assert entry["data"]["backtestId"] == job.id
    metrics = job.summary["metrics"]
    for name in ("total_return", "sharpe_ratio", "trades", "final_equity"):
        shown = figure(name, metrics[name])
        assert told["figures"][f"{{{{r1.{name}}}}}"] == shown
        assert figures.fill(f"r1.{name}") == shown
    assert len(json.dumps(told, separators=(",", ":"), ensure_ascii=False)) <= SUMMARY


async def until_answered(desk: Desk) -> None:
    while await desk.store.jobs.owed():  # noqa: ASYNC110 - the store tells nobody
        await asyncio.sleep(0.01)


async def test_an_equal_run_is_reused_and_a_comparison_waits_for_its_runs(desk: Desk) -> None:
    belt = desk.turn()
    first, _ = await run(belt, "run_backtest", strategy="macd")
    again, step = await run(desk.turn(BEN), "run_backtest", strategy="macd")
    assert step.success
    assert again["facts"]["reused"]
    assert again["facts"]["backtestId"] == first["facts"]["backtestId"]
    both, _ = await run(belt, "compare_strategies", strategies=["macd", "momentum"])
    assert both["result"] == "r2"
    assert "{{r2.macd.sharpe_ratio}}" in both["figures"]
    assert {row["strategyId"] for row in both["facts"]["ranking"]} == {"macd", "momentum"}
    proof, _ = await run(belt, "rerun", id=first["facts"]["backtestId"])
    assert proof["facts"]["rerunOf"]["identical"]
    await until_answered(desk)
    assert [entry["success"] for entry in await desk.log()] == [True] * 4


async def test_more_of_a_result_is_read_in_pages(desk: Desk) -> None:
    belt = desk.turn()
    await run(belt, "run_backtest", strategy="macd")
    found = await belt.run(call("read_result", handle="r1", path="benchmark"))
    assert json.loads(found.content)["trades"] == 0
    whole = ""
    while True:
        page = await belt.run(call("read_result", handle="r1", path="points", offset=len(whole)))
        text, _, more = page.content.partition("\n[")
        whole += text
        if not more:
            break
    assert len(json.loads(whole)) > 500
    words = await belt.run(call("read_result", handle="r1", path="text"))
    assert words.content.startswith("**macd")
    assert all(step.success for step in belt.steps)
    for wrong in ({"handle": "r7"}, {"handle": "r1", "path": "nowhere"}, {}):
        told, step = await run(belt, "read_result", **wrong)
        assert not step.success
        assert "error" in told


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("no_such_tool", "{}", "There is no tool"),
        ("help", "{}", "There is no tool"),
        ("whoami", "{}", "There is no tool"),
        ("ask", "{}", "There is no tool"),
        ("run", '{"strategy": "macd"}', "There is no tool"),
        ("run_backtest", '{"strategy": ', "not JSON"),
        ("run_backtest", "[1]", "no JSON object"),
        ("run_backtest", '{"strategy": "macd", "fee": 7}', "fee"),
        ("run_backtest", '{"strategy": "macd", "fee": NaN}', "not JSON"),
        ("run_backtest", '{"strategy": "mcad"}', "Did you mean macd"),
        ("run_backtest", '{"strategy": "macd", "symbols": ["NOPE"]}', "NOPE"),
        ("run_backtest", '{"strategy": "macd", "colour": "red"}', "colour"),
        ("run_backtest", '{"strategy": {"a": 1}}', "give one value"),
        ("run_backtest", "{}", "strategy is missing"),
        ("backtest", '{"id": "bt_nothing"}', "There is no backtest"),
        ("compare_strategies", '{"strategies": ["macd"]}', ""),
        ("", "", "There is no tool"),
    ],
)
async def test_what_is_wrong_is_told_to_the_model_and_is_a_step(
    shop: Desk, name: str, arguments: str, says: str
) -> None:
    told, step = await run(shop.turn(), name, arguments)
    assert told["success"] is False
    assert says in told["error"]
    assert not step.success
    assert step.summary
    assert "Traceback" not in told["error"]
    assert await shop.log() == []


async def test_a_tool_has_the_rights_of_the_person_who_asked(shop: Desk) -> None:
    made, _ = await run(shop.turn(ANN), "strategy", action="create", name="mine", type="macd")
    assert made["success"]
    told, step = await run(shop.turn(BEN), "strategy", action="delete", name="mine")
    assert "Only its owner" in told["error"]
    assert not step.success
    assert (await run(shop.turn(ANN), "strategy", action="delete", name="mine"))[1].success

    def refuse(person: Person, action: Action, _target: Target) -> None:
        if person == BEN and action == Action.RUN_COMMAND:
            raise NotAllowedError("Ben may not run this.")

    told, step = await run(shop.turn(BEN, may=refuse), "strategies")
    assert told["error"] == "Ben may not run this."
    assert not step.success


async def test_a_job_that_takes_too_long_goes_on_and_the_model_is_told(desk: Desk) -> None:
    belt = desk.turn(wait_s=0.01)
    told, step = await run(belt, "run_backtest", strategy="macd")
    assert "goes on" in told["text"]
    (now,) = desk.jobs.standing()
    assert now.job.id in told["text"]
    assert step.success
    await desk.jobs.ended(now.job.id)
    await until_answered(desk)
    assert (await desk.log())[-1]["success"]


async def test_a_turn_that_is_cancelled_leaves_its_job_to_the_room(desk: Desk) -> None:
    belt = desk.turn()
    turn = asyncio.ensure_future(belt.run(call("run_backtest", strategy="macd")))
    await until(lambda: bool(desk.jobs.standing()), 10, "the job is there")
    job = desk.jobs.standing()[0].job
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    (step,) = belt.steps
    assert (step.arguments, step.success) == ({"strategy": "macd"}, False)
    assert step.summary == "It was stopped."
    assert (await desk.jobs.ended(job.id)).state == "completed"
    await until_answered(desk)
    assert [entry["success"] for entry in await desk.log()] == [True]


async def test_a_job_that_somebody_cancels_is_a_failed_step(desk: Desk) -> None:
    turn = asyncio.ensure_future(run(desk.turn(), "run_backtest", strategy="macd"))
    await until(lambda: bool(desk.jobs.standing()), 10, "the job is there")
    await desk.jobs.cancel(desk.jobs.standing()[0].job.id, BEN)
    told, step = await turn
    assert not step.success
    assert "cancelled by 김벤" in told["error"]


async def test_a_command_that_breaks_does_not_take_the_answer_with_it(
    shop: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    async def away(*_: object) -> None:
        raise StoreUnavailableError("The store is away.", "Wait.")

    monkeypatch.setattr(shop.store.jobs, "list_jobs", broken)
    told, step = await run(shop.turn(), "backtests")
    assert told["error"] == "This command failed inside the server. Do without it."
    assert not step.success
    monkeypatch.setattr(shop.store.jobs, "list_jobs", away)
    told, _ = await run(shop.turn(), "backtests")
    assert told["error"] == "The store is away. Wait."


async def test_one_answer_runs_only_so_many_tools(shop: Desk) -> None:
    belt = shop.turn()
    for _ in range(MOST_CALLS):
        assert (await run(belt, "strategies"))[1].success
    told, step = await run(belt, "strategies")
    assert "at most" in told["error"]
    assert not step.success
    for tool in ("read_result", "nothing_like_that", "strategies") * 10:
        assert "at most" in (await belt.run(call(tool, handle="r1"))).content
    assert len(belt.steps) == MOST_CALLS + 1


async def test_the_summary_of_every_command_is_small(desk: Desk) -> None:
    belt = desk.turn()
    await run(belt, "run_backtest", strategy="momentum", symbols=["AAPL", "MSFT", "IBM"])
    listed = ["backtests", "symbols", "strategies", "jobs", "failed_backtests", "history"]
    for name in [*listed, "status", "export", "cancel"]:
        outcome = await belt.run(call(name))
        assert len(outcome.content) <= SUMMARY
    told, _ = await run(belt, "backtests")
    (row,) = told["facts"]["backtests"]
    assert f"{{{{{told['result']}.{row['backtestId']}.sharpe_ratio}}}}" in told["figures"]


def test_what_is_offered_and_what_it_costs(tmp_path: Path) -> None:
    """The offered tools are a part of every prompt; who makes them larger says so here."""
    offered = Desk(tmp_path).tools().offered
    assert [tool.name for tool in offered] == [
        "run_backtest",
        "backtest",
        "backtests",
        "rerun",
        "symbols",
        "compare_strategies",
        "jobs",
        "cancel",
        "failed_backtests",
        "strategies",
        "strategy",
        "usage",
        "models",
        "history",
        "export",
        "rename",
        "status",
        "read_result",
    ]
    sent = [
        {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
        for tool in offered
    ]
    size_bytes = len(json.dumps(sent, separators=(",", ":")).encode())
    assert size_bytes == 7_297
    docs = Path(__file__).parents[2] / "docs" / "topics" / "assistant.md"
    assert f"{size_bytes:,} bytes" in docs.read_text(encoding="utf-8")

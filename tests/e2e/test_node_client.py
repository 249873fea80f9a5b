"""The Node bot, used as a person and as a script use it; Python and Node in one room."""

import asyncio
import sys
from pathlib import Path

from tests.support.members import NodeMember, PythonMember
from tests.support.node import EXAMPLE
from tests.support.program import Program
from tests.support.provider import Asked, Provider, Say
from tests.support.proxy import CuttingProxy
from tests.support.screen import Screen
from tests.support.server import ServerProcess
from tests.support.waiting import until

SESSION = "desk"
BACKTEST = "/run_backtest sma_crossover AAPL"
TERMINAL = str(EXAMPLE.parent / "python" / "chatops_terminal.py")


def bot(node: str, url: str, *more: str) -> Program:
    return Program(bot_at(node, url, *more))


def bot_at(node: str, url: str, *more: str) -> list[str]:
    return [node, str(EXAMPLE / "bot.mjs"), "--url", url, "--session", SESSION, *more]


async def test_once_prints_progress_and_the_reference_figure(
    server: ServerProcess, node: str
) -> None:
    async with bot(node, server.url, "--once", BACKTEST) as program:
        done = await program.ended()
    assert done.code == 0, done.err
    assert done.out.count("637.59 %") == 1
    assert "[  0 %] sma_crossover on AAPL: queued" in done.err
    assert "[100 %] sma_crossover on AAPL: done" in done.err


async def test_once_says_what_is_wrong_and_exits_with_1(server: ServerProcess, node: str) -> None:
    async with bot(node, server.url, "--once", "/run_bactest") as program:
        done = await program.ended()
    assert (done.code, done.out) == (1, "")
    assert 'Unknown command "/run_bactest". Did you mean "/run_backtest"?' in done.err


async def test_the_bot_runs_what_somebody_at_a_python_terminal_asks_it(
    server: ServerProcess, node: str, tmp_path: Path
) -> None:
    person = [sys.executable, TERMINAL, "--url", server.url, "--session", SESSION]
    async with (
        Program([*person, "--name", "Mina"], XDG_CONFIG_HOME=str(tmp_path)) as terminal,
        bot(node, server.url) as program,
    ):
        await terminal.says("bot: Hello!")
        terminal.type("bot run no_such_strategy AAPL")
        await terminal.says("bot: I cannot: ")
        terminal.type("bot run sma_crossover AAPL")
        await terminal.says("sma_crossover on AAPL: done (bot)")
        await terminal.says("637.59 %")
        await program.says("637.59 %")


async def test_the_bot_answers_who_greets_it_and_not_itself(
    server: ServerProcess, node: str
) -> None:
    async with (
        bot(node, server.url) as program,
        PythonMember(server.url, SESSION, "Mina") as mina,
    ):
        await program.says("bot: Hello! Say")
        mina.send("bot hello")
        await program.says("bot: Hello, Mina!")
        mina.send("good bye")
        await program.says("Mina: good bye")
    said = [text for _, text in mina.seen if not text.startswith("Hello! Say")]
    assert said == ["bot hello", "Hello, Mina!", "good bye"]


async def test_the_bot_asks_the_assistant_and_prints_the_answer_as_it_is_written(
    assisted: ServerProcess, provider: Provider, node: str
) -> None:
    tool = Asked("1", "run_backtest", '{"strategy": "momentum", "symbols": ["AAPL"]}')
    words = "It gained {{r1.total_return}} in the years from 2000 to 2013, after all costs, and"
    provider.answers += [Say("", tools=(tool,)), Say(words, then="hang")]
    async with (
        Screen(bot_at(node, assisted.url), columns=200) as screen,
        PythonMember(assisted.url, SESSION, "Mina") as mina,
    ):
        await screen.shows("bot: Hello! Say")
        mina.send("bot ask how much did momentum gain?")
        await screen.shows("assistant: run_backtest")
        await screen.shows("assistant: It gained 2,052.79 % in the years")
        assert not any("It gained" in text for _, text in mina.seen)
        mina.send("/stop")
        await screen.shows("Stopped by Mina.")
    answers = [line for line in screen.all_lines if "It gained" in line]
    assert len(answers) == 1, answers


async def test_a_cut_connection_costs_the_bot_no_piece_of_an_answer(
    assisted: ServerProcess, provider: Provider, node: str
) -> None:
    words = " ".join(f"word{number}" for number in range(80))
    provider.answers += [Say(words, pause_s=0.1)]  # to its greeting
    async with CuttingProxy(assisted.url) as way, bot(node, way.url) as program:
        await until(lambda: len(provider.written) == 1, 30, "the question")
        for _ in range(3):
            await asyncio.sleep(1.0)
            await until(lambda: way.cut() == 1, 10, "a connection to cut")
        await program.says(f"assistant: {words}")
        assert sum("word79" in line for line in program.out) == 1


async def test_python_and_node_see_the_same_entries_in_the_same_order(
    server: ServerProcess, node: str
) -> None:
    async with (
        PythonMember(server.url, SESSION, "Mina") as one,
        NodeMember(server.url, SESSION, "Jun") as other,
    ):
        for number in range(15):
            one.send(f"안녕 {number}")
            other.send(f"hello {number}")
        one.send(BACKTEST)
        await until(lambda: len(one.seen) == len(other.seen) == 32, 30, "all entries at both")
    assert one.seen == other.seen
    assert [seq for seq, _ in one.seen] == list(range(1, 33))
    assert sum("637.59 %" in text for _, text in one.seen) == 1
    assert one.trouble == other.trouble == []


async def test_a_conversation_goes_on_when_the_server_is_killed_and_comes_back(
    server: ServerProcess, node: str
) -> None:
    async with NodeMember(server.url, SESSION, "Jun") as member:
        member.send("before")
        await until(lambda: "before" in member.acked, 10, "the ack")
        await server.kill()
        member.send("meanwhile 1")
        member.send("meanwhile 2")
        await server.start()
        await until(lambda: "meanwhile 2" in member.acked, 30, "the acks after the restart")
    said = ["before", "meanwhile 1", "meanwhile 2"]
    assert member.seen == list(enumerate(said, start=1))
    assert member.trouble == []


async def test_a_message_whose_ack_was_lost_is_stored_and_shown_once(
    server: ServerProcess, node: str
) -> None:
    async with (
        CuttingProxy(server.url) as way,
        PythonMember(server.url, SESSION, "Mina") as watcher,
        NodeMember(way.url, SESSION, "Jun") as member,
    ):
        member.send("first")
        await until(lambda: "first" in member.acked, 10, "the ack")
        way.close_way_back()
        member.send("second")
        await until(lambda: len(watcher.seen) == 2, 10, "the server has stored it")
        assert "second" not in member.acked
        assert way.cut() == 1
        way.open_way_back()
        await until(lambda: "second" in member.acked, 20, "the ack of the retry")
    assert member.seen == watcher.seen == [(1, "first"), (2, "second")]
    assert member.acked == {"first": 1, "second": 2}

"""``chatops run``: one command from a shell, and its exit code."""

import signal
import sys

from tests.support.program import Ended, Program
from tests.support.server import ServerProcess

NOWHERE = "http://127.0.0.1:1"


async def run(*arguments: str) -> Ended:
    async with Program([sys.executable, "-m", "chatops", "run", *arguments]) as program:
        return await program.ended()


async def test_a_backtest_prints_its_figures_and_exits_with_0(server: ServerProcess) -> None:
    done = await run("/run_backtest sma_crossover AAPL", "--url", server.url, "--name", "Mina")
    assert done.code == 0
    assert "637.59 %" in done.out
    assert "sma_crossover on AAPL · queued" in done.err
    assert done.err.splitlines()[-1] == "100 % · sma_crossover on AAPL · completed"


async def test_the_slash_may_be_left_out_and_a_private_command_is_answered(
    server: ServerProcess,
) -> None:
    done = await run("help run_backtest", "--url", server.url)
    assert done.code == 0
    assert "run_backtest" in done.out
    assert done.err == ""


async def test_an_unknown_command_says_what_was_meant_and_exits_with_1(
    server: ServerProcess,
) -> None:
    done = await run("/run_bactest", "--url", server.url)
    assert done.code == 1
    assert done.out == ""
    assert done.err == (
        'Unknown command "/run_bactest". Did you mean "/run_backtest"? Type /help for all commands.'
    )


async def test_without_a_server_it_says_so_in_one_line_and_exits_with_1() -> None:
    done = await run("/help", "--url", NOWHERE)
    assert done.code == 1
    assert done.out == ""
    assert done.err == (
        f"The server at {NOWHERE} does not answer. Check --url, or start one with: chatops serve"
    )


async def test_ctrl_c_ends_the_waiting_without_a_traceback(server: ServerProcess) -> None:
    command = "/run_backtest sma_crossover AAPL MSFT IBM GOOG fresh=true"
    arguments = ["chatops", "run", command, "--url", server.url]
    async with Program([sys.executable, "-m", *arguments]) as program:
        await program.says("queued")
        program.interrupt(signal.SIGINT)
        done = await program.ended()
    assert done.code == 130
    assert "No longer waiting." in done.err
    assert "Traceback" not in done.err


async def test_the_result_comes_although_the_server_dies_while_it_runs(
    server: ServerProcess,
) -> None:
    command = "/run_backtest sma_crossover AAPL"
    arguments = ["chatops", "run", command, "--url", server.url]
    async with Program([sys.executable, "-m", *arguments]) as program:
        await program.says("queued")
        await server.kill()
        await server.start()
        done = await program.ended()
    assert done.out.count("637.59 %") == 1
    assert done.code == 0

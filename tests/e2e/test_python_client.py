"""The Python terminal client, used as a person and as a script use it."""

import sys
from pathlib import Path
from typing import Any

from wcwidth import wcswidth

from tests.support.members import ROOT, PythonMember, Room
from tests.support.program import Program
from tests.support.provider import Asked, Provider, Say
from tests.support.proxy import CuttingProxy
from tests.support.screen import Screen
from tests.support.server import ServerProcess
from tests.support.waiting import until

TERMINAL = str(ROOT / "client_examples" / "python" / "chatops_terminal.py")
SESSION = "desk"
BACKTEST = "/run_backtest sma_crossover AAPL"
MOMENTUM = Asked("1", "run_backtest", '{"strategy": "momentum", "symbols": ["AAPL"]}')
ANSWER = "It gained {{r1.total_return}} in the years from 2000 to 2013, after all costs."
ANSWERED = "It gained 2,052.79 % in the years from 2000 to 2013, after all costs."
END = "\x04"


def command(url: str, name: str, *more: str) -> list[str]:
    arguments = ["--url", url, "--session", SESSION, "--name", name, *more]
    return [sys.executable, TERMINAL, *arguments]


def terminal(url: str, folder: Path, *more: str, name: str = "Mina") -> Program:
    return Program(command(url, name, *more), XDG_CONFIG_HOME=str(folder))


def at_terminal(
    url: str, folder: Path, *more: str, name: str = "Mina", columns: int = 100
) -> Screen:
    return Screen(command(url, name, *more), columns=columns, XDG_CONFIG_HOME=str(folder))


async def test_once_prints_progress_and_the_reference_figure(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with terminal(server.url, tmp_path, "--once", BACKTEST) as program:
        done = await program.ended()
    assert done.code == 0, done.err
    assert done.out.count("637.59 %") == 1
    assert "sma_crossover on AAPL: queued" in done.err
    assert done.err.splitlines()[-1] == "[100 %] sma_crossover on AAPL: done (Mina)"


async def test_once_says_what_is_wrong_and_exits_with_1(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with terminal(server.url, tmp_path, "--once", "/run_bactest") as program:
        done = await program.ended()
    assert (done.code, done.out) == (1, "")
    assert 'Unknown command "/run_bactest". Did you mean "/run_backtest"?' in done.err


async def test_the_client_id_is_kept_and_private(server: ServerProcess, tmp_path: Path) -> None:
    said = set()
    for _ in range(2):
        async with terminal(server.url, tmp_path, "--once", "/whoami") as program:
            said.add((await program.ended()).out)
    assert len(said) == 1
    kept = tmp_path / "chatops-terminal" / "client-id"
    assert kept.stat().st_mode & 0o777 == 0o600


async def test_lines_from_a_pipe_are_all_sent_and_answered_before_it_ends(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with PythonMember(server.url, SESSION, "Jun") as watcher:
        async with terminal(server.url, tmp_path) as program:
            for line in ("안녕하세요", "", BACKTEST, "/help run_backtest"):
                program.type(line)
            done = await program.ended()
        assert done.code == 0, done.err
        assert "Mina: 안녕하세요" in done.out
        assert "637.59 %" in done.out
        await until(lambda: len(watcher.seen) == 3, 10, "three entries for everybody")
    assert [text for _, text in watcher.seen][:2] == ["안녕하세요", BACKTEST]


async def test_a_conversation_goes_on_when_the_server_is_killed_and_comes_back(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with terminal(server.url, tmp_path) as program:
        program.type("before")
        await program.says("Mina: before")
        await server.kill()
        program.type("meanwhile 1")
        program.type("meanwhile 2")
        await program.says("Not connected")
        await server.start()
        await program.says("Mina: meanwhile 2")
        program.type("after")
        done = await program.ended()
    said = [line.partition(": ")[2] for line in done.out.splitlines()]
    assert said == ["before", "meanwhile 1", "meanwhile 2", "after"]
    async with PythonMember(server.url, SESSION, "Jun") as late:
        assert late.seen == list(enumerate(said, start=1))


async def test_a_message_whose_ack_was_lost_is_stored_and_shown_once(
    server: ServerProcess, tmp_path: Path
) -> None:
    """The way back is closed before it is sent, and cut when another member has seen it."""
    async with (
        CuttingProxy(server.url) as way,
        PythonMember(server.url, SESSION, "Jun") as watcher,
        terminal(way.url, tmp_path) as program,
    ):
        program.type("first")
        await program.says("Mina: first")
        way.close_way_back()
        program.type("second")
        await until(lambda: len(watcher.seen) == 2, 10, "the server has stored it")
        assert not any("second" in line for line in program.out)
        assert way.cut() == 1
        way.open_way_back()
        await program.says("Mina: second")
        program.type("third")
        done = await program.ended()
        await until(lambda: len(watcher.seen) == 3, 10, "the third")
    said = [line.partition(": ")[2] for line in done.out.splitlines()]
    assert said == ["first", "second", "third"]
    assert watcher.seen == list(enumerate(said, start=1))


async def test_once_prints_the_answer_to_a_question_and_what_the_assistant_does(
    assisted: ServerProcess, provider: Provider, tmp_path: Path
) -> None:
    provider.answers += [Say("", tools=(MOMENTUM,)), Say(ANSWER)]
    async with terminal(assisted.url, tmp_path, "--once", "/ask How much?") as program:
        done = await program.ended()
    assert (done.code, done.out) == (0, ANSWERED), done.err
    assert "assistant: run_backtest" in done.err.splitlines()


async def test_lines_show_an_answer_once(
    assisted: ServerProcess, provider: Provider, tmp_path: Path
) -> None:
    async with terminal(assisted.url, tmp_path) as program:
        program.type("/ask How much?")
        done = await program.ended()
    said = [line.partition(" ")[2] for line in done.out.splitlines()]
    assert said == ["Mina: /ask How much?", f"assistant: {Say().text}"]


async def test_bars_are_edited_in_place_and_a_line_and_a_framed_result_stay(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with at_terminal(server.url, tmp_path) as screen:
        await screen.shows("1 here: Mina")
        screen.type(f"{BACKTEST} MSFT IBM GOOG")
        await screen.shows("✔ sma_crossover")
        await screen.shows("╰─")
        screen.press(END)
        assert await screen.ended() == 0
    bars = [sum("━" in line for line in frame.splitlines()) for frame in screen.frames]
    assert max(bars) == 1
    assert not any("━━━" in line for line in screen.all_lines)
    assert not any("Traceback" in line for line in screen.all_lines)


async def test_korean_names_and_words_keep_their_columns(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with at_terminal(server.url, tmp_path, columns=72, name="김민아") as screen:
        await screen.shows("1 here: 김민아")
        words = "오늘은 이동평균 전략과 모멘텀 전략을 비교해 보겠습니다. " * 3
        screen.type(words)
        await screen.shows(f"김민아 {words[:20]}")
        screen.type(BACKTEST)
        await screen.shows("╰─")
    said = next(line for line in screen.all_lines if f"김민아 {words[:5]}" in line)
    following = screen.all_lines[screen.all_lines.index(said) + 1]
    assert wcswidth(following) - wcswidth(following.lstrip()) == wcswidth(said.partition("오")[0])
    frame = [line for line in screen.all_lines if line[:1] in ("╭", "│", "╰")]
    assert len({wcswidth(line) for line in frame}) == 1
    assert any("김민아" in line for line in frame)


async def test_what_others_say_does_not_steer_the_terminal(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with (
        PythonMember(server.url, SESSION, "Jun \x1b[2J") as jun,
        at_terminal(server.url, tmp_path) as screen,
        terminal(server.url, tmp_path) as program,
    ):
        await screen.shows("here: Jun")
        jun.send("red \x1b[31malert\x1b]0;title\x07 end")
        await screen.shows("red �[31malert�]0;title� end")
        await program.says("red �[31malert�]0;title� end")


async def test_tab_completes_a_command_and_its_values_by_the_server(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with at_terminal(server.url, tmp_path) as screen:
        await screen.shows("1 here: Mina")
        screen.press("/compa\t")
        await screen.shows("❯ /compare_strategies")
        screen.press("\x03/run_backtest sma_c\t")
        await screen.shows("❯ /run_backtest sma_crossover")


async def test_an_answer_is_shown_while_it_is_written_and_then_stands_as_a_whole(
    assisted: ServerProcess, provider: Provider, tmp_path: Path
) -> None:
    invented = "Its Sharpe ratio was 9.87 , which is a good one for so simple a rule ."
    provider.answers += [Say("", tools=(MOMENTUM,)), Say(f"{ANSWER} {invented}", pause_s=0.1)]
    async with at_terminal(assisted.url, tmp_path) as screen:
        await screen.shows("1 here: Mina")
        screen.type("How much did momentum gain?")
        await screen.shows("⚙ run_backtest")
        await screen.shows("⚠ no result bears out: 9.87")
        await screen.hides("Ctrl-C stops the answer")
    text = "\n".join(screen.all_lines)
    assert text.count("2,052.79 % in the years") == 1
    assert "⚙" not in text
    assert "9.87 (unverified)" in text
    written = [frame for frame in screen.frames if "It gained" in frame and "simple" not in frame]
    assert len(written) > 5


async def test_control_c_stops_our_answer_and_leaves_what_is_being_typed(
    assisted: ServerProcess, provider: Provider, tmp_path: Path
) -> None:
    provider.answers += [Say("It " * 30, pause_s=0.05, then="hang")]
    async with at_terminal(assisted.url, tmp_path) as screen:
        await screen.shows("1 here: Mina")
        screen.type("How much did momentum gain?")
        await screen.shows("It It It")
        screen.press("half a line")
        await screen.shows("❯ half a line")
        screen.press("\x03")
        await screen.shows("Stopped by Mina.")
        assert any("❯ half a line" in line for line in screen.display)
        await provider.until("gone")
        screen.press("\x03")
        await screen.hides("half a line")
        screen.press(END)
        assert await screen.ended() == 0


async def test_control_c_leaves_the_answer_to_somebody_else(
    assisted: ServerProcess, provider: Provider, tmp_path: Path
) -> None:
    provider.answers += [Say("It " * 30, pause_s=0.1)]
    async with (
        PythonMember(assisted.url, SESSION, "Jun") as jun,
        at_terminal(assisted.url, tmp_path) as screen,
    ):
        await screen.shows("2 here: Jun, Mina")
        jun.send("How much did momentum gain?")
        await screen.shows("It It It")
        screen.press("half a line\x03")
        await until(lambda: len(jun.seen) == 2, 30, "the answer")
    assert jun.seen[1][1] == ("It " * 30).strip()


async def test_control_c_stops_the_answer_to_the_one_question(
    assisted: ServerProcess, provider: Provider, tmp_path: Path
) -> None:
    provider.answers += [Say("It " * 30, pause_s=0.05, then="hang")]
    async with at_terminal(assisted.url, tmp_path, "--once", "/ask How much?") as screen:
        await screen.shows("It It It")
        screen.press("\x03")
        assert await screen.ended() == 130
        await provider.until("gone")


async def test_a_cut_connection_costs_no_piece_of_an_answer(
    assisted: ServerProcess, provider: Provider
) -> None:
    provider.answers += [Say(" ".join(map(str, range(1000, 1060))), pause_s=0.1)]
    pieces: list[str] = []
    whole: list[str] = []

    def listen(event: str, payload: dict[str, Any]) -> None:
        if event == "messageDelta":
            assert not whole
            pieces.append(payload["delta"])
            assert payload["text"] == "".join(pieces)
        elif event == "message" and payload["role"] == "assistant":
            whole.append(payload["content"])

    async with (
        CuttingProxy(assisted.url) as way,
        Room(way.url, SESSION, name="Mina", listener=listen) as room,
    ):
        await room.send("Count.")
        for cuts in (1, 2, 3):
            told = len(pieces)
            await until(lambda told=told: len(pieces) > told + 5, 20, "pieces")  # type: ignore[misc]
            way.cut()
            assert way.cuts == cuts
        await until(lambda: bool(whole), 30, "the answer")
        assert not room.writing
    assert whole == ["".join(pieces)]


async def test_a_terminal_goes_on_when_the_server_is_killed_in_the_middle_of_an_answer(
    assisted: ServerProcess, provider: Provider, tmp_path: Path
) -> None:
    provider.answers += [Say("It " * 30, pause_s=0.05, then="hang")]
    async with at_terminal(assisted.url, tmp_path) as screen:
        await screen.shows("1 here: Mina")
        screen.type("How much did momentum gain?")
        await screen.shows("It It It")
        await assisted.kill()
        await screen.shows("The connection is lost; trying again.")
        await screen.shows("○ connecting")
        screen.type("typed meanwhile")
        await screen.shows("· sending: typed meanwhile")
        await assisted.start()
        await screen.shows("Connected again.")
        await screen.shows("The server went away before this was answered.")
        await screen.shows("Mina typed meanwhile")
        await screen.hides("· sending: typed meanwhile")
        await screen.shows(Say().text)
        await screen.hides("Ctrl-C stops the answer")
        screen.press(END)
        assert await screen.ended() == 0
    async with PythonMember(assisted.url, SESSION, "Jun") as late:
        said = [text for _, text in late.seen]
    shown = "\n".join(screen.all_lines)
    assert [text for text in said if shown.count(text.splitlines()[-1].strip("*")) != 1] == []

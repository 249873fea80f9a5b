from dataclasses import replace

import pytest
from pydantic import JsonValue

from chatops.access.identity import Person
from chatops.access.permissions import Action, Target
from chatops.dispatch.dispatcher import Dispatcher
from chatops.dispatch.registry import Registry
from chatops.dispatch.result import CommandResult, Outcome
from chatops.dispatch.spec import CommandContext
from chatops.errors import BadParameterError, NotAllowedError, NotFoundError, UnknownCommandError
from tests.unit.dispatch.conftest import ANN, CONTEXT, HELP, REGISTRY, RUN, NoParameters


def let(person: Person, action: Action, target: Target) -> None:
    """Everybody may do everything."""


DISPATCHER = Dispatcher(REGISTRY, let)


def test_a_typed_line_keeps_its_words() -> None:
    call = DISPATCHER.resolve_text("  /Run-Backtest  sma —fee 0.5 ")
    assert call.spec is RUN
    assert call.text == "/Run-Backtest  sma —fee 0.5"
    assert call.parameters.model_dump(exclude_unset=True) == {"strategy": "sma", "fee": 0.5}


@pytest.mark.parametrize(
    ("command", "parameters", "text"),
    [
        ("help", None, "/help"),
        ("/HELP", {}, "/help"),
        ("rb", {"strategy_id": "sma", "fee": 0.5}, "/run_backtest sma fee=0.5"),
        ("/run_backtest", {"args": ["sma", "A"]}, "/run_backtest sma A"),
        ("run_backtest sma  A", None, "/run_backtest sma  A"),
        ("/run_backtest sma  A", {}, "/run_backtest sma  A"),
        ("run_backtest sma A", {"fee": 0.5}, "/run_backtest sma A fee=0.5"),
        ("run_backtest sma fee=0.1", {"fee": 0.5}, "/run_backtest sma fee=0.5"),
        ("run_backtest sma --fee 0.1", {"fee": 0.5}, "/run_backtest sma fee=0.5"),
        ("run_backtest A", {"strategyId": "sma"}, "/run_backtest sma A"),
        ("run_backtest sma x=1 y=2", {"x": 3}, "/run_backtest sma x=3 y=2"),
        ("run_backtest sma A", {"args": ["B"]}, "/run_backtest sma A B"),
        ("run_backtest", {"strategy": "삼성 전자"}, '/run_backtest "삼성 전자"'),
    ],
)
def test_a_programs_request_gets_the_line_that_says_the_same(
    command: str, parameters: dict[str, JsonValue] | None, text: str
) -> None:
    call = DISPATCHER.resolve_values(command, parameters)
    assert call.text == text
    assert DISPATCHER.resolve_text(text) == call


@pytest.mark.parametrize("command", ["", "/", "/ x", "전략", "/전략 x"])
def test_an_unknown_command_is_refused_in_both_forms(command: str) -> None:
    with pytest.raises(UnknownCommandError):
        DISPATCHER.resolve_values(command, {"a": 1})
    with pytest.raises(UnknownCommandError):
        DISPATCHER.resolve_text(command)


def test_a_call_too_long_for_the_room_is_refused() -> None:
    with pytest.raises(BadParameterError) as caught:
        DISPATCHER.resolve_values("run_backtest", {"strategy": "x" * 5000})
    assert caught.value.message == "This command has 5014 characters, more than 5000."


async def test_a_command_runs_as_the_person_after_the_one_permission_check() -> None:
    asked: list[tuple[Person, Action, Target]] = []

    def note(person: Person, action: Action, target: Target) -> None:
        asked.append((person, action, target))

    dispatcher = Dispatcher(REGISTRY, note)
    outcome = await dispatcher.run(CONTEXT, dispatcher.resolve_text("/rb sma"))
    assert outcome == CommandResult(message="Ann: RunParameters")
    assert asked == [(ANN, Action.RUN_COMMAND, Target(session_id="s1", name="/run_backtest"))]


async def test_who_may_not_run_it_does_not() -> None:
    ran: list[str] = []

    async def run(ctx: CommandContext, parameters: NoParameters) -> Outcome:
        ran.append(ctx.command_id)
        return CommandResult(message="ran")

    def refuse(person: Person, action: Action, target: Target) -> None:
        raise NotAllowedError(f"You may not run {target.name}.")

    dispatcher = Dispatcher(Registry([replace(HELP, run=run)]), refuse)
    with pytest.raises(NotAllowedError, match="You may not run /help"):
        await dispatcher.run(CONTEXT, dispatcher.resolve_text("/help"))
    assert ran == []


@pytest.mark.parametrize("error", [NotFoundError("No such backtest."), ZeroDivisionError("fault")])
async def test_what_a_command_raises_reaches_the_caller_untouched(error: Exception) -> None:
    async def run(ctx: CommandContext, parameters: NoParameters) -> Outcome:
        raise error

    dispatcher = Dispatcher(Registry([replace(HELP, run=run)]), let)
    with pytest.raises(type(error)) as caught:
        await dispatcher.run(CONTEXT, dispatcher.resolve_text("/help"))
    assert caught.value is error

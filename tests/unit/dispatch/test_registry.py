from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from chatops.dispatch.registry import Registry
from chatops.dispatch.spec import NAMED_ONLY, OPEN, Parameters
from chatops.errors import UnknownCommandError
from tests.unit.dispatch.conftest import CLOSED, COMPARE, HELP, REGISTRY, RUN


@pytest.mark.parametrize(
    "name",
    [
        "run_backtest",
        "run-backtest",
        "RUN_BACKTEST",
        "runBacktest",
        "/run_backtest",
        "rb",
        "백테스트",
    ],
)
def test_a_command_is_found_by_every_spelling_of_its_names(name: str) -> None:
    assert REGISTRY.find(name) is RUN


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        (
            "run_bactest",
            'Unknown command "/run_bactest".',
            'Did you mean "/run_backtest"? Type /help for all commands.',
        ),
        (
            "comp",
            'Unknown command "/comp".',
            'Did you mean "/compare_strategies"? Type /help for all commands.',
        ),
        ("전략", 'Unknown command "/전략".', "Type /help for all commands."),
        (
            "벡테스트",
            'Unknown command "/벡테스트".',
            'Did you mean "/백테스트"? Type /help for all commands.',
        ),
        ("", 'Unknown command "/".', "Type /help for all commands."),
    ],
)
def test_an_unknown_command_is_answered_with_the_nearest(
    name: str, message: str, hint: str
) -> None:
    with pytest.raises(UnknownCommandError) as caught:
        REGISTRY.find(name)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@settings(deadline=None)
@given(st.text(min_size=8))
def test_no_name_breaks_the_search(name: str) -> None:
    with pytest.raises(UnknownCommandError) as caught:
        REGISTRY.find(name + "\x1b" + "?" * 5000)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 80


def test_commands_are_grouped_by_family_in_the_order_given() -> None:
    assert list(REGISTRY.specs().items()) == [
        ("General", (HELP,)),
        ("Backtests", (RUN, COMPARE)),
        ("Sessions", (CLOSED,)),
    ]


@pytest.mark.parametrize(
    "other",
    [
        replace(HELP, name="run_backtest"),
        replace(HELP, name="runbacktest"),
        replace(HELP, aliases=("Run-Backtest",)),
        replace(HELP, aliases=("rb",)),
        replace(HELP, aliases=("help",)),
        replace(HELP, name="with space"),
        replace(HELP, name=""),
    ],
)
def test_a_name_that_is_taken_or_cannot_be_typed_is_refused_at_the_start(
    other: object,
) -> None:
    with pytest.raises(ValueError, match="cannot be used"):
        Registry((RUN, other))  # type: ignore[arg-type] # replace() forgets the generic


class Inner(BaseModel):
    x: int = 1


class Nested(Parameters):
    inner: Inner = Inner()


class NestedList(Parameters):
    inner: list[list[int]] = Field(default_factory=list)


class TwoOpen(Parameters):
    one: dict[str, int] = Field(default_factory=dict, json_schema_extra=OPEN)
    two: dict[str, int] = Field(default_factory=dict, json_schema_extra=OPEN)


class SameAlias(Parameters):
    one_two: int = 1
    other: int = Field(1, validation_alias="oneTwo")


class CalledArgs(Parameters):
    args: tuple[str, ...] = ()


class OpenText(Parameters):
    more: str = Field("", json_schema_extra=OPEN)


class ClosedDict(Parameters):
    more: dict[str, int] = Field(default_factory=dict, json_schema_extra=NAMED_ONLY)


@pytest.mark.parametrize(
    "model", [Nested, NestedList, TwoOpen, SameAlias, CalledArgs, OpenText, ClosedDict]
)
def test_parameters_that_cannot_be_given_as_words_are_refused_at_the_start(
    model: type[Parameters],
) -> None:
    with pytest.raises(TypeError, match=model.__name__):
        Registry((replace(HELP, parameters=model),))  # type: ignore[arg-type] # replace() forgets the generic

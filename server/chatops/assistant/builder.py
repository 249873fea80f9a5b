"""A strategy from a description: the model chooses rule and parameters, the book checks them."""

import json
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chatops.access.identity import Person
from chatops.assistant.calls import Caller, ModelCalls
from chatops.assistant.messages import Message, Request, unfenced
from chatops.backtests.ports import SavedStrategy
from chatops.errors import AppError, BadParameterError, UpstreamFailedError

if TYPE_CHECKING:
    from chatops.backtests.strategies.book import StrategyBook

log = structlog.get_logger(__name__)

SERVICE = "strategy_builder"

TRIES = 3
"""How often the model may try; after a mistake it is told what was wrong."""

_INSTRUCTION = """\
You turn a description of a trading strategy into a configuration of one of the rules below. Choose
the rule that comes nearest; if none does, say so in `problem`. Answer with one JSON object and
nothing else:
{"name": snake_case name, "type": name of the rule, "params": {parameter: number},
 "description": one sentence of what it does, "problem": null or one sentence}

Rules:
"""


class Built(BaseModel):
    """What the model answers."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = ""
    type: str = ""
    params: dict[str, int | float] = Field(default_factory=dict)
    description: str = ""
    problem: str | None = None


class Builder:
    """Builds strategies."""

    def __init__(self, calls: ModelCalls, book: "StrategyBook") -> None:
        self._calls = calls
        self._book = book

    async def build(self, person: Person, session_id: str, description: str) -> SavedStrategy:
        """Return a new strategy of the person's, checked and not yet saved. Safe to cancel.

        Raises:
            AssistantOffError, BudgetUsedError: The model cannot be asked.
            BadParameterError: No rule does what is described.
            UpstreamFailedError: The model was asked three times and gave nothing that is valid.
        """
        messages = [
            Message("system", _INSTRUCTION + self._book.rules()),
            Message("user", description),
        ]
        caller = Caller(person, session_id, SERVICE)
        for _ in range(TRIES):
            request = Request(tuple(messages), temperature=0.2)
            said = (await self._calls.complete(caller, request)).text
            try:
                return await self._checked(person, _read(said))
            except _NoRuleError as error:
                raise BadParameterError(
                    str(error)[:300], "Describe it in terms of the rules that /strategies lists."
                ) from None
            except (AppError, ValueError) as error:
                log.info("strategy_refused", reason=str(error)[:300])
                messages += [
                    Message("assistant", said),
                    Message("user", f"That is not valid: {error} Answer again."),
                ]
        raise UpstreamFailedError(
            "The language model gave no valid strategy.",
            "Say it in other words, or create it yourself with /strategy create.",
        )

    async def _checked(self, person: Person, built: Built) -> SavedStrategy:
        if built.problem:
            raise _NoRuleError(built.problem)
        drafted = self._book.draft(
            person, built.name, built.type, dict(built.params), built.description
        )
        await self._book.check_free(drafted.id)
        return drafted


class _NoRuleError(Exception):
    """The model says that no rule does it."""


def _read(said: str) -> Built:
    """Return what the model answered.

    Raises:
        ValueError: It is not of the form.
    """
    try:
        value: Any = json.loads(unfenced(said))
        return Built.model_validate(value)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        where = ".".join(map(str, wrong["loc"])) or "answer"
        raise ValueError(f"{where}: {wrong['msg']}") from None

"""A comparison in the model's words: asked for, and believed only where its figures are ours."""

from dataclasses import dataclass

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chatops.assistant.calls import Caller, ModelCalls
from chatops.assistant.figures import Figures
from chatops.assistant.messages import Message, Request, unfenced
from chatops.errors import (
    AssistantOffError,
    BudgetUsedError,
    StoreUnavailableError,
    UpstreamFailedError,
)

log = structlog.get_logger(__name__)

SERVICE = "narrative_report"

_INSTRUCTIONS = """\
You write the words of a report that compares trading strategies, for the team that runs them.
You are given a question and the results. Answer with one JSON object and nothing else:
{"summary": text of 100 to 450 characters, "recommendation": text of 100 to 450 characters,
"reasoning": text of 200 to 900 characters}.
Use only figures that stand in the results, written as they stand there; compute none.
Say what is uncertain. Past results are no promise of future ones."""


class Words(BaseModel):
    """What a report of a comparison says."""

    model_config = ConfigDict(frozen=True)

    summary: str = Field(min_length=50, max_length=500)
    recommendation: str = Field(min_length=50, max_length=500)
    reasoning: str = Field(min_length=50, max_length=1_000)


@dataclass(frozen=True, slots=True)
class Told:
    """Words of a model, and its id."""

    words: Words
    model_id: str


class Narrator:
    """Has the model word what was computed."""

    def __init__(self, calls: ModelCalls) -> None:
        self._calls = calls

    async def tell(
        self, caller: Caller, question: str, results: str, model_id: str | None
    ) -> Told | None:
        """Return the results in a model's words, or None where they must do without.

        That is when there is no model, no money or no answer, when the answer is not of the form,
        or when a figure of it stands neither in the results nor in the question.

        Raises:
            ModelNotAllowedError: The service may not use that model.
        """
        model = self._calls.model_for(caller.service, model_id)
        request = Request(
            (
                Message("system", _INSTRUCTIONS),
                Message("user", f"Question: {question}\n\nResults:\n{results}"),
            ),
            temperature=0.2,
        )
        try:
            said = await self._calls.complete(caller, request, model.model_id)
        except (
            AssistantOffError,
            BudgetUsedError,
            StoreUnavailableError,
            UpstreamFailedError,
        ) as error:
            log.info("narrative_without_model", code=error.code)
            return None
        words = _read(said.text)
        if words is None:
            log.warning("narrative_refused", reason="form", model=model.model_id)
            return None
        wrong = unfounded(" ".join(words.model_dump().values()), f"{question}\n{results}")
        if wrong:
            log.warning("narrative_refused", reason="figures", model=model.model_id, figures=wrong)
            return None
        return Told(words, model.model_id)


def unfounded(text: str, facts: str) -> list[str]:
    """Return the figures of a text that do not stand in the facts, as they are or rounded."""
    figures = Figures()
    figures.add_text(facts)
    writer = figures.writer()
    writer.feed(text)
    writer.close()
    return [one.text for one in writer.figures if not one.verified]


def _read(text: str) -> Words | None:
    try:
        return Words.model_validate_json(unfenced(text))
    except ValidationError:
        return None

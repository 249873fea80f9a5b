"""One answer: rounds of model and tools, until the model has said its last word."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from chatops.access.identity import ASSISTANT, Person
from chatops.assistant.asking import AskOptions
from chatops.assistant.briefing import Briefing
from chatops.assistant.calls import Caller, ModelCalls
from chatops.assistant.catalogue import ModelConfig
from chatops.assistant.figures import Figures, FigureWriter
from chatops.assistant.history import conversation, recent, spoken
from chatops.assistant.messages import Completion, Message, Request, Tool, ToolCall
from chatops.assistant.ports import AnswerCache
from chatops.assistant.tools import Toolbelt, Tools
from chatops.errors import AssistantOffError
from chatops.protocol.strictjson import dumps
from chatops.sessions.model import Entry
from chatops.sessions.service import Sessions

SERVICE = "chatops_advanced"

ROUNDS = 8
"""How often a model may ask for tools before it has to answer with what it has."""

CACHE_S = 3600.0

READY = Tool(
    "answer",
    "Have the answer written, from all that was found. Call it alone, as soon as nothing more has "
    "to be run, and at once where nothing has to be run at all",
    {"type": "object", "properties": {}, "additionalProperties": False},
)
"""By which a model that only chooses tools says that it is done."""

_WRITE = """

Tools have been used for this answer as far as they were needed. What they gave stands below, and
nothing more can be run: announce no runs, and say so if something is missing."""

CUT = "\n\n*This answer has met the limit of its length.*"


class Voice(Protocol):
    """What an answer is given to."""

    def say(self, piece: str) -> None:
        """Show a piece of the text; an empty one is nothing."""
        ...

    def do(self, what: str) -> None:
        """Show what is being done for the answer."""
        ...


@dataclass(slots=True)
class Progress:
    """What has become of an answer so far; it is there also when the answer breaks off.

    Attributes:
        model_id: The model that is asked; empty before it was chosen.
        belt: The tools' runs.
        writer: The figures.
        cached: Whether the answer was given before.
    """

    model_id: str = ""
    belt: Toolbelt | None = None
    writer: FigureWriter | None = None
    cached: bool = False

    @property
    def acted(self) -> bool:
        """Whether a tool has been run."""
        return self.belt is not None and bool(self.belt.steps)

    def metadata(self) -> dict[str, Any]:
        """Return what is kept with the answer."""
        kept: dict[str, Any] = {}
        if self.model_id:
            kept["model"] = self.model_id
        if self.belt is not None and self.acted:
            kept["steps"] = [step.to_wire() for step in self.belt.steps]
        if self.writer is not None and self.writer.figures:
            kept["figures"] = [figure.to_wire() for figure in self.writer.figures]
        if self.cached:
            kept["cached"] = True
        return kept


class Answerer:
    """Answers questions of a room."""

    def __init__(
        self,
        sessions: Sessions,
        calls: ModelCalls,
        tools: Tools,
        briefing: Briefing,
        cache: AnswerCache,
    ) -> None:
        self._sessions = sessions
        self._calls = calls
        self._tools = tools
        self._briefing = briefing
        self._cache = cache

    def check_model(self, model_id: str | None) -> None:
        """Return if questions may be answered by the model.

        Raises:
            ModelNotAllowedError: They may not.
        """
        self._calls.model_for(SERVICE, model_id)

    async def answer(self, question: Entry, voice: Voice, progress: Progress) -> None:
        """Answer the question; ``voice`` hears each piece that may be shown.

        Safe to cancel at any moment; ``progress`` then has what was done until then.

        Raises:
            AssistantOffError: It has been switched off since the question was asked.
            AppError: The model cannot be asked, or its answer broke off.
        """
        if await self._sessions.mode(question.session_id) == "off":
            raise switched_off()
        options = AskOptions.of(question.payload.get("metadata"))
        author = question.payload["author"]
        person = Person(question.author_id, author["name"])
        caller = Caller(person, question.session_id, SERVICE)
        model = self._calls.model_for(SERVICE, options.model_id)
        chooser = None if options.model_id else self._calls.tools_model(SERVICE)
        tools = self._tools.offered if chooser or model.supports_tools else ()
        progress.model_id = model.model_id
        figures = Figures()
        progress.belt = self._tools.for_turn(person, question.session_id, figures)
        progress.writer = writer = figures.writer()
        messages = await self._messages(question, options, figures)

        key = _key([one.model_id for one in (chooser, model) if one], messages, tools)
        if (known := await self._cache.get(key)) is not None:
            progress.cached = True
            voice.say(writer.feed(known) + writer.close())
            return
        if chooser is not None:
            await self._choose(caller, chooser, messages, progress.belt, voice)
            messages[0] = replace(messages[0], content=messages[0].content + _WRITE)
            tools = ()
        said = Completion()
        for left in reversed(range(ROUNDS + 1)):
            request = Request(tuple(messages), tools if left else ())
            said = await self._round(caller, model, request, writer, voice)
            if not said.tool_calls:
                break
            voice.say(writer.feed("\n\n") if said.text else "")
            messages += await _run(said.text, said.tool_calls, progress.belt, voice)
        if said.finish == "length":
            voice.say(CUT)
        if not progress.belt.steps and said.finish == "stop" and said.text:
            await self._cache.put(key, said.text, CACHE_S)

    async def _choose(
        self,
        caller: Caller,
        model: ModelConfig,
        messages: list[Message],
        belt: Toolbelt,
        voice: Voice,
    ) -> None:
        """Run the tools that a cheaper model chooses; what came of them is added to the messages.

        It is to call ``READY`` when it is done. One that speaks instead is done too; the room does
        not see its words.
        """
        tools = (*self._tools.offered, READY)
        for _ in range(ROUNDS):
            request = Request(tuple(messages), tools, must_call=True)
            said = await self._calls.complete(caller, request, model.model_id)
            wanted = [one for one in said.tool_calls if one.name != READY.name]
            if not wanted:
                break
            messages += await _run("", wanted, belt, voice)

    async def _round(
        self,
        caller: Caller,
        model: ModelConfig,
        request: Request,
        writer: FigureWriter,
        voice: Voice,
    ) -> Completion:
        async with self._calls.stream(caller, request, model.model_id) as answer:
            try:
                async for delta in answer:
                    voice.say(writer.feed(delta.text))
            finally:  # what was held back was said, also when the answer breaks off
                voice.say(writer.close())
            return answer.completion()

    async def _messages(
        self, question: Entry, options: AskOptions, figures: Figures
    ) -> list[Message]:
        """Return what the model is told; its figures of runs and people count as known."""
        briefing = await self._briefing.write(question.session_id, options)
        earlier: list[Message] = []
        if options.history:
            told = await recent(partial(self._sessions.read, question.session_id), question)
            earlier = conversation(told, question)
            for entry in told:
                for one in (entry.payload.get("metadata") or {}).get("figures", ()):
                    if one["verified"] and entry.author_id == ASSISTANT.id:
                        figures.add_text(one["text"])
        for message in earlier:
            if message.role != "assistant":
                figures.add_text(message.content, said=message.role == "user")
        asked = spoken(question.payload)
        figures.add_text(asked)
        return [Message("system", briefing), *earlier, Message("user", asked)]


async def _run(text: str, calls: Sequence[ToolCall], belt: Toolbelt, voice: Voice) -> list[Message]:
    """Run what a model asks for; return its words and what came of them, for its next round."""
    told = [Message("assistant", text, tuple(calls))]
    for call in calls:
        voice.do(call.name)
        result = await belt.run(call)
        told.append(Message("tool", result.content, tool_call_id=call.id))
    return told


def switched_off() -> AssistantOffError:
    """Return what is said where the room wants no answers."""
    return AssistantOffError(
        "The assistant is switched off in this session.",
        "Switch it on with /assistant always, or /assistant addressed.",
    )


def _key(models: Sequence[str], messages: Sequence[Message], tools: Sequence[Tool]) -> str:
    """Return the key of an answer: the whole prompt, never the question alone."""
    whole = [
        models,
        [[one.role, one.content] for one in messages],
        [one.name for one in tools],
    ]
    return hashlib.sha256(dumps(whole).encode()).hexdigest()

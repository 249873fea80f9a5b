"""Which messages the assistant answers."""

import re
from collections import OrderedDict

from chatops.access.identity import Person
from chatops.assistant.answering import switched_off
from chatops.assistant.asking import AskOptions
from chatops.assistant.client import no_model
from chatops.assistant.speaking import told
from chatops.assistant.turns import Turns
from chatops.errors import QueueFullError
from chatops.sessions.service import Sessions

_ADDRESSED = re.compile(r"(?<![\w@.])[@＠]assistant(?![a-z0-9_])", re.IGNORECASE)
"""Not in an address; words of other scripts may follow at once, as in ``@assistant야``."""

_ROOMS_TOLD = 10_000


class Questions:
    """Decides whether a message is a question, and hands questions to the turns.

    Attributes:
        available: Whether there is a model to answer.
    """

    def __init__(self, sessions: Sessions, turns: Turns, waiting: int) -> None:
        """Make it; ``waiting`` questions of a person may wait in a session, 0: any number."""
        self.available = turns.available
        self._sessions = sessions
        self._turns = turns
        self._waiting = waiting
        self._told: OrderedDict[str, None] = OrderedDict()

    async def wanted(
        self,
        session_id: str,
        person: Person,
        content: str,
        *,
        key: str | None = None,
        ask: AskOptions | None = None,
    ) -> bool:
        """Return whether the assistant is to answer a message, if there is one.

        Raises:
            QueueFullError: It is, but too many of the person's questions wait already.
            AssistantOffError: With ``ask``: there is no model, or the room has switched it off.
            ModelNotAllowedError: With ``ask``: not by that model.
        """
        if ask is not None:
            await self.check(session_id, ask)
        else:
            mode = await self._sessions.mode(session_id)
            to_it = mode == "addressed" and _ADDRESSED.search(content) is not None
            if not to_it and mode != "always":
                return False
        if self.available:
            await self.check_place(session_id, person, key)
        return True

    async def check_place(self, session_id: str, person: Person, key: str | None = None) -> None:
        """Return if one more question of the person may wait in the session.

        Two that come at the same moment over two connections may both find the last place. The
        question that is stored under ``key`` already does not count.

        Raises:
            QueueFullError: So many wait already.
        """
        if not self._waiting:
            return
        found = await self._sessions.open_questions(session_id)
        mine = [one.payload.get("clientMessageId") for one in found if one.author_id == person.id]
        if sum(key is None or one != key for one in mine) >= self._waiting:
            raise QueueFullError(
                f"{len(mine)} of your questions wait for an answer here, so your newest gets none.",
                "Ask again when they have been answered.",
            )

    async def check(self, session_id: str, ask: AskOptions) -> None:
        """Return if a question would be answered.

        Raises:
            AssistantOffError: There is no model, or the room has switched it off.
            ModelNotAllowedError: Not by that model.
        """
        self.check_model(ask.model_id)
        if await self._sessions.mode(session_id) == "off":
            raise switched_off()

    def check_model(self, model_id: str | None = None) -> None:
        """Return if there is a model, and if it may be this one.

        Raises:
            AssistantOffError: There is none.
            ModelNotAllowedError: Not this one.
        """
        if not self.available:
            raise no_model()
        self._turns.check_model(model_id)

    def asked(self, session_id: str) -> None:
        """Say that a question has been stored. Without a model the room is told so once."""
        if self.available:
            self._turns.asked(session_id)
        else:
            self._tell_once(session_id)

    async def owed(self) -> set[str]:
        """Return the ids of the commands that the assistant has still to answer.

        Raises:
            StoreUnavailableError: Nobody knows.
        """
        if not self.available:
            return set()
        found = await self._sessions.open_questions()
        return {one.command_id for one in found if one.command_id is not None}

    def _tell_once(self, session_id: str) -> None:
        if session_id in self._told:
            return
        self._told[session_id] = None
        if len(self._told) > _ROOMS_TOLD:
            self._told.popitem(last=False)
        self._sessions.emit(session_id, "error", told(no_model(), session_id))

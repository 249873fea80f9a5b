"""Turns: one question of a session is answered at a time, on one node, and ends once.

The log is the queue: a message that asks stays open until its answer is stored, whatever dies
meanwhile. Who answers holds the session's floor, under a lease of the store; see
``docs/topics/assistant.md``.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from chatops.access.identity import Person
from chatops.access.permissions import Action, Target, authorize
from chatops.assistant.answering import Answerer
from chatops.assistant.ports import FLOOR_LEASE_S, Floor, FloorStore, Saying
from chatops.assistant.speaking import Ending, Speaking, ended
from chatops.errors import NotFoundError, StoreUnavailableError
from chatops.protocol.base import new_id, utc_now
from chatops.sessions.model import Entry, NewEntry
from chatops.sessions.service import Sessions
from chatops.tasks import Supervisor

log = structlog.get_logger(__name__)

KEEP_EVERY_S = 0.4
"""Also how soon a node sees that somebody on another one wants its answer to end."""

LOOK_EVERY_S = 2.0
"""How often a node looks for questions that nobody answers, and for floors of the dead."""

TOO_OLD = timedelta(minutes=10)
"""A question that was so old when the server began is not answered any more."""

_AGAIN_S = 0.5
_STOP_AGAIN, _STOP_AGAIN_S = 5, 0.1
_REPEAT_EVERY = 2


class Turns:
    """The turns of all sessions, as this node takes part in them.

    Attributes:
        answerer: Gives the answers. It is set when all commands are known, for they are its tools.
        available: Whether there is a model to answer.
    """

    answerer: Answerer

    def __init__(
        self, sessions: Sessions, floors: FloorStore, supervisor: Supervisor, *, available: bool
    ) -> None:
        self.available = available
        self._sessions = sessions
        self._floors = floors
        self._supervisor = supervisor
        self._serving: dict[str, asyncio.Task[None]] = {}
        self._asked: set[str] = set()
        self._speaking: dict[str, Speaking] = {}
        self._closing = False
        self._since = utc_now()
        self._looking: asyncio.Task[None] | None = None

    # ---------------------------------------------------------------- life

    def open(self) -> None:
        """Begin to look after what dead nodes left, and after questions that nobody answers.

        Without a model only after the first: what had begun has to end.
        """
        self._looking = self._supervisor.start(self._look_after(), "look after turns")

    async def close(self, within_s: float) -> None:
        """End what is being said here, visibly; questions that wait are left to other nodes."""
        self._closing = True
        if self._looking is not None:
            self._looking.cancel()
        for speaking in self._speaking.values():
            speaking.interrupt("interrupted")
        if self._serving:
            await asyncio.wait(self._serving.values(), timeout=within_s)

    # ---------------------------------------------------------------- asking and stopping

    def asked(self, session_id: str) -> None:
        """Say that a question has been stored. Returns at once; the answer comes into the room."""
        self._asked.add(session_id)
        if session_id not in self._serving and not self._closing:
            serving = self._serve(session_id)
            self._serving[session_id] = self._supervisor.start(serving, f"answer {session_id}")

    def check_model(self, model_id: str | None) -> None:
        """Return if a question may be answered by the model.

        Raises:
            ModelNotAllowedError: It may not.
        """
        self.answerer.check_model(model_id)

    async def stop(self, session_id: str, person: Person, message_id: str | None = None) -> bool:
        """End the answer that is being given, on whichever node; what was said stays.

        One that is about to begin is waited for, for half a second.

        Args:
            session_id: The room.
            person: Who wants it.
            message_id: This answer alone; None: whichever it is.

        Returns:
            Whether one was being given.
        """
        authorize(person, Action.STOP_ANSWER, Target(session_id=session_id))
        stopped = await self._floors.stop(session_id, person, message_id)
        for _ in range(_STOP_AGAIN):
            about_to = message_id is None and await self._sessions.open_questions(session_id)
            if stopped or not about_to:
                break
            await asyncio.sleep(_STOP_AGAIN_S)
            stopped = await self._floors.stop(session_id, person, message_id)
        speaking = self._speaking.get(session_id)
        if stopped and speaking is not None and message_id in (None, speaking.message_id):
            speaking.interrupt("stopped", person)
        return stopped

    # ---------------------------------------------------------------- answering

    async def _serve(self, session_id: str) -> None:
        """Answer the session's questions one after another, as long as there are any."""
        try:
            more = True
            while (more or session_id in self._asked) and not self._closing:
                self._asked.discard(session_id)
                more = await self._next(session_id)
        except StoreUnavailableError:
            log.warning("turn_delayed", session=session_id)  # the next look does it
        finally:
            self._asked.discard(session_id)
            self._serving.pop(session_id, None)

    async def _next(self, session_id: str) -> bool:
        """Answer one question; return whether there may be more for this node."""
        fence = await self._floors.take(session_id)
        if fence is None:
            return False  # who holds it looks again when it has been given back
        questions: list[Entry] = []
        begun: Speaking | None = None
        try:
            questions = list(await self._sessions.open_questions(session_id))
            if questions and (begun := await self._begin(questions[0], fence)) is not None:
                await self._turn(begun, fence)
        finally:
            # Given back without its end, the question would be asked, and paid for, again.
            if begun is None or begun.concluded:
                giving_back = self._give_back(session_id, fence)
                await asyncio.shield(self._supervisor.start(giving_back, f"give back {session_id}"))
        # Another node may have stored one, and found the floor taken, while this one looked.
        return bool(questions or await self._sessions.open_questions(session_id))

    async def _give_back(self, session_id: str, fence: int) -> None:
        try:
            await self._floors.give_back(session_id, fence)
        except StoreUnavailableError:
            log.warning("floor_kept", session=session_id)  # until the lease is over

    async def _begin(self, question: Entry, fence: int) -> Speaking | None:
        """Say that the question is being answered; None if it is to be left to another node."""
        speaking = Speaking(self._sessions.streams, question, new_id("msg"))
        kept = await self._keep(speaking, fence)
        return None if kept is None or self._closing else speaking

    async def _turn(self, speaking: Speaking, fence: int) -> None:
        """Have the question answered; unless it is lost, it has its end then."""
        session_id = speaking.session_id
        self._speaking[session_id] = speaking
        keeping = self._supervisor.start(self._keep_on(speaking, fence), f"floor {session_id}")
        try:
            if self._since - speaking.asked_at > TOO_OLD:
                ending = Ending("interrupted")
            else:
                ending = await speaking.run(self.answerer, self._supervisor)
            self._sessions.streams.close(session_id)
            if ending.outcome != "lost":
                await self._conclude(session_id, speaking.entries(ending))
                speaking.concluded = True
        finally:
            keeping.cancel()
            del self._speaking[session_id]

    async def _keep(self, speaking: Speaking, fence: int) -> Floor | None:
        saying = Saying(speaking.turn, speaking.message_id, speaking.text, speaking.about())
        return await self._floors.keep(speaking.session_id, fence, saying)

    async def _keep_on(self, speaking: Speaking, fence: int) -> None:
        """Keep the floor until cancelled, or until it is lost; hear who wants the answer to end."""
        now_s = asyncio.get_running_loop().time
        since_s, times = now_s(), 0
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            times += 1
            if times % _REPEAT_EVERY == 0:
                self._sessions.streams.repeat(speaking.session_id)
            try:
                floor = await self._keep(speaking, fence)
            except StoreUnavailableError:
                if now_s() - since_s < FLOOR_LEASE_S:
                    continue
                floor = None  # another node may have it by now
            if floor is None:
                log.warning("floor_lost", session=speaking.session_id, turn=speaking.turn)
                speaking.interrupt("lost")
                return
            since_s = now_s()
            if floor.stopped_by is not None:
                speaking.interrupt("stopped", floor.stopped_by)

    async def _conclude(self, session_id: str, ends: Sequence[NewEntry]) -> None:
        """Store and show the end of a turn; a store that is away is waited for."""
        for end in ends:
            while True:
                try:
                    await self._sessions.append(session_id, end)
                    break
                except StoreUnavailableError:
                    if self._closing:
                        raise  # the floor lapses, and another node ends the turn
                    await asyncio.sleep(_AGAIN_S)
                except NotFoundError:
                    return  # the session expired meanwhile

    # ---------------------------------------------------------------- what others left

    async def _look_after(self) -> None:
        while True:
            try:
                for floor in await self._floors.lapsed():
                    # One of this node's own is over where it was late itself, and goes on.
                    if floor.session_id not in self._speaking:
                        await self._end_for(floor)
                for question in await self._sessions.open_questions() if self.available else ():
                    self.asked(question.session_id)
            except StoreUnavailableError:
                log.warning("look_after_turns_failed")
            await asyncio.sleep(LOOK_EVERY_S)

    async def _end_for(self, left: Floor) -> None:
        """End the turn of a node that has gone, with what it had said and done."""
        fence = await self._floors.seize(left.session_id, left.fence)
        if fence is None:
            return  # another node was faster
        log.warning("turn_interrupted", session=left.session_id, turn=left.saying.turn)
        for question in await self._sessions.open_questions(left.session_id):
            if question.payload["id"] == left.saying.turn:
                said = left.saying
                ends = ended(question, said.message_id, said.text, _INTERRUPTED, said.about)
                await self._conclude(left.session_id, ends)
        # Not where that failed: the floor lapses again, and the turn gets its end then.
        await self._give_back(left.session_id, fence)


_INTERRUPTED = Ending("interrupted")

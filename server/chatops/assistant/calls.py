"""A call of the model as the server makes it: allowed, affordable, recorded."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

import structlog

from chatops.access.identity import Person
from chatops.assistant.budgets import Budgets, Reservation
from chatops.assistant.catalogue import ModelConfig
from chatops.assistant.client import Answer, ModelClient
from chatops.assistant.failures import FailureKind, ModelFailedError
from chatops.assistant.messages import Completion, Request, Tokens
from chatops.assistant.policies import Policies
from chatops.assistant.ports import UsageStore
from chatops.assistant.prompt import output_limit
from chatops.assistant.usage import UsageRecord, likely_tokens, most_tokens
from chatops.errors import StoreUnavailableError
from chatops.protocol.base import new_sorted_id
from chatops.tasks import Supervisor

log = structlog.get_logger(__name__)

_UNSTORED = 1_000
"""Records kept for a store that is away; the log has every one."""

_AGAIN_S = 2.0

_BILLED_UNSEEN = frozenset({"timeout"})
"""Failures before an answer after which the provider may have worked, and may want money."""


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose account a call goes.

    Attributes:
        person: Who asks.
        session_id: The room.
        service: Whose policy says which models may be used.
    """

    person: Person
    session_id: str
    service: str


@dataclass(slots=True, eq=False)
class _Call:
    caller: Caller
    model: ModelConfig
    request: Request
    reservation: Reservation
    began: float
    answer: Answer | None = None


class ModelCalls:
    """Calls of the model under policies and budgets, each recorded once.

    Attributes:
        available: Whether there is a provider to ask.
    """

    def __init__(
        self,
        client: ModelClient,
        policies: Policies,
        budgets: Budgets,
        store: UsageStore,
        supervisor: Supervisor,
    ) -> None:
        self.available = client.available
        self._client = client
        self._policies = policies
        self._budgets = budgets
        self._store = store
        self._supervisor = supervisor
        self._unstored: deque[tuple[UsageRecord, Reservation]] = deque()
        self._trying_again = False

    def model_for(self, service: str, model_id: str | None) -> ModelConfig:
        """Return the model that a call for the service would ask.

        Raises:
            ModelNotAllowedError: The service may not use it.
        """
        return self._policies.validate_model_for_service(model_id, service)

    def tools_model(self, service: str) -> ModelConfig | None:
        """Return the model that chooses the tools of the service's default model, if another."""
        return self._policies.tools_model(service)

    @contextlib.asynccontextmanager
    async def stream(
        self, caller: Caller, request: Request, model_id: str | None = None
    ) -> AsyncIterator[Answer]:
        """Ask a model, None: the default one of the service; hear its answer piece by piece.

        What is refused here never reaches the provider. However the call ends, it is recorded
        once, in the log and in the store; on leaving without an error or with one of the provider
        it is in both, unless the store is away: then it follows when the store is back. Safe to
        cancel at any moment: the provider's stream is closed before that is raised, and the record
        follows.

        Raises:
            ModelNotAllowedError: The service may not use that model.
            AssistantOffError: There is no key.
            BudgetUsedError: The call may cost more than is left.
            StoreUnavailableError: It could not be found out what is left.
            ModelFailedError: The provider did not answer, or the answer broke off.
        """
        model = self._policies.validate_model_for_service(model_id, caller.service)
        self._client.check()
        most = model.cost_usd(most_tokens(request, output_limit(model, request)))
        reservation = await self._budgets.reserve(caller.person.id, caller.session_id, most)
        call = _Call(caller, model, request, reservation, time.monotonic())
        try:
            async with self._client.stream(model, request) as call.answer:
                yield call.answer
        except ModelFailedError as error:
            await self._record(call, error.kind)
            raise
        except BaseException:
            # Whoever left, by an error or by cancellation, is not kept waiting for the store.
            self._supervisor.start(self._record(call), "record a call")
            raise
        await self._record(call)

    async def complete(
        self, caller: Caller, request: Request, model_id: str | None = None
    ) -> Completion:
        """Return the whole answer; see :meth:`stream` for what is raised and recorded."""
        async with self.stream(caller, request, model_id) as answer:
            async for _ in answer:
                pass
            return answer.completion()

    async def _record(self, call: _Call, failed: FailureKind | None = None) -> None:
        said = Completion() if call.answer is None else call.answer.completion()
        tokens, measured = _tokens(call, said, failed)
        record = UsageRecord(
            id=new_sorted_id("call"),
            person=call.caller.person,
            session_id=call.caller.session_id,
            service=call.caller.service,
            model_id=call.model.model_id,
            tokens=tokens,
            measured=measured,
            cost_usd=call.model.cost_usd(tokens),
            dearest_usd=self._policies.dearest_usd(call.caller.service, tokens),
            latency_ms=round((time.monotonic() - call.began) * 1000),
            first_ms=None if call.answer is None else call.answer.first_ms,
            at=call.reservation.at,
            outcome=failed or ("stopped" if said.finish is None else "completed"),
        )
        self._budgets.settle(call.reservation, record.cost_usd)
        log.info("model_called", **_facts(record))
        # A cancelled caller must not leave the record behind.
        storing = self._store_one(record, call.reservation)
        await asyncio.shield(self._supervisor.start(storing, "store usage"))

    async def _store_one(self, record: UsageRecord, reservation: Reservation) -> None:
        """Store the record, and then those that a store that was away has not taken."""
        waiting = self._unstored
        while True:
            try:
                await self._store.append(record)
            except StoreUnavailableError:
                waiting.append((record, reservation))
                if len(waiting) > _UNSTORED:
                    lost, _ = waiting.popleft()
                    log.error("usage_lost", call=lost.id)
                if not self._trying_again:
                    self._trying_again = True
                    self._supervisor.start(self._try_again(), "store usage again")
                return
            self._budgets.stored(reservation)
            if not waiting:
                return
            record, reservation = waiting.popleft()

    async def _try_again(self) -> None:
        """Store what waits when the store is back, also if nobody asks a model again."""
        try:
            while self._unstored:
                await asyncio.sleep(_AGAIN_S)
                if self._unstored:
                    await self._store_one(*self._unstored.popleft())
        finally:
            self._trying_again = False


def _tokens(call: _Call, said: Completion, failed: FailureKind | None) -> tuple[Tokens, bool]:
    """Return the tokens of a call, and whether the provider has counted them."""
    if said.usage is not None:
        return said.usage, True
    if call.answer is None and failed is not None and failed not in _BILLED_UNSEEN:
        return Tokens(), True  # what was refused costs nothing
    return likely_tokens(call.request, said), False


def _facts(record: UsageRecord) -> dict[str, object]:
    return {
        "call": record.id,
        "person": record.person.id,
        "session": record.session_id,
        "service": record.service,
        "model": record.model_id,
        "input_tokens": record.tokens.input,
        "output_tokens": record.tokens.output,
        "cached_tokens": record.tokens.cached,
        "measured": record.measured,
        "cost_usd": str(record.cost_usd),
        "dearest_usd": str(record.dearest_usd),
        "latency_ms": record.latency_ms,
        "first_ms": record.first_ms,
        "outcome": record.outcome,
    }

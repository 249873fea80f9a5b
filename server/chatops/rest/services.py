"""What the handlers of HTTP work with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from chatops.assistant.budgets import Limits
from chatops.assistant.narrative import Narrator
from chatops.assistant.policies import Policies
from chatops.assistant.ports import UsageStore
from chatops.backtests.jobs.service import Jobs
from chatops.backtests.ports import JobStore, PriceImporter
from chatops.backtests.strategies.book import StrategyBook
from chatops.chat.asking import Asking
from chatops.dispatch.dispatcher import Dispatcher
from chatops.rest.operations import Door
from chatops.sessions.ports import SessionStore
from chatops.sessions.service import Sessions
from chatops.tasks import Supervisor


@dataclass(frozen=True, slots=True)
class Services:
    """The services behind the HTTP face.

    Attributes:
        door: Who comes in.
        asking: Asks in rooms, and waits for the answer.
        dispatcher: Turns values into commands.
        sessions: The rooms.
        session_store: Their logs.
        jobs: The jobs of this node.
        job_store: The record of all jobs, and their files.
        narrator: Words for figures.
        policies: Who may use which model.
        usage: What calls of the model used.
        limits: Budgets.
        supervisor: Runs what goes on behind.
        book: The strategies.
        prices: Brings prices in.
        max_file_bytes: The longest file of prices that is taken.
        health: Returns how the node is, or raises what keeps it from serving.
        facts: What the server says of itself.
    """

    door: Door
    asking: Asking
    dispatcher: Dispatcher
    sessions: Sessions
    session_store: SessionStore
    jobs: Jobs
    job_store: JobStore
    narrator: Narrator
    policies: Policies
    usage: UsageStore
    limits: Limits
    supervisor: Supervisor
    book: StrategyBook
    prices: PriceImporter
    max_file_bytes: int
    health: Callable[[], Awaitable[dict[str, Any]]]
    facts: Callable[[], dict[str, Any]]

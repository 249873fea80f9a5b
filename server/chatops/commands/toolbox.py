"""What the commands work with, handed to each family once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chatops.assistant.budgets import Limits
from chatops.assistant.builder import Builder
from chatops.assistant.policies import Policies
from chatops.assistant.ports import UsageStore
from chatops.assistant.questions import Questions
from chatops.assistant.turns import Turns
from chatops.backtests.jobs.service import Jobs
from chatops.backtests.market.catalogue import Catalogue
from chatops.backtests.planning import Planner
from chatops.backtests.ports import JobStore
from chatops.backtests.strategies.book import StrategyBook
from chatops.sessions.service import Sessions


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The services behind the commands.

    Attributes:
        sessions: The rooms.
        jobs: The jobs of this node.
        job_store: The record of all jobs.
        planner: Wishes to jobs.
        book: Strategies.
        catalogue: Prices.
        builder: Strategies from descriptions.
        questions: What the assistant is asked.
        turns: Its answers.
        usage: What calls of the model used.
        policies: Who may use which model.
        limits: Budgets.
        server_facts: What the server says of itself, name to value.
    """

    sessions: Sessions
    jobs: Jobs
    job_store: JobStore
    planner: Planner
    book: StrategyBook
    catalogue: Catalogue
    builder: Builder
    questions: Questions
    turns: Turns
    usage: UsageStore
    policies: Policies
    limits: Limits
    server_facts: Callable[[], dict[str, Any]]

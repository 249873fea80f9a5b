"""The one permission check: sockets, HTTP and a model's tool calls all call :func:`authorize`."""

from enum import StrEnum
from typing import NamedTuple

from chatops.access.identity import SYSTEM, Person
from chatops.errors import NotAllowedError


class Action(StrEnum):
    """What a person can want to do."""

    CREATE_SESSION = "create_session"
    JOIN_SESSION = "join_session"
    READ_SESSION = "read_session"
    POST = "post"
    RUN_COMMAND = "run_command"
    RENAME_SESSION = "rename_session"
    READ_RESULT = "read_result"
    CANCEL_JOB = "cancel_job"
    EDIT_STRATEGY = "edit_strategy"
    SET_ASSISTANT = "set_assistant"
    STOP_ANSWER = "stop_answer"
    IMPORT_FILE = "import_file"


class Target(NamedTuple):
    """What the action is done to.

    Attributes:
        session_id: The room it happens in, if in one.
        owner_id: Who owns the thing, if it has an owner.
        name: Its name for a person, e.g. ``/run_backtest`` or a strategy's id.
    """

    session_id: str | None = None
    owner_id: str | None = None
    name: str | None = None


_OWNER_ONLY = frozenset({Action.EDIT_STRATEGY})


def authorize(person: Person, action: Action, target: Target) -> None:
    """Let the person do it, or say why not.

    The rule of local identity: everybody in reach of the port is of the team and may read, write
    and run; what a person saved under their own name, only they change.

    Raises:
        NotAllowedError: The person may not do this.
    """
    if person.id == SYSTEM.id:
        return
    if action in _OWNER_ONLY and target.owner_id is not None and target.owner_id != person.id:
        thing = f'"{target.name}"' if target.name else "this"
        raise NotAllowedError(
            f"Only its owner may change {thing}.", "Save a copy of it under a name of your own."
        )

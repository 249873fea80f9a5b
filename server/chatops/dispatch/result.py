"""What a command gives back, the same for every face."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The end of a command.

    Attributes:
        message: Text for a person; GitHub-flavoured Markdown, tables in code blocks.
        data: JSON values for a program, or None.
        success: False when the command was understood but did not do what was asked.
    """

    message: str
    data: dict[str, Any] | None = field(default=None)
    success: bool = True


@dataclass(frozen=True, slots=True)
class Deferred:
    """The command started a job; the job's end makes the result.

    Attributes:
        job_id: The job that now owes the room a result.
    """

    job_id: str


Outcome = CommandResult | Deferred

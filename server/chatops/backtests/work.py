"""What passes between a job and its worker; plain values that survive any transport."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Phase = Literal["queued", "loading", "running", "analyzing", "saving", "done"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: ``fraction`` of the whole job, 0..1, never smaller than one before."""

    phase: Phase
    fraction: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work for a worker.

    Attributes:
        job_id: Id of the job.
        kind: ``"backtest"``, ``"comparison"`` or, of a price file, ``"import"``.
        spec: The request as JSON values (``model_dump(mode="json")``).
        inputs: For a comparison, the summary of each member, in order, as JSON values.
        files: For a comparison, ``"<index>/equity.csv"`` of each member.
    """

    job_id: str
    kind: Literal["backtest", "comparison", "import"]
    spec: dict[str, Any]
    inputs: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker hands back.

    Attributes:
        summary: JSON values only, no NaN and no infinity; the ``data`` of a ``commandResult``
            less the fields that only the job knows.
        files: Downloads by name: ``equity.csv``, ``trades.csv``, ``chart.png``, ``result.json``.
        loads: How often prices were in the worker's memory, and how often it read them.
    """

    summary: dict[str, Any]
    files: Mapping[str, bytes]
    loads: tuple[int, int] = (0, 0)


class Cancelled(Exception):  # noqa: N818 - not an error: somebody asked for it
    """The work stopped because ``should_cancel`` said so."""


OnProgress = Callable[[Progress], None]
ShouldCancel = Callable[[], bool]

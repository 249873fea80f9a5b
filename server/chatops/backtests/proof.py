"""Whether a repeated run came out the same, and if not, why."""

from collections.abc import Mapping
from typing import Any

from chatops.backtests.job import Job
from chatops.backtests.provenance import differences

# What belongs to the asking, and not to the result.
_NOT_RESULT = frozenset({"provenance", "strategy", "rerunOf"})


def verdict(before: Job, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Compare the result of a repeated run with the first one's.

    Args:
        before: The first run, completed or not.
        summary: The summary of the repeated one.

    Returns:
        ``{backtestId, identical, differences}``: the first run, whether every figure, curve and
        trade count is equal, and sentences that name what changed between the two.
    """
    if before.summary is None:
        reason = f"The first run has no result to compare with; it is {before.state}."
        return {"backtestId": before.id, "identical": False, "differences": [reason]}
    causes = differences(before.summary["provenance"], summary["provenance"])
    changed = sorted(
        name
        for name in {*before.summary, *summary} - _NOT_RESULT
        if before.summary.get(name) != summary.get(name)
    )
    if changed and not causes:
        causes = [f"Nothing that is recorded changed, and yet {', '.join(changed)} did."]
    return {"backtestId": before.id, "identical": not changed, "differences": causes}


def verdict_text(found: Mapping[str, Any]) -> str:
    """Return the comparison in words."""
    first = found["backtestId"]
    causes = " ".join(found["differences"])
    if found["identical"]:
        same = f"**Identical to {first}**: every figure and every point of the curve is the same."
        return f"{same} {causes}".strip()
    return f"**Differs from {first}.** {causes}"

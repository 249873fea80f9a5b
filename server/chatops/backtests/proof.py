"""Whether a repeated run came out the same, and if not, why."""

from collections.abc import Mapping, Sequence
from typing import Any

from chatops.backtests.job import Job
from chatops.backtests.provenance import differences

# What belongs to the asking, and not to the result.
_NOT_RESULT = frozenset({"provenance", "strategy", "rerunOf"})


def verdict(
    before: Job, summary: Mapping[str, Any], runs: Sequence[tuple[Job, Job]] = ()
) -> dict[str, Any]:
    """Compare the result of a repeated job with the first one's.

    Args:
        before: The first job, completed or not.
        summary: The summary of the repeated one.
        runs: Of a comparison, each run of the first with the run that repeats it.

    Returns:
        ``{backtestId, identical, differences}``: the first job, whether every figure, curve and
        trade count is equal, and sentences that name what changed between the two.
    """
    if before.summary is None:
        reason = f"The first run has no result to compare with; it was {before.state}."
        return {"backtestId": before.id, "identical": False, "differences": [reason]}
    causes = _causes(before.summary, summary, runs)
    changed = sorted(
        name
        for name in {*before.summary, *summary} - _NOT_RESULT
        if before.summary.get(name) != summary.get(name)
    )
    if changed and not causes:
        causes = [f"Nothing that is recorded changed, and yet {', '.join(changed)} did."]
    return {"backtestId": before.id, "identical": not changed, "differences": causes}


def _causes(
    before: Mapping[str, Any], after: Mapping[str, Any], runs: Sequence[tuple[Job, Job]]
) -> list[str]:
    old, new = before["provenance"], after["provenance"]
    if not runs:
        return differences(old, new)
    # The data of a comparison are its runs; what changed in them says more than that they did.
    found = [
        sentence
        for first, second in runs
        if first.summary is not None and second.summary is not None
        for sentence in differences(first.summary["provenance"], second.summary["provenance"])
    ]
    found += differences({**old, "data": {}}, {**new, "data": {}})
    return list(dict.fromkeys(found))


def verdict_text(found: Mapping[str, Any]) -> str:
    """Return the comparison in words."""
    first = found["backtestId"]
    causes = " ".join(found["differences"])
    if found["identical"]:
        same = f"**Identical to {first}**: every figure and every point of the curve is the same."
        return f"{same} {causes}".strip()
    return f"**Not the same as {first}.** {causes}"

"""Answers that models give when they are not at their best, and what they are asked with."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.assisted import answer, ask, room
from tests.support.provider import Asked, Provider, Say, running_provider


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with running_provider() as it:
        yield it


async def test_tools_under_impossible_names_and_ids_cost_no_answer(
    tmp_path: Path, provider: Provider
) -> None:
    tools = (
        Asked("same", "multi_tool_use.parallel", "{}"),
        Asked("same", "status", "{}"),
        Asked("", "도구 " * 40, "no JSON"),
        Asked("", "symbols", ""),
    )
    provider.answers.append(Say("", tools=tools))
    async with room(tmp_path, provider, "Ann") as (_, (ann,)):
        said = await answer(ann, await ask(ann, "What now?"))
        assert said["content"] == "The momentum strategy gained most ."
        successes = [step["success"] for step in said["metadata"]["steps"]]
        assert successes == [False, True, False, True]

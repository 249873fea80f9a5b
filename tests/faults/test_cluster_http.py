"""HTTP on one node, the room on another: what is asked here is heard there, and answered here."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.faults.test_cluster_turns import LONG, SESSION, cluster, one_answer_each
from tests.support.assisted import answer, ask
from tests.support.caller import Caller
from tests.support.http import api_of
from tests.support.provider import Say

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.timeout(240),
]

WORDS = " ".join(LONG.split()[:200])
BASE = "/api/v1/chatops-advanced"


async def test_questions_of_both_nodes_get_their_own_answers(tmp_path: Path) -> None:
    async with (
        cluster(tmp_path) as (made, provider),
        Caller(made.urls[0], SESSION, "Ann") as ann,
        api_of(made.urls[1]) as api,
    ):
        provider.answers.append(Say(WORDS, pause_s=0.01))
        hers = await ask(ann, "Tell me all")  # the other node is answering meanwhile
        path = f"{made.urls[1]}{BASE}/ws/chat/{SESSION}?user_id=Kim"
        async with api.http.ws_connect(path) as socket:
            await socket.send_json({"question": "And me?"})
            frames: list[dict[str, Any]] = []
            async with asyncio.timeout(30):
                while not frames or frames[-1]["type"] == "chunk":
                    frames.append(await socket.receive_json())
        assert frames[-1] == {"type": "done"}
        assert "".join(one["content"] for one in frames[:-1]) == Say().text
        assert (await answer(ann, hers))["content"] == WORDS
        his = await ann.hears("message", lambda one: one["content"] == "And me?")
        assert his["author"] == {"id": "name:kim", "name": "Kim"}
        await one_answer_each(made.urls[0])
        told = await api.post(f"{BASE}/session/{SESSION}/chat", {"question": "/members"})
        assert "Ann" in told.body["answer"]
        assert told.body["conversation_turn"] == 2

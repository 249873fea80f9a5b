"""What is read of a log for an answer: as much as the model is told of it, in pages."""

import random
from typing import Any

import pytest

from chatops.assistant.history import ENTRIES, PAGE, TURNS, conversation, recent
from chatops.sessions.model import Entry


class Log:
    """Entries by their numbers, from 1 on, and what was read of them.

    Attributes:
        entries: The entries.
        asked: Pages that were read: after which number, and how many entries came.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.asked: list[tuple[int, int]] = []

    def add(self, kind: Any, who: str, **payload: Any) -> Entry:
        seq = len(self.entries) + 1
        entry = Entry("room", seq, kind, who, {"id": f"msg_{seq}", "seq": seq, **payload})
        self.entries.append(entry)
        return entry

    def ask(self, text: str = "And now?") -> Entry:
        return self.add("message", "ann", role="user", content=text, author={"name": "Ann"})

    def answer(self, question: Entry, text: str = "So it is.") -> Entry:
        about = {"replyTo": question.payload["id"]}
        return self.add("message", "assistant", role="assistant", content=text, metadata=about)

    def result(self, data_bytes: int) -> Entry:
        told = {"message": "It gained. " * 100, "data": {"points": "7" * data_bytes}}
        return self.add("commandResult", "ann", command="/run_backtest macd", **told)

    async def read(self, after: int, limit: int) -> list[Entry]:
        page = [one for one in self.entries if one.seq > after][:limit]
        self.asked.append((after, len(page)))
        return page


@pytest.mark.parametrize("first_kept", [1, 40])
@pytest.mark.parametrize("seed", range(20))
async def test_nothing_is_told_otherwise_than_of_the_whole_log(seed: int, first_kept: int) -> None:
    rng = random.Random(seed)
    log = Log()
    waiting: list[Entry] = []
    for number in range(rng.choice((5, 60, 400))):
        if waiting and rng.random() < 0.5:
            log.answer(waiting.pop(0), "word " * rng.choice((2, 300)))
        elif rng.random() < 0.4 and len(waiting) < 5:
            waiting.append(log.ask(f"question {number}"))
        else:
            log.result(10)
    question = log.ask()
    for one in waiting:
        log.answer(one)
        log.result(10)
    log.entries = [one for one in log.entries if one.seq >= first_kept]
    whole = [one for one in log.entries if one.seq >= question.seq - ENTRIES]
    told = conversation(await recent(log.read, question), question)
    assert told == conversation(whole, question)
    assert all(count <= PAGE for _, count in log.asked)


async def test_of_huge_results_only_those_are_read_that_are_told() -> None:
    log = Log()
    for _ in range(ENTRIES):
        log.result(200_000)
    question = log.ask()
    told = conversation(await recent(log.read, question), question)
    assert 25 < len(told) < 30
    assert sum(count for _, count in log.asked) <= 2 * PAGE


async def test_ten_turns_are_enough() -> None:
    log = Log()
    for _ in range(ENTRIES):
        log.answer(log.ask())
    question = log.ask()
    told = conversation(await recent(log.read, question), question)
    assert [one.role for one in told] == ["user", "assistant"] * TURNS
    assert sum(count for _, count in log.asked) <= 2 * PAGE

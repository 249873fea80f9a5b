"""How many tokens a call can use, and how many it is thought to have used."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatops.assistant.messages import Completion, Message, Request, Tokens, Tool, ToolCall
from chatops.assistant.usage import likely_tokens, most_tokens

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
messages = st.lists(st.builds(Message, st.sampled_from(["user", "assistant"]), texts), max_size=6)


@given(messages, texts)
def test_no_prompt_has_more_tokens_than_bytes_and_frames(
    said: list[Message], description: str
) -> None:
    request = Request(said, tools=(Tool("t", description, {"type": "object"}),))
    most = most_tokens(request, 50)
    text = sum(len(message.content.encode()) for message in said) + len(description.encode())
    # The dearest tokenizer has a token for each byte; a message's frame has four at most.
    assert most.input >= text + 4 * len(said) + 3
    assert most.output == 50


@given(messages, texts)
def test_the_estimate_is_never_more_than_the_most(said: list[Message], heard: str) -> None:
    request = Request(said, max_tokens=1_000)
    likely = likely_tokens(request, Completion(text=heard, pieces=min(len(heard), 1_000)))
    most = most_tokens(request, 1_000)
    assert likely.input <= most.input
    assert likely.output <= most.output


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The momentum strategy gained twelve percent in the year and lost five in March.", 15),
        ("모멘텀 전략은 올해 십이 퍼센트 올랐고 삼월에 오 퍼센트 내렸습니다.", 25),
    ],
)
def test_the_estimate_is_near_what_tokenizers_count(text: str, tokens: int) -> None:
    likely = likely_tokens(Request(()), Completion(text=text))
    assert 0.6 * tokens <= likely.output <= 1.6 * tokens


def test_calls_of_tools_and_pieces_count() -> None:
    call = ToolCall("a", "run_backtest", "x" * 400)
    request = Request((Message("assistant", "", (call,)),))
    assert most_tokens(request, 1).input >= 412
    assert likely_tokens(request, Completion(tool_calls=(call,))).output == 100
    assert likely_tokens(Request(()), Completion(text="ab", pieces=2)) == Tokens(4, 2)

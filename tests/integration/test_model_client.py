"""The client against a provider on a real socket, through the official library as it is."""

import asyncio
import gc
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from chatops.assistant.catalogue import BUILT_IN
from chatops.assistant.client import Answer, ModelClient
from chatops.assistant.failures import FailureKind, ModelFailedError
from chatops.assistant.messages import Completion, Message, Request, Tokens, Tool, ToolCall
from chatops.errors import AssistantOffError, UpstreamFailedError
from chatops.tasks import Supervisor
from tests.support.provider import KEY, Asked, Provider, Refuse, Say, quota, rate_limit
from tests.support.provider import running_provider as running

GPT = BUILT_IN["gpt-4o"]
O1 = BUILT_IN["o1-preview"]
ASK = Request((Message("system", "You trade."), Message("user", "Which strategy gained most?")))
TOOL = Tool(
    "run_backtest",
    "Runs a backtest.",
    {"type": "object", "properties": {"strategy": {"type": "string"}}, "required": ["strategy"]},
)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with running() as it:
        yield it


@asynccontextmanager
async def client_of(
    provider: Provider, *, key: str = KEY, url: str | None = None, **settings: Any
) -> AsyncIterator[ModelClient]:
    client = ModelClient(SecretStr(key), url or provider.url, **settings)
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
async def client(provider: Provider) -> AsyncIterator[ModelClient]:
    async with client_of(provider, timeout_s=20.0) as it:
        yield it


async def hear(answer: Answer, heard: list[str]) -> None:
    """Note every piece that is heard."""
    async for delta in answer:
        heard.append(delta.text)


async def failure(client: ModelClient, model: Any = GPT, ask: Request = ASK) -> ModelFailedError:
    with pytest.raises(ModelFailedError) as failed:
        await client.complete(model, ask)
    return failed.value


async def test_an_answer_is_heard_piece_by_piece_with_its_usage(
    provider: Provider, client: ModelClient
) -> None:
    provider.answers.append(Say("Momentum gained most .", usage=(2_000, 4, 1_536)))
    async with client.stream(GPT, ASK) as answer:
        pieces = [delta.text async for delta in answer]
    assert pieces == ["Momentum", " gained", " most", " ."]
    assert answer.completion() == Completion(
        text="Momentum gained most .",
        finish="stop",
        usage=Tokens(input=2_000, output=4, cached=1_536),
        pieces=4,
    )
    assert answer.first_ms is not None
    (body,) = provider.requests
    assert body["model"] == "gpt-4o"
    assert body["temperature"] == 0.7
    assert body["max_tokens"] == 1_000
    assert body["stream_options"] == {"include_usage": True}
    assert body["messages"] == [
        {"role": "system", "content": "You trade."},
        {"role": "user", "content": "Which strategy gained most?"},
    ]


async def test_pieces_come_as_the_provider_sends_them(
    provider: Provider, client: ModelClient
) -> None:
    await client.complete(GPT, ASK)
    provider.answers.append(Say("one two", then="hang"))
    async with client.stream(GPT, ASK) as answer:
        assert (await anext(answer)).text == "one"
        assert (await anext(answer)).text == " two"
        assert answer.completion().text == "one two"
        assert answer.completion().finish is None


async def test_fragments_of_tool_calls_are_joined(provider: Provider, client: ModelClient) -> None:
    first = json.dumps({"strategy": "momentum", "symbols": ["AAPL", "한글"]}, ensure_ascii=False)
    provider.answers.append(
        Say("", (Asked("call_a", "run_backtest", first), Asked("call_b", "jobs", "{}")))
    )
    said = await client.complete(GPT, Request(ASK.messages, tools=(TOOL,)))
    assert said.tool_calls == (
        ToolCall("call_a", "run_backtest", first),
        ToolCall("call_b", "jobs", "{}"),
    )
    assert said.finish == "tool_calls"
    assert provider.requests[0]["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "run_backtest",
                "description": "Runs a backtest.",
                "parameters": TOOL.parameters,
            },
        }
    ]


AFTER_A_TOOL = Request(
    (
        *ASK.messages,
        Message("assistant", "", (ToolCall("call_a", "run_backtest", '{"strategy": "rsi"}'),)),
        Message("tool", "Sharpe ratio 1.2", tool_call_id="call_a"),
    ),
    tools=(TOOL,),
)


async def test_what_a_tool_answered_goes_back_to_the_model(
    provider: Provider, client: ModelClient
) -> None:
    assert (await client.complete(GPT, AFTER_A_TOOL)).finish == "stop"
    asked, answered = provider.requests[0]["messages"][2:]
    assert asked["tool_calls"][0]["function"]["arguments"] == '{"strategy": "rsi"}'
    assert answered == {
        "role": "tool",
        "content": "Sharpe ratio 1.2",
        "tool_call_id": "call_a",
    }


async def test_a_reasoning_model_is_spared_what_it_lacks(
    provider: Provider, client: ModelClient
) -> None:
    assert (await client.complete(O1, AFTER_A_TOOL)).finish == "stop"
    (body,) = provider.requests
    assert body["max_completion_tokens"] == 1_000
    assert not {"temperature", "tools", "max_tokens"} & body.keys()
    assert [message["role"] for message in body["messages"]] == [
        "user",
        "user",
        "assistant",
        "user",
    ]
    assert body["messages"][0]["content"] == "You trade."
    assert "run_backtest" in body["messages"][2]["content"]
    assert "Sharpe ratio 1.2" in body["messages"][3]["content"]


async def test_the_provider_refuses_what_a_reasoning_model_lacks(
    provider: Provider, client: ModelClient
) -> None:
    believes_wrongly = O1.model_copy(update={"supports_temperature": True})
    assert (await failure(client, believes_wrongly)).kind == "refused"


async def test_no_more_is_asked_for_than_the_model_can_give(
    provider: Provider, client: ModelClient
) -> None:
    turbo = BUILT_IN["gpt-4-turbo"]
    await client.complete(turbo, Request(ASK.messages, max_tokens=50_000))
    assert provider.requests[0]["max_tokens"] == 4_096


async def test_an_answer_that_met_its_limit_has_no_half_tool_calls(
    provider: Provider, client: ModelClient
) -> None:
    provider.answers.append(Say("", (Asked("call_a", "jobs", '{"a"'),), finish="length"))
    said = await client.complete(GPT, ASK)
    assert said.finish == "length"
    assert said.tool_calls == ()


async def test_many_first_calls_share_one_client(provider: Provider, client: ModelClient) -> None:
    from openai import AsyncOpenAI

    gc.collect()
    before = sum(type(each) is AsyncOpenAI for each in gc.get_objects())
    said = await asyncio.gather(*(client.complete(GPT, ASK) for _ in range(30)))
    after = sum(type(each) is AsyncOpenAI for each in gc.get_objects())
    assert [one.finish for one in said] == ["stop"] * 30
    assert len(provider.requests) == 30
    assert after - before == 1


def test_the_library_is_not_loaded_before_it_is_used() -> None:
    code = (
        "import sys\n"
        "from pydantic import SecretStr\n"
        "import chatops.assistant.calls, chatops.assistant.client as it\n"
        "it.ModelClient(SecretStr('sk-x')).check()\n"
        "print([name for name in ('openai', 'httpx2', 'anyio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_loading_the_library_does_not_stop_the_loop() -> None:
    code = (
        "import asyncio, time\n"
        "from pydantic import SecretStr\n"
        "from chatops.assistant.client import ModelClient\n"
        "async def main():\n"
        "    client = ModelClient(SecretStr('sk-x'), 'http://127.0.0.1:1/v1', retries=0)\n"
        "    making = asyncio.ensure_future(client._ready())\n"
        "    longest = beats = 0\n"
        "    while not making.done():\n"
        "        began = time.perf_counter()\n"
        "        await asyncio.sleep(0.001)\n"
        "        longest = max(longest, time.perf_counter() - began)\n"
        "        beats += 1\n"
        "    print(beats, longest)\n"
        "asyncio.run(main())\n"
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    beats, longest_s = done.stdout.split()
    # It takes about a second; in the loop itself there would be one beat, of that second.
    assert int(beats) >= 10
    assert float(longest_s) < 0.5


REFUSALS: list[tuple[FailureKind, Refuse]] = [
    ("quota", quota()),
    ("quota", Refuse(402)),
    ("wrong_key", Refuse(401, "invalid_api_key")),
    ("forbidden", Refuse(403, "unsupported_country_region_territory")),
    ("unknown_model", Refuse(404, "model_not_found")),
    ("wrong_address", Refuse(404, body=b"<html>nginx</html>")),
    ("context_too_long", Refuse(400, "context_length_exceeded")),
    ("context_too_long", Refuse(400, None, "BadRequestError", "maximum context length is 8192")),
    ("context_too_long", Refuse(413)),
    ("content_filter", Refuse(400, "content_filter")),
    ("refused", Refuse(400, "invalid_value", "invalid_request_error")),
    ("refused", Refuse(418, body=b'{"error": 7}')),
    ("provider_error", Refuse(500, headers={"x-should-retry": "false"})),
    ("provider_error", Refuse(503, headers={"x-should-retry": "false"}, body=b"\xff\x00")),
]


@pytest.mark.parametrize(("kind", "refusal"), REFUSALS, ids=lambda one: str(one)[:60])
async def test_each_refusal_is_told_in_its_own_words_and_not_tried_again(
    provider: Provider, client: ModelClient, kind: FailureKind, refusal: Refuse
) -> None:
    provider.answers.append(refusal)
    error = await failure(client)
    assert error.kind == kind
    assert isinstance(error, UpstreamFailedError)
    assert error.code == "upstream_failed"
    assert "own words" not in str(error)
    assert error.hint
    assert error.__cause__ is None
    assert error.__suppress_context__
    assert len(provider.requests) == 1
    assert provider.answered == 0


async def test_a_wrong_key_is_never_shown_nor_logged(provider: Provider) -> None:
    wrong = "sk-wrong-abcdefghijklmnop"
    async with client_of(provider, key=wrong) as client:
        with capture_logs() as logged:
            error = await failure(client)
    assert error.kind == "wrong_key"
    assert wrong not in str(error) + repr(logged) + repr(vars(error))
    assert [one["kind"] for one in logged] == ["wrong_key"]
    assert logged[0]["status"] == 401


async def test_spaces_around_the_key_are_no_part_of_it(provider: Provider) -> None:
    async with client_of(provider, key=f" {KEY}\n") as client:
        assert (await client.complete(GPT, ASK)).finish == "stop"


async def test_no_other_key_of_the_environment_is_sent(
    provider: Provider, client: ModelClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert (await client.complete(GPT, ASK)).finish == "stop"  # it accepts one key only


@pytest.mark.parametrize("key", ["sk-열쇠", "sk-a\nb"])
async def test_a_key_that_cannot_be_sent_is_a_wrong_key(provider: Provider, key: str) -> None:
    async with client_of(provider, key=key) as client:
        assert (await failure(client)).kind == "wrong_key"
    assert provider.requests == []


@pytest.mark.parametrize("url", ["api.example.com", "http://", "ftp://a/v1", "http://[::1", "x:y"])
async def test_an_address_that_is_none_is_told(provider: Provider, url: str) -> None:
    async with client_of(provider, url=url) as client:
        assert (await failure(client)).kind == "wrong_address"


async def test_without_a_key_the_assistant_is_off(provider: Provider) -> None:
    for key in (None, SecretStr(""), SecretStr("  ")):
        client = ModelClient(key, provider.url)
        assert not client.available
        with pytest.raises(AssistantOffError, match="no key") as off:
            await client.complete(GPT, ASK)
        assert "OPENAI_API_KEY" in str(off.value.hint)
    assert provider.requests == []


async def test_an_unknown_model_is_named(provider: Provider, client: ModelClient) -> None:
    error = await failure(client, GPT.model_copy(update={"model_id": "gpt-9"}))
    assert error.kind == "unknown_model"
    assert "gpt-9" in error.message


async def test_a_conversation_that_is_too_long_is_told(
    provider: Provider, client: ModelClient
) -> None:
    long = Request((Message("user", "word " * 130_000),))
    assert (await failure(client, ask=long)).kind == "context_too_long"


async def test_a_short_wait_is_waited_and_the_call_tried_again(
    provider: Provider, client: ModelClient
) -> None:
    provider.answers += [rate_limit("0.3"), Say("Back .")]
    began = time.monotonic()
    assert (await client.complete(GPT, ASK)).text == "Back ."
    assert 0.3 <= time.monotonic() - began < 5
    assert len(provider.requests) == 2


async def test_a_long_wait_is_told_and_not_waited(provider: Provider, client: ModelClient) -> None:
    provider.answers.append(rate_limit("37"))
    began = time.monotonic()
    error = await failure(client)
    assert time.monotonic() - began < 3
    assert (error.kind, error.retry_after_s) == ("rate_limit", 37.0)
    assert "37 s" in str(error.hint)
    assert len(provider.requests) == 1


async def test_a_fault_of_the_provider_is_tried_again(
    provider: Provider, client: ModelClient
) -> None:
    provider.answers += [Refuse(500), Refuse(503, headers={"retry-after": "0.1"}), Say("Back .")]
    assert (await client.complete(GPT, ASK)).text == "Back ."
    assert len(provider.requests) == 3
    assert provider.answered == 1


async def test_there_is_an_end_to_trying_again(provider: Provider) -> None:
    provider.answers += [Refuse(500, headers={"retry-after": "0.05"})] * 5
    async with client_of(provider, retries=1) as client:
        assert (await failure(client)).kind == "provider_error"
    assert len(provider.requests) == 2


async def test_waiting_and_trying_again_end_with_the_time_limit(provider: Provider) -> None:
    provider.answers += [Refuse(500, headers={"retry-after": "0.6"})] * 9
    async with client_of(provider, retries=8, timeout_s=1.0) as client:
        await client._ready()  # loading the library is no part of it
        began = time.monotonic()
        assert (await failure(client)).kind == "timeout"
        assert time.monotonic() - began < 3
    assert len(provider.requests) <= 3


async def test_a_provider_that_does_not_begin_is_a_timeout(provider: Provider) -> None:
    provider.answers.append(Say(silent_s=60))
    async with client_of(provider, timeout_s=0.5) as client:
        error = await failure(client)
    assert error.kind == "timeout"
    assert error.said == Completion()
    await provider.until("gone")


async def test_a_provider_that_falls_silent_is_a_timeout_and_what_it_said_is_kept(
    provider: Provider,
) -> None:
    provider.answers.append(Say("So far so good", then="hang"))
    async with client_of(provider, timeout_s=0.5) as client:
        error = await failure(client)
        await provider.until("gone")
    assert error.kind == "timeout"
    assert error.said.text == "So far so good"


async def test_a_provider_that_never_ends_is_cut_off(provider: Provider) -> None:
    provider.answers.append(Say("word " * 500, pause_s=0.02))
    async with client_of(provider, longest_answer_s=0.4) as client:
        error = await failure(client)
        await provider.until("gone")
    assert error.kind == "timeout"
    assert error.said.text.startswith("word word")


async def test_a_provider_that_is_away_is_told(provider: Provider) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    async with client_of(provider, url=url, retries=1) as client:
        error = await failure(client)
    assert error.kind == "unreachable"
    assert url not in str(error)


async def test_an_end_because_of_an_error_is_none(provider: Provider, client: ModelClient) -> None:
    provider.answers.append(Say("So far", finish="error"))
    error = await failure(client)
    assert (error.kind, error.said.text) == ("cut", "So far")


@pytest.mark.parametrize("then", ["reset", "end"])
async def test_of_an_answer_that_breaks_off_nothing_is_lost(
    provider: Provider, client: ModelClient, then: Any
) -> None:
    provider.answers.append(
        Say("Half of it", (Asked("call_a", "jobs", "{}"),), then=then, pause_s=0.01)
    )
    heard: list[str] = []
    async with client.stream(GPT, ASK) as answer:
        with pytest.raises(ModelFailedError) as failed:
            await hear(answer, heard)
    assert failed.value.kind == "cut"
    assert "".join(heard) == "Half of it"
    assert failed.value.said == answer.completion()
    assert failed.value.said.text == "Half of it"
    assert failed.value.said.tool_calls == ()
    assert failed.value.said.usage is None
    assert len(provider.requests) == 1  # what was said cannot be unsaid


async def test_an_answer_that_was_whole_stands_though_its_usage_was_cut_off(
    provider: Provider, client: ModelClient
) -> None:
    finish = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    provider.answers.append(
        Say("All said .", raw=f"data: {json.dumps(finish)}\n\n".encode(), then="end")
    )
    said = await client.complete(GPT, ASK)
    assert (said.text, said.finish, said.usage) == ("All said .", "stop", None)


def event(value: Any) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def piece(**delta: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": delta}]})


MALFORMED = {
    "no JSON": b'data: {"choices": [\n\n',
    "no UTF-8": b'data: {"choices": "\xff\xfe"}\n\n',
    "a number": event(7),
    "null": event(None),
    "a list": event([1, 2]),
    "no choices": event({"id": "x"}),
    "choices that are none": event({"choices": "none"}),
    "a choice that is none": event({"choices": [7]}),
    "a choice without anything": event({"choices": [{"index": 0}]}),
    "a delta that is a word": event({"choices": [{"index": 0, "delta": "word"}]}),
    "text that is a number": piece(content=7),
    "a tool call that is a word": piece(tool_calls=["run"]),
    "tool calls that are a number": piece(tool_calls=7),
    "a tool without a name": piece(tool_calls=[{"index": 0, "function": {"arguments": "{}"}}]),
    "arguments that are an object": piece(
        tool_calls=[{"index": 0, "id": "a", "function": {"name": "x", "arguments": {"a": 1}}}]
    ),
    "a tool without a name at the end": event(
        {
            "choices": [
                {
                    "index": 0,
                    "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
                    "finish_reason": "tool_calls",
                }
            ]
        }
    ),
    "a usage that counts nothing": event({"choices": [], "usage": {"prompt_tokens": "many"}}),
    "more tokens than there are": event(
        {"choices": [], "usage": {"prompt_tokens": 10**30, "completion_tokens": 1}}
    ),
    "details that are none": event(
        {
            "choices": [],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": 7},
        }
    ),
    "a usage below nothing": event(
        {"choices": [], "usage": {"prompt_tokens": -1, "completion_tokens": 1}}
    ),
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_chunk_is_told_and_what_came_before_is_kept(
    provider: Provider, client: ModelClient, raw: bytes
) -> None:
    provider.answers.append(Say("So far", raw=raw))
    error = await failure(client)
    assert error.kind == "malformed"
    assert error.said.text == "So far"
    assert error.said.tool_calls == ()


async def test_a_page_in_the_place_of_an_answer_is_malformed(
    provider: Provider, client: ModelClient
) -> None:
    provider.answers.append(
        Refuse(200, body=b"<html>Log in</html>", headers={"content-type": "text/html"})
    )
    assert (await failure(client)).kind == "malformed"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server_error", "provider_error"),
        ("rate_limit_exceeded", "rate_limit"),
        (None, "provider_error"),
    ],
)
async def test_an_error_inside_the_stream_is_told(
    provider: Provider, client: ModelClient, code: str | None, kind: FailureKind
) -> None:
    raw = event({"error": {"message": f"The key {KEY} has a fault.", "code": code}})
    provider.answers.append(Say("So far", raw=raw))
    with capture_logs() as logged:
        error = await failure(client)
    assert error.kind == kind
    assert error.said.text == "So far"
    assert KEY not in str(error) + repr(logged)


async def test_an_answer_that_was_withheld_is_told(provider: Provider, client: ModelClient) -> None:
    provider.answers.append(Say("I will", finish="content_filter", usage=(10, 2, 0)))
    error = await failure(client)
    assert error.kind == "content_filter"
    assert error.said.text == "I will"
    assert error.said.usage == Tokens(10, 2)


async def test_pieces_that_leave_things_out_are_understood(
    provider: Provider, client: ModelClient
) -> None:
    whole = {"id": "a", "function": {"name": "jobs", "arguments": "{}"}}
    other = {"function": {"name": "help", "arguments": None}}
    raw = (
        b": a comment\n\n"
        + event({"choices": [{"delta": {"role": "assistant", "content": None}}]})
        + event({"choices": [{"delta": {"tool_calls": [whole]}}], "usage": None})
        + event({"choices": [{"delta": {"tool_calls": [other]}}]})
        + event({"choices": [{"finish_reason": "function_call"}]})
        + event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}})
    )
    provider.answers.append(Say("Let me see", raw=raw, then="end"))
    said = await client.complete(GPT, ASK)
    assert said.text == "Let me see"
    assert said.tool_calls == (ToolCall("a", "jobs", "{}"), ToolCall("call_1", "help", ""))
    assert said.finish == "tool_calls"
    assert said.usage == Tokens(9, 3, 0)


async def test_halves_of_characters_become_text_that_can_be_written(
    provider: Provider, client: ModelClient
) -> None:
    provider.answers.append(Say("", raw=piece(content="\ud83d\ude00 \ud83d!"), finish="stop"))
    text = (await client.complete(GPT, ASK)).text
    assert text == "😀 \ufffd!"
    assert text.encode()


@pytest.mark.parametrize("say", [Say(silent_s=60), Say("word", then="hang")])
async def test_who_cancels_closes_the_stream_at_once(provider: Provider, say: Say) -> None:
    supervisor = Supervisor()
    async with client_of(provider) as client:
        await client.complete(GPT, ASK)
        provider.answers.append(say)
        call = supervisor.start(client.complete(GPT, ASK), "a call")
        await provider.until("open" if say.then == "hang" else "asked", 2)
        began = time.monotonic()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await provider.until("gone")
        assert time.monotonic() - began < 1


async def test_who_leaves_early_closes_the_stream_at_once(
    provider: Provider, client: ModelClient
) -> None:
    provider.answers.append(Say("one two three", then="hang"))
    async with client.stream(GPT, ASK) as answer:
        async for _ in answer:
            break
    await provider.until("gone")
    assert (await client.complete(GPT, ASK)).finish == "stop"


async def test_a_closed_client_refuses_and_closes_twice(provider: Provider) -> None:
    async with client_of(provider) as client:
        await client.complete(GPT, ASK)
        await client.close()
        with pytest.raises(AssistantOffError, match="going away"):
            await client.complete(GPT, ASK)
    assert len(provider.requests) == 1

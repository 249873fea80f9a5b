"""What the doctor finds of the assistant: at a provider that is well, refuses, or is away."""

import socket
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr

from chatops.assistant.checkup import check_assistant
from tests.support.provider import KEY, running_provider

SOUND = SecretStr(KEY)


@pytest.fixture
def closed_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_sound_one_is_named_with_its_models() -> None:
    async with running_provider() as provider:
        found = await check_assistant(SOUND, provider.url, None)
        assert found.state == "ok"
        assert found.found == f"{provider.url} accepts the key, and has gpt-4o, gpt-4o-mini"
        assert not provider.requests


async def test_without_a_key_it_is_off_and_that_is_all() -> None:
    assert (await check_assistant(None, None, None)).state == "ok"


async def test_a_wrong_key_is_told_and_not_shown() -> None:
    async with running_provider() as provider:
        found = await check_assistant(SecretStr("sk-wrong"), provider.url, None)
        assert found.state == "failed"
        assert "OPENAI_API_KEY" in (found.advice or "")
        assert "sk-wrong" not in f"{found}"


async def test_a_provider_that_is_away(closed_port: int) -> None:
    found = await check_assistant(SOUND, f"http://127.0.0.1:{closed_port}/v1", None)
    assert found.state == "failed"
    assert "cannot be reached" in found.found


async def test_a_model_that_the_provider_lacks(tmp_path: Path) -> None:
    file = tmp_path / "models.toml"
    file.write_text(
        """[models."llama"]
tier = "MINI"
capabilities = ["CHAT", "FUNCTION_CALLING"]
input_price_per_1m = "0.10"
output_price_per_1m = "0.40"
max_tokens = 8192
supports_rag = true
description = "Ours."
[policies.chatops_advanced]
allowed_tiers = ["MINI"]
default_model = "llama"
required_capabilities = ["CHAT"]
"""
    )
    async with running_provider() as provider:
        found = await check_assistant(SOUND, provider.url, file)
        assert found.state == "warning"
        assert "has no llama" in found.found


async def test_a_file_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "models.toml"
    file.write_text("[models")
    found = await check_assistant(SOUND, None, file)
    assert found.state == "failed"
    assert "models.toml" in found.found


@pytest.mark.parametrize("answer", [{"status": 404}, {"text": "hello"}, {"text": '{"data": 1}'}])
async def test_a_provider_without_a_list(answer: dict[str, object]) -> None:
    async def models(_request: web.Request) -> web.Response:
        return web.Response(**answer)  # type: ignore[arg-type]  # as the test says

    app = web.Application()
    app.router.add_get("/v1/models", models)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        found = await check_assistant(SOUND, url, None)
        assert found.state in ("warning", "failed")
        assert found.advice
    finally:
        await runner.cleanup()

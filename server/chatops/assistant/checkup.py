"""Whether the assistant of the settings can answer."""

from pathlib import Path

from pydantic import SecretStr

from chatops.assistant.catalogue_file import load_policies
from chatops.assistant.client import DEFAULT_BASE_URL, ModelClient
from chatops.assistant.failures import ModelFailedError
from chatops.errors import BadParameterError
from chatops.findings import Finding, failed, ok, warning, without_secrets

CHECK = "assistant"

_TIMEOUT_S = 10.0


async def check_assistant(
    api_key: SecretStr | None, base_url: str | None, models_file: Path | None
) -> Finding:
    """Read the file of models, and ask the provider for its list, which costs nothing."""
    try:
        policies = load_policies(models_file)
    except BadParameterError as error:
        return failed(CHECK, error.message, error.hint or "")
    client = ModelClient(api_key, base_url, timeout_s=_TIMEOUT_S, retries=0)
    if not client.available:
        return ok(CHECK, "off: OPENAI_API_KEY is not set")
    where = without_secrets(base_url or DEFAULT_BASE_URL)
    try:
        there = await client.models()
    except ModelFailedError as error:
        if error.kind in ("wrong_address", "malformed"):  # some providers have no such list
            return warning(CHECK, f"{where} does not list its models", "Ask it something: /ask")
        return failed(CHECK, f"{where}: {error.message}", error.hint or "")
    finally:
        await client.close()
    services = policies.by_service.values()
    defaults = {one.default_model for one in services}
    defaults |= {one.tools_model for one in services if one.tools_model is not None}
    if missing := sorted(defaults - there):
        return warning(
            CHECK,
            f"{where} has no {', '.join(missing)}, which services use by default",
            "Name models that it has in CHATOPS_MODELS_FILE.",
        )
    return ok(CHECK, f"{where} accepts the key, and has {', '.join(sorted(defaults))}")

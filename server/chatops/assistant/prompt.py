"""A request in the words of the provider's interface, without what the model lacks."""

import re
from typing import Any

from chatops.assistant.catalogue import ModelConfig
from chatops.assistant.messages import Message, Request

_NO_NAME = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_NAME = 64


def parameters(model: ModelConfig, request: Request) -> dict[str, Any]:
    """Return the parameters of the call.

    A model that lacks tools is given none; what tools were asked and answered before stands in its
    prompt as plain text. To one that lacks the role ``system``, those messages come as the user's.
    """
    limit = "max_completion_tokens" if model.uses_max_completion_tokens else "max_tokens"
    made: dict[str, Any] = {
        "model": model.model_id,
        "messages": [_message(model, message) for message in request.messages],
        limit: output_limit(model, request),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if model.supports_temperature:
        made["temperature"] = request.temperature
    if model.supports_tools and request.tools:
        made["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": dict(tool.parameters),
                },
            }
            for tool in request.tools
        ]
        if request.must_call:
            made["tool_choice"] = "required"
    return made


def output_limit(model: ModelConfig, request: Request) -> int:
    """Return the most tokens that the answer can have."""
    return max(1, min(request.max_tokens, model.max_tokens))


def _message(model: ModelConfig, message: Message) -> dict[str, Any]:
    if message.role == "system" and not model.supports_system_role:
        return {"role": "user", "content": message.content}
    if message.role == "tool":
        if model.supports_tools:
            return {
                "role": "tool",
                "content": message.content,
                "tool_call_id": message.tool_call_id,
            }
        return {"role": "user", "content": f"Result of the tool:\n{message.content}"}
    if not message.tool_calls:
        return {"role": message.role, "content": message.content}
    if not model.supports_tools:
        asked = "\n".join(f"Run: {call.name} {call.arguments}" for call in message.tool_calls)
        return {"role": message.role, "content": f"{message.content}\n{asked}".strip()}
    return {
        "role": message.role,
        "content": message.content or None,
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": _name(call.name), "arguments": call.arguments},
            }
            for call in message.tool_calls
        ],
    }


def _name(given: str) -> str:
    """Return a name that providers take back: models invent some that they refuse."""
    return _NO_NAME.sub("_", given)[:_LONGEST_NAME]

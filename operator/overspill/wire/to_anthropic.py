"""OpenAI chat requests in Anthropic's words. What has no word there is refused by name.

Source: https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from overspill.wire.errors import BadRequest, Untranslatable

if TYPE_CHECKING:
    from overspill.wire.openai import ChatRequest

VERSION: Final = "2023-06-01"

_REFUSED: Final = (
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "audio",
    "modalities",
    "prediction",
    "functions",
    "function_call",
    "web_search_options",
)
_NEUTRAL: Final[tuple[object, ...]] = (None, False, [], {}, ["text"])
_CHOICES: Final = {"required": "any", "auto": "auto", "none": "none"}


def messages_body(request: ChatRequest, model: str, default_max_tokens: int) -> bytes:
    """Return the Messages request. Raises: Untranslatable naming the field."""
    source = request.body
    for name in _REFUSED:
        if source.get(name) not in _NEUTRAL:
            raise Untranslatable(f"{name}: the provider's wire has no such field", name)
    if source.get("n") not in (None, 1):
        raise Untranslatable("n: the provider gives one answer at a time", "n")
    _refuse_formats(source.get("response_format"))
    system, messages = _messages(source["messages"])
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": request.max_tokens or default_max_tokens,
        "messages": messages,
    }
    if system:
        body["system"] = system
    if request.stream:
        body["stream"] = True
    _sampling(source, body)
    _tools(source, body)
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _refuse_formats(asked: object) -> None:
    if isinstance(asked, dict) and asked.get("type") not in (None, "text"):
        raise Untranslatable(
            f"response_format: {asked.get('type')} is not translated; ask with a tool instead",
            "response_format",
        )


def _sampling(source: dict[str, Any], body: dict[str, Any]) -> None:
    if (temperature := source.get("temperature")) is not None:
        body["temperature"] = min(float(temperature), 1.0)  # OpenAI's range ends at 2
    if (top_p := source.get("top_p")) is not None:
        body["top_p"] = top_p
    if stop := source.get("stop"):
        body["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if user := source.get("user"):
        body["metadata"] = {"user_id": user}


def _tools(source: dict[str, Any], body: dict[str, Any]) -> None:
    tools = source.get("tools")
    if not tools:
        return
    body["tools"] = [_tool(tool) for tool in tools]
    choice = _tool_choice(source.get("tool_choice"))
    if source.get("parallel_tool_calls") is False and choice.get("type") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    if choice:
        body["tool_choice"] = choice


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, dict):
        raise Untranslatable(f"tools: type {tool.get('type')!r} is not translated", "tools")
    made: dict[str, Any] = {
        "name": function["name"],
        "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
    }
    if function.get("description"):
        made["description"] = function["description"]
    return made


def _tool_choice(asked: object) -> dict[str, Any]:
    if asked is None:
        return {}
    if isinstance(asked, str) and asked in _CHOICES:
        return {"type": _CHOICES[asked]}
    if isinstance(asked, dict) and isinstance(asked.get("function"), dict):
        return {"type": "tool", "name": asked["function"]["name"]}
    raise Untranslatable(f"tool_choice: {asked!r} is not translated", "tool_choice")


def _messages(source: list[Any]) -> tuple[str, list[dict[str, Any]]]:
    """Split off the system prompt; merge neighbours of one role, as the wire wants them."""
    system: list[str] = []
    messages: list[dict[str, Any]] = []
    for index, message in enumerate(source):
        if not isinstance(message, dict):
            raise BadRequest(f"messages[{index}]: an object is required", "messages")
        role = message.get("role")
        if role in ("system", "developer"):
            system.append(_plain_text(message.get("content"), index))
            continue
        made = _turn(role, message, index)
        if messages and messages[-1]["role"] == made["role"]:
            messages[-1]["content"] += made["content"]
        else:
            messages.append(made)
    return "\n\n".join(system), messages


def _turn(role: object, message: dict[str, Any], index: int) -> dict[str, Any]:
    if role == "user":
        return {"role": "user", "content": _blocks(message.get("content"), index)}
    if role == "assistant":
        return {"role": "assistant", "content": _said(message, index)}
    if role == "tool":
        result = {
            "type": "tool_result",
            "tool_use_id": message.get("tool_call_id"),
            "content": _blocks(message.get("content"), index),
        }
        return {"role": "user", "content": [result]}
    raise Untranslatable(f"messages[{index}].role: {role!r} is not translated", "messages")


def _said(message: dict[str, Any], index: int) -> list[dict[str, Any]]:
    blocks = _blocks(message.get("content"), index) if message.get("content") else []
    for call in message.get("tool_calls") or []:
        function = call["function"]
        try:
            value = json.loads(function.get("arguments") or "{}")
        except ValueError:
            raise BadRequest(
                f"messages[{index}].tool_calls: arguments are not JSON", "messages"
            ) from None
        blocks.append(
            {"type": "tool_use", "id": call["id"], "name": function["name"], "input": value}
        )
    return blocks


def _plain_text(content: object, index: int) -> str:
    return "".join(block.get("text", "") for block in _blocks(content, index))


def _blocks(content: object, index: int) -> list[dict[str, Any]]:
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if isinstance(content, list):
        return [_block(part, index) for part in content]
    raise BadRequest(f"messages[{index}].content: text or a list of parts is required", "messages")


def _block(part: Any, index: int) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text":
        return {"type": "text", "text": part["text"]}
    if kind == "refusal":
        return {"type": "text", "text": part["refusal"]}
    if kind == "image_url":
        return {"type": "image", "source": _image(part["image_url"]["url"])}
    raise Untranslatable(
        f"messages[{index}].content: a part of type {kind!r} is not translated", "messages"
    )


def _image(url: str) -> dict[str, str]:
    if not url.startswith("data:"):
        return {"type": "url", "url": url}
    head, _, data = url.removeprefix("data:").partition(",")
    return {"type": "base64", "media_type": head.split(";")[0], "data": data}

"""OpenAI chat requests in Anthropic's words.

What has no word there and changes the answer's meaning is refused by name. What only nudges
sampling, speed or bookkeeping is left out and named in `lossy`, so that the client is told.

Source: https://docs.anthropic.com/en/api/messages, https://docs.anthropic.com/en/api/openai-sdk
"""

from __future__ import annotations

from typing import Any, Final

from overspill.wire.document import read_json
from overspill.wire.errors import BadRequest, Untranslatable

TRANSLATED: Final = frozenset(
    [
        "model",
        "messages",
        "max_tokens",
        "max_completion_tokens",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
        "top_k",
        "stop",
        "user",
        "safety_identifier",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
    ]
)
LEFT_OUT: Final = frozenset(
    [
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "min_p",
        "repetition_penalty",
        "metadata",
        "store",
        "service_tier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "prompt_cache_options",
        "prediction",
        "verbosity",
    ]
)
NEUTRAL: Final[tuple[object, ...]] = (None, False, [], {}, ["text"])
CHOICES: Final = {"required": "any", "auto": "auto", "none": "none"}
EFFORTS: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high"}
EFFORTS_AS_THEY_ARE: Final = frozenset({"xhigh", "max"})
IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


def messages_body(
    source: dict[str, Any], model: str, max_tokens: int
) -> tuple[dict[str, Any], list[str]]:
    """Return the Messages request, and the fields it left out.

    Raises: Untranslatable or BadRequest, naming the field.
    """
    lossy = [name for name in source if name in LEFT_OUT and source[name] not in NEUTRAL]
    for name, value in source.items():
        if name == "n" and value in (None, 1):
            continue
        if name not in TRANSLATED and name not in LEFT_OUT and value not in NEUTRAL:
            raise Untranslatable(f"{name}: Anthropic's wire has no such field", name)
    system, messages = _messages(source["messages"], lossy)
    body: dict[str, Any] = {"model": model, "max_tokens": max_tokens, "messages": messages}
    if system:
        body["system"] = system
    if source.get("stream") is True:
        body["stream"] = True
    _sampling(source, body, lossy)
    _tools(source, body)
    _output(source, body)
    return body, lossy


def _sampling(source: dict[str, Any], body: dict[str, Any], lossy: list[str]) -> None:
    temperature = source.get("temperature")
    if isinstance(temperature, int | float):
        body["temperature"] = min(temperature, 1.0)  # OpenAI's range ends at 2
        if temperature > 1.0:
            lossy.append("temperature")
    for name in ("top_p", "top_k"):
        if source.get(name) is not None:
            body[name] = source[name]
    if stop := source.get("stop"):
        asked = [stop] if isinstance(stop, str) else stop
        usable = [text for text in asked if isinstance(text, str) and text.strip()]
        if len(usable) < len(asked):
            lossy.append("stop")  # the provider refuses sequences of white space
        if usable:
            body["stop_sequences"] = usable
    if user := source.get("safety_identifier") or source.get("user"):
        body["metadata"] = {"user_id": user}


def _output(source: dict[str, Any], body: dict[str, Any]) -> None:
    config: dict[str, Any] = {}
    effort = source.get("reasoning_effort")
    if effort in EFFORTS:
        config["effort"] = EFFORTS[effort]
    elif effort in EFFORTS_AS_THEY_ARE:
        config["effort"] = effort
    elif effort not in (None, "none"):
        raise Untranslatable(f"reasoning_effort: {effort!r} is not translated", "reasoning_effort")
    asked = source.get("response_format")
    kind = asked.get("type") if isinstance(asked, dict) else None
    if kind == "json_schema":
        schema = asked.get("json_schema") if isinstance(asked, dict) else None
        if not isinstance(schema, dict) or not isinstance(schema.get("schema"), dict):
            raise BadRequest(
                "response_format.json_schema.schema: an object is required", "response_format"
            )
        config["format"] = {"type": "json_schema", "schema": schema["schema"]}
    elif kind not in (None, "text"):
        raise Untranslatable(
            f"response_format: type {kind!r} has no word on Anthropic's wire; ask with json_schema",
            "response_format",
        )
    if config:
        body["output_config"] = config


def _tools(source: dict[str, Any], body: dict[str, Any]) -> None:
    tools = source.get("tools")
    if not tools:
        return
    if not isinstance(tools, list):
        raise BadRequest("tools: a list is required", "tools")
    body["tools"] = [_tool(tool) for tool in tools]
    choice = _tool_choice(source.get("tool_choice"))
    if source.get("parallel_tool_calls") is False and choice.get("type") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    if choice:
        body["tool_choice"] = choice


def _tool(tool: object) -> dict[str, Any]:
    kind = tool.get("type") if isinstance(tool, dict) else None
    function = tool.get("function") if isinstance(tool, dict) else None
    if kind != "function" or not isinstance(function, dict):
        raise Untranslatable(f"tools: type {kind!r} is not translated", "tools")
    if not isinstance(function.get("name"), str):
        raise BadRequest("tools: function.name: a string is required", "tools")
    made: dict[str, Any] = {
        "name": function["name"],
        "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
    }
    for name in ("description", "strict"):
        if function.get(name):
            made[name] = function[name]
    return made


def _tool_choice(asked: object) -> dict[str, Any]:
    if asked is None:
        return {}
    if isinstance(asked, str) and asked in CHOICES:
        return {"type": CHOICES[asked]}
    function = asked.get("function") if isinstance(asked, dict) else None
    if isinstance(function, dict) and isinstance(function.get("name"), str):
        return {"type": "tool", "name": function["name"]}
    raise Untranslatable(f"tool_choice: {asked!r} is not translated", "tool_choice")


def _messages(source: list[Any], lossy: list[str]) -> tuple[Any, list[dict[str, Any]]]:
    """Split off the system prompt; merge neighbours of one role, as the wire wants them."""
    system: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = []
    for index, message in enumerate(source):
        if not isinstance(message, dict):
            raise BadRequest(f"messages[{index}]: an object is required", "messages")
        role = message.get("role")
        if role in ("system", "developer"):
            system += _blocks(message.get("content"), index)
            continue
        if message.get("name") and "messages.name" not in lossy:
            lossy.append("messages.name")
        made = _turn(role, message, index)
        if messages and messages[-1]["role"] == made["role"]:
            messages[-1]["content"] += made["content"]
        elif made["content"]:
            messages.append(made)
    if any(len(block) > 2 for block in system):  # a cache mark keeps its block
        return system, messages
    return "\n\n".join(block["text"] for block in system), messages


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
    if message.get("audio") or message.get("function_call"):
        raise Untranslatable(
            f"messages[{index}]: audio and function_call are not translated", "messages"
        )
    blocks = _blocks(message.get("content"), index) if message.get("content") else []
    if isinstance(refusal := message.get("refusal"), str) and refusal:
        blocks.append({"type": "text", "text": refusal})
    for call in message.get("tool_calls") or []:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            raise Untranslatable(
                f"messages[{index}].tool_calls: only functions are translated", "messages"
            )
        blocks.append(
            {
                "type": "tool_use",
                "id": call.get("id"),
                "name": function.get("name"),
                "input": _arguments(function.get("arguments"), index),
            }
        )
    return blocks


def _arguments(text: object, index: int) -> dict[str, Any]:
    try:
        value = read_json(text if isinstance(text, str) and text.strip() else "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise BadRequest(
            f"messages[{index}].tool_calls: arguments are not a JSON object", "messages"
        )
    return value


def _blocks(content: object, index: int) -> list[dict[str, Any]]:
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if isinstance(content, list):
        return [_block(part, index) for part in content]
    raise BadRequest(f"messages[{index}].content: text or a list of parts is required", "messages")


def _block(part: object, index: int) -> dict[str, Any]:
    made = _content(part, index)
    if isinstance(part, dict) and isinstance(part.get("cache_control"), dict):
        made["cache_control"] = part["cache_control"]
    return made


def _content(part: object, index: int) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    value = part.get(kind) if isinstance(part, dict) and isinstance(kind, str) else None
    if kind in ("text", "refusal") and isinstance(value, str):
        return {"type": "text", "text": value}
    if kind == "image_url" and isinstance(value, dict) and isinstance(value.get("url"), str):
        return _linked(value["url"], index)
    if kind == "file" and isinstance(value, dict) and isinstance(value.get("file_data"), str):
        return _linked(value["file_data"], index)
    raise Untranslatable(
        f"messages[{index}].content: a part of type {kind!r} is not translated", "messages"
    )


def _linked(url: str, index: int) -> dict[str, Any]:
    if not url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    head, _, data = url.removeprefix("data:").partition(",")
    media = head.split(";")[0]
    source = {"type": "base64", "media_type": media, "data": data}
    if media == "application/pdf":
        return {"type": "document", "source": source}
    if media in IMAGES:
        return {"type": "image", "source": source}
    raise Untranslatable(
        f"messages[{index}].content: {media or 'no media type'} is not translated; "
        "send JPEG, PNG, GIF, WebP or PDF",
        "messages",
    )

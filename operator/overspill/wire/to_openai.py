"""Anthropic Messages requests in OpenAI's words.

What has no word there is refused by name, which leaves the request to the tier that speaks it. What
only nudges is left out and named in `lossy`.

Source: https://docs.anthropic.com/en/api/messages, https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from typing import Any, Final

from overspill.wire.document import compact
from overspill.wire.errors import BadRequest, Untranslatable

TRANSLATED: Final = frozenset(
    [
        "model",
        "messages",
        "max_tokens",
        "metadata",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
        "output_config",
    ]
)
LEFT_OUT: Final = frozenset(["service_tier", "cache_control", "inference_geo"])
NEUTRAL: Final[tuple[object, ...]] = (None, False, [], {})
CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}
MODEL_BOUND: Final = frozenset({"thinking", "redacted_thinking"})


def chat_body(source: dict[str, Any], *, open_model: bool) -> tuple[dict[str, Any], list[str]]:
    """Return the chat completion request without its model, and the fields it left out.

    `open_model` says that the server knows the extensions of open servers (`top_k`).
    Raises: Untranslatable or BadRequest, naming the field.
    """
    lossy = [name for name in source if name in LEFT_OUT and source[name] not in NEUTRAL]
    for name, value in source.items():
        if name not in TRANSLATED and name not in LEFT_OUT and value not in NEUTRAL:
            raise Untranslatable(f"{name}: OpenAI's wire has no such field", name)
    body: dict[str, Any] = {"messages": _messages(source, lossy)}
    if source.get("max_tokens") is not None:
        body["max_tokens" if open_model else "max_completion_tokens"] = source["max_tokens"]
    _sampling(source, body, lossy, open_model=open_model)
    if source.get("stream") is True:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    _thinking(source.get("thinking"), lossy)
    _output(source.get("output_config"), body)
    _tools(source, body, lossy)
    return body, lossy


def wants_thinking(source: dict[str, Any]) -> bool:
    """Whether the client asked to see the model think."""
    asked = source.get("thinking")
    return isinstance(asked, dict) and asked.get("type") not in (None, "disabled")


def _sampling(
    source: dict[str, Any], body: dict[str, Any], lossy: list[str], *, open_model: bool
) -> None:
    for name in ("temperature", "top_p"):
        if source.get(name) is not None:
            body[name] = source[name]
    if source.get("top_k") is not None:
        if open_model:
            body["top_k"] = source["top_k"]
        else:
            lossy.append("top_k")
    if source.get("stop_sequences"):
        body["stop"] = source["stop_sequences"]
    metadata = source.get("metadata")
    if isinstance(metadata, dict) and metadata.get("user_id"):
        body["user"] = metadata["user_id"]


def _thinking(asked: object, lossy: list[str]) -> None:
    if isinstance(asked, dict) and asked.get("type") not in (None, "disabled"):
        lossy.append("thinking")  # how long an open model thinks is its own affair


def _output(asked: object, body: dict[str, Any]) -> None:
    if not isinstance(asked, dict):
        return
    for name, value in asked.items():
        if name == "effort" and isinstance(value, str):
            body["reasoning_effort"] = "xhigh" if value == "max" else value
        elif name == "format" and isinstance(value, dict) and value.get("type") == "json_schema":
            schema = {"name": "answer", "schema": value.get("schema"), "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif value not in NEUTRAL:
            raise Untranslatable(f"output_config.{name}: is not translated", "output_config")


def _tools(source: dict[str, Any], body: dict[str, Any], lossy: list[str]) -> None:
    tools = source.get("tools")
    if not tools:
        return
    if not isinstance(tools, list):
        raise BadRequest("tools: a list is required", "tools")
    left_out: list[str] = []
    body["tools"] = [_tool(tool, left_out) for tool in tools]
    lossy += dict.fromkeys(left_out)
    choice = source.get("tool_choice")
    if not isinstance(choice, dict):
        return
    kind = choice.get("type")
    if kind in CHOICES:
        body["tool_choice"] = CHOICES[kind]
    elif kind == "tool" and isinstance(choice.get("name"), str):
        body["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
    else:
        raise Untranslatable(f"tool_choice: {kind!r} is not translated", "tool_choice")
    if choice.get("disable_parallel_tool_use") is True:
        body["parallel_tool_calls"] = False


def _tool(tool: object, lossy: list[str]) -> dict[str, Any]:
    kind = tool.get("type") if isinstance(tool, dict) else "none"
    if not isinstance(tool, dict) or kind not in (None, "custom"):
        raise Untranslatable(f"tools: {kind!r} runs at the provider; it is not translated", "tools")
    if not isinstance(tool.get("name"), str):
        raise BadRequest("tools: name: a string is required", "tools")
    function: dict[str, Any] = {"name": tool["name"]}
    for name, value in tool.items():
        if name == "input_schema":
            function["parameters"] = value
        elif name in ("description", "strict"):
            function[name] = value
        elif name not in ("type", "name") and value not in NEUTRAL:
            lossy.append(f"tools.{name}")
    return {"type": "function", "function": function}


def _messages(source: dict[str, Any], lossy: list[str]) -> list[dict[str, Any]]:
    turns = source["messages"]
    made: list[dict[str, Any]] = []
    if source.get("system"):
        made.append({"role": "system", "content": _system(source["system"], lossy)})
    _refuse_open_thought(turns)
    for index, turn in enumerate(turns):
        role = turn.get("role") if isinstance(turn, dict) else None
        blocks = _blocks(turn, index)
        _note_cache_marks(blocks, lossy)
        if role == "user":
            made += _user(blocks, index, lossy)
        elif role == "assistant":
            made.append(_assistant(blocks, index))
        elif role == "system":
            made.append({"role": "system", "content": _texts(blocks, f"messages[{index}]")})
        else:
            raise BadRequest(f"messages[{index}].role: user or assistant is required", "messages")
    return made


def _refuse_open_thought(turns: list[Any]) -> None:
    """Keep a turn that is still under way at the model whose signed thoughts it holds.

    The thoughts of finished turns are left out, as the provider itself does. But while tools are
    being called, the thought is part of the turn, and only its own model can read it.
    """
    last = turns[-1] if turns and isinstance(turns[-1], dict) else {}
    content = last.get("content")
    results = isinstance(content, list) and any(_kind(block) == "tool_result" for block in content)
    before = turns[-2] if results and len(turns) > 1 else None
    said = before.get("content") if isinstance(before, dict) else None
    for block in said if isinstance(said, list) else ():
        if _kind(block) in MODEL_BOUND and (block.get("signature") or block.get("data")):
            raise Untranslatable(
                f"messages[{len(turns) - 2}].content: a signed thought binds this turn "
                "to the model that had it",
                "messages",
            )


def _kind(block: object) -> str | None:
    kind = block.get("type") if isinstance(block, dict) else None
    return kind if isinstance(kind, str) else None


def _blocks(turn: object, index: int) -> list[dict[str, Any]]:
    content = turn.get("content") if isinstance(turn, dict) else None
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if isinstance(content, list) and all(isinstance(block, dict) for block in content):
        return content
    raise BadRequest(f"messages[{index}].content: text or a list of blocks is required", "messages")


def _note_cache_marks(blocks: list[dict[str, Any]], lossy: list[str]) -> None:
    if "cache_control" not in lossy and any(block.get("cache_control") for block in blocks):
        lossy.append("cache_control")


def _system(asked: object, lossy: list[str]) -> str:
    if isinstance(asked, str):
        return asked
    if isinstance(asked, list) and all(isinstance(block, dict) for block in asked):
        _note_cache_marks(asked, lossy)
        return _texts(asked, "system")
    raise BadRequest("system: text or a list of text blocks is required", "system")


def _texts(blocks: list[dict[str, Any]], where: str) -> str:
    for block in blocks:
        if _kind(block) != "text" or not isinstance(block.get("text"), str):
            raise Untranslatable(
                f"{where}: a block of type {_kind(block)!r} is not translated",
                where.partition("[")[0],
            )
    return "\n\n".join(block["text"] for block in blocks)


def _user(blocks: list[dict[str, Any]], index: int, lossy: list[str]) -> list[dict[str, Any]]:
    """Return tool results first: on this wire they follow the call directly."""
    results = [block for block in blocks if _kind(block) == "tool_result"]
    made = [_result(block, index, lossy) for block in results]
    parts = [_part(block, index) for block in blocks if _kind(block) != "tool_result"]
    if len(parts) == 1 and parts[0]["type"] == "text":
        made.append({"role": "user", "content": parts[0]["text"]})
    elif parts:
        made.append({"role": "user", "content": parts})
    return made


def _result(block: dict[str, Any], index: int, lossy: list[str]) -> dict[str, Any]:
    content = block.get("content")
    where = f"messages[{index}].content.tool_result"
    text = content if isinstance(content, str) else _texts(content or [], where)
    if block.get("is_error") and "tool_result.is_error" not in lossy:
        lossy.append("tool_result.is_error")
    return {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": text}


def _part(block: dict[str, Any], index: int) -> dict[str, Any]:
    kind = _kind(block)
    source = block.get("source")
    if kind == "text" and isinstance(block.get("text"), str):
        return {"type": "text", "text": block["text"]}
    if kind == "image" and isinstance(source, dict):
        if source.get("type") == "url":
            return {"type": "image_url", "image_url": {"url": source.get("url")}}
        if source.get("type") == "base64":
            url = f"data:{source.get('media_type')};base64,{source.get('data')}"
            return {"type": "image_url", "image_url": {"url": url}}
    if kind == "document" and isinstance(source, dict) and source.get("type") == "text":
        return {"type": "text", "text": str(source.get("data"))}
    raise Untranslatable(
        f"messages[{index}].content: a block of type {kind!r} is not translated", "messages"
    )


def _assistant(blocks: list[dict[str, Any]], index: int) -> dict[str, Any]:
    texts, calls = [], []
    for block in blocks:
        kind = _kind(block)
        if kind == "text":
            texts.append(str(block.get("text", "")))
        elif kind == "tool_use":
            arguments = compact(block.get("input") or {}).decode()
            function = {"name": block.get("name"), "arguments": arguments}
            calls.append({"id": block.get("id"), "type": "function", "function": function})
        elif kind not in MODEL_BOUND:
            raise Untranslatable(
                f"messages[{index}].content: a block of type {kind!r} is not translated", "messages"
            )
    said: dict[str, Any] = {"role": "assistant", "content": "".join(texts) if texts else None}
    if calls:
        said["tool_calls"] = calls
    elif not texts:
        said["content"] = ""
    return said

"""OpenAI Responses requests as chat completions: the part that keeps no state at the provider.

Source: https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from typing import Any, Final

from overspill.wire.errors import BadRequest, Untranslatable

SAME: Final = [
    "temperature",
    "top_p",
    "parallel_tool_calls",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "service_tier",
]
HANDLED: Final = frozenset(
    [
        "model",
        "input",
        "instructions",
        "max_output_tokens",
        "stream",
        "tools",
        "tool_choice",
        "text",
        "reasoning",
        "metadata",
        "store",
        "stream_options",
    ]
)
LEFT_OUT: Final = frozenset(
    ["include", "prompt_cache_retention", "prompt_cache_options", "max_tool_calls"]
)
KNOWN: Final = HANDLED | LEFT_OUT | frozenset(SAME)
STATE: Final = {
    "previous_response_id": "send the earlier items in input",
    "conversation": "send the earlier items in input",
    "prompt": "send the prompt's text in instructions and input",
    "background": "wait for the answer, or stream it",
}
NEUTRAL: Final[tuple[object, ...]] = (None, False, [], {}, "disabled", 0)


def chat_body(source: dict[str, Any], *, open_model: bool) -> tuple[dict[str, Any], list[str]]:
    """Return the chat completion request without its model, and the fields it left out.

    Raises: BadRequest or Untranslatable, naming the field.
    """
    lossy = [name for name in source if name in LEFT_OUT and source[name] not in NEUTRAL]
    for name, remedy in STATE.items():
        if source.get(name) not in NEUTRAL:
            raise BadRequest(f"{name}: answers are not stored here; {remedy}", name)
    for name, value in source.items():
        if name not in KNOWN and value not in NEUTRAL:
            raise Untranslatable(f"{name}: is not translated to chat completions", name)
    body: dict[str, Any] = {"messages": _messages(source)}
    for name in SAME:
        if source.get(name) is not None:
            body[name] = source[name]
    if source.get("max_output_tokens") is not None:
        limit = "max_tokens" if open_model else "max_completion_tokens"
        body[limit] = source["max_output_tokens"]
    if source.get("stream") is True:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    _text(source.get("text"), body)
    _reasoning(source.get("reasoning"), body, lossy)
    _tools(source, body)
    return body, lossy


def _text(asked: object, body: dict[str, Any]) -> None:
    if not isinstance(asked, dict):
        return
    if asked.get("verbosity") is not None:
        body["verbosity"] = asked["verbosity"]
    wanted = asked.get("format")
    if not isinstance(wanted, dict) or wanted.get("type") == "text":
        return
    if wanted.get("type") == "json_schema":
        schema = {name: value for name, value in wanted.items() if name != "type"}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    else:
        body["response_format"] = wanted


def _reasoning(asked: object, body: dict[str, Any], lossy: list[str]) -> None:
    if not isinstance(asked, dict):
        return
    if asked.get("effort") is not None:
        body["reasoning_effort"] = asked["effort"]
    if any(value is not None for name, value in asked.items() if name != "effort"):
        lossy.append("reasoning.summary")


def _tools(source: dict[str, Any], body: dict[str, Any]) -> None:
    tools = source.get("tools")
    if not tools:
        return
    if not isinstance(tools, list):
        raise BadRequest("tools: a list is required", "tools")
    body["tools"] = [_tool(tool) for tool in tools]
    choice = source.get("tool_choice")
    if isinstance(choice, str):
        body["tool_choice"] = choice
    elif isinstance(choice, dict) and choice.get("type") == "function":
        body["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    elif choice is not None:
        raise Untranslatable("tool_choice: only functions are translated", "tool_choice")


def _tool(tool: object) -> dict[str, Any]:
    kind = tool.get("type") if isinstance(tool, dict) else None
    if not isinstance(tool, dict) or kind != "function":
        raise Untranslatable(f"tools: {kind!r} runs at the provider; it is not translated", "tools")
    function = {
        name: tool[name]
        for name in ("name", "description", "parameters", "strict")
        if tool.get(name) is not None
    }
    return {"type": "function", "function": function}


def _messages(source: dict[str, Any]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    if isinstance(source.get("instructions"), str) and source["instructions"]:
        made.append({"role": "system", "content": source["instructions"]})
    asked = source.get("input")
    if isinstance(asked, str):
        return [*made, {"role": "user", "content": asked}]
    if not isinstance(asked, list) or not asked:
        raise BadRequest("input: text or a list of items is required", "input")
    for index, item in enumerate(asked):
        if not isinstance(item, dict):
            raise BadRequest(f"input[{index}]: an object is required", "input")
        _item(item, index, made)
    return made


def _item(item: dict[str, Any], index: int, made: list[dict[str, Any]]) -> None:
    kind = item.get("type") or "message"
    if kind == "message":
        made.append(_message(item, index))
    elif kind == "function_call":
        function = {"name": item.get("name"), "arguments": item.get("arguments") or "{}"}
        call = {"id": item.get("call_id"), "type": "function", "function": function}
        if made and made[-1]["role"] == "assistant":
            made[-1].setdefault("tool_calls", []).append(call)
        else:
            made.append({"role": "assistant", "content": None, "tool_calls": [call]})
    elif kind == "function_call_output":
        content = _content(item.get("output"), index)
        made.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": content})
    elif kind != "reasoning":  # bound to the model that had the thought; the others do without
        raise Untranslatable(f"input[{index}]: type {kind!r} is not translated", "input")


def _message(item: dict[str, Any], index: int) -> dict[str, Any]:
    role = item.get("role")
    if role not in ("user", "assistant", "system", "developer"):
        raise BadRequest(f"input[{index}].role: {role!r} is no role", "input")
    # servers of open models know "system" only
    return {
        "role": "system" if role == "developer" else role,
        "content": _content(item.get("content"), index),
    }


def _content(content: object, index: int) -> str | list[dict[str, Any]]:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise BadRequest(f"input[{index}].content: text or a list of parts is required", "input")
    parts = [_part(part, index) for part in content]
    if all(part["type"] == "text" for part in parts):
        return "".join(part["text"] for part in parts)
    return parts


def _part(part: object, index: int) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(part, dict):
        if kind in ("input_text", "output_text") and isinstance(part.get("text"), str):
            return {"type": "text", "text": part["text"]}
        if kind == "refusal" and isinstance(part.get("refusal"), str):
            return {"type": "text", "text": part["refusal"]}
        if kind == "input_image" and isinstance(part.get("image_url"), str):
            image: dict[str, Any] = {"url": part["image_url"]}
            if part.get("detail"):
                image["detail"] = part["detail"]
            return {"type": "image_url", "image_url": image}
        if kind == "input_file" and isinstance(part.get("file_data"), str):
            file = {name: part[name] for name in ("filename", "file_data") if part.get(name)}
            return {"type": "file", "file": file}
    raise Untranslatable(
        f"input[{index}].content: a part of type {kind!r} is not translated", "input"
    )

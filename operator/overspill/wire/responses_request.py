"""OpenAI Responses requests as chat completions: the part that keeps no state at the provider.

Source: https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from typing import Any, Final

from overspill.wire.errors import BadRequest, Untranslatable
from overspill.wire.reading import flag, items, mapping, only, required, text

SAME: Final = [
    "temperature",
    "top_p",
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
        "parallel_tool_calls",
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
STATE: Final = {
    "previous_response_id": "send the earlier items in input",
    "conversation": "send the earlier items in input",
    "prompt": "send the prompt's text in instructions and input",
    "background": "wait for the answer, or stream it",
}
NEUTRAL: Final[dict[str, tuple[object, ...]]] = {
    "background": (False,),
    "truncation": ("disabled",),
    "top_logprobs": (0,),
    "include": ([],),
}
"""Values that say no more than the field left out."""
CHOICES: Final = ("auto", "none", "required")
FORMATS: Final = ("text", "json_schema", "json_object")
FUNCTION: Final = ("name", "description", "parameters", "strict")
BOOKKEEPING: Final = ("type", "id", "status", "phase")
"""What an item says of itself, and not to the model."""
PARSED: Final = ("parsed", "parsed_arguments")
"""What the official client adds to an answer for its reader, and sends back with it."""
LOGPROBS: Final = "message.output_text.logprobs"


def chat_body(source: dict[str, Any], *, limit: str) -> tuple[dict[str, Any], list[str]]:
    """Return the chat completion request without its model, and the fields it left out.

    `limit` is what the target calls its most output tokens.
    Raises: BadRequest or Untranslatable, naming the field.
    """
    lossy: list[str] = []
    for name, value in source.items():
        if name in HANDLED or name in SAME or value is None or value in NEUTRAL.get(name, ()):
            continue
        if name in STATE:
            raise BadRequest(f"{name}: answers are not stored here; {STATE[name]}", name)
        if name not in LEFT_OUT:
            raise Untranslatable(f"{name}: is not translated to chat completions", name)
        lossy.append(name)
    if LOGPROBS in items(source, "include"):
        raise Untranslatable(f"include: {LOGPROBS} is not translated", "include")
    body: dict[str, Any] = {"messages": _messages(source, lossy)}
    for name in SAME:
        if source.get(name) is not None:
            body[name] = source[name]
    if source.get("max_output_tokens") is not None:
        body[limit] = source["max_output_tokens"]
    if source.get("stream") is True:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    _text(mapping(source, "text"), body)
    _reasoning(mapping(source, "reasoning"), body, lossy)
    _tools(source, body)
    return body, list(dict.fromkeys(lossy))


def refuse_results_in_parts(chat: dict[str, Any]) -> None:
    """Refuse results that are no text: chat completions have no other. Raises: Untranslatable."""
    for message in chat["messages"]:
        if message["role"] == "tool" and not isinstance(message["content"], str):
            raise Untranslatable("input: a result that is no text is not translated", "input")


def _text(asked: dict[str, Any], body: dict[str, Any]) -> None:
    only(asked, ("format", "verbosity"), "text")
    if asked.get("verbosity") is not None:
        body["verbosity"] = asked["verbosity"]
    wanted = mapping(asked, "format", "text.")
    kind = wanted.get("type", "text")
    if kind not in FORMATS:
        raise Untranslatable(f"text.format: type {kind!r} is not translated", "text")
    if kind == "json_schema":
        schema = {name: value for name, value in wanted.items() if name != "type"}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif kind != "text":
        body["response_format"] = wanted


def _reasoning(asked: dict[str, Any], body: dict[str, Any], lossy: list[str]) -> None:
    if asked.get("effort") is not None:
        body["reasoning_effort"] = asked["effort"]
    if any(value is not None for name, value in asked.items() if name != "effort"):
        lossy.append("reasoning.summary")


def _tools(source: dict[str, Any], body: dict[str, Any]) -> None:
    tools, parallel = items(source, "tools"), flag(source, "parallel_tool_calls")
    if not tools:  # and chat completions refuse what is said of none
        return
    body["tools"] = [_tool(tool) for tool in tools]
    if parallel is not None:
        body["parallel_tool_calls"] = parallel
    choice = source.get("tool_choice")
    if choice is None:
        return
    if choice in CHOICES:
        body["tool_choice"] = choice
    elif isinstance(choice, dict) and choice.get("type") == "function":
        name = required(choice.get("name"), "tool_choice.name")
        body["tool_choice"] = {"type": "function", "function": {"name": name}}
    else:
        raise Untranslatable("tool_choice: only functions are translated", "tool_choice")


def _tool(tool: object) -> dict[str, Any]:
    kind = tool.get("type") if isinstance(tool, dict) else None
    if not isinstance(tool, dict) or kind != "function":
        raise Untranslatable(f"tools: {kind!r} runs at the provider; it is not translated", "tools")
    only(tool, ("type", *FUNCTION), "tools")
    required(tool.get("name"), "tools.name")
    function = {name: tool[name] for name in FUNCTION if tool.get(name) is not None}
    return {"type": "function", "function": function}


def _messages(source: dict[str, Any], lossy: list[str]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    if instructions := text(source, "instructions"):
        made.append({"role": "system", "content": instructions})
    asked = source.get("input")
    if isinstance(asked, str):
        return [*made, {"role": "user", "content": asked}]
    if not isinstance(asked, list) or not asked:
        raise BadRequest("input: text or a list of items is required", "input")
    for index, item in enumerate(asked):
        if not isinstance(item, dict):
            raise BadRequest(f"input[{index}]: an object is required", "input")
        _item(item, f"input[{index}]", made, lossy)
    return made


def _item(item: dict[str, Any], where: str, made: list[dict[str, Any]], lossy: list[str]) -> None:
    kind = item.get("type") or "message"
    if kind == "message":
        _add(_message(item, where), made)
    elif kind == "function_call":
        only(item, (*BOOKKEEPING, *PARSED, "call_id", "name", "arguments"), where)
        name = required(item.get("name"), f"{where}.name")
        call = {
            "id": required(item.get("call_id"), f"{where}.call_id"),
            "type": "function",
            "function": {"name": name, "arguments": item.get("arguments") or "{}"},
        }
        if not made or made[-1]["role"] != "assistant":
            made.append({"role": "assistant", "content": None})
        made[-1].setdefault("tool_calls", []).append(call)
    elif kind == "function_call_output":
        only(item, (*BOOKKEEPING, "call_id", "output"), where)
        number = required(item.get("call_id"), f"{where}.call_id")
        content = _content(item.get("output"), f"{where}.output")
        made.append({"role": "tool", "tool_call_id": number, "content": content})
    elif kind == "reasoning":  # bound to the model that had the thought; the others do without
        lossy.append("input.reasoning")
    else:
        raise Untranslatable(f"{where}: type {kind!r} is not translated", "input")


def _message(item: dict[str, Any], where: str) -> dict[str, Any]:
    only(item, (*BOOKKEEPING, "role", "content"), where)
    role = item.get("role")
    if role not in ("user", "assistant", "system", "developer"):
        raise BadRequest(f"{where}.role: {role!r} is no role", "input")
    # servers of open models know "system" only
    return {
        "role": "system" if role == "developer" else role,
        "content": _content(item.get("content"), f"{where}.content"),
    }


def _add(message: dict[str, Any], made: list[dict[str, Any]]) -> None:
    """Add a message; text beside a call is one message with it, for results follow at once."""
    last = made[-1] if made else message
    if message["role"] == last["role"] == "assistant" and "tool_calls" in last:
        if last["content"] is None:
            last["content"] = message["content"]
            return
        if isinstance(last["content"], str) and isinstance(message["content"], str):
            last["content"] += message["content"]
            return
    made.append(message)


def _content(content: object, where: str) -> str | list[dict[str, Any]]:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise BadRequest(f"{where}: text or a list of parts is required", "input")
    parts = [_part(part, where) for part in content]
    if all(part["type"] == "text" for part in parts):
        return "".join(part["text"] for part in parts)
    return parts


def _part(part: object, where: str) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(part, dict):
        if kind in ("input_text", "output_text") and isinstance(part.get("text"), str):
            only(part, ("type", "text", "annotations", "logprobs", *PARSED), where)
            return {"type": "text", "text": part["text"]}
        if kind == "refusal" and isinstance(part.get("refusal"), str):
            return {"type": "text", "text": part["refusal"]}
        if kind == "input_image" and isinstance(part.get("image_url"), str):
            only(part, ("type", "image_url", "detail"), where)
            image: dict[str, Any] = {"url": part["image_url"]}
            if part.get("detail"):
                image["detail"] = part["detail"]
            return {"type": "image_url", "image_url": image}
        if kind == "input_file" and isinstance(part.get("file_data"), str):
            only(part, ("type", "filename", "file_data"), where)
            file = {name: part[name] for name in ("filename", "file_data") if part.get(name)}
            return {"type": "file", "file": file}
    raise Untranslatable(f"{where}: a part of type {kind!r} is not translated", "input")

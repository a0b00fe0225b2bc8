"""Anthropic Messages requests in OpenAI's words.

What has no word there is refused by name, which leaves the request to the tier that speaks it. What
only nudges is left out and named in `lossy`.

Source: https://docs.anthropic.com/en/api/messages, https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from overspill.wire.document import compact
from overspill.wire.errors import BadRequest, Untranslatable
from overspill.wire.reading import flag, items, mapping, number, only, required, text

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
NEUTRAL: Final[dict[str, tuple[object, ...]]] = {"mcp_servers": ([],), "speed": ("standard",)}
"""Values that say no more than the field left out."""
CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}
MODEL_BOUND: Final = ("thinking", "redacted_thinking")
MOST_STOPS: Final = 4
"""Stop sequences that OpenAI takes; servers of open models take any number."""
LONGEST_USER: Final = 64
"""OpenAI refuses longer names of users, hosts those above 128; Claude Code's have more than 150."""
TOOL: Final = ("type", "name", "input_schema", "description", "strict")
TOOL_LEFT_OUT: Final = (
    "cache_control",
    "input_examples",
    "defer_loading",
    "eager_input_streaming",
)
DIRECT: Final[dict[str, object]] = {"allowed_callers": ["direct"], "caller": {"type": "direct"}}
"""Who calls a tool: the model itself, as on every wire, or code of the provider's."""
BLOCKS: Final = {
    "text": ("type", "text", "cache_control", "citations"),
    "image": ("type", "source", "cache_control"),
    "document": ("type", "source", "title", "citations", "cache_control"),
    "tool_use": ("type", "id", "name", "input", "cache_control"),
    "tool_result": ("type", "tool_use_id", "content", "is_error", "cache_control"),
}


def chat_body(
    source: dict[str, Any], *, open_model: bool, limit: str
) -> tuple[dict[str, Any], list[str]]:
    """Return the chat completion request without its model, and the fields it left out.

    `open_model` says that the server knows the extensions of open servers (`top_k`); `limit` is
    what it calls its most output tokens.
    Raises: Untranslatable or BadRequest, naming the field.
    """
    lossy: list[str] = []
    for name, value in source.items():
        if name in TRANSLATED or value is None or value in NEUTRAL.get(name, ()):
            continue
        if name not in LEFT_OUT:
            raise Untranslatable(f"{name}: OpenAI's wire has no such field", name)
        lossy.append(name)
    messages = _system(source.get("system"), lossy) + _messages(
        items(source, "messages"), lossy, open_model=open_model
    )
    body: dict[str, Any] = {"messages": messages}
    if source.get("max_tokens") is not None:
        body[limit] = source["max_tokens"]
    _sampling(source, body, lossy, open_model=open_model)
    if source.get("stream") is True:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    if wants_thinking(source):
        lossy.append("thinking")  # how long an open model thinks is its own affair
    _output(mapping(source, "output_config"), body)
    _tools(source, body, lossy)
    return body, list(dict.fromkeys(lossy))


def wants_thinking(source: dict[str, Any]) -> bool:
    """Whether the client asked to see the model think. Raises: BadRequest."""
    return mapping(source, "thinking").get("type") not in (None, "disabled")


def _sampling(
    source: dict[str, Any], body: dict[str, Any], lossy: list[str], *, open_model: bool
) -> None:
    for name in ("temperature", "top_p"):
        value = number(source, name)
        if value is not None:
            body[name] = value
    top_k = number(source, "top_k")
    if top_k is not None:
        if open_model:
            body["top_k"] = top_k
        else:
            lossy.append("top_k")
    stops = items(source, "stop_sequences")
    if len(stops) > MOST_STOPS and not open_model:
        raise Untranslatable(
            f"stop_sequences: OpenAI's wire has {MOST_STOPS} at most", "stop_sequences"
        )
    if stops:
        body["stop"] = stops
    metadata = mapping(source, "metadata")
    only(metadata, ("user_id",), "metadata")
    if user := text(metadata, "user_id", "metadata."):
        body["user"] = user if len(user) <= LONGEST_USER else sha256(user.encode()).hexdigest()


def _output(asked: dict[str, Any], body: dict[str, Any]) -> None:
    only(asked, ("effort", "format"), "output_config")
    effort = asked.get("effort")
    if effort is not None:
        if not isinstance(effort, str):
            raise BadRequest("output_config.effort: a text is required", "output_config")
        body["reasoning_effort"] = "xhigh" if effort == "max" else effort
    wanted = asked.get("format")
    if wanted is None:
        return
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        raise Untranslatable("output_config.format: is not translated", "output_config")
    only(wanted, ("type", "schema"), "output_config.format")
    schema = {"name": "answer", "schema": wanted.get("schema"), "strict": True}
    body["response_format"] = {"type": "json_schema", "json_schema": schema}


def _tools(source: dict[str, Any], body: dict[str, Any], lossy: list[str]) -> None:
    tools = items(source, "tools")
    choice = mapping(source, "tool_choice")
    if not tools:
        return
    body["tools"] = [_tool(tool, lossy) for tool in tools]
    if not choice:
        return
    only(choice, ("type", "name", "disable_parallel_tool_use"), "tool_choice")
    kind = text(choice, "type", "tool_choice.")
    if kind in CHOICES:
        body["tool_choice"] = CHOICES[kind]
    elif kind == "tool":
        name = required(choice.get("name"), "tool_choice.name")
        body["tool_choice"] = {"type": "function", "function": {"name": name}}
    else:
        raise Untranslatable(f"tool_choice: {kind!r} is not translated", "tool_choice")
    if flag(choice, "disable_parallel_tool_use", "tool_choice."):
        body["parallel_tool_calls"] = False


def _tool(tool: object, lossy: list[str]) -> dict[str, Any]:
    kind = tool.get("type") if isinstance(tool, dict) else "none"
    if not isinstance(tool, dict) or kind not in (None, "custom"):
        raise Untranslatable(f"tools: {kind!r} runs at the provider; it is not translated", "tools")
    only(_direct(tool), (*TOOL, *TOOL_LEFT_OUT), "tools")
    lossy += [f"tools.{name}" for name in TOOL_LEFT_OUT if tool.get(name)]
    function = {"name": required(tool.get("name"), "tools.name")}
    if "input_schema" in tool:
        function["parameters"] = tool["input_schema"]
    function |= {name: tool[name] for name in ("description", "strict") if name in tool}
    return {"type": "function", "function": function}


def _direct(value: dict[str, Any]) -> dict[str, Any]:
    """Leave out that the model itself calls: there is no other way on OpenAI's wire."""
    return {name: said for name, said in value.items() if DIRECT.get(name) != said}


def _messages(turns: list[Any], lossy: list[str], *, open_model: bool) -> list[dict[str, Any]]:
    _refuse_open_thought(turns)
    made: list[dict[str, Any]] = []
    for index, turn in enumerate(turns):
        where = f"messages[{index}]"
        if not isinstance(turn, dict):
            raise BadRequest(f"{where}: an object is required", "messages")
        only(turn, ("role", "content"), where)
        role, blocks = turn.get("role"), _blocks(turn.get("content"), f"{where}.content", lossy)
        if role == "user":
            made += _user(blocks, f"{where}.content", lossy, open_model=open_model)
        elif role == "assistant":
            made.append(_assistant(blocks, f"{where}.content"))
        elif role == "system":
            made.append({"role": "system", "content": _texts(blocks, f"{where}.content")})
        else:
            raise BadRequest(f"{where}.role: user or assistant is required", "messages")
    if made and made[-1]["role"] == "assistant" and "tool_calls" not in made[-1]:
        raise Untranslatable("messages: OpenAI's wire cannot go on with an answer", "messages")
    return made


def _refuse_open_thought(turns: list[Any]) -> None:
    """Keep a turn that is still under way at the model whose signed thoughts it holds.

    The thoughts of finished turns are left out, as the provider itself does. But while tools are
    being called, the thoughts are part of the turn, and only their own model can read them. A turn
    goes back to the last message of the user that brings no result.
    """
    at = len(turns) - 1
    while at > 0 and any(_kind(block) == "tool_result" for block in _listed(turns[at])):
        for block in _listed(turns[at - 1]):
            if _kind(block) in MODEL_BOUND and (block.get("signature") or block.get("data")):
                raise Untranslatable(
                    f"messages[{at - 1}].content: a signed thought binds this turn "
                    "to the model that had it",
                    "messages",
                )
        at -= 2


def _listed(turn: object) -> list[Any]:
    content = turn.get("content") if isinstance(turn, dict) else None
    return content if isinstance(content, list) else []


def _kind(block: object) -> str | None:
    kind = block.get("type") if isinstance(block, dict) else None
    return kind if isinstance(kind, str) else None


def _blocks(content: object, where: str, lossy: list[str]) -> list[dict[str, Any]]:
    """Return the blocks of what is said; none of them says what has no word here."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise BadRequest(f"{where}: text or a list of blocks is required", where.partition("[")[0])
    for block in content:
        only(_direct(block), BLOCKS.get(_kind(block) or "", tuple(block)), where)
        if block.get("cache_control"):
            lossy.append("cache_control")
    return content


def _system(asked: object, lossy: list[str]) -> list[dict[str, Any]]:
    blocks = _blocks(asked or [], "system", lossy)
    return [{"role": "system", "content": _texts(blocks, "system")}] if blocks else []


def _texts(blocks: list[dict[str, Any]], where: str) -> str:
    for block in blocks:
        if _kind(block) != "text" or not isinstance(block.get("text"), str):
            raise Untranslatable(
                f"{where}: a block of type {_kind(block)!r} is not translated",
                where.partition("[")[0],
            )
    return "\n\n".join(block["text"] for block in blocks)


def _user(
    blocks: list[dict[str, Any]], where: str, lossy: list[str], *, open_model: bool
) -> list[dict[str, Any]]:
    """Return tool results first: on this wire they follow the call directly."""
    results = [block for block in blocks if _kind(block) == "tool_result"]
    made = [_result(block, f"{where}.tool_result", lossy) for block in results]
    parts = [
        _part(block, where, open_model=open_model)
        for block in blocks
        if _kind(block) != "tool_result"
    ]
    if len(parts) == 1 and parts[0]["type"] == "text":
        made.append({"role": "user", "content": parts[0]["text"]})
    elif parts:
        made.append({"role": "user", "content": parts})
    return made


def _result(block: dict[str, Any], where: str, lossy: list[str]) -> dict[str, Any]:
    content = _texts(_blocks(block.get("content") or [], where, lossy), where)
    if block.get("is_error"):
        lossy.append("tool_result.is_error")
    number = required(block.get("tool_use_id"), f"{where}.tool_use_id")
    return {"role": "tool", "tool_call_id": number, "content": content}


def _part(block: dict[str, Any], where: str, *, open_model: bool) -> dict[str, Any]:
    kind = _kind(block)
    if kind == "text" and isinstance(block.get("text"), str):
        return {"type": "text", "text": block["text"]}
    source = block.get("source")
    if kind == "image" and isinstance(source, dict):
        if source.get("type") == "url" and isinstance(source.get("url"), str):
            return {"type": "image_url", "image_url": {"url": source["url"]}}
        if source.get("type") == "base64":
            return {"type": "image_url", "image_url": {"url": _inline(source)}}
    if kind == "document" and isinstance(source, dict):
        made = _document(block, source, open_model=open_model)
        if made is not None:
            return made
    raise Untranslatable(f"{where}: a block of type {kind!r} is not translated", "messages")


def _inline(source: dict[str, Any]) -> str:
    return f"data:{source.get('media_type')};base64,{source.get('data')}"


def _document(
    block: dict[str, Any], source: dict[str, Any], *, open_model: bool
) -> dict[str, Any] | None:
    """Return a document as a text or a file, None where that would lose something of it."""
    citations, title = block.get("citations"), block.get("title")
    if isinstance(citations, dict) and citations.get("enabled"):
        return None
    if source.get("type") == "text" and isinstance(source.get("data"), str) and not title:
        return {"type": "text", "text": source["data"]}
    if source.get("type") == "base64" and not open_model:  # servers of open models read no files
        file = {"filename": title or "document.pdf", "file_data": _inline(source)}
        return {"type": "file", "file": file}
    return None


def _assistant(blocks: list[dict[str, Any]], where: str) -> dict[str, Any]:
    texts, calls = [], []
    for block in blocks:
        kind = _kind(block)
        if kind == "text":
            texts.append(str(block.get("text", "")))
        elif kind == "tool_use":
            calls.append(_call(block, f"{where}.tool_use"))
        elif kind not in MODEL_BOUND:
            raise Untranslatable(f"{where}: a block of type {kind!r} is not translated", "messages")
    said: dict[str, Any] = {"role": "assistant", "content": "".join(texts) if texts else None}
    if calls:
        said["tool_calls"] = calls
    elif not texts:
        said["content"] = ""
    return said


def _call(block: dict[str, Any], where: str) -> dict[str, Any]:
    name = required(block.get("name"), f"{where}.name")
    function = {"name": name, "arguments": compact(block.get("input") or {}).decode()}
    return {
        "id": required(block.get("id"), f"{where}.id"),
        "type": "function",
        "function": function,
    }

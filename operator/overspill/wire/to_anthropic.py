"""OpenAI chat requests in Anthropic's words.

What has no word there and changes the answer's meaning is refused by name. What only nudges
sampling, speed or bookkeeping is left out and named in `lossy`, so that the client is told.

Source: https://docs.anthropic.com/en/api/messages, https://docs.anthropic.com/en/api/openai-sdk
"""

from __future__ import annotations

from typing import Any, Final

from overspill.wire.anthropic import tool_id
from overspill.wire.document import read_json
from overspill.wire.errors import BadRequest, Untranslatable
from overspill.wire.reading import flag, items, mapping, number, only, required, text

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
NEUTRAL: Final[dict[str, tuple[object, ...]]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "modalities": (["text"],),
    "functions": ([],),
    "echo": (False,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "min_p": (0,),
    "repetition_penalty": (1,),
    "metadata": ({},),
    "store": (False,),
}
"""Values that say no more than the field left out. An empty `web_search_options` asks for one."""
CHOICES: Final = {"required": "any", "auto": "auto", "none": "none"}
EFFORTS: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high"}
EFFORTS_AS_THEY_ARE: Final = frozenset({"xhigh", "max"})
IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
PDF: Final = "application/pdf"
MESSAGE: Final = (
    "role",
    "content",
    "tool_calls",
    "tool_call_id",
    "refusal",
    "cache_control",
    "parsed",
)
"""`parsed` is what the official client adds to an answer for its reader, and sends back with it."""
MESSAGE_LEFT_OUT: Final = (
    "name",
    "annotations",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
)
"""Said of a message and not by it; and thoughts, which no model but their own can use."""


def messages_body(
    source: dict[str, Any], model: str, max_tokens: int
) -> tuple[dict[str, Any], list[str]]:
    """Return the Messages request, and the fields it left out.

    Raises: Untranslatable or BadRequest, naming the field.
    """
    lossy: list[str] = []
    for name, value in source.items():
        if name in TRANSLATED or value is None or value in NEUTRAL.get(name, ()):
            continue
        if name not in LEFT_OUT:
            raise Untranslatable(f"{name}: Anthropic's wire has no such field", name)
        lossy.append(name)
    system, messages = _messages(items(source, "messages"), lossy)
    body: dict[str, Any] = {"model": model, "max_tokens": max_tokens, "messages": messages}
    if system:
        body["system"] = system
    if source.get("stream") is True:
        body["stream"] = True
    _sampling(source, body, lossy)
    _tools(source, body)
    _output(source, body, lossy)
    return body, list(dict.fromkeys(lossy))


def _sampling(source: dict[str, Any], body: dict[str, Any], lossy: list[str]) -> None:
    temperature, top_p = _one_of(number(source, "temperature"), number(source, "top_p"), lossy)
    if temperature is not None:
        body["temperature"] = min(temperature, 1.0)  # OpenAI's range ends at 2
        if temperature > 1.0:
            lossy.append("temperature")
    if top_p is not None:
        body["top_p"] = top_p
    top_k = number(source, "top_k")
    if top_k is not None:
        body["top_k"] = top_k
    _stop(source.get("stop"), body, lossy)
    user, newer = text(source, "user"), text(source, "safety_identifier")
    if user and newer and user != newer:
        lossy.append("user")
    if user or newer:
        body["metadata"] = {"user_id": newer or user}


def _one_of(
    temperature: float | None, top_p: float | None, lossy: list[str]
) -> tuple[float | None, float | None]:
    """Return both, or where both are given one of them: models since Opus 4.1 refuse two.

    Both are 1 by default, on either wire.
    """
    if temperature is None or top_p is None:
        return temperature, top_p
    if temperature == 1 != top_p:
        return None, top_p
    if top_p != 1:
        lossy.append("top_p")
    return temperature, None


def _stop(asked: object, body: dict[str, Any], lossy: list[str]) -> None:
    if asked is None:
        return
    listed = [asked] if isinstance(asked, str) else asked
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise BadRequest("stop: a text or a list of texts is required", "stop")
    usable = [one for one in listed if one.strip()]
    if len(usable) < len(listed):
        lossy.append("stop")  # the provider refuses sequences of white space
    if usable:
        body["stop_sequences"] = usable


def _output(source: dict[str, Any], body: dict[str, Any], lossy: list[str]) -> None:
    config: dict[str, Any] = {}
    effort = text(source, "reasoning_effort")
    if effort in EFFORTS:
        config["effort"] = EFFORTS[effort]
    elif effort in EFFORTS_AS_THEY_ARE:
        config["effort"] = effort
    elif effort not in (None, "none"):
        raise Untranslatable(f"reasoning_effort: {effort!r} is not translated", "reasoning_effort")
    asked = mapping(source, "response_format")
    kind = asked.get("type", "text")
    if kind == "json_schema":
        config["format"] = {"type": "json_schema", "schema": _schema(asked, lossy)}
    elif kind != "text":
        raise Untranslatable(
            f"response_format: type {kind!r} has no word on Anthropic's wire; ask with json_schema",
            "response_format",
        )
    if config:
        body["output_config"] = config


def _schema(asked: dict[str, Any], lossy: list[str]) -> dict[str, Any]:
    where = "response_format.json_schema"
    told = asked.get("json_schema")
    schema = told.get("schema") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(schema, dict):
        raise BadRequest(f"{where}.schema: an object is required", "response_format")
    only(told, ("name", "schema", "strict", "description"), where)
    if told.get("description"):
        lossy.append(f"{where}.description")
    return schema


def _tools(source: dict[str, Any], body: dict[str, Any]) -> None:
    tools = items(source, "tools")
    parallel = flag(source, "parallel_tool_calls")
    choice = _tool_choice(source.get("tool_choice"))
    if not tools:
        return
    body["tools"] = [_tool(tool) for tool in tools]
    if parallel is False and choice.get("type") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    if choice:
        body["tool_choice"] = choice


def _tool(tool: object) -> dict[str, Any]:
    kind = tool.get("type") if isinstance(tool, dict) else None
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(tool, dict) or kind != "function" or not isinstance(function, dict):
        raise Untranslatable(f"tools: type {kind!r} is not translated", "tools")
    only(tool, ("type", "function", "cache_control"), "tools")
    only(function, ("name", "parameters", "description", "strict"), "tools.function")
    made: dict[str, Any] = {
        "name": required(function.get("name"), "tools.function.name"),
        "input_schema": _input_schema(function.get("parameters")),
    }
    for name in ("description", "strict"):
        if function.get(name):
            made[name] = function[name]
    return _marked(made, tool)


def _input_schema(parameters: object) -> object:
    """Return what a tool takes; the wire wants its type, and OpenAI's does without."""
    if isinstance(parameters, dict) and parameters:
        return {"type": "object", **parameters}
    return parameters or {"type": "object", "properties": {}}


def _marked(made: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    """Keep the mark up to where a prompt is cached: a word of Anthropic's that clients add."""
    if isinstance(source.get("cache_control"), dict):
        made["cache_control"] = source["cache_control"]
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
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise BadRequest(f"{where}: an object is required", "messages")
        role, blocks = _turn(message, where, lossy)
        if role == "system":
            system += blocks
            if messages:
                lossy.append("messages.system")  # its place among the turns
        elif messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks
        elif blocks:
            messages.append({"role": role, "content": blocks})
    if not messages or _goes_on(messages[-1]):
        raise Untranslatable("messages: Anthropic's wire wants the user's turn last", "messages")
    if any(len(block) > 2 for block in system):  # a cache mark keeps its block
        return system, messages
    return "\n\n".join(block["text"] for block in system), messages


def _goes_on(last: dict[str, Any]) -> bool:
    """Whether Anthropic would go on with this answer, or refuse to, instead of giving another."""
    return bool(last["role"] == "assistant" and last["content"][-1]["type"] != "tool_use")


def _turn(message: dict[str, Any], where: str, lossy: list[str]) -> tuple[str, list[Any]]:
    """Return who speaks, and the blocks of what is said."""
    only(message, {*MESSAGE, *MESSAGE_LEFT_OUT}, where)
    lossy += [f"messages.{name}" for name in MESSAGE_LEFT_OUT if message.get(name)]
    role = message.get("role")
    blocks = _blocks(message.get("content"), f"{where}.content", lossy)
    if role in ("system", "developer"):
        role = "system"
        if any(block["type"] != "text" for block in blocks):
            raise Untranslatable(f"{where}.content: text is all a system prompt has", "messages")
    elif role == "assistant":
        blocks += _said(message, where)
    elif role == "tool":
        role = "user"
        number = tool_id(required(message.get("tool_call_id"), f"{where}.tool_call_id"))
        blocks = [{"type": "tool_result", "tool_use_id": number, "content": blocks}]
    elif role != "user":
        raise Untranslatable(f"{where}.role: {role!r} is not translated", "messages")
    if blocks:
        blocks[-1] = _marked(blocks[-1], message)
    return role, blocks


def _said(message: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """Return what an assistant's message has beside its content."""
    blocks: list[dict[str, Any]] = []
    if refusal := text(message, "refusal", f"{where}."):
        blocks.append({"type": "text", "text": refusal})
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise BadRequest(f"{where}.tool_calls: a list is required", "messages")
    return blocks + [_call(call, f"{where}.tool_calls") for call in calls]


def _call(call: object, where: str) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(call, dict) or not isinstance(function, dict):
        raise Untranslatable(f"{where}: only functions are translated", "messages")
    return {
        "type": "tool_use",
        "id": tool_id(required(call.get("id"), f"{where}.id")),
        "name": required(function.get("name"), f"{where}.function.name"),
        "input": _arguments(function.get("arguments"), where),
    }


def _arguments(told: object, where: str) -> dict[str, Any]:
    try:
        value = read_json(told if isinstance(told, str) and told.strip() else "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):  # some model has said so, and on its own wire they are a text
        raise Untranslatable(f"{where}: arguments are not a JSON object", "messages")
    return value


def _blocks(content: object, where: str, lossy: list[str]) -> list[dict[str, Any]]:
    if content is None:
        return []
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise BadRequest(f"{where}: text or a list of parts is required", "messages")
    blocks = [_block(part, where, lossy) for part in content]
    # the wire refuses a text of white space only, such as Qwen's before a call of a tool
    return [block for block in blocks if "text" not in block or block["text"].strip()]


def _block(part: object, where: str, lossy: list[str]) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(part, dict) and isinstance(kind, str):
        only(part, ("type", kind, "cache_control"), where)
        value = part.get(kind)
        if kind in ("text", "refusal") and isinstance(value, str):
            return _marked({"type": "text", "text": value}, part)
        if kind == "image_url" and isinstance(value, dict) and isinstance(value.get("url"), str):
            if value.get("detail") not in (None, "auto"):
                lossy.append("image_url.detail")
            return _marked(_image(value["url"], where), part)
        if kind == "file" and isinstance(value, dict) and isinstance(value.get("file_data"), str):
            return _marked(_file(value, where), part)
    raise Untranslatable(f"{where}: a part of type {kind!r} is not translated", "messages")


def _image(url: str, where: str) -> dict[str, Any]:
    if url[:5].lower() != "data:":
        return {"type": "image", "source": {"type": "url", "url": url}}
    source = _inline(url, where)
    kind = "document" if source["media_type"] == PDF else "image"
    return {"type": kind, "source": source}


def _file(value: dict[str, Any], where: str) -> dict[str, Any]:
    only(value, ("file_data", "filename"), f"{where}.file")
    source = _inline(value["file_data"], where)
    if source["media_type"] != PDF:
        return {"type": "image", "source": source}
    title = {"title": value["filename"]} if value.get("filename") else {}
    return {"type": "document", "source": source, **title}


def _inline(url: str, where: str) -> dict[str, Any]:
    """Take a data URL apart. Source: RFC 2397."""
    head, comma, data = url.partition(",")
    scheme, _, told = head.lower().partition(":")
    media, *more = told.split(";")
    if scheme != "data" or not comma or "base64" not in more:
        raise Untranslatable(f"{where}: a data URL in base64 is required", "messages")
    if media not in IMAGES and media != PDF:
        raise Untranslatable(
            f"{where}: {media or 'no media type'} is not translated; "
            "send JPEG, PNG, GIF, WebP or PDF",
            "messages",
        )
    return {"type": "base64", "media_type": media, "data": data}

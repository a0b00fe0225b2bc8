"""OpenAI chat completions: the fields we read; the rest passes through untouched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from overspill.wire.errors import BadRequest
from overspill.wire.usage import Usage, estimate_tokens

USAGE_MARK = b'"usage"'


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A chat completion as the client asked for it."""

    body: dict[str, Any]
    model: str
    stream: bool
    wants_usage: bool
    """Whether the client asked for the usage chunk of a stream."""
    max_tokens: int | None
    input_tokens: int
    """Estimated from the size of the body."""


def read_chat(raw: bytes) -> ChatRequest:
    """Read a request body. Raises: BadRequest naming the field."""
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        raise BadRequest("messages: a list with at least one message is required", "messages")
    if not isinstance(body.get("model"), str):
        raise BadRequest("model: a string is required", "model")
    options = body.get("stream_options")
    return ChatRequest(
        body=body,
        model=body["model"],
        stream=body.get("stream") is True,
        wants_usage=isinstance(options, dict) and options.get("include_usage") is True,
        max_tokens=_limit(body),
        input_tokens=estimate_tokens(len(raw)),
    )


def _limit(body: dict[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise BadRequest(f"{name}: a positive integer is required, not {value!r}", name)
        return value
    return None


def upstream_body(request: ChatRequest, model: str) -> bytes:
    """Return the body for an OpenAI-speaking server: its model, and usage always asked for."""
    body = {**request.body, "model": model}
    if request.stream:
        options = body.get("stream_options")
        asked = options if isinstance(options, dict) else {}
        body["stream_options"] = {**asked, "include_usage": True}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def read_answer(raw: bytes) -> dict[str, Any]:
    """Read a whole answer. Raises: ValueError where it is not a JSON object."""
    answer = json.loads(raw)
    if not isinstance(answer, dict):
        raise ValueError("the answer is not a JSON object")
    return answer


def usage_of(answer: dict[str, Any]) -> Usage | None:
    """Return the usage of an answer or of a stream's chunk, None where it has none."""
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return Usage(
        input_tokens=int(usage.get("prompt_tokens") or 0),
        cached_tokens=int(cached or 0),
        output_tokens=int(usage.get("completion_tokens") or 0),
    )


def usage_json(usage: Usage) -> dict[str, Any]:
    """Return usage as OpenAI words it."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


class StreamFilter:
    """Watches a stream pass: meters it, and hides the usage chunk from who did not ask for it."""

    def __init__(self, *, wants_usage: bool) -> None:
        self.usage: Usage | None = None
        self.done = False
        self._hide = not wants_usage

    def pass_on(self, event: bytes, data: bytes) -> bytes:
        """Return the bytes the client gets for this event; empty for a hidden one."""
        if data == b"[DONE]":
            self.done = True
            return event
        if USAGE_MARK not in data:
            return event
        try:
            chunk = json.loads(data)
        except ValueError:
            return event
        if not isinstance(chunk, dict) or (usage := usage_of(chunk)) is None:
            return event
        self.usage = usage
        return b"" if self._hide and not chunk.get("choices") else event

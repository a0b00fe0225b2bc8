"""Anthropic answers and streams in OpenAI's words.

Source: https://docs.anthropic.com/en/api/messages-streaming
"""

from __future__ import annotations

import json
from typing import Any, Final

from overspill.wire import openai, sse
from overspill.wire.errors import openai_error
from overspill.wire.usage import Usage

FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": "stop",
}
STATUS: Final = {529: 503}
"""Overloaded is Anthropic's own status; OpenAI's clients know it as 503. It is not 429."""


def usage_of(usage: object) -> Usage:
    """Read Anthropic usage: cached tokens stand apart there and are counted in here."""
    if not isinstance(usage, dict):
        return Usage()
    cached = int(usage.get("cache_read_input_tokens") or 0)
    written = int(usage.get("cache_creation_input_tokens") or 0)
    return Usage(
        input_tokens=int(usage.get("input_tokens") or 0) + written + cached,
        cached_tokens=cached,
        output_tokens=int(usage.get("output_tokens") or 0),
    )


def completion(raw: bytes, created_s: int) -> tuple[bytes, Usage]:
    """Translate a whole answer. Raises: ValueError, KeyError where it is not one."""
    message = json.loads(raw)
    usage = usage_of(message.get("usage"))
    texts, calls = [], []
    for block in message["content"]:
        if block["type"] == "text":
            texts.append(block["text"])
        elif block["type"] == "tool_use":
            arguments = json.dumps(block["input"], ensure_ascii=False)
            calls.append(_call(block["id"], block["name"], arguments))
    said: dict[str, Any] = {"role": "assistant", "content": "".join(texts) if texts else None}
    if calls:
        said["tool_calls"] = calls
    choice = {
        "index": 0,
        "message": said,
        "logprobs": None,
        "finish_reason": FINISH.get(message.get("stop_reason"), "stop"),
    }
    body = {
        "id": message["id"],
        "object": "chat.completion",
        "created": created_s,
        "model": message["model"],
        "choices": [choice],
        "usage": openai.usage_json(usage),
    }
    return json.dumps(body, ensure_ascii=False).encode(), usage


def _call(number: str, name: str, arguments: str) -> dict[str, Any]:
    return {
        "id": number,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


class StreamTranslator:
    """Turns a Messages stream into chat completion chunks, event by event.

    `done` is set by `message_stop`; a stream that ends without it was cut. `failed` holds the
    provider's own error event, already in OpenAI's words.
    """

    def __init__(self, *, wants_usage: bool, created_s: int) -> None:
        self.usage: Usage | None = None
        self.done = False
        self.failed: bytes | None = None
        self._wants_usage, self._created_s = wants_usage, created_s
        self._id = self._model = ""
        self._start: dict[str, Any] = {}
        self._calls: dict[int, int] = {}
        self._finish = "stop"

    def pass_on(self, event: bytes, data: bytes) -> bytes:
        """Return the chunks for this event; empty where it has none."""
        if not data:
            return b""
        message = json.loads(data)
        handle = getattr(self, f"_on_{message.get('type')}", None)
        return handle(message) if handle else b""  # unknown events are to be ignored

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._event({"choices": [choice]})

    def _event(self, more: dict[str, Any]) -> bytes:
        body = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created_s,
            "model": self._model,
            **more,
        }
        return sse.event(json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode())

    def _on_message_start(self, event: dict[str, Any]) -> bytes:
        message = event["message"]
        self._id, self._model = message["id"], message["model"]
        self._start = message.get("usage") or {}
        self.usage = usage_of(self._start)
        return self._chunk({"role": "assistant", "content": ""})

    def _on_content_block_start(self, event: dict[str, Any]) -> bytes:
        block = event["content_block"]
        if block["type"] == "text" and block.get("text"):
            return self._chunk({"content": block["text"]})
        if block["type"] != "tool_use":
            return b""
        index = self._calls[event["index"]] = len(self._calls)
        call = _call(block["id"], block["name"], "")
        return self._chunk({"tool_calls": [{"index": index, **call}]})

    def _on_content_block_delta(self, event: dict[str, Any]) -> bytes:
        delta = event["delta"]
        if delta["type"] == "text_delta":
            return self._chunk({"content": delta["text"]})
        if delta["type"] == "input_json_delta" and delta["partial_json"]:
            index = self._calls[event["index"]]
            piece = {"index": index, "function": {"arguments": delta["partial_json"]}}
            return self._chunk({"tool_calls": [piece]})
        return b""

    def _on_message_delta(self, event: dict[str, Any]) -> bytes:
        # Usage here is cumulative and may restate the input; what it leaves out stands.
        told = {k: v for k, v in (event.get("usage") or {}).items() if v is not None}
        self.usage = usage_of({**self._start, **told})
        self._finish = FINISH.get(event["delta"].get("stop_reason"), "stop")
        return b""

    def _on_message_stop(self, event: dict[str, Any]) -> bytes:
        self.done = True
        last = self._chunk({}, self._finish)
        if self._wants_usage and self.usage:
            last += self._event({"choices": [], "usage": openai.usage_json(self.usage)})
        return last + sse.DONE

    def _on_error(self, event: dict[str, Any]) -> bytes:
        error = event.get("error") or {}
        status = 503 if error.get("type") == "overloaded_error" else 500
        self.failed = openai_error(status, str(error.get("message")), code=error.get("type"))
        return b""

"""Anthropic answers and streams in OpenAI's words.

Source: https://docs.anthropic.com/en/api/messages-streaming
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from overspill.wire import anthropic, openai, sse
from overspill.wire.document import compact, read_json
from overspill.wire.errors import ANTHROPIC_KINDS, Wire, openai_error, status_for
from overspill.wire.stream import EventStream

if TYPE_CHECKING:
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
UNFINISHED: Final[dict[str, Any]] = {"finish_reason": None}
_STATUS_OF: Final = {kind: status for status, kind in ANTHROPIC_KINDS.items()}


def completion(raw: bytes, created_s: int, estimate: Usage) -> tuple[dict[str, Any], Usage]:
    """Translate a whole answer; `estimate` counts where it tells no usage.

    Raises: ValueError, KeyError, TypeError where it is not one.
    """
    message = read_json(raw)
    usage = anthropic.usage_of(message.get("usage")) or estimate
    texts, thoughts, calls = [], [], []
    for block in message["content"]:
        if block["type"] == "text":
            texts.append(block["text"])
        elif block["type"] == "thinking":
            thoughts.append(block["thinking"])
        elif block["type"] == "tool_use":
            calls.append(_call(block["id"], block["name"], compact(block["input"]).decode()))
    said: dict[str, Any] = {"role": "assistant", "content": "".join(texts) if texts else None}
    if thoughts:
        said["reasoning_content"] = "".join(thoughts)
    if calls:
        said["tool_calls"] = calls
    choice = {"index": 0, "message": said, "logprobs": None, **_finish(message.get("stop_reason"))}
    body = {
        "id": message["id"],
        "object": "chat.completion",
        "created": created_s,
        "model": message["model"],
        "choices": [choice],
        "usage": openai.usage_json(usage),
    }
    return body, usage


def _finish(reason: str | None) -> dict[str, Any]:
    """Return how a choice ended; a reason that has no word here is told beside it."""
    if reason is None or reason in FINISH:
        return {"finish_reason": FINISH.get(reason or "", "stop")}
    return {"finish_reason": "stop", "native_finish_reason": reason}


def _call(number: str, name: str, arguments: str) -> dict[str, Any]:
    return {
        "id": number,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


class ChatStream(EventStream):
    """Turns a Messages stream into chat completion chunks, event by event."""

    def __init__(self, *, wants_usage: bool, created_s: int) -> None:
        super().__init__()
        self._wants_usage, self._created_s = wants_usage, created_s
        self._id = self._model = ""
        self._meter = anthropic.Meter()
        self._calls: dict[int, int] = {}
        self._silent: dict[int, Any] = {}
        """Input of the calls of which no piece has come: their start tells all of it."""
        self._stop_reason: str | None = None
        self._handlers = {
            "message_start": self._on_start,
            "content_block_start": self._on_block,
            "content_block_delta": self._on_delta,
            "content_block_stop": self._on_block_stop,
            "message_delta": self._on_message_delta,
            "message_stop": self._on_stop,
            "error": self._on_error,
        }

    @property
    def estimated(self) -> bool:
        """Whether what the answer used has not been told: the start tells of the input only."""
        return super().estimated or not self._meter.whole

    def _pass_on(self, event: bytes, data: bytes) -> bytes:
        if not data:
            return b""
        message = read_json(data)
        handle = self._handlers.get(message.get("type"))
        return handle(message) if handle else b""  # unknown events are to be ignored

    def _chunk(self, delta: dict[str, Any], finish: dict[str, Any] = UNFINISHED) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, **finish}
        return self._event({"choices": [choice]})

    def _event(self, more: dict[str, Any]) -> bytes:
        body = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created_s,
            "model": self._model,
            **more,
        }
        return sse.event(compact(body))

    def _on_start(self, event: dict[str, Any]) -> bytes:
        message = event["message"]
        self._id, self._model = message["id"], message["model"]
        self.usage = self._meter.tell(message.get("usage"))
        return self._chunk({"role": "assistant", "content": ""})

    def _on_block(self, event: dict[str, Any]) -> bytes:
        block = event["content_block"]
        if block["type"] == "text" and block.get("text"):
            return self._chunk({"content": block["text"]})
        if block["type"] == "thinking" and block.get("thinking"):
            return self._chunk({"reasoning_content": block["thinking"]})
        if block["type"] != "tool_use":
            return b""
        # OpenAI's index counts calls, not blocks
        index = self._calls[event["index"]] = len(self._calls)
        self._silent[event["index"]] = block.get("input") or {}
        call = _call(block["id"], block["name"], "")
        return self._chunk({"tool_calls": [{"index": index, **call}]})

    def _on_delta(self, event: dict[str, Any]) -> bytes:
        delta = event["delta"]
        if delta["type"] == "text_delta":
            return self._chunk({"content": delta["text"]})
        if delta["type"] == "thinking_delta":
            return self._chunk({"reasoning_content": delta["thinking"]})
        if delta["type"] == "input_json_delta" and delta["partial_json"]:
            index = self._calls.get(event["index"])
            if index is None:  # of a tool that the provider runs itself
                return b""
            self._silent.pop(event["index"], None)
            return self._arguments(index, delta["partial_json"])
        return b""

    def _arguments(self, index: int, text: str) -> bytes:
        return self._chunk({"tool_calls": [{"index": index, "function": {"arguments": text}}]})

    def _on_block_stop(self, event: dict[str, Any]) -> bytes:
        """Tell what a call is given that was not told in pieces: `{}` too is a text to parse."""
        whole = self._silent.pop(event["index"], None)
        if whole is None:
            return b""
        return self._arguments(self._calls[event["index"]], compact(whole).decode())

    def _on_message_delta(self, event: dict[str, Any]) -> bytes:
        self.usage = self._meter.tell(event.get("usage"), last=True)
        reason = event["delta"].get("stop_reason")
        if reason is not None:
            self._stop_reason = reason
        return b""

    def _on_stop(self, event: dict[str, Any]) -> bytes:
        self.done = True
        last = b"".join([self._on_block_stop({"index": index}) for index in list(self._silent)])
        last += self._chunk({}, _finish(self._stop_reason))
        if self._wants_usage and self.usage:
            last += self._event({"choices": [], "usage": openai.usage_json(self.usage)})
        return last + sse.DONE

    def _on_error(self, event: dict[str, Any]) -> bytes:
        error = event.get("error")
        told = error if isinstance(error, dict) else {"message": error}
        status = status_for(Wire.OPENAI, _STATUS_OF.get(str(told.get("type")), 500))
        self.failed = openai_error(status, str(told.get("message")), code=told.get("type"))
        return b""

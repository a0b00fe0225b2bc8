"""Chat completions and their streams in Anthropic's words.

Source: https://docs.anthropic.com/en/api/messages-streaming
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from msgspec.structs import replace

from overspill.wire import anthropic, openai, sse
from overspill.wire.document import compact, read_json
from overspill.wire.errors import Wire, message_in, status_for, status_in, worded
from overspill.wire.stream import EventStream
from overspill.wire.tool_calls import ToolCall, ToolCalls, calls_in, pieces_in
from overspill.wire.usage import NO_USAGE, Usage

STOP: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "model_length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def message(
    raw: bytes, model: str, estimate: Usage, *, thinking: bool
) -> tuple[dict[str, Any], Usage]:
    """Translate a whole answer; `estimate` counts where it tells no usage.

    Raises: ValueError, KeyError, TypeError where it is not one.
    """
    answer = read_json(raw)
    usage = openai.usage_of(answer) or estimate
    choice = answer["choices"][0]
    said = choice["message"]
    blocks: list[dict[str, Any]] = []
    thought = openai.thought_of(said)
    if thinking and thought:
        blocks.append({"type": "thinking", "thinking": thought, "signature": ""})
    texts = [openai.text_of(said.get(name)) for name in ("content", "refusal")]
    # a text of white space only could not be sent back: Anthropic refuses it
    blocks += [{"type": "text", "text": text} for text in texts if text.strip()]
    number = str(answer.get("id") or "msg")
    calls = calls_in(said, number)
    blocks += [{**_tool_use(call), "input": _input(arguments)} for call, arguments in calls]
    if openai.finish_of(choice) in openai.BROKEN_OFF:
        raise ValueError("the upstream gave the answer up")
    reason, sequence = _stop(choice, called=bool(calls), refused=bool(said.get("refusal")))
    body = {
        "id": number,
        "type": "message",
        "role": "assistant",
        "model": answer.get("model") or model,
        "content": blocks,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": anthropic.usage_json(usage),
    }
    return body, usage


def _tool_use(call: ToolCall) -> dict[str, Any]:
    return {
        "type": "tool_use",
        "id": anthropic.tool_id(call.call_id),
        "name": call.name,
        "input": {},
    }


def _input(arguments: str) -> dict[str, Any]:
    try:
        value = read_json(arguments or "{}")
    except ValueError:
        value = {}  # cut short by the length limit: the wire wants an object
    return value if isinstance(value, dict) else {}


def _stop(choice: dict[str, Any], *, called: bool, refused: bool) -> tuple[str, str | None]:
    if refused:
        return "refusal", None
    reason = STOP.get(openai.finish_of(choice) or "stop", "end_turn")
    if reason == "end_turn" and called:
        return "tool_use", None  # servers that call a tool and say "stop"
    matched = choice.get("stop_reason")  # vLLM tells which sequence it stopped at
    if reason == "end_turn" and isinstance(matched, str):
        return "stop_sequence", matched
    return reason, None


@dataclass(slots=True)
class _Block:
    """A content block: shown as it comes, or kept until those before it are closed."""

    start: dict[str, Any]
    deltas: list[dict[str, Any]] = field(default_factory=list)


class MessageStream(EventStream):
    """Turns chat completion chunks into a Messages stream.

    Blocks there follow one another, while tool calls here may interleave. The first open call is
    passed on as it comes; what belongs to others is kept until the end, in order.
    """

    def __init__(self, *, model: str, estimate: Usage, thinking: bool) -> None:
        super().__init__()
        self._model, self._estimate, self._thinking = model, estimate, thinking
        self._started = False
        self._index = -1
        self._calls = ToolCalls("")
        self._open: tuple[str, int] | None = None
        self._kept: dict[tuple[str, int], _Block] = {}
        self._called = self._refused = False
        self._blank = {"content": "", "refusal": ""}
        """White space that texts begin with, held back until more of them comes."""
        self._finish: dict[str, Any] | None = None

    def _pass_on(self, event: bytes, data: bytes) -> bytes:
        if not data:
            return b""
        if data == b"[DONE]":
            self._finish = self._finish or {}
            return self._last()
        chunk = read_json(data)
        if not isinstance(chunk, dict):
            return b""
        if chunk.get("error") is not None:
            status = status_for(Wire.ANTHROPIC, status_in(data))
            self.failed = worded(Wire.ANTHROPIC, status, message_in(data))
            return b""
        told = openai.usage_of(chunk)
        if told is not None:
            self.usage = told
        choices = chunk.get("choices")
        out = [] if self._started else [self._begin(chunk)]
        if choices:
            out += self._delta(choices[0].get("delta") or {})
            finish = openai.finish_of(choices[0])
            if finish in openai.BROKEN_OFF:
                self.failed = worded(Wire.ANTHROPIC, 500, f"the upstream gave up: {finish}")
            elif finish:
                self._finish = choices[0]
        return b"".join(out)

    def _last(self) -> bytes:
        """End the message: at [DONE], or where a server closes after the finish reason."""
        if self.done or self._finish is None or self.failed is not None or not self._started:
            return b""
        self.done = True
        out = self._close()
        for block in self._kept.values():
            out += self._start(block.start)
            out += [self._piece(delta) for delta in block.deltas]
            out.append(self._stop_block())
        reason, sequence = _stop(self._finish, called=self._called, refused=self._refused)
        delta = {"stop_reason": reason, "stop_sequence": sequence}
        told = self.usage or replace(self._estimate, output_tokens=self.events)
        usage = anthropic.usage_json(told)
        out.append(_event("message_delta", delta=delta, usage=usage))
        out.append(_event("message_stop"))
        return b"".join(out)

    def _begin(self, chunk: dict[str, Any]) -> bytes:
        self._started = True
        number = str(chunk.get("id") or "msg")
        self._calls = ToolCalls(number)
        head: dict[str, Any] = {
            "id": number,
            "type": "message",
            "role": "assistant",
            "model": chunk.get("model") or self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            # the true count comes with the end, and replaces this
            "usage": anthropic.usage_json(NO_USAGE),
        }
        return _event("message_start", message=head)

    def _delta(self, delta: dict[str, Any]) -> list[bytes]:
        out: list[bytes] = []
        thought = openai.thought_of(delta)
        if thought and self._thinking:
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            out += self._say(
                ("thinking", 0), empty, {"type": "thinking_delta", "thinking": thought}
            )
        for name in ("content", "refusal"):
            if text := openai.text_of(delta.get(name)):
                self._refused |= name == "refusal"
                text = self._from_its_first_word(name, text)
            if text:
                empty = {"type": "text", "text": ""}
                out += self._say((name, 0), empty, {"type": "text_delta", "text": text})
        for piece in pieces_in(delta):
            self._called = True
            call, arguments = self._calls.take(piece)
            added = {"type": "input_json_delta", "partial_json": arguments} if arguments else None
            out += self._say(("tool", call.number), _tool_use(call), added)
        return out

    def _from_its_first_word(self, name: str, text: str) -> str:
        """Return what can be shown of a text by now: a block of white space must not begin."""
        held = self._blank.get(name)
        if held is None:
            return text
        text = held + text
        if text.strip():
            del self._blank[name]
            return text
        self._blank[name] = text
        return ""

    def _say(
        self, key: tuple[str, int], start: dict[str, Any], delta: dict[str, Any] | None
    ) -> list[bytes]:
        if key in self._kept or (self._open != key and self._open and self._open[0] == "tool"):
            block = self._kept.setdefault(key, _Block(start))
            if delta:
                block.deltas.append(delta)
            return []
        out: list[bytes] = []
        if self._open != key:
            out += [*self._close(), *self._start(start)]
            self._open = key
        if delta:
            out.append(self._piece(delta))
        return out

    def _start(self, block: dict[str, Any]) -> list[bytes]:
        self._index += 1
        return [_event("content_block_start", index=self._index, content_block=block)]

    def _piece(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", index=self._index, delta=delta)

    def _close(self) -> list[bytes]:
        if self._open is None:
            return []
        self._open = None
        return [self._stop_block()]

    def _stop_block(self) -> bytes:
        return _event("content_block_stop", index=self._index)


def _event(name: str, /, **fields: Any) -> bytes:  # noqa: ANN401 - any JSON value
    return sse.event(compact({"type": name, **fields}), name)

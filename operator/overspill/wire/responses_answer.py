"""Chat completions and their streams as OpenAI Responses.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from overspill.wire import openai, sse
from overspill.wire.document import compact, read_json
from overspill.wire.errors import Wire, message_in, status_in, worded
from overspill.wire.stream import EventStream
from overspill.wire.tool_calls import ToolCalls, calls_in, pieces_in

if TYPE_CHECKING:
    from overspill.wire.usage import Usage

ECHOED: Final[dict[str, Any]] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "reasoning": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
INCOMPLETE: Final = {
    "length": "max_output_tokens",
    "model_length": "max_output_tokens",
    "content_filter": "content_filter",
}


TEXTS: Final = {"content": "message", "refusal": "refusal"}
DELTAS: Final = {"message": "response.output_text.delta", "refusal": "response.refusal.delta"}


def response(raw: bytes, asked: dict[str, Any]) -> tuple[dict[str, Any], Usage | None]:
    """Translate a whole answer; `asked` is the client's request.

    Raises: ValueError, KeyError, TypeError where it is not one.
    """
    answer = read_json(raw)
    usage = openai.usage_of(answer)
    choice = answer["choices"][0]
    said = choice["message"]
    made = _Made(str(answer.get("id") or "resp"), answer, asked)
    for name, kind in TEXTS.items():
        if text := openai.text_of(said.get(name)):
            made.item(kind).text = text
    for call, arguments in calls_in(said, made.number):
        made.item("function_call", call.call_id, call.name).text = arguments or "{}"
    finish = openai.finish_of(choice) or "stop"
    if finish in openai.BROKEN_OFF:
        raise ValueError("the upstream gave the answer up")
    return made.document(finish, usage), usage


@dataclass(slots=True)
class _Item:
    """One output item, as far as it has come."""

    kind: str
    number: str
    index: int
    call_id: str = ""
    name: str = ""
    text: str = ""

    def head(self) -> dict[str, Any]:
        """The item as it is announced."""
        if self.kind == "function_call":
            return self._call("in_progress", "")
        return self._message("in_progress", [])

    def whole(self, status: str = "completed") -> dict[str, Any]:
        """The item as it ended."""
        if self.kind == "function_call":
            return self._call(status, self.text)
        return self._message(status, [self.part()])

    def part(self) -> dict[str, Any]:
        """The content part of a message."""
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": self.text}
        return {"type": "output_text", "text": self.text, "annotations": [], "logprobs": []}

    def _message(self, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.number,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": content,
        }

    def _call(self, status: str, arguments: str) -> dict[str, Any]:
        return {
            "id": self.number,
            "type": "function_call",
            "status": status,
            "call_id": self.call_id,
            "name": self.name,
            "arguments": arguments,
        }


@dataclass(slots=True)
class _Made:
    """A response in the making."""

    number: str
    source: dict[str, Any]
    asked: dict[str, Any]
    items: list[_Item] = field(default_factory=list)

    def item(self, kind: str, call_id: str = "", name: str = "") -> _Item:
        """Begin the next output item."""
        prefix = "fc" if kind == "function_call" else "msg"
        index = len(self.items)
        made = _Item(kind, f"{prefix}_{self.number}_{index}", index, call_id, name)
        self.items.append(made)
        return made

    def document(self, finish: str | None, usage: Usage | None) -> dict[str, Any]:
        """Return the response object; `finish` is None while it is under way."""
        reason = INCOMPLETE.get(finish or "")
        status = "in_progress" if finish is None else "incomplete" if reason else "completed"
        echoed = {
            name: default if self.asked.get(name) is None else self.asked[name]
            for name, default in ECHOED.items()
        }
        output = [] if finish is None else [item.whole(status) for item in self.items]
        return {
            "id": f"resp_{self.number}",
            "object": "response",
            "created_at": self.source.get("created") or 0,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": reason} if reason else None,
            "model": self.source.get("model"),
            "output": output,
            "previous_response_id": None,
            "store": False,
            "usage": _usage_json(usage) if usage else None,
            **echoed,
        }


def _usage_json(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.written_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


class ResponseStream(EventStream):
    """Turns chat completion chunks into a stream of response events."""

    def __init__(self, asked: dict[str, Any]) -> None:
        super().__init__()
        self._asked = asked
        self._made: _Made | None = None
        self._sequence = -1
        self._text: dict[str, _Item] = {}
        self._calls = ToolCalls("")
        self._called: dict[int, _Item] = {}
        self._finish: str | None = None

    def _pass_on(self, event: bytes, data: bytes) -> bytes:
        if not data:
            return b""
        if data == b"[DONE]":
            self._finish = self._finish or "stop"
            return self._last()
        chunk = read_json(data)
        if not isinstance(chunk, dict):
            return b""
        if chunk.get("error") is not None:
            self.failed = worded(Wire.OPENAI, status_in(data), message_in(data))
            return b""
        told = openai.usage_of(chunk)
        if told is not None:
            self.usage = told
        out = [] if self._made else self._begin(chunk)
        for choice in (chunk.get("choices") or [])[:1]:
            out += self._delta(choice.get("delta") or {})
            finish = openai.finish_of(choice)
            if finish in openai.BROKEN_OFF:
                self.failed = worded(Wire.OPENAI, 500, f"the upstream gave up: {finish}")
            self._finish = finish or self._finish
        return b"".join(out)

    def _last(self) -> bytes:
        if self.done or self._finish is None or self.failed is not None or self._made is None:
            return b""
        self.done = True
        out: list[bytes] = []
        for item in self._made.items:
            out += self._end(item)
        whole = self._made.document(self._finish, self.usage)
        name = "response.incomplete" if whole["status"] == "incomplete" else "response.completed"
        out.append(self._event(name, response=whole))
        return b"".join(out)

    def _begin(self, chunk: dict[str, Any]) -> list[bytes]:
        self._made = _Made(str(chunk.get("id") or "resp"), chunk, self._asked)
        self._calls = ToolCalls(self._made.number)
        empty = self._made.document(None, None)
        return [
            self._event("response.created", response=empty),
            self._event("response.in_progress", response=empty),
        ]

    def _delta(self, delta: dict[str, Any]) -> list[bytes]:
        out: list[bytes] = []
        for name, kind in TEXTS.items():
            if text := openai.text_of(delta.get(name)):
                out += self._say(kind, text)
        for piece in pieces_in(delta):
            out += self._call(piece)
        return out

    def _say(self, kind: str, text: str) -> list[bytes]:
        assert self._made
        out: list[bytes] = []
        item = self._text.get(kind)
        if item is None:
            item = self._text[kind] = self._made.item(kind)
            part = item.part()
            out.append(self._about(item, "response.output_item.added", item=item.head()))
            out.append(self._within(item, "response.content_part.added", part=part))
        item.text += text
        more: dict[str, Any] = {"logprobs": []} if kind == "message" else {}
        out.append(self._within(item, DELTAS[kind], delta=text, **more))
        return out

    def _call(self, piece: dict[str, Any]) -> list[bytes]:
        assert self._made
        out: list[bytes] = []
        call, arguments = self._calls.take(piece)
        item = self._called.get(call.number)
        if item is None:
            item = self._made.item("function_call", call.call_id, call.name)
            self._called[call.number] = item
            out.append(self._about(item, "response.output_item.added", item=item.head()))
        return out + self._arguments(item, arguments)

    def _arguments(self, item: _Item, text: str) -> list[bytes]:
        if not text:
            return []
        item.text += text
        name = "response.function_call_arguments.delta"
        return [self._about(item, name, item_id=item.number, delta=text)]

    def _end(self, item: _Item) -> list[bytes]:
        status = "incomplete" if self._finish in INCOMPLETE else "completed"
        out: list[bytes] = []
        if item.kind == "function_call":
            out += self._arguments(item, "" if item.text else "{}")
            name = "response.function_call_arguments.done"
            told = {"item_id": item.number, "name": item.name, "arguments": item.text}
            out.append(self._about(item, name, **told))
        elif item.kind == "refusal":
            out.append(self._within(item, "response.refusal.done", refusal=item.text))
        else:
            name = "response.output_text.done"
            out.append(self._within(item, name, text=item.text, logprobs=[]))
        if item.kind != "function_call":
            out.append(self._within(item, "response.content_part.done", part=item.part()))
        out.append(self._about(item, "response.output_item.done", item=item.whole(status)))
        return out

    def _within(self, item: _Item, name: str, /, **fields: Any) -> bytes:  # noqa: ANN401 - JSON
        return self._about(item, name, item_id=item.number, content_index=0, **fields)

    def _about(self, item: _Item, name: str, /, **fields: Any) -> bytes:  # noqa: ANN401 - JSON
        return self._event(name, output_index=item.index, **fields)

    def _event(self, name: str, /, **fields: Any) -> bytes:  # noqa: ANN401 - JSON
        self._sequence += 1
        body = {"type": name, "sequence_number": self._sequence, **fields}
        return sse.event(compact(body), name)

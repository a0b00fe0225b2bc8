"""What one answer says: text, tool calls, and how it ended. Thoughts are no part of it.

Answers of either wire are read, whole or as streams; how they ended is told in OpenAI's words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overspill.wire.document import compact, read_json
from overspill.wire.errors import Wire
from overspill.wire.from_anthropic import FINISH
from overspill.wire.sse import EventFramer, data_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One answer."""

    text: str = ""
    refusal: str = ""
    finish: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    """Name and arguments, as JSON, of each tool called."""


def said_in(raw: bytes, *, stream: bool, wire: Wire = Wire.OPENAI) -> Said | None:
    """Read an answer; None where it is of another shape, or has several choices."""
    try:
        if wire is Wire.ANTHROPIC:
            return _message_in_events(raw) if stream else _message(read_json(raw))
        return _choice_in_events(raw) if stream else _choice(read_json(raw))
    except (ValueError, TypeError, AttributeError, KeyError):
        return None


def _documents(raw: bytes) -> Iterator[dict[str, Any]]:
    framer = EventFramer()
    for event in (*framer.feed(raw), framer.rest()):
        data = data_of(event)
        if data and data != b"[DONE]":
            yield read_json(data)


def _word(value: object) -> str:
    """Return a text that must be one. Raises: TypeError."""
    if isinstance(value, str):
        return value
    raise TypeError("not a text")


# -- OpenAI's chat completions
def _choice(answer: dict[str, Any]) -> Said | None:
    choices = answer["choices"]
    if len(choices) != 1:
        return None
    message = choices[0]["message"]
    calls = [one["function"] for one in message.get("tool_calls") or ()]
    return Said(
        text=_text(message.get("content")),
        refusal=_text(message.get("refusal")),
        finish=_word(choices[0].get("finish_reason") or ""),
        calls=tuple((_word(one["name"]), _word(one["arguments"])) for one in calls),
    )


def _text(content: object) -> str:
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    return content if isinstance(content, str) else ""


def _choice_in_events(raw: bytes) -> Said | None:
    text, refusal, finish = [], [], ""
    calls: dict[int, list[str]] = {}
    for choice in (one for document in _documents(raw) for one in document.get("choices") or ()):
        if choice.get("index"):
            return None
        delta = choice.get("delta") or {}
        text.append(_text(delta.get("content")))
        refusal.append(_text(delta.get("refusal")))
        finish = _word(choice.get("finish_reason") or finish)
        for one in delta.get("tool_calls") or ():
            call = calls.setdefault(one["index"], ["", ""])
            said = one.get("function") or {}
            call[0] += said.get("name") or ""
            call[1] += said.get("arguments") or ""
    return Said(
        text="".join(text),
        refusal="".join(refusal),
        finish=finish,
        calls=tuple((name, arguments) for name, arguments in calls.values()),
    )


# -- Anthropic's messages
def _message(answer: dict[str, Any]) -> Said:
    text, calls = [], []
    for block in answer["content"]:
        if block["type"] == "text":
            text.append(_word(block["text"]))
        elif block["type"] == "tool_use":
            calls.append((_word(block["name"]), compact(block["input"]).decode()))
    return Said(text="".join(text), finish=_finish(answer.get("stop_reason")), calls=tuple(calls))


def _finish(reason: object) -> str:
    return FINISH.get(_word(reason), "stop") if reason else ""


def _message_in_events(raw: bytes) -> Said | None:
    """Read a stream; None where it broke off with an error."""
    text, finish = [], ""
    calls: dict[int, _Call] = {}
    for event in _documents(raw):
        kind = event.get("type")
        if kind == "error":
            return None
        if kind == "content_block_start":
            block = event["content_block"]
            text.append(_text([block]))
            if block["type"] == "tool_use":
                calls[event["index"]] = _Call(_word(block["name"]), block.get("input"))
        elif kind == "content_block_delta":
            delta, call = event["delta"], calls.get(event["index"])
            if delta["type"] == "text_delta":
                text.append(_word(delta["text"]))
            elif delta["type"] == "input_json_delta" and call:
                call.pieces += _word(delta["partial_json"])
        elif kind == "message_delta":
            finish = _finish(event["delta"].get("stop_reason")) or finish
    made = tuple((call.name, call.arguments) for call in calls.values())
    return Said(text="".join(text), finish=finish, calls=made)


@dataclass(slots=True)
class _Call:
    """A tool call as its events tell it."""

    name: str
    start: object
    """Its input where no piece of it comes."""
    pieces: str = ""

    @property
    def arguments(self) -> str:
        return self.pieces or compact(self.start or {}).decode()

"""What a well-behaved upstream says, and every place at which it can break off."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

TEXTS = ("Gr\u00fc\u00dfe", " aus ", "\u20acuropa")


class Wire(StrEnum):
    """What an upstream speaks."""

    OPENAI = "OpenAI"
    ANTHROPIC = "Anthropic"


class Framing(StrEnum):
    """How HTTP tells where a body ends."""

    CHUNKED = "chunked"
    LENGTH = "content-length"
    CLOSE = "until close"


class Outcome(StrEnum):
    """What the client must get when the upstream breaks off at some place."""

    FAILOVER = "failover"
    """Nothing reached it yet: somebody else answers."""
    BROKEN = "broken"
    """Part of a stream reached it: an error, and never an end."""
    COMPLETE = "complete"
    """The upstream had finished."""


@dataclass(frozen=True, slots=True)
class Break:
    """A place to break off at: the bytes said until then, and what must come of it."""

    place: str
    said: bytes
    outcome: Outcome


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def openai_events(texts: tuple[str, ...] = TEXTS) -> list[bytes]:
    """A chat completion's stream, usage included."""
    head = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    chunks = [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": text}) for text in texts),
        chunk({}, "stop"),
        {**head, "choices": [], "usage": usage},
    ]
    return [*(b"data: " + _json(one) + b"\n\n" for one in chunks), b"data: [DONE]\n\n"]


def anthropic_events(texts: tuple[str, ...] = TEXTS) -> list[bytes]:
    """A message's stream."""
    message: dict[str, Any] = {
        "id": "msg-1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
    }
    block = {"type": "text", "text": ""}
    deltas = [{"type": "text_delta", "text": text} for text in texts]
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 5},
        },
        {"type": "message_stop"},
    ]
    return [b"event: %b\ndata: %b\n\n" % (e["type"].encode(), _json(e)) for e in events]


def events(wire: Wire, texts: tuple[str, ...] = TEXTS) -> list[bytes]:
    """A stream of this wire, its end marker last."""
    return openai_events(texts) if wire is Wire.OPENAI else anthropic_events(texts)


def whole(wire: Wire, text: str = "".join(TEXTS)) -> bytes:
    """A whole answer of this wire."""
    if wire is Wire.OPENAI:
        said = {"role": "assistant", "content": text}
        return _json(
            {
                "id": "c-1",
                "object": "chat.completion",
                "created": 1,
                "model": "m",
                "choices": [{"index": 0, "message": said, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8},
            }
        )
    return _json(
        {
            "id": "msg-1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 3, "output_tokens": 5},
        }
    )


# -- framing
def head(framing: Framing, length: int = 0, kind: str = "application/json") -> bytes:
    """Status line and headers."""
    told = {
        Framing.CHUNKED: "transfer-encoding: chunked\r\n",
        Framing.LENGTH: f"content-length: {length}\r\n",
        Framing.CLOSE: "",
    }
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{told[framing]}\r\n".encode()


def framed(framing: Framing, pieces: list[bytes], kind: str = "application/json") -> bytes:
    """A whole response."""
    top = head(framing, sum(map(len, pieces)), kind)
    if framing is Framing.CHUNKED:
        return top + b"".join(map(chunked, pieces)) + b"0\r\n\r\n"
    return top + b"".join(pieces)


def chunked(piece: bytes) -> bytes:
    """One chunk."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


EVENT_STREAM = "text/event-stream; charset=utf-8"


def good_stream(wire: Wire, texts: tuple[str, ...] = TEXTS) -> bytes:
    """A whole response with a stream."""
    return framed(Framing.CHUNKED, events(wire, texts), EVENT_STREAM)


def good_whole(wire: Wire, text: str = "".join(TEXTS)) -> bytes:
    """A whole response without one."""
    return framed(Framing.LENGTH, [whole(wire, text)])


# -- breaking off
_IN_HEAD = (("mid status line", 9), ("mid headers", 30))


def _within(piece: bytes) -> int:
    """An offset inside a character of more than one byte."""
    return next(n for n, byte in enumerate(piece) if byte >= 0xC0) + 1


def stream_breaks(wire: Wire) -> list[Break]:
    """Every place at which a chunked stream can break off.

    Its first event only announces an answer: up to there another upstream may give one.
    """
    made = events(wire)
    first, second, *_, marker = made
    told = next(n for n, event in enumerate(made) if TEXTS[0].encode() in event) + 1
    euro = next(n for n, event in enumerate(made) if TEXTS[-1].encode() in event)
    following = made[told]
    top = head(Framing.CHUNKED, kind=EVENT_STREAM)

    def until(count: int) -> bytes:
        return top + b"".join(map(chunked, made[:count]))

    def into(count: int, offset: int) -> bytes:
        return until(count) + b"%x\r\n" % len(made[count]) + made[count][:offset]

    early, late, end = Outcome.FAILOVER, Outcome.BROKEN, Outcome.COMPLETE
    last = len(made) - 1
    return [
        *(Break(place, top[:offset], early) for place, offset in _IN_HEAD),
        Break("after headers", top, early),
        Break("mid first chunk size", top + (b"%x" % len(first))[:1], early),
        Break("mid first event", into(0, len(first) // 2), early),
        Break("after the announcement", until(1), early),
        Break("mid second chunk size", until(1) + (b"%x" % len(second))[:1], early),
        Break("mid second event", into(1, len(second) // 2), early),
        Break("between events", until(told), late),
        Break("mid chunk size", until(told) + (b"%x" % len(following))[:1], late),
        Break("mid event", into(told, len(following) // 2), late),
        Break("mid UTF-8 character", into(euro, _within(made[euro])), late),
        Break("after the last event", until(last), late),
        Break("mid end marker", into(last, len(marker) // 2), late),
        Break("after the end marker", until(last + 1), end),
        Break("mid terminating chunk", until(last + 1) + b"0\r\n", end),
        Break("after everything", until(last + 1) + b"0\r\n\r\n", end),
    ]


def whole_breaks(wire: Wire, framing: Framing) -> list[Break]:
    """Every place at which a whole answer can break off."""
    body = whole(wire)
    half, within = len(body) // 2, _within(body)
    early, end = Outcome.FAILOVER, Outcome.COMPLETE
    top = head(framing, len(body))
    shared = [
        *(Break(place, top[:offset], early) for place, offset in _IN_HEAD),
        Break("after headers", top, early),
    ]
    if framing is not Framing.CHUNKED:
        return [
            *shared,
            Break("mid body", top + body[:half], early),
            Break("mid UTF-8 character", top + body[:within], early),
            Break("before the last byte", top + body[:-1], early),
            Break("after everything", top + body, end),
        ]
    one, two = body[:half], body[half:]
    return [
        *shared,
        Break("mid chunk size", top + (b"%x" % len(one))[:1], early),
        Break("mid chunk data", top + b"%x\r\n%b" % (len(one), one[:-3]), early),
        Break("before the end of a chunk", top + b"%x\r\n%b" % (len(one), one), early),
        Break("between chunks", top + chunked(one), early),
        Break("after the last chunk", top + chunked(one) + chunked(two), early),
        Break("mid terminating chunk", top + chunked(one) + chunked(two) + b"0\r\n", early),
        Break("after everything", framed(framing, [one, two]), end),
    ]

"""Recorded streams, and every road that one can take through the wire package."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from overspill.wire.ask import Target
from overspill.wire.errors import Wire
from overspill.wire.ingress import INGRESSES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from overspill.wire.stream import EventStream
    from overspill.wire.usage import Usage

FOLDER: Final = Path(__file__).parents[1] / "data" / "streams"
STREAMS: Final = {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.sse"))}
_USER: Final = [{"role": "user", "content": "hi"}]
ASKED: Final[dict[str, dict[str, Any]]] = {
    "/v1/chat/completions": {"messages": _USER},
    "/v1/messages": {"messages": _USER, "max_tokens": 99},
    "/v1/responses": {"input": "hi"},
    "/v1/completions": {"prompt": "hi"},
}


def body_for(path: str, *, usage: bool) -> bytes:
    """A request for a stream."""
    more = {"stream_options": {"include_usage": True}} if usage else {}
    return json.dumps({"model": "m", "stream": True, **more, **ASKED[path]}).encode()


@dataclass(frozen=True, slots=True)
class Road:
    """What the client speaks, and whether it asked for usage."""

    path: str
    usage: bool = False

    def open(self, name: str) -> EventStream:
        """What turns this recorded stream into the client's."""
        ingress = INGRESSES[self.path]
        wire = Wire.ANTHROPIC if name.startswith("anthropic") else Wire.OPENAI
        ask = ingress.read(body_for(self.path, usage=self.usage))
        return ingress.stream(ask, Target(wire=wire, model="m"), 1.0)


ROADS: Final = [
    Road("/v1/chat/completions"),
    Road("/v1/chat/completions", usage=True),
    Road("/v1/messages"),
    Road("/v1/responses"),
]
PAIRS: Final = [
    *((name, road) for name in STREAMS for road in ROADS),
    *((name, Road("/v1/completions")) for name in STREAMS if name.startswith("openai")),
]


@dataclass(frozen=True, slots=True)
class Made:
    """All that comes of a stream."""

    out: bytes
    usage: Usage | None
    done: bool
    failed: bytes | None


def run(stream: EventStream, pieces: Iterable[bytes]) -> Made:
    """Feed the pieces and the end."""
    out = b"".join([stream.feed(piece) for piece in pieces])
    if not stream.done and stream.failed is None:
        out += stream.rest()
    return Made(out, stream.usage, stream.done, stream.failed)

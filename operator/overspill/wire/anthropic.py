"""Anthropic messages on their way to Anthropic: metered, and otherwise untouched."""

from __future__ import annotations

import json
from typing import Any, Final

from overspill.wire.errors import BadRequest
from overspill.wire.from_anthropic import usage_of
from overspill.wire.openai import ChatRequest
from overspill.wire.usage import Usage, estimate_tokens

_MARKS: Final = (b'"message_start"', b'"message_delta"', b'"message_stop"', b'"error"')


def read_messages(raw: bytes) -> ChatRequest:
    """Read a Messages request for the fields we need. Raises: BadRequest naming the field."""
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise BadRequest("model: a string is required", "model")
    limit = body.get("max_tokens")
    return ChatRequest(
        body=body,
        model=body["model"],
        stream=body.get("stream") is True,
        wants_usage=False,
        max_tokens=limit if isinstance(limit, int) else None,
        input_tokens=estimate_tokens(len(raw)),
    )


def upstream_body(request: ChatRequest, model: str) -> bytes:
    """Return the body for the provider: its model, all else as the client wrote it."""
    body = {**request.body, "model": model}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def usage_in(raw: bytes) -> Usage | None:
    """Return the usage of a whole answer. Raises: ValueError where it is not JSON."""
    answer = json.loads(raw)
    told = answer.get("usage") if isinstance(answer, dict) else None
    return usage_of(told) if isinstance(told, dict) else None


class StreamFilter:
    """Watches a stream pass, byte for byte, and meters it.

    The provider's error event is held back in `failed`: the sidecar sends it as the last one.
    """

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.done = False
        self.failed: bytes | None = None
        self._start: dict[str, Any] = {}

    def pass_on(self, event: bytes, data: bytes) -> bytes:
        """Return the bytes the client gets for this event."""
        if not any(mark in data for mark in _MARKS):
            return event
        try:
            message = json.loads(data)
        except ValueError:
            return event
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "error":
            self.failed = data
            return b""
        if kind == "message_start":
            self._start = message["message"].get("usage") or {}
            self.usage = usage_of(self._start)
        elif kind == "message_delta":
            told = {k: v for k, v in (message.get("usage") or {}).items() if v is not None}
            self.usage = usage_of({**self._start, **told})
        elif kind == "message_stop":
            self.done = True
        return event

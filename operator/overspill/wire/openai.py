"""OpenAI's wire as it passes through: what is read of answers and streams to meter them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from overspill.wire.errors import Wire, message_in, speaks, worded
from overspill.wire.stream import Passed
from overspill.wire.usage import Usage


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Answer(msgspec.Struct):
    usage: _Usage | None = None
    choices: list[msgspec.Raw] | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


_read: Final = msgspec.json.Decoder(_Answer).decode


def _metered(told: _Usage | None) -> Usage | None:
    if told is None:
        return None
    details = told.prompt_tokens_details
    sent = max(0, told.prompt_tokens or 0)
    cached = (details.cached_tokens or 0) if details else 0
    return Usage(  # counters only go up, whatever an upstream tells
        input_tokens=sent,
        cached_tokens=max(0, min(cached, sent)),
        output_tokens=max(0, told.completion_tokens or 0),
    )


def usage_in(raw: bytes) -> Usage | None:
    """Return the usage of a whole answer, None where it tells none. Raises: ValueError."""
    return _metered(_read(raw).usage)


def usage_of(answer: dict[str, Any]) -> Usage | None:
    """Return the usage of a parsed answer, None where it has none. Raises: ValueError."""
    try:
        return _metered(msgspec.convert(answer.get("usage"), _Usage | None))
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def usage_json(usage: Usage) -> dict[str, Any]:
    """Return usage as OpenAI words it."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


class PassedStream(Passed):
    """A stream that the client gets byte for byte, except for usage it did not ask for."""

    marks = (b'"usage"', b'"error"', b"[DONE]")

    def __init__(self, *, wants_usage: bool) -> None:
        super().__init__()
        self._hide = not wants_usage

    def _pass_on(self, event: bytes, data: bytes) -> bytes:
        if data == b"[DONE]":
            self.done = True
            return event
        if b'"usage"' not in data and b'"error"' not in data:
            return event
        try:
            answer = _read(data)
        except (msgspec.DecodeError, RecursionError):
            return event
        if bytes(answer.error) != b"null":
            self.failed = data if speaks(Wire.OPENAI, data) else _reworded(data)
            return b""
        usage = _metered(answer.usage)
        if usage is None:
            return event
        self.usage = usage
        return b"" if self._hide and not answer.choices else event


def _reworded(data: bytes) -> bytes:
    return worded(Wire.OPENAI, 500, message_in(data))

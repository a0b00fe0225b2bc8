"""Anthropic's wire as it passes through: metered, and otherwise untouched."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from overspill.wire.document import read_json
from overspill.wire.stream import Passed
from overspill.wire.usage import Count, Usage, billed

VERSION: Final = "2023-06-01"
_NOT_OF_AN_ID: Final = re.compile(r"[^a-zA-Z0-9_-]")


class _Written(msgspec.Struct):
    ephemeral_1h_input_tokens: Count | None = None


class _Told(msgspec.Struct):
    input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_creation: _Written | None = None


_COUNTS: Final = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens",
)


class _Answer(msgspec.Struct):
    usage: _Told | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


_read: Final = msgspec.json.Decoder(_Answer).decode


class Meter:
    """Usage of one message, told in parts.

    Each part is a running total: what it names replaces what was told before, what it leaves out
    stands. Cached tokens stand apart there and are counted in here.
    """

    __slots__ = ("_told", "whole")

    def __init__(self) -> None:
        self._told = _Told()
        self.whole = False
        """What the whole output used has been told."""

    def tell(self, usage: object, *, last: bool = False) -> Usage | None:
        """Take over what a part says; return the usage so far, None while none is told."""
        if not isinstance(usage, dict):
            return _metered(self._told)
        for name in _COUNTS:
            told = billed(usage.get(name))
            if told is not None:
                setattr(self._told, name, told)
        written = usage.get("cache_creation")
        hour = (
            billed(written.get("ephemeral_1h_input_tokens")) if isinstance(written, dict) else None
        )
        if hour is not None:
            self._told.cache_creation = _Written(ephemeral_1h_input_tokens=hour)
        self.whole |= last and billed(usage.get("output_tokens")) is not None
        return _metered(self._told)


def _metered(told: _Told) -> Usage | None:
    if told.input_tokens is None and told.output_tokens is None:
        return None  # better estimated than taken for nothing
    cached = told.cache_read_input_tokens or 0
    written = told.cache_creation_input_tokens or 0
    details = told.cache_creation
    hour = (details.ephemeral_1h_input_tokens or 0) if details else 0
    return Usage(
        input_tokens=(told.input_tokens or 0) + written + cached,
        cached_tokens=cached,
        written_tokens=written,
        hour_written_tokens=min(hour, written),
        output_tokens=told.output_tokens or 0,
    )


def usage_in(raw: bytes) -> Usage | None:
    """Return the usage of a whole answer, None where it tells none.

    Raises: ValueError, also for an error in an answer's place.
    """
    try:
        answered = _read(raw)
    except msgspec.ValidationError:  # well-formed, but not in the usual shape
        answer = read_json(raw)
        if not isinstance(answer, dict):
            raise ValueError("not an object") from None
        return usage_of(answer.get("usage"))
    if answered.usage is not None:
        return _metered(answered.usage)
    if bytes(answered.error) != b"null":
        raise ValueError("an error")
    return None


def usage_of(usage: object) -> Usage | None:
    """Return the usage that an answer tells, None where it tells none."""
    return Meter().tell(usage)


def usage_json(usage: Usage) -> dict[str, Any]:
    """Return usage as Anthropic words it: cached tokens apart."""
    apart = usage.cached_tokens + usage.written_tokens
    return {
        "input_tokens": max(0, usage.input_tokens - apart),
        "cache_creation_input_tokens": usage.written_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
    }


def tool_id(given: str) -> str:
    """Return the id of a tool call in the characters that Anthropic takes.

    Models of other providers have others in theirs, such as `functions.f:0`.
    """
    return _NOT_OF_AN_ID.sub("_", given)


class PassedStream(Passed):
    """A stream that the client gets byte for byte."""

    marks = (b'"message_start"', b'"message_delta"', b'"message_stop"', b'"error"')

    def __init__(self) -> None:
        super().__init__()
        self._meter = Meter()

    @property
    def estimated(self) -> bool:
        """Whether what the answer used has not been told: the start tells of the input only."""
        return super().estimated or not self._meter.whole

    def _pass_on(self, event: bytes, data: bytes) -> bytes:
        if not any(mark in data for mark in self.marks):
            return event
        try:
            message = read_json(data)
        except ValueError:
            return event
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "error":
            self.failed = data
            return b""
        if kind == "message_start" and isinstance(message.get("message"), dict):
            self.usage = self._meter.tell(message["message"].get("usage"))
        elif kind == "message_delta":
            self.usage = self._meter.tell(message.get("usage"), last=True)
        elif kind == "message_stop":
            self.done = True
        return event

"""OpenAI's wire as it passes through: what is read of answers and streams to meter them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from overspill.wire.document import compact, read_json
from overspill.wire.errors import Wire, message_in, speaks, status_in, worded
from overspill.wire.stream import Passed
from overspill.wire.usage import Count, Usage, billed


class _Details(msgspec.Struct):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    prompt_tokens_details: _Details | None = None


class _Answer(msgspec.Struct):
    usage: _Usage | None = None
    choices: list[msgspec.Raw] | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


_OWN_HOSTS: Final = (".openai.com", ".azure.com")
_read: Final = msgspec.json.Decoder(_Answer).decode


def _metered(told: _Usage | None) -> Usage | None:
    """Return what was billed: some hosts (xAI, Gemini) count thoughts in the total alone."""
    if told is None:
        return None
    asked, said, details = told.prompt_tokens, told.completion_tokens, told.prompt_tokens_details
    if asked is None and said is None and details is None:
        return None
    sent, out = asked or 0, said or 0
    if asked is not None and told.total_tokens is not None:
        out = max(out, told.total_tokens - sent)
    if details is None:
        return Usage(input_tokens=sent, output_tokens=out)
    cached = min(details.cached_tokens or 0, sent)  # part of what was sent, whatever is told
    return Usage(
        input_tokens=sent,
        cached_tokens=cached,
        written_tokens=min(details.cache_write_tokens or 0, sent - cached),
        output_tokens=out,
    )


def is_own(host: str) -> bool:
    """Whether OpenAI's own models answer at this host of a `baseURL`.

    They know a limit of output as `max_completion_tokens`, and those since o1 refuse `max_tokens`.
    Most other hosts know only the older name: Mistral answers 422 to the newer one, DeepSeek takes
    no notice of it, and gateways word it anew for whom they ask.
    """
    return f".{host.lower()}".endswith(_OWN_HOSTS)


def usage_in(raw: bytes) -> Usage | None:
    """Return the usage of a whole answer, None where it tells none.

    Raises: ValueError, also for an error in an answer's place: some hosts say 200 to it.
    """
    try:
        answer = _read(raw)
    except msgspec.ValidationError:
        answer = _read_oddly(raw)
    if answer.usage is None and not answer.choices and bytes(answer.error) != b"null":
        raise ValueError("an error")
    return _metered(answer.usage)


def _read_oddly(raw: bytes) -> _Answer:
    """Read an answer that is well-formed but not in the usual shape. Raises: ValueError."""
    answer = read_json(raw)
    if not isinstance(answer, dict):
        raise ValueError("not an object")
    return _Answer(
        usage=_told(answer.get("usage")),
        choices=[msgspec.Raw(b"null")] if answer.get("choices") else None,
        error=msgspec.Raw(compact(answer.get("error"))),
    )


def _told(usage: object) -> _Usage | None:
    if not isinstance(usage, dict):
        return None
    asked, said = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if any(one is not None and billed(one) is None for one in (asked, said)):
        return None  # better estimated than taken for nothing
    if asked is None and said is None:
        return None
    details = usage.get("prompt_tokens_details")
    told = details if isinstance(details, dict) else {}
    return _Usage(
        prompt_tokens=billed(asked),
        completion_tokens=billed(said),
        total_tokens=billed(usage.get("total_tokens")),
        prompt_tokens_details=_Details(
            cached_tokens=billed(told.get("cached_tokens")),
            cache_write_tokens=billed(told.get("cache_write_tokens")),
        ),
    )


def usage_of(answer: dict[str, Any]) -> Usage | None:
    """Return the usage of a parsed answer, None where it has none."""
    return _metered(_told(answer.get("usage")))


def text_of(value: object) -> str:
    """Return the text that an answer has in a field. Raises: ValueError where it is no text."""
    if value is None:
        return ""
    if isinstance(value, list):  # parts, as requests have them
        return "".join([_text_part(part) for part in value])
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value


def _text_part(part: object) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or kind not in ("text", "thinking"):
        raise ValueError("not a text")
    return text_of(part.get("text")) if kind == "text" else ""


def thought_of(said: dict[str, Any]) -> str:
    """Return what the model thought before it said this. Raises: ValueError where it is no text.

    Servers of open models have two names for it; Mistral's models put it among the content.
    """
    told = said.get("reasoning_content") or said.get("reasoning")
    if told is None and isinstance(said.get("content"), list):
        return "".join(text_of(part.get("thinking")) for part in said["content"])
    return text_of(told)


def finish_of(choice: dict[str, Any]) -> str | None:
    """Return why an answer ended, None where it has not. Raises: ValueError where it is no text."""
    return text_of(choice.get("finish_reason")) or None


def usage_json(usage: Usage) -> dict[str, Any]:
    """Return usage as OpenAI words it."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.written_tokens,
        },
    }


BROKEN_OFF: Final = frozenset({"abort", "error", "insufficient_system_resource"})
"""What vLLM and SGLang, Mistral, and DeepSeek call the end of an answer that they gave up."""


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
            try:
                answer = _read_oddly(data)
            except ValueError:
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
    return worded(Wire.OPENAI, status_in(data), message_in(data))

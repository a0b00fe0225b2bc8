"""The most tokens that a request can be billed for, known before its first byte goes out.

Text: a token of a byte-pair tokenizer stands for at least one byte of it, and JSON only adds bytes,
so that a body has no more tokens of text than bytes. What providers add, and media, whose tokens
have little to do with their bytes, come on top.

Not bounded are tools that a provider runs itself, such as web search: what they find is input too,
and is billed as often as the model reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from overspill.wire.document import read_json
from overspill.wire.errors import Wire
from overspill.wire.usage import Usage, count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overspill.wire.ask import Ask, Target
    from overspill.wire.document import Document

TEMPLATE_TOKENS: Final = 512
"""For what a chat template and a provider's own system prompt put around the messages. The few
tokens of each message are covered by its JSON. No provider tells the rest; the templates of open
models (gpt-oss, Llama 3, Qwen) have at most about a hundred, and this is five times that.
"""
TOOL_TOKENS: Final = 3072
"""For the system prompt that comes with tools, and for tools that a request only names: Anthropic
has told of up to 530 tokens for the prompt, newer models are said to have 935, and bash adds 245,
the text editor 700, the screen 735: 2,615 in all.

Source: https://docs.anthropic.com/en/docs/about-claude/pricing#tool-use-pricing
"""
IMAGE_TOKENS: Final = {Wire.ANTHROPIC: 5_120, Wire.OPENAI: 49_152}
"""Of one image at most. Anthropic scales down to 2576 × 2576 pixels and 4,784 tokens of 28 × 28;
gpt-4o-mini counts 2,833 and 5,667 for each of up to 8 tiles, 48,169 in all, more than any other.

Sources: https://platform.claude.com/docs/en/build-with-claude/vision,
https://platform.openai.com/docs/guides/images-vision#calculating-costs
"""
DOCUMENT_TOKENS: Final = 1_050_000
"""Of one PDF, film or sound at most: the longest context window of the price table. Each page of a
PDF is text and an image, up to 600 of them, and no request is longer than its model's window.

Source: https://platform.claude.com/docs/en/build-with-claude/pdf-support
"""

_IMAGES: Final = frozenset({"image", "image_url"})
_WHOLE: Final = frozenset({"document", "file", "container_upload", "video_url", "audio_url"})
HOUR: Final = "1h"


class _Cache(msgspec.Struct, gc=False):
    ttl: Literal["5m"] | None = None


class _Part(msgspec.Struct, gc=False):
    """A part whose tokens are those of its text."""

    type: Literal["text", "tool_use", "tool_result", "thinking", "refusal"]
    content: str | list[_Part] | None = None
    cache_control: _Cache | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | list[_Part] | None = None


class _Tool(msgspec.Struct, gc=False):
    cache_control: _Cache | None = None


class _Plain(msgspec.Struct, gc=False):
    """A body with neither media nor a cache for an hour: what is anything else cannot be read."""

    messages: list[_Message] | None = None
    system: str | list[_Part] | None = None
    tools: list[_Tool] | None = None
    cache_control: _Cache | None = None
    input: str | list[str | int | list[int]] | None = None


_read_plain: Final = msgspec.json.Decoder(_Plain).decode


def bound(ask: Ask, target: Target, body: bytes, *, generates: bool = True) -> Usage:
    """Return the most that this body can be billed for by the target.

    All input may be written to a cache, for an hour where the body says so, which is what
    `worst_cost_usd_micros` prices. `generates` is False where answers have no output (embeddings).
    The output holds only where a limit is sent: the client's, or ours to a target that is `capped`.
    """
    fields = ask.document.fields
    sent, hour = len(body) + TEMPLATE_TOKENS, False
    if "tools" in fields or "functions" in fields:
        sent += TOOL_TOKENS
    # A body with one list has messages of plain text. To know so takes a fifth of the time.
    if body.find(b"[", body.find(b"[") + 1) > 0 or "cache_control" in fields or not generates:
        media, hour = _beside_text(body, target.wire)
        sent += media
    return Usage(
        input_tokens=sent,
        written_tokens=sent,
        hour_written_tokens=sent if hour and target.wire is Wire.ANTHROPIC else 0,
        output_tokens=output_tokens(ask, target) if generates else 0,
    )


def _beside_text(body: bytes, wire: Wire) -> tuple[int, bool]:
    """Return the tokens of media, less their bytes, and whether a cache is to last an hour."""
    try:
        _read_plain(body)
    except (msgspec.DecodeError, RecursionError):
        pass
    else:
        return 0, False
    try:
        whole = read_json(body)
    except ValueError:  # a provider refuses it, or reads it otherwise than we do
        return DOCUMENT_TOKENS, True
    said = [*_parts(whole.get("messages")), *_parts(whole.get("input"))]
    rest = (whole, *_parts(whole.get("system")), *_parts(whole.get("tools")))
    hour = any(_lasts_an_hour(one) for one in (*rest, *said))
    return sum(_media_tokens(part, wire) for part in said), hour


def _lasts_an_hour(item: dict[str, Any]) -> bool:
    cache = item.get("cache_control")
    return isinstance(cache, dict) and cache.get("ttl") == HOUR


def _media_tokens(part: dict[str, Any], wire: Wire) -> int:
    kind = part.get("type")
    if not isinstance(kind, str | None):
        return DOCUMENT_TOKENS
    if kind in _WHOLE:
        return 0 if _is_text(part) else DOCUMENT_TOKENS
    return IMAGE_TOKENS[wire] - _data_bytes(part) if _is_image(part) else 0


def _is_image(part: dict[str, Any]) -> bool:
    return part.get("type") in _IMAGES or not _IMAGES.isdisjoint(part)


def pixel_bytes(item: object) -> list[int]:
    """Return how many bytes are an image's own, for each image of a message of any protocol."""
    return [
        _data_bytes(part)
        for part in _parts([item])
        if isinstance(part.get("type"), str) and _is_image(part)
    ]


def output_tokens(ask: Ask, target: Target) -> int:
    """Return the most output: the limit, for each answer that is asked for."""
    fields = ask.document.fields
    limit = target.max_output_tokens if ask.max_tokens is None else ask.max_tokens
    if "max_tokens" in fields and "max_completion_tokens" in fields:  # hosts know one or the other
        limit = max(limit, count(ask.document.get("max_tokens")) or 0)
    if "prediction" in fields:  # what of it was wrong is billed as output
        limit += len(bytes(fields["prediction"]))
    if "n" in fields or "best_of" in fields:
        limit *= max(1, _count(ask.document, "n"), _count(ask.document, "best_of"))
    return limit * _prompts(ask.document) if "prompt" in fields else limit


def _count(document: Document, name: str) -> int:
    return count(document.get(name)) or 0 if name in document.fields else 0


def _prompts(document: Document) -> int:
    """Return to how many prompts a completion is asked for: texts, or lists of tokens."""
    if not document.lists("prompt"):
        return 1
    prompt = document.get("prompt")
    return 1 if isinstance(prompt[0], int) else len(prompt)


def _parts(value: object) -> Iterator[dict[str, Any]]:
    """Yield messages and their parts, those within the results of tools and documents too."""
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict):
            yield item
            yield from _parts(item.get("content"))
            source = item.get("source")
            if isinstance(source, dict):
                yield from _parts(source.get("content"))


def _is_text(document: dict[str, Any]) -> bool:
    """Whether a document is text, or is made of parts, which stand for themselves."""
    source = document.get("source")
    return isinstance(source, dict) and source.get("type") in ("text", "content")


def _data_bytes(image: dict[str, Any]) -> int:
    """Return how many bytes of a body are an image's own: they are pixels, not text."""
    source = image.get("source")
    if isinstance(source, dict):
        data = source.get("data")
    else:
        source = image.get("image_url")
        data = source.get("url") if isinstance(source, dict) else source
        if not isinstance(data, str) or not data.startswith("data:"):
            return 0
    return len(data) if isinstance(data, str) else 0

"""The most tokens that a request can be billed for, known before its first byte goes out.

Text: a token of a byte-pair tokenizer stands for at least one byte of it, and JSON only adds bytes,
so that a body has no more tokens of text than bytes. What providers add, and media, whose tokens
have little to do with their bytes, come on top.

Not bounded are tools that a provider runs itself, such as web search: what they find is input too,
and is billed as often as the model reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

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
_PLAIN: Final = frozenset({"text", "tool_use", "tool_result", "thinking", "refusal"})
"""Parts whose tokens are those of their text. All others are looked at one by one."""
HOUR: Final = "1h"
_NONE: Final = msgspec.Raw(b"null")


class _Cache(msgspec.Struct, gc=False):
    ttl: str | None = None


class _Item(msgspec.Struct, gc=False):
    """A message, a part of one, a tool: as far as it must be known to see that nothing is rare."""

    type: str = ""
    content: str | list[_Item] | None = None
    cache_control: _Cache | None = None


class _Body(msgspec.Struct, gc=False):
    messages: list[_Item] = []
    system: str | list[_Item] | None = None
    tools: list[_Item] | None = None
    cache_control: _Cache | None = None
    input: msgspec.Raw = msgspec.Raw(b"")


_read_body: Final = msgspec.json.Decoder(_Body).decode


def bound(ask: Ask, target: Target, body: bytes, *, generates: bool = True) -> Usage:
    """Return the most that this body can be billed for by the target.

    All input may be written to a cache, for an hour where the body says so, which is what
    `worst_cost_usd_micros` prices. `generates` is False where answers have no output (embeddings).
    The output holds only where a limit is sent: the client's, or ours to a target that is `capped`.
    """
    fields = ask.document.fields
    media = hour = False
    # A body with one list has messages of plain text. To know so takes a tenth of the time.
    if body.find(b"[", body.find(b"[") + 1) > 0 or "cache_control" in fields or not generates:
        media, hour = _rare(body)
    sent = len(body) + TEMPLATE_TOKENS
    if "tools" in fields or "functions" in fields:
        sent += TOOL_TOKENS
    if media:
        sent += media_tokens(body, target.wire)
    return Usage(
        input_tokens=sent,
        written_tokens=sent,
        hour_written_tokens=sent if hour and target.wire is Wire.ANTHROPIC else 0,
        output_tokens=output_tokens(ask, target) if generates else 0,
    )


def _rare(body: bytes) -> tuple[bool, bool]:
    """Whether a body may have media, and whether it may ask for a cache that lasts an hour."""
    try:
        whole = _read_body(body)
    except (msgspec.DecodeError, RecursionError):  # in no usual shape: it may be anything
        return True, True
    media = hour = False
    cached = [whole.cache_control, *(tool.cache_control for tool in whole.tools or ())]
    contents = [whole.system, *(message.content for message in whole.messages)]
    for content in contents:
        if isinstance(content, list):
            for part in content:
                media |= part.type not in _PLAIN
                cached.append(part.cache_control)
                contents.append(part.content)
    for cache in cached:
        hour |= cache is not None and cache.ttl == HOUR
    return media or b"{" in bytes(whole.input), hour


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


def media_tokens(body: bytes, wire: Wire) -> int:
    """Return the most tokens of the media in a body, less the bytes that their data takes up."""
    try:
        whole = read_json(body)
    except ValueError:  # a provider refuses it, or reads it otherwise than we do
        return DOCUMENT_TOKENS
    tokens = 0
    for part in (*_parts(whole.get("messages")), *_parts(whole.get("input"))):
        kind = part.get("type")
        if kind in _WHOLE and not _is_text(part):
            tokens += DOCUMENT_TOKENS
        elif kind in _IMAGES or not _IMAGES.isdisjoint(part):
            tokens += IMAGE_TOKENS[wire] - _data_bytes(part)
    return tokens


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

"""Leaving out a conversation's oldest turns: never the system prompt, never half a tool call.

A turn begins with what a user says and goes on to the next time one does, with all tool calls and
their results between. What is left out grows in steps, so that from one turn of a conversation to
the next the prompt mostly begins with the same bytes, and a cache of it stays good.
"""

from __future__ import annotations

from itertools import accumulate
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import msgspec

from overspill.wire.bound import pixel_bytes
from overspill.wire.document import Document, read_json
from overspill.wire.usage import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overspill.wire.ask import Ask

STEPS: Final = 4
"""What is left out is a multiple of a quarter of the limit, or a little more."""
TYPICAL_IMAGE_TOKENS: Final = 1_600
"""About what providers count of one. The bytes of its pixels would count as a book, and cost a
conversation all that was said before it."""
_KEPT: Final = frozenset({"system", "developer"})
_read_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Cut(msgspec.Struct, frozen=True):
    """What was left out."""

    turns: int
    tokens: int
    """As estimated."""


def trimmed(ask: Ask, at_most: int) -> tuple[Ask, Cut] | None:
    """Leave out as many of the oldest turns as it takes to get to `at_most` tokens of input.

    The last turn stays, however long. None where nothing is to be left out, or nothing can be.
    """
    excess = ask.input_tokens - at_most
    raw = ask.document.fields.get(ask.opening)
    if excess <= 0 or raw is None:
        return None
    try:
        items = _read_items(raw)
        known = [read_json(bytes(item)) for item in items]
    except (msgspec.DecodeError, ValueError):
        return None
    pixels = [_pixel_tokens(item) for item in known]
    excess -= sum(pixels)
    if excess <= 0:
        return None
    begins = [index for index, item in enumerate(known) if _begins_turn(item)]
    sizes = [
        0 if _is_kept(item) else max(0, estimate_tokens(len(bytes(raw))) - seen)
        for item, raw, seen in zip(known, items, pixels, strict=True)
    ]
    before = [0, *accumulate(sizes)]
    step = max(1, at_most // STEPS)
    goal = ceil(excess / step) * step
    turns = _enough(begins, before, goal)
    if not turns:
        return None
    end = begins[turns]
    kept = [item for index, item in enumerate(items) if index >= end or _is_kept(known[index])]
    cut = Cut(turns=turns, tokens=before[end])
    return _without(ask, kept, cut.tokens + sum(pixels[:end])), cut


def likely_input_tokens(ask: Ask) -> int:
    """Return the estimate of an ask's input with its images as what they mostly are.

    It is for requests that nobody metered: reading a body again takes milliseconds where it is
    large.
    """
    raw = bytes(ask.document.fields.get(ask.opening) or b"")
    if b'image"' not in raw and b'image_url"' not in raw:
        return ask.input_tokens
    try:
        items = read_json(raw)
    except ValueError:
        return ask.input_tokens
    return max(1, ask.input_tokens - sum(map(_pixel_tokens, items)))


def _enough(begins: Sequence[int], before: Sequence[int], goal: int) -> int:
    """Return how many turns hold that many tokens; all but the last where none do."""
    for turns in range(1, len(begins)):
        if before[begins[turns]] >= goal:
            return turns
    return max(0, len(begins) - 1)


def _pixel_tokens(item: object) -> int:
    """Return by how much a message's images are estimated too high."""
    return sum(max(0, estimate_tokens(size) - TYPICAL_IMAGE_TOKENS) for size in pixel_bytes(item))


def _without(ask: Ask, kept: Sequence[msgspec.Raw], tokens: int) -> Ask:
    items = msgspec.Raw(b"[" + b",".join(map(bytes, kept)) + b"]")
    return msgspec.structs.replace(
        ask,
        document=Document({**ask.document.fields, ask.opening: items}),
        input_tokens=max(1, ask.input_tokens - tokens),
        whole=ask.document,
    )


def _is_kept(item: Any) -> bool:  # noqa: ANN401 - any JSON value
    return isinstance(item, dict) and item.get("role") in _KEPT


def _begins_turn(item: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether a user speaks. Anthropic's results of tools come in the user's name."""
    if not isinstance(item, dict) or item.get("role") != "user":
        return False
    content = item.get("content")
    parts = content if isinstance(content, list) else ()
    return not any(isinstance(part, dict) and part.get("type") == "tool_result" for part in parts)

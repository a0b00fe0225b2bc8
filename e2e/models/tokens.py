"""How the doubles count and what they say: pure functions of the request.

Input tokens are `ceil(UTF-8 bytes of all text / 4)` unless the text holds `[[in=N]]`. The answer is
`[[out=N]]` tokens of the last user message, else the request's own limit, and never above it. It
begins with the model's name, so that no two models say the same, unless the message holds
`[[say=WORD]]`.
"""

from __future__ import annotations

import re
from typing import Any

DEFAULT_OUTPUT = 64
_IN = re.compile(r"\[\[in=(\d+)\]\]")
_OUT = re.compile(r"\[\[out=(\d+)\]\]")
_SAY = re.compile(r"\[\[say=(\w+)\]\]")
_WORDS = ("the", "cheap", "model", "said", "so", "and", "was", "right")


def text_of(content: object) -> str:
    """All text in a message's content, whatever its form."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(text_of(part) for part in content)
    if isinstance(content, dict):
        return text_of(content.get("text") or content.get("content") or "")
    return ""


def input_tokens(messages: list[dict[str, Any]], system: object = "") -> int:
    """Tokens of the prompt."""
    text = text_of(system) + "".join(text_of(message.get("content")) for message in messages)
    if hint := _IN.search(text):
        return int(hint.group(1))
    return max(1, -(-len(text.encode()) // 4))


def output_tokens(messages: list[dict[str, Any]], limit: int | None) -> tuple[int, bool]:
    """Tokens of the answer, and whether the limit cut it."""
    users = [message for message in messages if message.get("role") == "user"]
    hint = _OUT.search(text_of(users[-1].get("content"))) if users else None
    wanted = int(hint.group(1)) if hint else (limit or DEFAULT_OUTPUT)
    cut = limit is not None and (wanted > limit or hint is None)
    return (min(wanted, limit) if limit is not None else wanted), cut


def opening(model: str, messages: list[dict[str, Any]]) -> str:
    """The answer's first word: the model's name, or what it was told to say."""
    users = [message for message in messages if message.get("role") == "user"]
    hint = _SAY.search(text_of(users[-1].get("content"))) if users else None
    return hint.group(1) if hint else model


def words(opening: str, first: int, last: int, *, schema: bool = False) -> str:
    """Tokens `first` to `last` (excluded) of the answer; token 0 is its opening.

    Where JSON was asked for, token 0 is the whole document and the others are spaces.
    """
    if schema:
        return "".join('{"answer":42}' if n == 0 else " " for n in range(first, last))
    return "".join(
        f"{opening} " if n == 0 else f"{_WORDS[n % len(_WORDS)]} " for n in range(first, last)
    )

"""Tokens of one answer, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

BYTES_PER_TOKEN = 4
"""Rule of thumb for text that was not counted by a model's tokenizer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens in OpenAI's sense: `input_tokens` includes the cached ones."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrice:
    """USD per million tokens, which is micro-dollars per token."""

    input: Decimal
    cached_input: Decimal
    output: Decimal


def cost_usd_micros(usage: Usage, price: TokenPrice) -> int:
    """Return the cost in micro-dollars, rounded up: a bill is never understated."""
    fresh = max(0, usage.input_tokens - usage.cached_tokens)
    exact = (
        fresh * price.input
        + usage.cached_tokens * price.cached_input
        + usage.output_tokens * price.output
    )
    return int(exact.to_integral_value(rounding=ROUND_CEILING))


def estimate_tokens(size_bytes: int) -> int:
    """Guess the tokens of that much text."""
    return -(-size_bytes // BYTES_PER_TOKEN)

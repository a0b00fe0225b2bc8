"""Tokens of one answer, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, Annotated

import msgspec

if TYPE_CHECKING:
    from decimal import Decimal

BYTES_PER_TOKEN = 4
"""Rule of thumb for text that was not counted by a model's tokenizer."""


Count = Annotated[int, msgspec.Meta(ge=0)]
"""Tokens as an answer tells them, in its usual shape; `count` reads the others."""


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Tokens in OpenAI's sense: the input includes what a cache gave and what it was given."""

    input_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    output_tokens: int = 0


NO_USAGE = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrice:
    """USD per million tokens, which is micro-dollars per token.

    The same prices are kept as whole numbers over one denominator: exact as decimals are, and a
    request is charged in a fifth of a microsecond instead of five.
    """

    input: Decimal
    cached_input: Decimal
    output: Decimal
    shares: tuple[int, int, int, int] = field(init=False, repr=False, compare=False)
    """Input, cached input and output in parts of a micro-dollar per token, and parts of one."""

    def __post_init__(self) -> None:
        exact = [Fraction(price) for price in (self.input, self.cached_input, self.output)]
        parts = lcm(*(price.denominator for price in exact))
        whole = [int(price * parts) for price in exact]
        object.__setattr__(self, "shares", (whole[0], whole[1], whole[2], parts))


def count(value: object) -> int | None:
    """Return a count of tokens as an answer tells it, None for what is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        return None
    return value


def cost_usd_micros(usage: Usage, price: TokenPrice) -> int:
    """Return the cost in micro-dollars, rounded up: a bill is never understated."""
    fresh, cached, out, parts = price.shares
    stored = usage.cached_tokens
    new = usage.input_tokens - stored
    if new < 0:
        new = 0
    return -(-(new * fresh + stored * cached + usage.output_tokens * out) // parts)


def estimate_tokens(size_bytes: int) -> int:
    """Guess the tokens of that much text."""
    return -(-size_bytes // BYTES_PER_TOKEN)

"""Tokens of one answer, and what they cost."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

if TYPE_CHECKING:
    from decimal import Decimal

BYTES_PER_TOKEN = 4
"""Rule of thumb for text that was not counted by a model's tokenizer."""


MOST_TOKENS: Final = 10**8
"""More than any window holds: what tells of more has counted below zero, and 2^32 tokens on a bill
would end a budget."""
Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)]
"""Tokens as an answer tells them, in its usual shape; `billed` reads the others."""


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Tokens in OpenAI's sense: the input includes what a cache gave and what it was given."""

    input_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    hour_written_tokens: int = 0
    """Of the written ones, those that Anthropic keeps for an hour instead of five minutes."""
    output_tokens: int = 0


NO_USAGE = Usage()

HOUR_WRITE: Final = Fraction(8, 5)
"""What a write for an hour costs, in writes for five minutes: 2 × input against 1.25 × input.

Source: https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching#pricing
"""
NEVER: Final = sys.maxsize
"""More input than any request has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LongContext:
    """What all tokens of a request cost whose input is above a threshold.

    Cached and written input keep their share of the input price: providers state them as multiples.
    """

    above_input_tokens: int
    input: Decimal
    cached_input: Decimal | None = None
    output: Decimal


Shares = tuple[int, int, int, int, int, int]
"""Prices as whole numbers: input, cached input and output in parts of a micro-dollar per token,
parts of one, writes, writes for an hour. A plain tuple is unpacked thrice as fast as a named one.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrice:
    """USD per million tokens, which is micro-dollars per token.

    The same prices are kept as whole numbers over one denominator: exact as decimals are, and a
    request is charged in a fifth of a microsecond instead of five.
    """

    input: Decimal
    cached_input: Decimal
    output: Decimal
    cache_write: Decimal | None = None
    """What it costs to put a token of input into the cache; None for the price of input."""
    long_context: LongContext | None = None
    shares: tuple[int, int, int, int, int] = field(init=False, repr=False, compare=False)
    """The first four of `near`, and the input above which `far` holds."""
    near: Shares = field(init=False, repr=False, compare=False)
    far: Shares = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        fresh, cached, output = map(Fraction, (self.input, self.cached_input, self.output))
        write = fresh if self.cache_write is None else Fraction(self.cache_write)
        near = far = _shares(fresh, cached, output, write)
        above, long = NEVER, self.long_context
        if long is not None:
            above = long.above_input_tokens
            dearer = Fraction(long.input) / fresh if fresh else Fraction(1)
            kept = cached * dearer if long.cached_input is None else Fraction(long.cached_input)
            far = _shares(Fraction(long.input), kept, Fraction(long.output), write * dearer)
        object.__setattr__(self, "shares", (*near[:4], above))
        object.__setattr__(self, "near", near)
        object.__setattr__(self, "far", far)

    def of(self, input_tokens: int) -> Shares:
        """Return the prices of a request with so much input."""
        return self.far if input_tokens > self.shares[4] else self.near


def _shares(fresh: Fraction, cached: Fraction, output: Fraction, write: Fraction) -> Shares:
    prices = (fresh, cached, output, write, write * HOUR_WRITE)
    parts = lcm(*(price.denominator for price in prices))
    whole = [int(price * parts) for price in prices]
    return whole[0], whole[1], whole[2], parts, whole[3], whole[4]


def count(value: object) -> int | None:
    """Return a whole number from 0 on, None for what is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        return None
    return value


def billed(value: object) -> int | None:
    """Return a count of tokens as an answer tells it, None for what can be none."""
    tokens = count(value)
    return None if tokens is None or tokens > MOST_TOKENS else tokens


def cost_usd_micros(usage: Usage, price: TokenPrice) -> int:
    """Return the cost in micro-dollars, rounded up: a bill is never understated."""
    fresh, cached, out, parts, above = price.shares
    sent = usage.input_tokens
    if sent > above or usage.written_tokens:
        return _full_cost_usd_micros(usage, price.of(sent))
    stored = usage.cached_tokens
    new = sent - stored
    if new < 0:
        new = 0
    return -(-(new * fresh + stored * cached + usage.output_tokens * out) // parts)


def _full_cost_usd_micros(usage: Usage, shares: Shares) -> int:
    """The same with all that is rare in it: it takes thrice as long."""
    fresh, cached, out, parts, write, hour_write = shares
    hour, written = usage.hour_written_tokens, usage.written_tokens
    stored = usage.cached_tokens
    new = max(0, usage.input_tokens - stored - written)
    into = (written - hour) * write + hour * hour_write
    return -(-(new * fresh + stored * cached + into + usage.output_tokens * out) // parts)


def worst_cost_usd_micros(usage: Usage, price: TokenPrice) -> int:
    """Return the most that a request within this `bound` can cost, in micro-dollars, rounded up.

    Every token of input is taken for the dearest kind that the bound leaves open: plain, cached,
    written to the cache, written for an hour. Long prices count too where the input may be long.
    """
    most = _worst_usd_micros(usage, price.near)
    if usage.input_tokens > price.shares[4]:
        most = max(most, _worst_usd_micros(usage, price.far))
    return most


def _worst_usd_micros(usage: Usage, shares: Shares) -> int:
    fresh, cached, out, parts, write, hour_write = shares
    dearest = max(fresh, cached)
    if usage.written_tokens and write > dearest:
        dearest = write
    if usage.hour_written_tokens and hour_write > dearest:
        dearest = hour_write
    return -(-(usage.input_tokens * dearest + usage.output_tokens * out) // parts)


def is_whole(usage: Usage | None, *, generates: bool = True) -> bool:
    """Whether usage tells all that was billed: no answer comes of nothing, or is nothing."""
    if usage is None or not usage.input_tokens:
        return False
    return usage.output_tokens > 0 or not generates


def estimate_tokens(size_bytes: int) -> int:
    """Guess the tokens of that much text."""
    return -(-size_bytes // BYTES_PER_TOKEN)

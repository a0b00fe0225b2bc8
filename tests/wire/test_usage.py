"""Tokens and dollars."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.wire import anthropic, openai
from overspill.wire.usage import TokenPrice, Usage, cost_usd_micros, estimate_tokens

PRICE = TokenPrice(input=Decimal(5), cached_input=Decimal("0.5"), output=Decimal(25))


@pytest.mark.parametrize(
    ("usage", "micros"),
    [
        (Usage(), 0),
        (Usage(input_tokens=1_000_000), 5_000_000),
        (Usage(output_tokens=1), 25),
        (Usage(input_tokens=10, cached_tokens=10), 5),
        (Usage(input_tokens=1, cached_tokens=1), 1),
        (Usage(input_tokens=100, cached_tokens=40, output_tokens=2), 370),
    ],
)
def test_cost_is_exact_and_rounded_up(usage: Usage, micros: int) -> None:
    assert cost_usd_micros(usage, PRICE) == micros


tokens = st.integers(min_value=0, max_value=10**7)


@given(tokens, tokens, tokens)
def test_more_tokens_never_cost_less(fresh: int, more: int, output: int) -> None:
    less = Usage(input_tokens=fresh, output_tokens=output)
    assert cost_usd_micros(less, PRICE) <= cost_usd_micros(
        Usage(input_tokens=fresh + more, output_tokens=output), PRICE
    )


def test_openai_counts_cached_tokens_in_and_anthropic_apart() -> None:
    theirs = {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 7}
    ours = {
        "prompt_tokens": 100,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 90},
    }
    expected = Usage(input_tokens=100, cached_tokens=90, output_tokens=7)
    assert anthropic.usage_of(theirs) == expected
    assert openai.usage_of({"usage": ours}) == expected
    assert openai.usage_json(expected) == {**ours, "total_tokens": 107}


@pytest.mark.parametrize(("size", "guess"), [(0, 0), (1, 1), (4, 1), (5, 2)])
def test_uncounted_text_is_guessed_upwards(size: int, guess: int) -> None:
    assert estimate_tokens(size) == guess

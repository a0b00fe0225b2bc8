"""Tokens and dollars."""

from __future__ import annotations

import json
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


@pytest.mark.parametrize(
    ("sent", "cached", "out", "expected"),
    [
        pytest.param(-30, 0, -50, Usage(), id="less than nothing"),
        pytest.param(10, -5, 7, Usage(input_tokens=10, output_tokens=7), id="less than no cache"),
        pytest.param(10, 90, 0, Usage(input_tokens=10, cached_tokens=10), id="more than was sent"),
        pytest.param(-10, 90, 0, Usage(), id="of nothing"),
    ],
)
def test_openais_usage_is_never_negative_nor_more_cached_than_sent(
    sent: int, cached: int, out: int, expected: Usage
) -> None:
    told = {
        "prompt_tokens": sent,
        "completion_tokens": out,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    raw = json.dumps({"usage": told}).encode()
    assert openai.usage_of({"usage": told}) == openai.usage_in(raw) == expected


@pytest.mark.parametrize("name", ["input_tokens", "cache_read_input_tokens", "output_tokens"])
def test_anthropics_usage_is_never_negative(name: str) -> None:
    told = {
        "input_tokens": 1,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 2,
        "output_tokens": 4,
    }
    without = anthropic.usage_of({**told, name: 0})
    negative = {**told, name: -1000}
    assert anthropic.usage_of(negative) == without
    assert anthropic.usage_in(json.dumps({"usage": negative}).encode()) == without


@pytest.mark.parametrize(("size", "guess"), [(0, 0), (1, 1), (4, 1), (5, 2)])
def test_uncounted_text_is_guessed_upwards(size: int, guess: int) -> None:
    assert estimate_tokens(size) == guess

"""Tokens and dollars."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.wire import anthropic, openai, sse
from overspill.wire.ask import Target
from overspill.wire.errors import UNREADABLE, BadRequest, Wire
from overspill.wire.ingress import INGRESSES
from overspill.wire.usage import TokenPrice, Usage, cost_usd_micros, estimate_tokens
from tests.wire.streams import ASKED

if TYPE_CHECKING:
    from collections.abc import Callable

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
    theirs = {
        "input_tokens": 4,
        "cache_creation_input_tokens": 6,
        "cache_read_input_tokens": 90,
        "output_tokens": 7,
    }
    ours = {
        "prompt_tokens": 100,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 90, "cache_write_tokens": 6},
    }
    expected = Usage(input_tokens=100, cached_tokens=90, written_tokens=6, output_tokens=7)
    assert anthropic.usage_of(theirs) == expected
    assert openai.usage_of({"usage": ours}) == expected
    assert openai.usage_in(json.dumps({"usage": ours}).encode()) == expected
    assert openai.usage_json(expected) == {**ours, "total_tokens": 107}
    assert anthropic.usage_json(expected) == theirs


@pytest.mark.parametrize(
    ("sent", "cached", "out", "expected"),
    [
        pytest.param(-30, 0, -50, None, id="less than nothing is not told"),
        pytest.param(10, -5, 7, Usage(input_tokens=10, output_tokens=7), id="less than no cache"),
        pytest.param(10, 90, 0, Usage(input_tokens=10, cached_tokens=10), id="more than was sent"),
        pytest.param(-10, 90, 0, None, id="nor is a part of it"),
    ],
)
def test_openais_usage_is_never_negative_nor_more_cached_than_sent(
    sent: int, cached: int, out: int, expected: Usage | None
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


ODD = [
    pytest.param({"prompt_tokens": 5.0}, Usage(input_tokens=5), id="a whole number with a point"),
    pytest.param(
        {"prompt_tokens": 5, "prompt_tokens_details": []}, Usage(input_tokens=5), id="odd details"
    ),
    pytest.param({"prompt_tokens": "5"}, None, id="text"),
    pytest.param({"prompt_tokens": -5, "completion_tokens": 1}, None, id="below nothing"),
    pytest.param({"prompt_tokens": None, "completion_tokens": None}, None, id="nulls"),
    pytest.param({}, None, id="empty"),
    pytest.param([5], None, id="a list"),
    pytest.param(5, None, id="a number"),
]


@pytest.mark.parametrize(("told", "usage"), ODD)
def test_usage_that_cannot_be_read_is_not_told_and_spoils_no_answer(
    told: object, usage: Usage | None
) -> None:
    answer = {"choices": [{"delta": {}}], "usage": told}
    raw = json.dumps(answer).encode()
    assert openai.usage_in(raw) == usage
    assert openai.usage_of(answer) == usage
    stream = openai.PassedStream(wants_usage=True)
    assert stream.feed(sse.event(raw)) == sse.event(raw)
    assert stream.usage == usage


def test_a_part_of_a_message_that_cannot_be_read_changes_no_count() -> None:
    meter = anthropic.Meter()
    meter.tell({"input_tokens": 9, "output_tokens": 1})
    assert meter.tell({"input_tokens": None, "output_tokens": "7"}) == Usage(
        input_tokens=9, output_tokens=1
    )
    assert anthropic.usage_in(b'{"usage":{"input_tokens":-1,"output_tokens":2.0}}') == Usage(
        output_tokens=2
    )


@pytest.mark.parametrize("usage_in", [openai.usage_in, anthropic.usage_in])
@pytest.mark.parametrize("raw", [b"<html>", b"[]", b'"x"', b'{"usage":' + b"[" * 99_999])
def test_what_is_no_answer_is_unreadable(
    usage_in: Callable[[bytes], Usage | None], raw: bytes
) -> None:
    with pytest.raises(UNREADABLE):
        usage_in(raw)


def test_more_cached_than_there_was_is_never_less_than_nothing() -> None:
    told = anthropic.usage_json(Usage(input_tokens=1, cached_tokens=3))
    assert told["input_tokens"] == 0


@pytest.mark.parametrize("wire", Wire)
@pytest.mark.parametrize("path", [path for path in ASKED if path != "/v1/completions"])
def test_a_whole_answer_without_usage_is_metered_by_its_size(path: str, wire: Wire) -> None:
    ingress = INGRESSES[path]
    choice = {"message": {"content": "yes"}, "finish_reason": "stop"}
    content = [{"type": "text", "text": "yes"}]
    raw = json.dumps({"id": "x", "model": "m", "choices": [choice], "content": content}).encode()
    ask = ingress.read(json.dumps({"model": "m", **ASKED[path]}).encode())
    usage = ingress.answer(ask, Target(wire=wire, model="m"), raw, 0.0).usage
    assert usage == Usage(input_tokens=ask.input_tokens, output_tokens=estimate_tokens(len(raw)))


def test_a_completion_may_be_asked_for_nothing_but_scores() -> None:
    ask = INGRESSES["/v1/completions"].read(b'{"model":"m","prompt":"p","max_tokens":0}')
    assert ask.max_tokens == 0
    with pytest.raises(BadRequest, match="max_tokens: an integer from 0 on is required, not -1"):
        INGRESSES["/v1/completions"].read(b'{"model":"m","prompt":"p","max_tokens":-1}')

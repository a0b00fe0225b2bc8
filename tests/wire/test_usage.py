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
from overspill.wire.usage import (
    LongContext,
    TokenPrice,
    Usage,
    cost_usd_micros,
    estimate_tokens,
    worst_cost_usd_micros,
)
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


CLAUDE = TokenPrice(
    input=Decimal(5),
    cached_input=Decimal("0.5"),
    output=Decimal(25),
    cache_write=Decimal("6.25"),
)
GPT = TokenPrice(
    input=Decimal(4),
    cached_input=Decimal("0.4"),
    output=Decimal(20),
    cache_write=Decimal(5),
    long_context=LongContext(above_input_tokens=272_000, input=Decimal(8), output=Decimal(30)),
)
GEMINI = TokenPrice(
    input=Decimal(2),
    cached_input=Decimal("0.2"),
    output=Decimal(12),
    long_context=LongContext(
        above_input_tokens=200_000,
        input=Decimal(4),
        cached_input=Decimal("0.3"),
        output=Decimal(18),
    ),
)


@pytest.mark.parametrize(
    ("price", "usage", "micros"),
    [
        pytest.param(CLAUDE, Usage(input_tokens=8, written_tokens=8), 50, id="writes"),
        pytest.param(
            CLAUDE,
            Usage(input_tokens=8, written_tokens=8, hour_written_tokens=8),
            80,
            id="writes for an hour are twice the input",
        ),
        pytest.param(
            CLAUDE,
            Usage(
                input_tokens=1_000,
                cached_tokens=400,
                written_tokens=300,
                hour_written_tokens=100,
                output_tokens=10,
            ),
            1_500 + 200 + 1_250 + 1_000 + 250,
            id="all of it",
        ),
        pytest.param(
            PRICE, Usage(input_tokens=8, written_tokens=8), 40, id="writes at no price of their own"
        ),
        pytest.param(GPT, Usage(input_tokens=272_000), 1_088_000, id="at the threshold"),
        pytest.param(
            GPT,
            Usage(input_tokens=272_001, output_tokens=2),
            272_001 * 8 + 60,
            id="above it all tokens are dearer",
        ),
        pytest.param(
            GPT,
            Usage(input_tokens=300_000, cached_tokens=300_000),
            240_000,
            id="and cached ones keep their share",
        ),
        pytest.param(
            GPT,
            Usage(input_tokens=300_000, written_tokens=300_000),
            3_000_000,
            id="as written ones do",
        ),
        pytest.param(
            GEMINI,
            Usage(input_tokens=300_000, cached_tokens=300_000),
            90_000,
            id="if none is given",
        ),
        pytest.param(
            TokenPrice(
                input=Decimal(0),
                cached_input=Decimal(0),
                output=Decimal(1),
                cache_write=Decimal(3),
                long_context=LongContext(
                    above_input_tokens=100, input=Decimal(2), output=Decimal(1)
                ),
            ),
            Usage(input_tokens=200, written_tokens=50),
            150 * 2 + 50 * 3,
            id="of input that is free for short requests nothing is a multiple",
        ),
    ],
)
def test_writes_and_long_requests_cost_what_providers_take(
    price: TokenPrice, usage: Usage, micros: int
) -> None:
    assert cost_usd_micros(usage, price) == micros


@pytest.mark.parametrize(
    ("price", "usage", "micros"),
    [
        pytest.param(CLAUDE, Usage(input_tokens=8, output_tokens=1), 65, id="plain"),
        pytest.param(CLAUDE, Usage(input_tokens=8, written_tokens=8), 50, id="written"),
        pytest.param(
            CLAUDE,
            Usage(input_tokens=8, written_tokens=8, hour_written_tokens=8),
            80,
            id="written for an hour",
        ),
        pytest.param(GPT, Usage(input_tokens=300_000), 2_400_000, id="long"),
        pytest.param(
            TokenPrice(input=Decimal(1), cached_input=Decimal(2), output=Decimal(0)),
            Usage(input_tokens=8),
            16,
            id="cached, where that is dearer",
        ),
    ],
)
def test_the_worst_cost_takes_each_token_for_the_dearest_that_it_may_be(
    price: TokenPrice, usage: Usage, micros: int
) -> None:
    assert worst_cost_usd_micros(usage, price) == micros


tokens = st.integers(min_value=0, max_value=10**7)
money = st.decimals(min_value=0, max_value=100, places=4, allow_nan=False, allow_infinity=False)
prices = st.builds(
    TokenPrice,
    input=money,
    cached_input=money,
    output=money,
    cache_write=st.none() | money,
    long_context=st.none()
    | st.builds(
        LongContext,
        above_input_tokens=st.integers(1, 10**6),
        input=money,
        cached_input=st.none() | money,
        output=money,
    ),
)


@given(prices, tokens, tokens, st.data())
def test_no_request_within_a_bound_costs_more_than_its_worst(
    price: TokenPrice, most_input: int, most_output: int, data: st.DataObject
) -> None:
    sent = data.draw(st.integers(0, most_input))
    written = data.draw(st.integers(0, sent))
    usage = Usage(
        input_tokens=sent,
        written_tokens=written,
        hour_written_tokens=data.draw(st.integers(0, written)),
        cached_tokens=data.draw(st.integers(0, sent - written)),
        output_tokens=data.draw(st.integers(0, most_output)),
    )
    bound = Usage(
        input_tokens=most_input,
        written_tokens=most_input,
        hour_written_tokens=most_input,
        output_tokens=most_output,
    )
    assert cost_usd_micros(usage, price) <= worst_cost_usd_micros(bound, price)


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


@pytest.mark.parametrize("told", [2**32 - 1, 2**64 - 1, 1e300])
def test_more_tokens_than_any_window_holds_are_not_told(told: float) -> None:
    ours = {"prompt_tokens": 3, "completion_tokens": told}
    theirs = {"input_tokens": 3, "output_tokens": told}
    assert openai.usage_of({"usage": ours}) is None
    assert openai.usage_in(json.dumps({"usage": ours, "choices": [{}]}).encode()) is None
    assert anthropic.usage_of(theirs) == Usage(input_tokens=3)
    assert anthropic.usage_in(json.dumps({"usage": theirs}).encode()) == Usage(input_tokens=3)
    total = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": told}
    assert openai.usage_of({"usage": total}) == Usage(input_tokens=3, output_tokens=5)


@pytest.mark.parametrize(
    ("told", "out"),
    [
        pytest.param(
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "prompt_tokens_details": {"cached_tokens": 6},
                "completion_tokens_details": {"reasoning_tokens": 94},
            },
            103,
            id="xAI: thoughts beside the output",
        ),
        pytest.param(
            {"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623},
            603,
            id="Gemini: thoughts in the total alone",
        ),
        pytest.param(
            {
                "prompt_tokens": 20,
                "completion_tokens": 400,
                "total_tokens": 420,
                "completion_tokens_details": {"reasoning_tokens": 380},
            },
            400,
            id="OpenAI: thoughts are output",
        ),
        pytest.param({"prompt_tokens": 20, "total_tokens": 20}, 0, id="an embedding"),
        pytest.param({"completion_tokens": 7, "total_tokens": 27}, 7, id="nobody knows what"),
        pytest.param(
            {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 0}, 7, id="no total"
        ),
        pytest.param(
            {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": "27"}, 7, id="a text"
        ),
    ],
)
def test_thoughts_that_a_host_counts_in_the_total_alone_are_output(
    told: dict[str, object], out: int
) -> None:
    for usage in (
        openai.usage_of({"usage": told}),
        openai.usage_in(json.dumps({"usage": told, "choices": [{}]}).encode()),
    ):
        assert usage is not None
        assert usage.output_tokens == out


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


def test_anthropic_tells_which_writes_are_kept_for_an_hour() -> None:
    told = {
        "input_tokens": 4,
        "cache_creation_input_tokens": 10,
        "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6},
        "output_tokens": 7,
    }
    expected = Usage(input_tokens=14, written_tokens=10, hour_written_tokens=6, output_tokens=7)
    assert anthropic.usage_of(told) == expected
    assert anthropic.usage_in(json.dumps({"usage": told}).encode()) == expected
    more = anthropic.usage_of({**told, "cache_creation": {"ephemeral_1h_input_tokens": 99}})
    assert more is not None
    assert more.hour_written_tokens == 10
    odd = anthropic.usage_of({**told, "cache_creation": [5]})
    assert odd is not None
    assert odd.hour_written_tokens == 0


@pytest.mark.parametrize("told", [None, {}, {"input_tokens": None}, {"service_tier": "standard"}])
def test_an_anthropic_answer_that_tells_no_tokens_is_not_free(told: object) -> None:
    assert anthropic.usage_of(told) is None
    assert anthropic.usage_in(json.dumps({"usage": told}).encode()) is None


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
    answered = ingress.answer(ask, Target(wire=wire, model="m"), raw, 0.0)
    assert answered.estimated
    assert answered.usage == Usage(
        input_tokens=ask.input_tokens, output_tokens=estimate_tokens(len(raw))
    )


@pytest.mark.parametrize(
    ("told", "estimated"),
    [
        pytest.param({"input": 3, "output": 2}, False, id="told"),
        pytest.param({"input": 3}, True, id="output left out"),
        pytest.param({"input": 3, "output": 0}, True, id="an answer of nothing"),
        pytest.param({"output": 2}, True, id="input left out"),
        pytest.param({}, True, id="empty"),
        pytest.param(None, True, id="none"),
    ],
)
@pytest.mark.parametrize("wire", Wire)
@pytest.mark.parametrize("path", [path for path in ASKED if path != "/v1/completions"])
def test_what_was_guessed_of_a_whole_answer_is_told_apart(
    path: str, wire: Wire, told: dict[str, int] | None, estimated: bool
) -> None:
    names = {"input": "prompt_tokens", "output": "completion_tokens"}
    if wire is Wire.ANTHROPIC:
        names = {"input": "input_tokens", "output": "output_tokens"}
    usage = None if told is None else {names[name]: tokens for name, tokens in told.items()}
    choice = {"message": {"content": "yes"}, "finish_reason": "stop"}
    content = [{"type": "text", "text": "yes"}]
    answer = {"id": "x", "model": "m", "choices": [choice], "content": content, "usage": usage}
    ingress = INGRESSES[path]
    ask = ingress.read(json.dumps({"model": "m", **ASKED[path]}).encode())
    raw = json.dumps(answer).encode()
    answered = ingress.answer(ask, Target(wire=wire, model="m"), raw, 0.0)
    assert answered.estimated is estimated
    if not estimated:
        assert answered.usage == Usage(input_tokens=3, output_tokens=2)


@pytest.mark.parametrize(("told", "estimated"), [({"prompt_tokens": 3}, False), (None, True)])
def test_embeddings_have_no_output_to_tell(told: object, estimated: bool) -> None:
    ingress = INGRESSES["/v1/embeddings"]
    ask = ingress.read(b'{"model":"m","input":"x"}')
    raw = json.dumps({"data": [], "usage": told}).encode()
    answered = ingress.answer(ask, Target(wire=Wire.OPENAI, model="m"), raw, 0.0)
    assert answered.estimated is estimated


def _openai_stream(usage: object) -> list[dict[str, object]]:
    return [
        {"id": "x", "model": "m", "choices": [{"index": 0, "delta": {"content": "yes"}}]},
        {"id": "x", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"id": "x", "model": "m", "choices": [], "usage": usage},
    ]


def _anthropic_stream(usage: object) -> list[dict[str, object]]:
    start = {"id": "x", "model": "m", "usage": {"input_tokens": 3, "output_tokens": 1}}
    return [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "y"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
        {"type": "message_stop"},
    ]


FULL_STREAMS = {
    Wire.OPENAI: _openai_stream({"prompt_tokens": 3, "completion_tokens": 2}),
    Wire.ANTHROPIC: _anthropic_stream({"output_tokens": 2}),
}
BARE_STREAMS = {Wire.OPENAI: _openai_stream(None), Wire.ANTHROPIC: _anthropic_stream({})}


@pytest.mark.parametrize(
    ("streams", "cut", "estimated"),
    [
        pytest.param(FULL_STREAMS, False, False, id="told"),
        pytest.param(FULL_STREAMS, True, True, id="cut before its end"),
        pytest.param(BARE_STREAMS, False, True, id="not told at the end"),
    ],
)
@pytest.mark.parametrize("wire", Wire)
@pytest.mark.parametrize("path", [path for path in ASKED if path != "/v1/completions"])
def test_what_was_guessed_of_a_stream_is_told_apart(
    path: str,
    wire: Wire,
    streams: dict[Wire, list[dict[str, object]]],
    cut: bool,
    estimated: bool,
) -> None:
    ingress = INGRESSES[path]
    ask = ingress.read(json.dumps({"model": "m", "stream": True, **ASKED[path]}).encode())
    stream = ingress.stream(ask, Target(wire=wire, model="m"), 0.0)
    frames = streams[wire]
    for frame in frames[:1] if cut else frames:
        stream.feed(sse.event(json.dumps(frame).encode(), str(frame.get("type", ""))))
    if wire is Wire.OPENAI and not cut:
        stream.feed(sse.DONE)
    assert stream.done is not cut
    assert stream.estimated is estimated


def test_a_completion_may_be_asked_for_nothing_but_scores() -> None:
    ask = INGRESSES["/v1/completions"].read(b'{"model":"m","prompt":"p","max_tokens":0}')
    assert ask.max_tokens == 0
    with pytest.raises(BadRequest, match="max_tokens: an integer from 0 on is required, not -1"):
        INGRESSES["/v1/completions"].read(b'{"model":"m","prompt":"p","max_tokens":-1}')

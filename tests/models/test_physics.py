"""The small double behaves like a GPU server: slots, a queue, prefill, shared decoding."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2e.models import tokens
from e2e.models.physics import Engine, Speed

SPEED = Speed(
    slots=2, output_tokens_per_s=100, max_stream_tokens_per_s=80, prefill_tokens_per_s=1000
)


def test_one_stream_decodes_at_its_own_limit_after_prefill() -> None:
    engine = Engine(SPEED, 0.0)
    _, job = engine.submit(1000, 40)
    engine.advance(1.0)
    assert (job.prefill_left, job.tokens_out) == (0, 0)
    engine.advance(1.25)
    assert (job.tokens_out, job.done) == (20, False)
    engine.advance(1.5)
    assert (job.tokens_out, job.done) == (40, True)


def test_streams_share_what_the_server_can_do() -> None:
    engine = Engine(SPEED, 0.0)
    jobs = [engine.submit(0, 1000)[1] for _ in range(2)]
    engine.advance(1.0)
    assert [job.tokens_out for job in jobs] == [50, 50]


def test_who_finds_no_slot_waits_its_turn() -> None:
    engine = Engine(SPEED, 0.0)
    first, _ = engine.submit(0, 10)
    engine.submit(0, 10)
    _, third = engine.submit(0, 10)
    engine.advance(1.0)
    assert (third.tokens_out, len(engine.waiting)) == (0, 1)
    engine.leave(first)
    engine.advance(2.0)
    assert (third.tokens_out, len(engine.waiting)) == (10, 0)


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(1, 300)), min_size=1, max_size=20),
    st.lists(st.floats(0.01, 2.0), min_size=1, max_size=30),
)
def test_no_server_decodes_faster_than_it_can(
    requests: list[tuple[int, int]], steps: list[float]
) -> None:
    engine = Engine(SPEED, 0.0)
    jobs = [engine.submit(*request)[1] for request in requests]
    now_s = 0.0
    for step_s in steps:
        before = sum(job.decoded for job in jobs)
        now_s += step_s
        engine.advance(now_s)
        assert sum(job.decoded for job in jobs) - before <= 100 * step_s + 1e-6
        assert len(engine.running) <= SPEED.slots
        assert all(job.tokens_out <= job.output_tokens for job in jobs)


def user(text: object) -> list[dict[str, object]]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize(
    ("content", "limit", "expected"),
    [
        ("[[out=7]]", None, (7, False)),
        ("[[out=7]]", 5, (5, True)),
        ("[[out=7]]", 7, (7, False)),
        ("hi", 9, (9, True)),
        ("hi", None, (tokens.DEFAULT_OUTPUT, False)),
        ([{"type": "text", "text": "[[out=3]]"}], None, (3, False)),
    ],
)
def test_how_long_an_answer_is(
    content: object, limit: int | None, expected: tuple[int, bool]
) -> None:
    assert tokens.output_tokens(user(content), limit) == expected


@pytest.mark.parametrize(
    ("content", "count"), [("abcd", 1), ("abcde", 2), ("\u20ac\u20ac", 2), ("[[in=99]]", 99)]
)
def test_how_long_a_prompt_is(content: str, count: int) -> None:
    assert tokens.input_tokens(user(content)) == count

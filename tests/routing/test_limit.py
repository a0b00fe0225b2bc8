"""The concurrency limit finds what an endpoint can take, from either side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.routing.limit import ConcurrencyLimit


def settle(seed: int, capacity: int, seconds: int = 200) -> int:
    """An endpoint answers in time while at most `capacity` are in flight; ten answers a second."""
    limit = ConcurrencyLimit(seed)
    for tick in range(seconds * 10):
        in_flight = limit.slots
        if in_flight <= capacity:
            limit.in_time(in_flight)
        else:
            limit.overloaded(in_flight, tick / 10)
    return limit.slots


def test_a_guess_that_is_too_high_comes_down_to_what_there_is() -> None:
    assert 8 <= settle(seed=64, capacity=12) <= 13


def test_a_guess_that_is_too_low_grows_and_at_most_doubles() -> None:
    assert settle(seed=8, capacity=100) == 16


def test_a_full_round_in_time_makes_room_for_one_more() -> None:
    limit, slots = ConcurrencyLimit(8), []
    for _ in range(9):
        limit.in_time(8)
        slots.append(limit.slots)
    assert slots == [8] * 8 + [9]


def test_a_limit_that_is_not_reached_teaches_nothing() -> None:
    limit = ConcurrencyLimit(8)
    for _ in range(1000):
        limit.in_time(3)
    assert limit.slots == 8


def test_requests_that_queued_together_tell_of_one_overload() -> None:
    limit = ConcurrencyLimit(10)
    for _ in range(5):
        limit.overloaded(10, 1.0)
    assert limit.slots == 8


@pytest.mark.parametrize(
    ("in_flight", "slots"),
    [(1, 32), (15, 32), (16, 25), (26, 25), (27, 26), (31, 30), (32, 25), (40, 25)],
)
def test_a_late_answer_tells_the_more_the_busier_the_endpoint(in_flight: int, slots: int) -> None:
    limit = ConcurrencyLimit(32)
    limit.overloaded(in_flight, 1.0)
    assert limit.slots == slots


def test_long_prompts_one_after_another_take_no_slot_away() -> None:
    limit = ConcurrencyLimit(32)
    for second in range(100):
        limit.overloaded(1, float(second))
    assert limit.slots == 32


def test_a_limit_that_was_not_reached_falls_at_most_to_what_was_in_flight() -> None:
    limit = ConcurrencyLimit(32)
    for second in range(2):
        limit.overloaded(24, float(second))
    assert limit.slots == 23


def test_a_changed_guess_keeps_what_was_learned() -> None:
    limit = ConcurrencyLimit(10)
    limit.overloaded(10, 1.0)
    limit.reseed(20)
    assert limit.slots == 16
    limit.reseed(1)
    assert limit.slots == 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 100), st.floats(0, 1e6)), max_size=200))
def test_whatever_happens_there_is_a_slot_and_never_more_than_twice_the_guess(
    path: list[tuple[bool, int, float]],
) -> None:
    limit = ConcurrencyLimit(7)
    for in_time, in_flight, now_s in path:
        if in_time:
            limit.in_time(in_flight)
        else:
            limit.overloaded(in_flight, now_s)
        assert 1 <= limit.slots <= 14

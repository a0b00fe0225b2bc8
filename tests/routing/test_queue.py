"""Who waits is served by priority, then by turn; and is told an honest time to come back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.routing.queue import DrainRate, PriorityQueue

waiters = st.lists(st.tuples(st.integers(-1, 1), st.booleans()), max_size=40)


@given(waiters)
def test_the_highest_first_and_the_first_come_among_equals(path: list[tuple[int, bool]]) -> None:
    queue: PriorityQueue[int] = PriorityQueue()
    staying = []
    for number, (priority, leaves) in enumerate(path):
        ticket = queue.push(priority, number)
        if leaves:
            queue.leave(ticket)
        else:
            staying.append((-priority, number))
    assert len(queue) == len(staying)
    served = [queue.pop() for _ in staying]
    assert served == [number for _, number in sorted(staying)]
    assert (queue.pop(), len(queue)) == (None, 0)


def test_leaving_twice_or_after_being_served_changes_nothing() -> None:
    queue: PriorityQueue[str] = PriorityQueue()
    first = queue.push(0, "a")
    second = queue.push(0, "b")
    assert queue.pop() == "a"
    queue.leave(first)
    queue.leave(second)
    queue.leave(second)
    assert len(queue) == 0
    queue.push(0, "c")
    assert queue.pop() == "c"


def test_the_first_in_line_stays_there_until_it_is_served_or_leaves() -> None:
    queue: PriorityQueue[str] = PriorityQueue()
    assert queue.first() is None
    ticket = queue.push(0, "a")
    queue.push(0, "b")
    assert (queue.first(), len(queue), list(queue)) == ("a", 2, ["a", "b"])
    queue.leave(ticket)
    assert (queue.first(), len(queue), list(queue)) == ("b", 1, ["b"])


def test_a_newcomer_is_behind_its_equals_and_its_betters() -> None:
    queue: PriorityQueue[str] = PriorityQueue()
    for priority in (1, 1, 0, -1):
        queue.push(priority, "x")
    assert [queue.ahead(priority) for priority in (2, 1, 0, -1)] == [0, 2, 3, 4]


@pytest.mark.parametrize(
    ("per_s", "ahead", "wait_s"),
    [(10.0, 0, 1), (10.0, 49, 5), (1.0, 9, 10), (0.1, 0, 10), (1.0, 500, 30)],
)
def test_the_time_to_come_back_follows_from_how_fast_slots_come_free(
    per_s: float, ahead: int, wait_s: int
) -> None:
    rate = DrainRate()
    now_s = 0.0
    while now_s < 600.0:
        now_s += 1.0 / per_s
        rate.freed(now_s)
    assert rate.retry_after_s(ahead, now_s) == pytest.approx(wait_s, rel=0.6, abs=1)


def test_who_is_behind_others_is_told_of_their_turns_and_of_its_own() -> None:
    rate = DrainRate()
    rate.freed(0.0)  # a tenth of a slot per second
    assert [rate.retry_after_s(ahead, 0.0) for ahead in (0, 1, 2)] == [10, 20, 30]


def test_with_nothing_seen_the_longest_time_is_told() -> None:
    assert DrainRate().retry_after_s(0, 1000.0) == 30

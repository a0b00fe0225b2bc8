"""Slots at the small tier: never more than there are, least loaded first, failures kept off."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.routing.capacity import Slot, SmallCapacity


def capacity(*endpoints: str, slots: int = 2) -> SmallCapacity:
    made = SmallCapacity()
    made.configure(endpoints, slots)
    return made


def taken(room: SmallCapacity, now_s: float = 0.0, *without: str) -> Slot:
    slot = room.acquire(now_s, without)
    assert slot is not None
    return slot


def where(room: SmallCapacity, now_s: float = 0.0) -> str | None:
    slot = room.acquire(now_s)
    return slot.address if slot else None


def fail(room: SmallCapacity, slot: Slot, now_s: float) -> None:
    room.failed(slot, now_s)
    room.release(slot, now_s)


def test_the_least_loaded_endpoint_is_chosen() -> None:
    room = capacity("a", "b")
    held = [taken(room) for _ in range(4)]
    assert [slot.address for slot in held] == ["a", "b", "a", "b"]
    assert where(room) is None
    room.release(held[1], 0.0)
    assert where(room) == "b"


def test_an_endpoint_that_was_tried_is_not_tried_again() -> None:
    assert taken(capacity("a", "b"), 0.0, "a").address == "b"


def test_a_failed_endpoint_is_ejected_for_twice_as_long_each_time() -> None:
    room = capacity("a")
    fail(room, taken(room), 0.0)
    assert [room.has_healthy(t) for t in (0.9, 1.0)] == [False, True]
    fail(room, taken(room, 1.0), 1.0)
    assert [where(room, t) for t in (2.9, 3.0)] == [None, "a"]


@pytest.mark.parametrize("together", [2, 4, 32])
def test_requests_that_fail_together_tell_of_one_failure(together: int) -> None:
    room = capacity("a", slots=together)
    for number, slot in enumerate([taken(room) for _ in range(together)]):
        fail(room, slot, number / 1000)  # one restart of one pod resets them all
    assert [where(room, t) for t in (0.99, 1.0)] == [None, "a"]


def test_one_probe_at_a_time_until_it_succeeds() -> None:
    room = capacity("a", slots=4)
    fail(room, taken(room), 0.0)
    probe = taken(room, 5.0)
    assert where(room, 5.0) is None
    room.answered(probe, in_time=None, now_s=5.0)
    assert where(room, 5.0) == "a"


def test_a_request_from_before_the_ejection_that_ends_lets_no_second_probe_through() -> None:
    room = capacity("a", slots=4)
    first, second = taken(room), taken(room)
    fail(room, first, 0.0)
    probe = taken(room, 5.0)
    room.release(second, 5.0)
    assert where(room, 5.0) is None
    room.release(probe, 6.0)  # without a verdict
    assert where(room, 6.0) == "a"


def test_a_probe_takes_no_slot_that_is_not_there() -> None:
    room = capacity("a", slots=2)
    first, second = taken(room), taken(room)
    room.failed(first, 0.0)
    assert where(room, 5.0) is None
    room.release(second, 5.0)
    assert where(room, 5.0) == "a"


def test_requests_in_flight_stay_counted_when_the_list_changes() -> None:
    room = capacity("a", "b")
    held = [taken(room)]
    room.configure(["b"], 2)
    assert (room.in_flight, room.slots) == (1, 2)
    room.configure(["a", "b"], 2)
    held += [taken(room) for _ in range(3)]
    assert [slot.address for slot in held] == ["a", "b", "a", "b"]
    assert where(room) is None
    room.configure([], 2)
    for slot in held:
        room.release(slot, 0.0)
    assert room.in_flight == 0


def test_what_leaves_stays_counted_until_its_last_request_has_ended() -> None:
    room = capacity("a")
    held = [taken(room), taken(room)]
    room.configure(["b"], 2)
    room.release(held[0], 0.0)
    assert room.in_flight == 1


def test_the_next_return_is_that_of_an_ejection_that_still_goes_on() -> None:
    room = capacity("a", "b")
    assert room.next_return_s(0.0) == float("inf")
    first, second = taken(room), taken(room)
    fail(room, first, 0.0)
    fail(room, second, 4.0)
    assert [room.next_return_s(t) for t in (0.0, 4.5, 5.0)] == [1.0, 5.0, float("inf")]


@pytest.mark.parametrize(
    ("in_time", "slots"),
    [
        pytest.param(True, 10, id="in time"),
        pytest.param(False, 8, id="late"),
        pytest.param(None, 10, id="nobody can tell"),
    ],
)
def test_a_late_answer_of_a_full_endpoint_takes_slots_away(
    in_time: bool | None, slots: int
) -> None:
    room = capacity("a", slots=10)
    held = [taken(room) for _ in range(10)]
    room.answered(held[0], in_time=in_time, now_s=5.0)
    assert room.slots == slots


steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.floats(0, 100)),
        st.tuples(st.just("give"), st.integers(0, 50)),
        st.tuples(st.just("fail"), st.integers(0, 50)),
        st.tuples(st.just("list"), st.sets(st.sampled_from("abc"))),
    ),
    max_size=60,
)


@given(steps)
def test_whatever_happens_no_slot_is_lost_and_none_is_used_twice(
    path: list[tuple[str, object]],
) -> None:
    room, held = capacity("a", "b", "c", slots=3), list[Slot]()
    listed = {"a", "b", "c"}
    for what, value in path:
        if what == "take":
            assert isinstance(value, float)
            if (slot := room.acquire(value)) is not None:
                assert slot.address in listed
                held.append(slot)
        elif what == "give" and held:
            assert isinstance(value, int)
            room.release(held.pop(value % len(held)), 0.0)
        elif what == "fail" and held:
            assert isinstance(value, int)
            room.failed(held[value % len(held)], 50.0)
        elif what == "list":
            assert isinstance(value, set)
            listed = set(value)
            room.configure(sorted(listed), 3)
        assert room.in_flight == len(held)
        counts = Counter(slot.address for slot in held)
        assert all(counts[address] <= 3 for address in listed)
    for slot in held:
        room.release(slot, 0.0)
    assert room.in_flight == 0

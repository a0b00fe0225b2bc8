"""Slots at the small tier: never more than there are, least loaded first, failures kept off."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from overspill.routing.capacity import SmallCapacity


def capacity(*endpoints: str, slots: int = 2) -> SmallCapacity:
    made = SmallCapacity()
    made.configure(endpoints, slots)
    return made


def test_the_least_loaded_endpoint_is_chosen() -> None:
    room = capacity("a", "b")
    assert [room.acquire(0.0) for _ in range(5)] == ["a", "b", "a", "b", None]
    room.release("b", 0.0)
    assert room.acquire(0.0) == "b"


def test_an_endpoint_that_was_tried_is_not_tried_again() -> None:
    assert capacity("a", "b").acquire(0.0, {"a"}) == "b"


def test_a_failed_endpoint_is_ejected_for_twice_as_long_each_time() -> None:
    room = capacity("a")
    room.failed("a", 0.0)
    assert [room.has_healthy(t) for t in (0.9, 1.0)] == [False, True]
    room.failed("a", 1.0)
    assert [room.acquire(t) for t in (2.9, 3.0)] == [None, "a"]


def test_one_probe_at_a_time_until_it_succeeds() -> None:
    room = capacity("a", slots=4)
    room.failed("a", 0.0)
    assert [room.acquire(5.0), room.acquire(5.0)] == ["a", None]
    room.answered("a", in_time=None, now_s=5.0)
    assert room.acquire(5.0) == "a"


def test_requests_in_flight_stay_counted_when_the_list_changes() -> None:
    room = capacity("a", "b")
    room.acquire(0.0)
    room.configure(["b"], 2)
    assert (room.in_flight, room.slots) == (1, 2)
    room.configure(["a", "b"], 2)
    assert [room.acquire(0.0) for _ in range(4)] == ["b", "a", "b", None]
    room.configure([], 2)
    for address in ("a", "a", "b", "b"):
        room.release(address, 0.0)
    assert room.in_flight == 0


steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.floats(0, 100)),
        st.tuples(st.just("give"), st.integers(0, 50)),
        st.tuples(st.just("fail"), st.sampled_from("abc")),
        st.tuples(st.just("list"), st.sets(st.sampled_from("abc"))),
    ),
    max_size=60,
)


@given(steps)
def test_whatever_happens_no_slot_is_lost_and_none_is_used_twice(
    path: list[tuple[str, object]],
) -> None:
    room, held = capacity("a", "b", "c", slots=3), list[str]()
    listed = {"a", "b", "c"}
    for what, value in path:
        if what == "take":
            assert isinstance(value, float)
            if (address := room.acquire(value)) is not None:
                assert address in listed
                held.append(address)
        elif what == "give" and held:
            assert isinstance(value, int)
            room.release(held.pop(value % len(held)), 0.0)
        elif what == "fail":
            assert isinstance(value, str)
            room.failed(value, 50.0)
        elif what == "list":
            assert isinstance(value, set)
            listed = set(value)
            room.configure(sorted(listed), 3)
        assert room.in_flight == len(held)
        assert all(held.count(address) <= 3 for address in listed)
    for address in held:
        room.release(address, 0.0)
    assert room.in_flight == 0

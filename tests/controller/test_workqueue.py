"""The work queue in simulated time: a key is queued once, and rests when it fails."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.controller.workqueue import Backoff, Schedule, WorkQueue
from tests.clock import play


def test_a_key_added_twice_is_handed_out_once_at_the_earlier_time() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("a", 10.0)
    schedule.add("a", 5.0)
    assert schedule.take(4.9) is None
    assert schedule.take(5.0) == "a"
    assert schedule.take(100.0) is None


def test_a_key_that_changes_while_worked_on_is_looked_at_again_afterwards() -> None:
    schedule: Schedule[str] = Schedule()
    schedule.add("a", 0.0)
    assert schedule.take(0.0) == "a"
    schedule.add("a", 1.0)
    assert schedule.take(2.0) is None
    assert schedule.next_s() is None
    schedule.done("a", 2.0, failed=False)
    assert schedule.take(2.0) == "a"


def test_the_longest_due_key_comes_first() -> None:
    schedule: Schedule[str] = Schedule()
    for key, due in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
        schedule.add(key, due)
    assert [schedule.take(5.0) for _ in range(3)] == ["a", "b", "c"]


def test_a_failing_key_rests_twice_as_long_each_time_and_recovers() -> None:
    schedule: Schedule[str] = Schedule(Backoff(first_s=1.0, longest_s=5.0))
    schedule.add("a", 0.0)
    rests, now_s = [], 0.0
    for _ in range(5):
        assert schedule.take(now_s) == "a"
        schedule.done("a", now_s, failed=True)
        next_s = schedule.next_s()
        assert next_s is not None
        rests.append(next_s - now_s)
        now_s = next_s
    assert rests == [1.0, 2.0, 4.0, 5.0, 5.0]
    schedule.take(now_s)
    schedule.done("a", now_s, failed=False)
    assert (schedule.next_s(), schedule.failures) == (None, {})


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 100)), max_size=30))
def test_no_key_is_lost_and_none_is_worked_on_twice_at_once(adds: list[tuple[str, float]]) -> None:
    schedule: Schedule[str] = Schedule()
    for key, at_s in adds:
        schedule.add(key, at_s)
    handed = []
    while (taken := schedule.take(100.0)) is not None:
        handed.append(taken)
    assert sorted(handed) == sorted({key for key, _ in adds})


@pytest.mark.asyncio
async def test_workers_do_what_is_due_and_go_on_after_a_failure() -> None:
    done: list[str] = []
    finished = asyncio.Event()

    async def work(key: str) -> None:
        done.append(key)
        if done == ["bad"]:
            raise RuntimeError("once")
        if len(done) == 3:
            finished.set()

    queue = WorkQueue(work, workers=1, backoff=Backoff(first_s=0.0))
    queue.add("bad")
    running = asyncio.create_task(queue.run())
    queue.add("good")
    async with asyncio.timeout(5):
        await finished.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sorted(done) == ["bad", "bad", "good"]


@pytest.mark.parametrize(
    ("backoff", "rests_s"),
    [
        pytest.param(None, [1.0, 2.0], id="as it usually is"),
        pytest.param(Backoff(first_s=30.0, longest_s=40.0), [30.0, 40.0], id="as it was told"),
    ],
)
def test_workers_come_back_to_a_key_when_its_rest_is_over(
    backoff: Backoff | None, rests_s: list[float]
) -> None:
    looks: list[float] = []
    finished = asyncio.Event()

    async def work(_: str) -> None:
        looks.append(asyncio.get_running_loop().time())
        if len(looks) == 3:
            finished.set()
        raise RuntimeError("always")

    async def story() -> None:
        queue = WorkQueue(work, workers=2, backoff=backoff)
        queue.add("bad")
        running = asyncio.create_task(queue.run())
        async with asyncio.timeout(600):  # of the patient clock
            await finished.wait()
        running.cancel()

    play(story(), patient=True)
    assert [after - before for before, after in pairwise(looks)] == pytest.approx(rests_s, abs=0.1)

"""One replica: it reads prompts in turn, writes answers side by side, and never works faster."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2e.models.physics import Engine
from e2e.models.physics import Job as DoubleJob
from e2e.models.physics import Speed as DoubleSpeed
from overspill.api import parse_policy
from overspill.simulate.replica import Job, Replica, Speed, speed_of
from tests.api.policies import policy

SPEED = Speed(
    work_tokens_per_s=100.0, prefill_tokens_per_s=1000.0, stream_tokens_per_s=80.0, slots=2
)


def played(arrivals: list[tuple[float, float, float]]) -> dict[int, tuple[float, float]]:
    """From (when, input, output tokens) to when each begins and ends."""
    replica, begun, ended = Replica(SPEED, 0.0), dict[int, float](), dict[int, float]()

    def play(until_s: float) -> None:
        while (now_s := replica.next_s()) <= until_s and now_s < float("inf"):
            replica.advance(now_s)
            begun.update((job.number, now_s) for job in replica.begun())
            ended.update((job.number, now_s) for job in replica.ended())

    for number, (at_s, inputs, outputs) in enumerate(arrivals):
        play(at_s)
        replica.submit(Job(number, inputs, outputs), at_s)
    play(float("inf"))
    assert replica.idle
    return {number: (begun[number], ended[number]) for number in begun}


@pytest.mark.parametrize(
    ("arrivals", "times"),
    [
        pytest.param([(0, 1000, 40)], [(1.0, 1.5)], id="alone: at its own limit"),
        pytest.param([(0, 0, 50), (0, 0, 50)], [(0, 1.0), (0, 1.0)], id="two share"),
        pytest.param([(0, 0, 80), (0.5, 0, 50)], [(0, 1.3), (0.5, 1.425)], id="shared for a while"),
        pytest.param([(0, 0, 80), (0.5, 100, 50)], [(0, 1.4), (0.6, 1.525)],
                     id="reading holds up writing"),
        pytest.param([(0, 100, 9), (0, 100, 9)], [(0.1, 0.38), (0.2, 0.38)],
                     id="prompts are read in turn"),
        pytest.param([(0, 0, 50), (0, 0, 50), (0, 0, 8)], [(0, 1), (0, 1), (1, 1.1)],
                     id="no slot: it waits"),
        pytest.param([(0, 100, 0)], [(0.1, 0.1)], id="nothing to write"),
        pytest.param([(0, 0, 0), (3, 0, 0)], [(0, 0), (3, 3)], id="nothing at all"),
    ],
)  # fmt: skip
def test_when_requests_begin_and_end(
    arrivals: list[tuple[float, float, float]], times: list[tuple[float, float]]
) -> None:
    assert [*played(arrivals).values()] == [pytest.approx(pair, abs=1e-5) for pair in times]


def test_a_full_replica_does_exactly_its_work() -> None:
    work = sum(50 + 0.1 * 100 for _ in range(8))
    ends = [end for _, end in played([(0, 100, 50)] * 8).values()]
    assert max(ends) == pytest.approx(work / SPEED.work_tokens_per_s)


requests = st.tuples(
    st.integers(0, 300).map(lambda n: n / 10), st.integers(0, 800), st.integers(1, 200)
)


@given(st.lists(requests, min_size=1, max_size=25).map(sorted))
def test_no_replica_works_faster_than_it_can(arrivals: list[tuple[float, int, int]]) -> None:
    times = played([*arrivals])
    assert len(times) == len(arrivals)
    for number, (at_s, inputs, outputs) in enumerate(arrivals):
        begin, end = times[number]
        assert begin >= at_s + inputs / 1000 - 1e-5
        assert end >= begin + outputs / 80 - 1e-5 or inputs == 0
    work = sum(outputs + 0.1 * inputs for _, inputs, outputs in arrivals)
    assert max(end for _, end in times.values()) >= arrivals[0][0] + work / 100 - 1e-5


@given(st.lists(requests.map(lambda one: (one[0], 0, one[2])), min_size=1, max_size=12).map(sorted))
def test_answers_end_when_those_of_the_double_do(arrivals: list[tuple[float, int, int]]) -> None:
    """Prompts aside: the double reads and writes at once, as if it had a second GPU for it."""
    tick_s = 0.01
    engine = Engine(
        DoubleSpeed(slots=2, output_tokens_per_s=100, max_stream_tokens_per_s=80,
                    prefill_tokens_per_s=1000), 0.0,
    )  # fmt: skip
    left, ended = [*enumerate(arrivals)], dict[int, float]()
    jobs: dict[int, tuple[int, DoubleJob]] = {}
    for tick in range(40 * 100):
        now_s = tick * tick_s
        engine.advance(now_s)
        for number, (place, job) in [*jobs.items()]:
            if job.done:
                ended[number] = now_s
                engine.leave(place)
                del jobs[number]
        while left and left[0][1][0] <= now_s + 1e-9:
            number, (_, inputs, outputs) = left.pop(0)
            jobs[number] = engine.submit(inputs, outputs)
        if not left and not jobs:
            break
    expected = played([*arrivals])
    late_s = 2 * tick_s * len(arrivals)  # a tick each time that somebody ends and another begins
    assert {n: pytest.approx(expected[n][1], abs=late_s) for n in ended} == ended


def test_who_leaves_takes_the_rest_of_the_reading_along() -> None:
    replica = Replica(SPEED, 0.0)
    first, second = Job(1, 2000, 10), Job(2, 500, 10)
    replica.submit(first, 0.0)
    replica.submit(second, 0.0)
    assert replica.next_s() == 2.0
    replica.leave(first, 1.0)
    assert replica.next_s() == 1.5
    replica.advance(1.5)
    assert [job.number for job in replica.begun()] == [2]


def test_who_leaves_before_it_had_a_slot_was_never_there() -> None:
    replica = Replica(SPEED, 0.0)
    jobs = [Job(number, 0, 50) for number in range(3)]
    for job in jobs:
        replica.submit(job, 0.0)
    assert [job.number for job in replica.begun()] == [0, 1]
    replica.leave(jobs[2], 0.5)
    replica.advance(1.0)
    assert [job.number for job in replica.ended()] == [0, 1]
    assert replica.idle


@pytest.mark.parametrize(
    ("slots", "stream"),
    [pytest.param(32, 100, id="many slots"), pytest.param(8, 312.5, id="few: all must do it all")],
)
def test_the_policy_says_how_fast_it_is(slots: int, stream: float) -> None:
    capacity = parse_policy(policy(small__capacity__maxConcurrency=slots)).small.capacity
    assert speed_of(capacity) == Speed(
        work_tokens_per_s=2500, prefill_tokens_per_s=25_000, stream_tokens_per_s=stream, slots=slots
    )


def test_input_without_weight_takes_no_time() -> None:
    capacity = parse_policy(policy(small__capacity__inputTokenWeight="0")).small.capacity
    assert 100 / speed_of(capacity).prefill_tokens_per_s == 0

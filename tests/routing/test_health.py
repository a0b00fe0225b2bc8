"""Who is out of favour, for how long, and who may look whether that is over."""

from __future__ import annotations

import pytest

from overspill.routing.health import Health


@pytest.mark.parametrize(
    ("failures", "away_s"),
    [(1, 1.0), (2, 2.0), (3, 4.0), (5, 16.0), (6, 30.0), (50, 30.0), (2000, 30.0)],
)
def test_each_failure_doubles_the_time_away_up_to_a_limit(failures: int, away_s: float) -> None:
    health, now_s = Health(), 0.0
    for _ in range(failures):
        now_s += 100.0
        health.failed(now_s, now_s)
    assert not health.usable(now_s + away_s - 0.01)
    assert health.usable(now_s + away_s)


@pytest.mark.parametrize("together", [2, 100])
def test_requests_that_fail_together_tell_of_one_failure(together: int) -> None:
    health = Health()
    for _ in range(together):
        health.failed(0.0, 100.0)
    assert [health.usable(now_s) for now_s in (100.99, 101.0)] == [False, True]
    health.failed(101.0, 102.0)  # the probe tells of another
    assert [health.usable(now_s) for now_s in (103.99, 104.0)] == [False, True]


def test_one_request_probes_and_its_success_lets_others_follow() -> None:
    health = Health()
    health.failed(0.0, 0.0)
    health.tried()
    assert not health.usable(5.0)
    health.succeeded(5.0)
    assert health.usable(5.0)


def test_an_earlier_request_that_is_answered_ends_an_ejection() -> None:
    health = Health()
    health.failed(1.0, 2.0)
    health.succeeded(0.0)
    assert health.usable(2.0)


def test_a_probe_without_a_verdict_lets_somebody_else_probe() -> None:
    health = Health()
    health.failed(0.0, 0.0)
    probe = health.tried()
    health.ended(probe)
    assert health.usable(5.0)
    assert health.failures == 1


def test_whoever_ends_beside_the_probe_or_before_it_leaves_it_alone() -> None:
    health = Health()
    before = health.tried()
    health.failed(0.0, 0.0)
    earlier = health.tried()
    health.succeeded(5.0)
    health.failed(6.0, 6.0)
    probe, beside = health.tried(), health.tried()
    for other in (before, earlier, beside):
        health.ended(other)
        assert not health.usable(10.0)
    health.ended(probe)
    assert health.usable(10.0)


def test_a_request_that_was_sent_in_favour_is_no_probe() -> None:
    health = Health()
    before = health.tried()
    health.failed(0.0, 0.0)
    health.tried()
    health.ended(before)
    assert not health.usable(10.0)


def test_who_says_when_to_come_back_is_left_alone_until_then() -> None:
    health = Health()
    health.failed(0.0, 0.0, retry_after_s=20.0)
    assert (health.cooling_s(5.0), health.usable(19.0)) == (15.0, False)
    assert (health.cooling_s(20.0), health.usable(20.0)) == (0.0, True)


def test_an_answer_to_an_earlier_request_does_not_end_a_rest_that_was_asked_for() -> None:
    health = Health()
    health.failed(0.5, 1.0, retry_after_s=60.0)
    health.succeeded(0.0)
    assert (health.cooling_s(2.0), health.usable(2.0)) == (59.0, False)
    health.succeeded(61.0)
    assert health.usable(61.0)


def test_an_earlier_request_may_ask_for_a_longer_rest_and_for_no_shorter_one() -> None:
    health = Health()
    health.failed(0.0, 1.0)
    for retry_after_s in (60.0, 5.0):
        health.failed(0.0, 2.0, retry_after_s)
    assert (health.cooling_s(2.0), health.failures) == (60.0, 1)


def test_nobody_keeps_us_away_for_ever() -> None:
    health = Health()
    health.failed(0.0, 0.0, retry_after_s=1e9)
    assert health.cooling_s(0.0) == 300.0


def test_a_failure_without_a_date_asks_for_no_rest() -> None:
    health = Health()
    health.failed(0.0, 0.0)
    assert health.cooling_s(0.0) == 0.0

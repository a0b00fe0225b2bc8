"""Who is out of favour, for how long, and who may look whether that is over."""

from __future__ import annotations

import pytest

from overspill.routing.health import Health


@pytest.mark.parametrize(
    ("failures", "away_s"), [(1, 1.0), (2, 2.0), (3, 4.0), (5, 16.0), (6, 30.0), (50, 30.0)]
)
def test_each_failure_doubles_the_time_away_up_to_a_limit(failures: int, away_s: float) -> None:
    health = Health()
    for _ in range(failures):
        health.failed(100.0)
    assert not health.usable(100.0 + away_s - 0.01)
    assert health.usable(100.0 + away_s)


def test_one_request_probes_and_its_success_lets_others_follow() -> None:
    health = Health()
    health.failed(0.0)
    health.tried()
    assert not health.usable(5.0)
    health.succeeded()
    assert health.usable(5.0)


def test_a_probe_without_a_verdict_lets_somebody_else_probe() -> None:
    health = Health()
    health.failed(0.0)
    health.tried()
    health.abandoned()
    assert health.usable(5.0)
    assert health.failures == 1


def test_who_says_when_to_come_back_is_left_alone_until_then() -> None:
    health = Health()
    health.failed(0.0, retry_after_s=20.0)
    assert (health.cooling_s(5.0), health.usable(19.0)) == (15.0, False)
    assert (health.cooling_s(20.0), health.usable(20.0)) == (0.0, True)


def test_nobody_keeps_us_away_for_ever() -> None:
    health = Health()
    health.failed(0.0, retry_after_s=1e9)
    assert health.cooling_s(0.0) == 300.0


def test_a_failure_without_a_date_asks_for_no_rest() -> None:
    health = Health()
    health.failed(0.0)
    assert health.cooling_s(0.0) == 0.0

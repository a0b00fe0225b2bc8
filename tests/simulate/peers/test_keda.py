"""KEDA's own part, held against its table and told as a story."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from overspill.simulate.peers.fallback import (
    Choice,
    Fallback,
    MetricUnavailable,
    failures_after,
)
from overspill.simulate.peers.keda import ScaleExecutor
from tests.simulate.peers.tables import cases

if TYPE_CHECKING:
    from tests.simulate.peers.tables import Case


def fallback_of(case: Case) -> Fallback:
    return Fallback(
        failure_threshold=case["failure_threshold"],
        replicas=case["fallback_replicas"],
        choice=Choice(case["behavior"].removesuffix("(default)")),
    )


@pytest.mark.parametrize("case", cases("keda_fallback", "cases", 4))
def test_a_metric_that_fails_too_often_becomes_a_count(case: Case) -> None:
    current = case["current_replicas"]
    current = 9 if current == "lower than 10" else current
    failures = failures_after(case["failures_before"], failed=True)
    assert failures == case.get("failures_after", failures)
    found = fallback_of(case).metric(failures, current, case["target_average"])
    assert found == case["expected_metric"]


def test_failures_are_borne_up_to_the_threshold_and_forgotten_on_success() -> None:
    fallback = Fallback(failure_threshold=3, replicas=10)
    with pytest.raises(MetricUnavailable, match="3 failures; 3 are borne"):
        fallback.metric(failures_after(2, failed=True), 5, 10)
    assert failures_after(3, failed=False) == 0


@pytest.mark.parametrize(
    ("choice", "current", "metric"),
    [
        pytest.param(Choice.CURRENT_IF_HIGHER, 15, 150, id="the current count is higher"),
        pytest.param(Choice.CURRENT_IF_LOWER, 15, 100, id="the fallback is lower"),
        pytest.param(Choice.CURRENT_IF_LOWER, 4, 40, id="the current count is lower"),
    ],
)
def test_a_fallback_may_depend_on_the_current_count(
    choice: Choice, current: int, metric: float
) -> None:
    fallback = Fallback(failure_threshold=0, replicas=10, choice=choice)
    assert fallback.metric(1, current, 10) == metric


def test_a_target_wakes_at_once_and_sleeps_after_its_cooldown() -> None:
    executor = ScaleExecutor(low=0, cooldown_s=90.0)
    polls = [  # (active, replicas before) → after
        ((False, 0), 0),
        ((True, 0), 1),
        ((True, 5), 5),  # from 1 up the HPA decides
        ((False, 5), 5),
        ((False, 5), 5),
        ((False, 5), 0),  # the third poll, 90 s after the last active one
        ((True, 0), 1),
    ]
    for i, ((active, current), expected) in enumerate(polls):
        assert executor.polled(current, 30.0 * i, active=active) == expected


def test_a_minimum_is_kept_without_demand() -> None:
    executor = ScaleExecutor(low=2, cooldown_s=0.0)
    assert [executor.polled(n, 0.0, active=False) for n in (0, 5)] == [2, 5]
    assert executor.polled(0, 30.0, active=True) == 2

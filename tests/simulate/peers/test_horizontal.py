"""Whole reconciles of an HPA, held against Kubernetes' own table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overspill.simulate.peers.behavior import (
    DEFAULT_UP,
    Behavior,
    Limited,
    Reason,
    Recommendation,
)
from overspill.simulate.peers.calculator import (
    NOBODY,
    Average,
    Utilisation,
    replicas_by_average_value,
    replicas_by_pods,
    replicas_by_value,
)
from overspill.simulate.peers.horizontal import SYNC_S, HorizontalPodAutoscaler
from overspill.simulate.peers.pods import sort_by_use
from tests.simulate.peers.pods import WARMUP, pods_of
from tests.simulate.peers.tables import cases
from tests.simulate.peers.test_behavior import rules_of

if TYPE_CHECKING:
    from tests.simulate.peers.tables import Case

NOW_S = 10_000.0
TARGETS_MILLI = {
    "TestScaleUpCMUnreadyAndHotCpuNoLessScale": 15_000,
    "TestScaleUpHotCpuNoScaleWouldScaleDown": 15_000,
    "TestScaleUpFromZeroIgnoresToleranceCMObject": 1_000,
    "TestScaleUpPerPodCMObject": 10_000,
    "TestScaleDownCMObject": 20_000,
    "TestScaleDownToZeroCMObject": 20_000,
    "TestToleranceCM": 20_000,
    "TestToleranceCMObject": 20_000,
}
"""Upstream's own targets, where the table leaves them out."""
EARLIER = {"TestStabilizeDownscale": [(10, 600.0), (4, 60.0)]}
"""Upstream's recommendations of the past (replicas, age in s); elsewhere an empty log."""
UNREADABLE = {"InvalidSelector", "AmbiguousSelector", "FailedGetExternalMetric"}
"""Conditions of cases in which the named metric, or each, could not be had."""
NOT_DECIDED_HERE = {"FailedGetScale", "FailedUpdateScale"}
"""Reading or writing /scale failed: whatever was decided, the count stays."""


def reasons(case: Case, kind: str | None = None) -> set[str]:
    conditions = case.get("expected_conditions", [])
    return {c["reason"] for c in conditions if kind in (None, c["type"])}


def autoscaler(case: Case) -> HorizontalPodAutoscaler:
    behavior = None
    if "scale_up_rules" in case:
        behavior = Behavior(up=rules_of(case["scale_up_rules"], DEFAULT_UP))
    log = None
    if case.get("has_prior_recommendations"):
        earlier = EARLIER.get(case["id"], [])
        log = [Recommendation(replicas, NOW_S - age_s) for replicas, age_s in earlier]
    return HorizontalPodAutoscaler(low=case["min"], high=case["max"], behavior=behavior, log=log)


def proposals(case: Case) -> list[int | None]:
    found: list[int | None] = []
    if case.get("cpu_target_pct"):
        found.append(by_utilisation(case, case["cpu_target_pct"]))
    found += [by_metric(case, metric) for metric in case.get("metrics_target", [])]
    if case["id"] == "TestConditionFailedGetMetrics" or reasons(case) & (
        UNREADABLE - {"FailedGetExternalMetric"}
    ):
        return [None for _ in found]
    return found


def by_utilisation(case: Case, target_pct: int) -> int | None:
    asked = case["cpu_requests_milli"]
    if not asked:
        return None
    pods = pods_of(case, len(asked), case["reported_levels_milli"], asked)
    found = sort_by_use(pods, cpu=True, fallback_pct=max(100, target_pct), warmup=WARMUP)
    if found.measured == NOBODY:
        return None
    ratio = Utilisation(target_pct).ratio
    current = case["spec_replicas"]
    return replicas_by_pods(current, ratio, found.measured, found.unready, found.missing)


def by_metric(case: Case, metric: dict[str, Any]) -> int | None:
    source, kind = metric["source"], metric["target_type"]
    if source == "?" or "FailedGetExternalMetric" in reasons(case):
        return None
    if source == "ContainerResource":
        return by_utilisation(case, metric["AverageUtilization_pct"])
    target = metric.get(f"{kind}_milli") or TARGETS_MILLI[case["id"]]
    levels, spec, status = (
        case["reported_levels_milli"],
        case["spec_replicas"],
        case["status_replicas"],
    )
    if source == "Pods":
        pods = pods_of(case, len(levels), levels, [target] * len(levels))
        found = sort_by_use(pods, cpu=False)
        return replicas_by_pods(spec, Average(target).ratio, found.measured)
    if kind == "AverageValue":
        return replicas_by_average_value(status, sum(levels), target)
    ready = sum(pod.serving for pod in pods_of(case, status, [], [0] * status))
    return replicas_by_value(spec, ready, sum(levels), target)


def reconciled(case: Case) -> Limited:
    return autoscaler(case).reconcile(case["spec_replicas"], proposals(case), NOW_S)


ALL = cases("hpa", "controller_end_to_end", 55)


@pytest.mark.parametrize("case", ALL)
def test_a_reconcile_asks_for_what_kubernetes_asks_for(case: Case) -> None:
    found = reconciled(case)
    if reasons(case) & NOT_DECIDED_HERE:
        assert case["expected_desired"] == case["spec_replicas"]
        return
    assert found.replicas == case["expected_desired"]
    if limited := reasons(case, "ScalingLimited"):
        assert found.reason in limited
    if "SucceededRescale" in reasons(case, "AbleToScale"):
        assert found.replicas != case["spec_replicas"]
    assert (found.reason is Reason.NO_METRIC) == (
        bool(reasons(case, "ScalingActive")) or case["id"] == "TestConditionFailedGetMetrics"
    )


def test_only_two_cases_fail_outside_of_the_decision() -> None:
    outside = [p.values[0]["id"] for p in ALL if reasons(p.values[0]) & NOT_DECIDED_HERE]
    assert outside == ["TestConditionFailedGetScale", "TestConditionFailedUpdateScale"]


def test_a_target_of_no_replicas_is_left_alone_unless_it_may_be_there() -> None:
    hpa = HorizontalPodAutoscaler(low=1, high=5)
    assert hpa.reconcile(0, [5], NOW_S) == (0, Reason.DISABLED)


def test_a_policy_counts_what_the_autoscaler_did_itself() -> None:
    """Ten more within a minute; a change that is a minute old is over."""
    up = {
        "select_policy": "Max",
        "stabilization_window_s": 0,
        "policies": [{"type": "Pods", "value": 10, "period_s": 60}],
    }
    hpa = HorizontalPodAutoscaler(low=1, high=99, behavior=Behavior(up=rules_of(up, DEFAULT_UP)))
    counts = [1]
    for sync, wanted in enumerate([3, 3, 6, 99, 99, 99, 99]):
        counts.append(hpa.reconcile(counts[-1], [wanted], sync * SYNC_S).replicas)
    assert counts == [1, 3, 3, 6, 11, 13, 13, 16]

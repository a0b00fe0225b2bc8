"""The HPA's arithmetic, held against Kubernetes' own table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.simulate.peers.calculator import (
    NOBODY,
    Average,
    Tally,
    Tolerance,
    Utilisation,
    average_value,
    replicas_by_average_value,
    replicas_by_pods,
    replicas_by_value,
)
from overspill.simulate.peers.pods import Pod, sort_by_use
from tests.simulate.peers.pods import WARMUP, pods_of
from tests.simulate.peers.tables import cases

if TYPE_CHECKING:
    from overspill.simulate.peers.pods import Sorted
    from tests.simulate.peers.tables import Case

EVERY = settings(max_examples=300, deadline=None, derandomize=True)
ALL = cases("hpa", "replica_calculator", 45)


def of_kind(*kinds: str) -> list[object]:
    return [param for param in ALL if param.values[0]["metric_type"] in kinds]


BY_UTILISATION = of_kind("resource_utilization")
BY_POD = of_kind("podMetric")
BY_VALUE = of_kind("objectMetric", "externalMetric")
BY_AVERAGE_VALUE = of_kind("objectPerPodMetric", "externalPerPodMetric")


def test_every_case_of_the_table_is_of_a_kind_tested_here() -> None:
    kinds = [BY_UTILISATION, BY_POD, BY_VALUE, BY_AVERAGE_VALUE]
    assert [len(kind) for kind in kinds] == [26, 5, 7, 7]
    assert sum(map(len, kinds)) == len(ALL)


def tolerance_of(case: Case) -> Tolerance:
    return Tolerance(**case["tolerance"])


def replicas_of(case: Case, target: Utilisation | Average, sorted_pods: Sorted) -> int:
    return replicas_by_pods(
        case["current_replicas"],
        target.ratio,
        sorted_pods.measured,
        sorted_pods.unready,
        sorted_pods.missing,
        tolerance_of(case),
    )


@pytest.mark.parametrize("case", BY_UTILISATION)
def test_replicas_by_utilisation(case: Case) -> None:
    target = Utilisation(case["target_utilization_pct"])
    sorted_pods = sort_by_use(
        containers(case), cpu=True, fallback_pct=max(100, target.target_pct), warmup=WARMUP
    )
    if case.get("expect_error"):
        assert sorted_pods.measured == NOBODY  # nothing to reckon with, so nothing is asked
        return
    assert replicas_of(case, target, sorted_pods) == case["expected_replicas"]
    assert target.of(sorted_pods.measured) == case["expected_utilization_pct"]


def containers(case: Case) -> list[Pod]:
    """Pods of two containers; a case looks at one of them or at both."""
    requests = case["requests_milli_per_container"]
    levels = case["levels_milli_per_pod_per_container"]
    if "container" in case:
        which = int(case["container"][-1]) - 1
        used: list[int | None] = [pod[which] if which < len(pod) else None for pod in levels]
        return pods_of(case, len(requests), used, requests)
    return pods_of(case, len(requests), [sum(pod) for pod in levels], [2 * r for r in requests])


@pytest.mark.parametrize("case", BY_POD)
def test_replicas_by_a_metric_of_each_pod(case: Case) -> None:
    target, levels = Average(case["target_milli"]), case["levels_milli"]
    count = max(len(levels), len(case.get("pod_phase", [])))
    pods = pods_of(case, count, levels, [target.target_milli] * count)
    sorted_pods = sort_by_use(pods, cpu=False)
    assert replicas_of(case, target, sorted_pods) == case["expected_replicas"]
    assert target.of(sorted_pods.measured) == case["expected_usage_milli"]


@pytest.mark.parametrize("case", BY_VALUE)
def test_replicas_by_a_metric_of_the_whole(case: Case) -> None:
    current, used = case["current_replicas"], sum(case["levels_milli"])
    ready = sum(pod.serving for pod in pods_of(case, current, [], [0] * current))
    found = replicas_by_value(current, ready, used, case["target_milli"], tolerance_of(case))
    assert found == case["expected_replicas"]
    assert used == case["expected_usage_milli"]


@pytest.mark.parametrize("case", BY_AVERAGE_VALUE)
def test_replicas_by_a_share_of_a_metric(case: Case) -> None:
    current, used = case["current_replicas"], sum(case["levels_milli"])
    found = replicas_by_average_value(
        current, used, case["per_pod_target_milli"], tolerance_of(case)
    )
    assert found == case["expected_replicas"]
    assert average_value(current, used) == case["expected_usage_milli"]


counts = st.integers(min_value=1, max_value=50)


@EVERY
@given(counts, st.integers(0, 100), st.integers(0, 20), st.integers(0, 20))
def test_pods_that_say_nothing_never_turn_or_strengthen_a_change(
    ready: int, used_pct: int, unready: int, missing: int
) -> None:
    current = ready + unready + missing
    measured = Tally(ready, ready * used_pct, ready * 100)
    ratio = Utilisation(70).ratio
    alone = replicas_by_pods(current, ratio, measured)
    mixed = replicas_by_pods(
        current,
        ratio,
        measured,
        Tally(unready, 0, unready * 100),
        Tally(missing, missing * 100, missing * 100),
    )
    if ratio(measured) > 1.1:
        assert mixed >= current or mixed >= alone
    elif missing and ratio(measured) < 0.9:
        assert min(alone, current) <= mixed <= current


@pytest.mark.parametrize(
    ("pod", "warming"),
    [
        pytest.param(Pod(used=1, asked=1, started_ago_s=60, turned_ago_s=59), True, id="no sample"),
        pytest.param(Pod(used=1, asked=1, started_ago_s=90, turned_ago_s=60), False, id="a sample"),
        pytest.param(
            Pod(used=1, asked=1, ready=False, started_ago_s=400, turned_ago_s=395),
            True,
            id="never was ready",
        ),
        pytest.param(
            Pod(used=1, asked=1, ready=False, started_ago_s=400, turned_ago_s=100),
            False,
            id="ceased to be ready: its usage is work",
        ),
    ],
)
def test_usage_of_a_starting_pod_is_no_work(pod: Pod, warming: bool) -> None:
    assert pod.warming(WARMUP) == warming

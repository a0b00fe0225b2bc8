"""Guardrails and learning, told as stories over a cluster in memory."""

from __future__ import annotations

from typing import Any

import pytest

from overspill.controller.cluster import Scale
from overspill.controller.keys import PAUSED_ANNOTATION, PolicyKey
from overspill.controller.times import timestamp
from overspill.telemetry import names
from tests.controller.fakes import KEY, START_S, Stage, pod, resource

pytestmark = pytest.mark.asyncio

NAME = str(KEY)
HPA = {
    "metadata": {"name": "glm-small"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "glm-small"}
    },
}
KEDA = {"ownerReferences": [{"controller": True, "kind": "ScaledObject", "name": "queue"}]}
BUSY: dict[str, Any] = {"work": 6000.0, "usd": 0.01}


def scales(stage: Stage) -> list[str]:
    return [write for write in stage.cluster.writes if write.startswith("scale")]


def last(stage: Stage) -> tuple[int, str]:
    decision = stage.cluster.status()["lastDecision"]
    return decision["desired"], decision["reason"]


async def looks(stage: Stage, count: int = 1, **told: Any) -> None:  # noqa: ANN401
    """Let Prometheus say the same for so many looks."""
    for _ in range(count):
        stage.clock.now_s += 15.0
        stage.observe(**told)
        await stage.look()


# -- another autoscaler
async def test_a_target_that_another_autoscaler_scales_is_left_to_it() -> None:
    stage = Stage()
    stage.cluster.hpas = [HPA]
    await looks(stage, 40, **BUSY)
    assert (scales(stage), last(stage)) == ([], (1, "AnotherAutoscaler"))
    condition = stage.cluster.condition("ScalingActive")
    assert (condition["status"], condition["reason"]) == ("False", "AnotherAutoscaler")
    assert "kubectl delete hpa -n legal glm-small" in condition["message"]
    assert stage.cluster.status()["state"] == "Degraded"
    assert stage.cluster.reasons() == ["AnotherAutoscaler"]


async def test_of_keda_its_scaled_object_is_named() -> None:
    stage = Stage()
    stage.cluster.hpas = [HPA | {"metadata": {"name": "keda-hpa-queue"} | KEDA}]
    await looks(stage)
    message = stage.cluster.condition("ScalingActive")["message"]
    assert "kubectl delete scaledobject -n legal queue" in message


async def test_once_the_other_is_gone_we_go_on_from_what_it_made() -> None:
    stage = Stage()
    await looks(stage, **BUSY)
    stage.cluster.hpas = [HPA]
    stage.cluster.target = Scale(requested=5, reported=5, selector="")
    await looks(stage, **BUSY)
    stage.cluster.hpas = []
    await looks(stage, work=12000.0, usd=0.02)
    assert (scales(stage), last(stage)) == ([], (5, "Holding"))


async def test_while_observing_another_autoscaler_is_no_obstacle_and_is_told() -> None:
    stage = Stage()
    stage.cluster.edit(mode="Observe")
    stage.cluster.hpas = [HPA]
    await looks(stage, 3, **BUSY)
    assert last(stage)[0] == 3
    assert "kubectl delete hpa" in stage.cluster.condition("ScalingActive")["message"]


async def test_of_two_policies_with_one_target_the_older_scales_it() -> None:
    stage = Stage()
    older = {"name": "older", "namespace": "legal", "creationTimestamp": "2026-01-01T00:00:00Z"}
    stage.cluster.policies[KEY]["metadata"]["creationTimestamp"] = "2026-01-02T00:00:00Z"
    stage.cluster.policies[PolicyKey("legal", "older")] = resource() | {"metadata": older}
    await looks(stage, 3, **BUSY)
    assert (scales(stage), last(stage)) == ([], (1, "AnotherAutoscaler"))
    assert "RoutingPolicy older scales" in stage.cluster.condition("ScalingActive")["message"]
    stage.cluster.policies[PolicyKey("legal", "older")]["spec"]["mode"] = "Observe"
    await looks(stage, 3, **BUSY)
    assert scales(stage) == ["scale 3"]


async def test_a_policy_on_its_way_out_keeps_no_target() -> None:
    """Its finalizer may be somebody's who is away; it is not looked at any more."""
    stage = Stage()
    older = {"name": "older", "namespace": "legal", "creationTimestamp": "2026-01-01T00:00:00Z"}
    older["deletionTimestamp"] = "2026-01-02T00:00:00Z"
    stage.cluster.policies[KEY]["metadata"]["creationTimestamp"] = "2026-01-03T00:00:00Z"
    stage.cluster.policies[PolicyKey("legal", "older")] = resource() | {"metadata": older}
    await looks(stage, 2, **BUSY)
    assert scales(stage) == ["scale 3"]


# -- budget
async def test_with_the_budget_spent_replicas_follow_demand_whatever_it_is_worth() -> None:
    stage = Stage()
    cheap: dict[str, Any] = {"work": 6000.0, "usd": 0.0001}
    await looks(stage, 2, **cheap)
    assert scales(stage) == []
    await looks(stage, spend=500.0, **cheap)
    assert (scales(stage), last(stage)) == (["scale 3"], (3, "BudgetExhausted"))
    assert stage.cluster.condition("ScalingActive")["status"] == "True"


async def test_with_a_budget_that_rejects_replicas_follow_their_worth() -> None:
    stage = Stage()
    stage.cluster.edit(budget__onExhausted="Reject")
    await looks(stage, 4, work=6000.0, usd=0.0001, spend=500.0)
    assert scales(stage) == []


# -- metrics
@pytest.mark.parametrize(
    ("scrape_age_s", "reason"),
    [
        pytest.param(45.0, "StartPays", id="two scrapes"),
        pytest.param(46.0, "DemandUnknown", id="more"),
    ],
)
async def test_samples_older_than_two_scrapes_are_not_acted_on(
    scrape_age_s: float, reason: str
) -> None:
    """The stage's Prometheus counts as stale after 45 s."""
    stage = Stage()
    await looks(stage)
    scraped_s = {NAME: stage.clock() + 15.0 - scrape_age_s}
    await looks(stage, last_scrape_s=scraped_s, **BUSY)
    assert last(stage)[1] == reason


# -- edits in mid-flight
async def test_bounds_that_were_edited_take_effect_at_the_next_look() -> None:
    stage = Stage()
    await looks(stage, 3, **BUSY)
    stage.cluster.edit(small__replicas={"min": 0, "max": 2})
    await looks(stage, **BUSY)
    assert (scales(stage), last(stage)) == (["scale 3", "scale 2"], (2, "AtMax"))
    stage.cluster.edit(3, small__replicas={"min": 4, "max": 8})
    await looks(stage, **BUSY)
    assert last(stage) == (4, "AtMin")


EDITS = [
    pytest.param({"small__replicaHourlyCost": "49.8"}, 0, "StopPays", id="dearer rent"),
    pytest.param({"small__replicaHourlyCost": "0.25"}, 3, "StartPays", id="cheaper rent"),
    pytest.param({"small__startupSeconds": 18}, 2, "Holding", id="start-up"),
    pytest.param({"small__capacity__outputTokensPerSecond": 1250}, 4, "StartPays", id="capacity"),
    pytest.param({"small__capacity__outputTokensPerSecond": 5000}, 1, "StopPays", id="upwards"),
]


@pytest.mark.parametrize(("edit", "desired", "reason"), EDITS)
async def test_an_edit_is_decided_on_with_all_that_was_learned(
    edit: dict[str, Any], desired: int, reason: str
) -> None:
    stage = Stage()
    worth_two: dict[str, Any] = {"work": 5000.0, "usd": 0.01}
    await looks(stage, 30, **worth_two)
    assert last(stage)[0] == 2
    stage.cluster.edit(**edit)
    await looks(stage, **worth_two)
    assert last(stage) == (desired, reason)


# -- learning
FULL: dict[str, Any] = {
    "work": 9000.0,
    "usd": 0.001,
    "small_output_tokens_per_s": {NAME: 800.0},
    "small_input_tokens_per_s": {NAME: 1000.0},
    "small_occupancy": {NAME: 0.98},
    "no_room_per_s": {NAME: 3.0},
}


async def test_capacity_is_learned_told_measured_and_decided_with() -> None:
    stage = Stage()
    stage.cluster.edit(small__replicas={"min": 1, "max": 1})
    await looks(stage, 30, **FULL)
    status = stage.cluster.status()
    assert status["learned"]["outputTokensPerSecond"] == 900
    assert status["learned"]["policy"]["outputTokensPerSecond"] == 2500
    assert status["demand"]["replicasWorth"] == 10.0
    text = stage.meters.exposition().decode()
    assert f'{names.CAPACITY_TOKENS_PER_S}{{policy="{NAME}"}} 900.0' in text
    assert f'{names.STARTUP_SECONDS}{{policy="{NAME}"}} 180.0' in text


async def test_what_was_learned_survives_a_restart() -> None:
    stage = Stage()
    stage.cluster.edit(small__replicas={"min": 1, "max": 1})
    await looks(stage, 30, **FULL)
    learned = stage.cluster.status()["learned"]
    stage.restart()
    await looks(stage)
    assert stage.cluster.status()["learned"] == learned


async def test_without_fresh_metrics_nothing_is_learned() -> None:
    stage = Stage()
    await looks(stage, 60, last_scrape_s={NAME: START_S - 1000.0}, **FULL)
    assert stage.cluster.status()["learned"]["fullSamplesTokensPerSecond"] == []


def small_pod(uid: str, placed_s: float, ready_s: float | None, node: str = "n1") -> dict[str, Any]:
    since = {"PodScheduled": placed_s, "Ready": ready_s}
    listed = [
        {"type": kind, "status": "True", "lastTransitionTime": timestamp(at_s)}
        for kind, at_s in since.items()
        if at_s is not None
    ]
    meta = {"uid": uid, "name": uid, "labels": {}}
    return {"metadata": meta, "spec": {"nodeName": node}, "status": {"conditions": listed}}


async def test_start_up_is_learned_from_pods_that_become_ready() -> None:
    stage = Stage()
    stage.cluster.target = Scale(requested=3, reported=3, selector="app=small")
    stage.cluster.app_pods = [small_pod(uid, START_S, None) for uid in "abc"]
    await looks(stage)
    stage.cluster.app_pods = [small_pod(uid, START_S, START_S + 63.0) for uid in "abc"]
    await looks(stage)
    learned = stage.cluster.status()["learned"]
    assert (learned["startupSeconds"], learned["startupSamplesSeconds"]) == (63, [63, 63, 63])


# -- what Prometheus does not see
def app_pod(name: str, ready_s: float) -> dict[str, Any]:
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": timestamp(ready_s)}
    return {
        "metadata": {"name": name, "uid": name, "labels": {"overspill.dev/policy": KEY.name}},
        "status": {"phase": "Running", "conditions": [ready]},
    }


async def test_demand_of_a_few_of_many_sidecars_moves_nothing_until_the_others_are_seen() -> None:
    stage = Stage()
    names_of_pods = [f"p{n}" for n in range(10)]
    stage.cluster.pods_injected = {name: pod(name) for name in names_of_pods}
    stage.cluster.app_pods = [app_pod(name, START_S - 600.0) for name in names_of_pods]
    await looks(stage)  # the first list comes with it
    await looks(stage, 20, **BUSY, sidecars={NAME: 3.0})
    assert (scales(stage), last(stage)) == ([], (1, "DemandUnknown"))
    condition = stage.cluster.condition("MetricsAvailable")
    assert (condition["status"], condition["reason"]) == ("False", "FewSamples")
    await looks(stage, 20, **BUSY, sidecars={NAME: 9.0})
    assert scales(stage)
    assert stage.cluster.condition("MetricsAvailable")["status"] == "True"


# -- nodes
BY_TYPE = {"label": "gpu", "costs": {"l4": "0.80"}}


async def test_replicas_cost_what_their_nodes_cost_and_each_node_is_read_once() -> None:
    stage = Stage()
    stage.cluster.edit(small__replicaCostByNodeLabel=BY_TYPE)
    stage.cluster.target = Scale(requested=2, reported=2, selector="app=small")
    stage.cluster.nodes = {"n1": {"gpu": "l4"}, "n2": {"gpu": "t4"}}
    stage.cluster.app_pods = [
        small_pod("a", START_S, START_S, "n1"),
        small_pod("b", START_S, START_S, "n2"),
    ]
    await looks(stage, 3)
    economics = stage.reconciler.memories[KEY].economics
    assert economics is not None
    assert economics.rent_usd_per_s * 3600 == pytest.approx((0.80 + 2.49) / 2)
    assert sorted(stage.cluster.nodes_read) == ["n1", "n2"]


async def test_rent_is_counted_for_what_is_asked_for_ready_or_not() -> None:
    stage = Stage()
    meta = stage.cluster.policies[KEY]["metadata"]
    meta["annotations"] = {PAUSED_ANNOTATION: "true"}
    stage.cluster.target = Scale(requested=3, reported=1, selector="app=small")
    await looks(stage, 3)  # there is nothing before the first
    counted = stage.reconciler.meters.registry.get_sample_value(names.RENT_USD, {"policy": NAME})
    assert counted == pytest.approx(3 * 2.49 / 3600 * 30.0)


async def test_without_costs_by_label_no_node_is_read() -> None:
    stage = Stage()
    stage.cluster.target = Scale(requested=1, reported=1, selector="app=small")
    stage.cluster.app_pods = [small_pod("a", START_S, START_S)]
    await looks(stage, 2)
    assert stage.cluster.nodes_read == []


async def test_after_a_pause_we_go_on_from_what_a_person_made() -> None:
    stage = Stage()
    await looks(stage, 3, **BUSY)
    meta = stage.cluster.policies[KEY]["metadata"]
    meta["annotations"] = {PAUSED_ANNOTATION: "true"}
    stage.cluster.target = Scale(requested=5, reported=5, selector="")
    await looks(stage, **BUSY)
    meta["annotations"] = {}
    await looks(stage, work=12500.0, usd=0.02)
    assert (scales(stage), last(stage)) == (["scale 3"], (5, "Holding"))

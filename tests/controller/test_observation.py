"""Raw objects in, values out: pods, EndpointSlices, discovery."""

from __future__ import annotations

from typing import Any

import pytest

from overspill.api.policy import ScaleTargetRef
from overspill.controller.cluster import Scale, Slice, Start
from overspill.controller.discovery import group_path, scalable_plural
from overspill.controller.errors import Missing
from overspill.controller.observation import (
    Coverage,
    coverage_of,
    endpoints_of,
    injected_pod,
    nodes_of,
    replicas_of,
    rival_of,
    settled,
    slice_of,
    starts_of,
)
from overspill.controller.times import unix_s
from overspill.scaling import Replicas


def pod(
    *conditions: tuple[str, str, str],
    phase: str = "Running",
    going: bool = False,
    meta: dict[str, Any] | None = None,
) -> dict[str, Any]:
    stamp = {"deletionTimestamp": "now"} if going else {}
    listed = [{"type": kind, "status": s, "reason": reason} for kind, s, reason in conditions]
    return {
        "metadata": {"name": "p", "uid": "u"} | stamp | (meta or {}),
        "status": {"phase": phase, "conditions": listed},
    }


READY = ("Ready", "True", "")
STUCK = ("PodScheduled", "False", "Unschedulable")


def test_replicas_are_counted_ready_and_unschedulable() -> None:
    pods = [pod(READY), pod(STUCK, phase="Pending"), pod(), pod(READY, going=True)]
    scale = Scale(requested=4, reported=4, selector="app=small")
    assert replicas_of(scale, pods) == Replicas(requested=4, ready=1, unschedulable=1)


def test_a_target_that_names_no_pods_is_believed() -> None:
    scale = Scale(requested=4, reported=3, selector="")
    assert replicas_of(scale, None) == Replicas(requested=4, ready=3)


def test_an_injected_pod_that_terminates_no_longer_runs() -> None:
    assert [injected_pod(pod(going=g)).running for g in (False, True)] == [True, False]


def test_endpoints_that_terminate_or_are_not_ready_are_left_out() -> None:
    raw = {
        "endpoints": [
            {"addresses": ["10.0.0.1"], "conditions": {"ready": True}},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": False}},
            {"addresses": ["10.0.0.3"], "conditions": {"ready": True, "terminating": True}},
            {"addresses": ["10.0.0.4"], "conditions": {}},
        ],
        "ports": [{"name": "api", "port": 8080, "protocol": "TCP"}],
    }
    assert slice_of(raw) == Slice(addresses=("10.0.0.1", "10.0.0.4"), ports=(("api", 8080),))


def test_an_empty_slice_has_nulls() -> None:
    assert slice_of({"endpoints": None, "ports": None}) == Slice(addresses=(), ports=())


def service(*ports: tuple[str | None, int]) -> dict[str, Any]:
    return {"spec": {"ports": [{"name": n, "port": p} if n else {"port": p} for n, p in ports]}}


PORTS = [
    pytest.param(service((None, 8000)), (("", 8080),), ["10.0.0.1:8080"], id="one unnamed port"),
    pytest.param(
        service(("api", 8000), ("metrics", 9000)),
        (("metrics", 9001), ("api", 8080)),
        ["10.0.0.1:8080"],
        id="the port of that name",
    ),
    pytest.param(service(("api", 8000)), (("old", 1),), [], id="slice of an older Service"),
]


@pytest.mark.parametrize(("manifest", "ports", "endpoints"), PORTS)
def test_the_target_port_is_found_by_the_service_ports_name(
    manifest: dict[str, Any], ports: tuple[tuple[str, int], ...], endpoints: list[str]
) -> None:
    slices = [Slice(addresses=("10.0.0.1",), ports=ports)]
    assert endpoints_of(slices, manifest, "small", 8000) == endpoints


def test_endpoints_are_in_a_stable_order_and_ipv6_is_bracketed() -> None:
    slices = [
        Slice(addresses=("10.0.0.2", "fd00::1"), ports=(("", 8080),)),
        Slice(addresses=("10.0.0.1",), ports=(("", 8080),)),
    ]
    found = endpoints_of(slices, service((None, 8000)), "small", 8000)
    assert found == ["10.0.0.1:8080", "10.0.0.2:8080", "[fd00::1]:8080"]


MISSING = [
    pytest.param(None, "ServiceNotFound", id="no Service"),
    pytest.param(service((None, 80)), "ServicePortNotFound", id="no such port"),
]


@pytest.mark.parametrize(("manifest", "reason"), MISSING)
def test_a_missing_service_says_so(manifest: dict[str, Any] | None, reason: str) -> None:
    with pytest.raises(Missing) as missing:
        endpoints_of([], manifest, "small", 8000)
    assert missing.value.reason == reason


def app_pod(
    policy: str | None,
    owner: tuple[str, str] | None = None,
    phase: str = "Running",
    annotations: dict[str, str] | None = None,
) -> dict[str, Any]:
    labels = {"pod-template-hash": "abc"} | ({"overspill.dev/policy": policy} if policy else {})
    owners = [{"controller": True, "kind": owner[0], "name": owner[1]}] if owner else []
    meta = {"labels": labels, "ownerReferences": owners, "annotations": annotations}
    return pod(phase=phase, meta=meta)


COVERAGE = [
    pytest.param([app_pod("contracts")], 1, 0, "", id="covered"),
    pytest.param(
        [app_pod("contracts"), app_pod(None, ("ReplicaSet", "api-abc"))],
        2,
        1,
        "kubectl rollout restart -n legal deployment/api",
        id="a Deployment's pod",
    ),
    pytest.param(
        [app_pod(None, ("StatefulSet", "db"))],
        1,
        1,
        "kubectl rollout restart -n legal statefulset/db",
        id="a StatefulSet's pod",
    ),
    pytest.param([app_pod("other")], 1, 1, "delete and create", id="another policy's, unowned"),
    pytest.param(
        [app_pod(None, annotations={"overspill.dev/inject": "false"})], 0, 0, "", id="opted out"
    ),
    pytest.param([app_pod(None, phase="Pending")], 0, 0, "", id="not running"),
]


@pytest.mark.parametrize(("pods", "matching", "uncovered", "restart"), COVERAGE)
def test_pods_without_the_sidecar_are_found_with_the_way_to_restart_them(
    pods: list[dict[str, Any]], matching: int, uncovered: int, restart: str
) -> None:
    seen: Coverage = coverage_of(pods, "legal", "contracts")
    assert (seen.matching, seen.uncovered) == (matching, uncovered)
    assert restart in seen.restart


def test_pods_that_have_been_ready_for_long_are_those_that_a_list_and_a_watch_know() -> None:
    def since(name: str, time: str, policy: str | None = "contracts") -> dict[str, Any]:
        made = app_pod(policy)
        made["metadata"]["name"] = name
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": time}
        made["status"]["conditions"] = [ready]
        return made

    early, late = "2027-01-15T08:00:00Z", "2027-01-15T08:05:00Z"
    pods = [since("a", early), since("b", late), since("c", early), since("d", early, None)]
    unready = app_pod("contracts")
    unready["metadata"]["name"] = "e"
    seen = coverage_of([*pods, unready], "legal", "contracts")
    watched = {"a", "b", "d", "e", "gone"}
    assert seen.ready_before(watched, unix_s(early)) == 1
    assert seen.ready_before(watched, unix_s(late)) == 2


def resources(*entries: tuple[str, str]) -> dict[str, Any]:
    return {"groupVersion": "g/v1", "resources": [{"name": n, "kind": k} for n, k in entries]}


def test_the_plural_of_a_scalable_kind_is_found() -> None:
    listed = resources(
        ("deployments", "Deployment"), ("deployments/scale", "Scale"), ("pods", "Pod")
    )
    assert scalable_plural(listed, "Deployment") == "deployments"


UNSCALABLE = [
    pytest.param(resources(("pods", "Pod")), "Pod", "NotScalable", id="no /scale"),
    pytest.param(resources(), "LLM", "TargetKindNotFound", id="no such kind"),
    pytest.param(resources(("x/scale", "Scale")), "Scale", "TargetKindNotFound", id="subresource"),
]


@pytest.mark.parametrize(("listed", "kind", "reason"), UNSCALABLE)
def test_a_kind_that_cannot_be_scaled_says_why(
    listed: dict[str, Any], kind: str, reason: str
) -> None:
    with pytest.raises(Missing) as missing:
        scalable_plural(listed, kind)
    assert missing.value.reason == reason


def test_the_core_group_has_its_own_path() -> None:
    assert [group_path(v) for v in ("v1", "apps/v1")] == ["/api/v1", "/apis/apps/v1"]


def small_pod(uid: str, *, going: bool = False, **since: str) -> dict[str, Any]:
    """A pod of the small tier, with when its conditions became true."""
    listed = [{"type": k, "status": "True", "lastTransitionTime": v} for k, v in since.items()]
    meta = {"uid": uid} | ({"deletionTimestamp": "now"} if going else {})
    return {"metadata": meta, "spec": {"nodeName": "n1"}, "status": {"conditions": listed}}


def test_a_start_is_from_a_place_on_a_node_to_readiness() -> None:
    pods = [
        small_pod("a", PodScheduled="2026-11-25T10:00:00Z", Ready="2026-11-25T10:03:00Z"),
        small_pod("b", PodScheduled="2026-11-25T10:00:00Z"),
        small_pod("c"),
        small_pod("d", going=True, Ready="2026-11-25T10:03:00Z"),
    ]
    placed_s = 1795600800.0
    assert starts_of(pods) == (
        Start(uid="a", placed_s=placed_s, ready_s=placed_s + 180.0),
        Start(uid="b", placed_s=placed_s, ready_s=None),
        Start(uid="c", placed_s=None, ready_s=None),
    )


def test_a_condition_that_is_false_has_no_time() -> None:
    stuck = pod(("PodScheduled", "False", "Unschedulable"), meta={"uid": "a"})
    assert starts_of([stuck]) == (Start(uid="a", placed_s=None, ready_s=None),)


def test_a_target_that_names_no_pods_shows_no_starts_and_no_nodes() -> None:
    assert (starts_of(None), nodes_of(None), settled(None)) == ((), (), True)


def test_a_replica_on_its_way_out_still_works_and_is_not_settled() -> None:
    pods = [small_pod("a"), small_pod("b", going=True)]
    assert (settled(pods), settled(pods[:1])) == (False, True)
    assert nodes_of([*pods, pod(STUCK)]) == ("n1",)


SMALL = ScaleTargetRef(name="small")


def hpa(
    kind: str = "Deployment", name: str = "small", version: str = "apps/v1", **meta: object
) -> dict[str, Any]:
    ref = {"apiVersion": version, "kind": kind, "name": name}
    return {"metadata": {"name": "scaler"} | meta, "spec": {"scaleTargetRef": ref}}


KEDA = [{"controller": True, "kind": "ScaledObject", "name": "queue"}]
RIVALS = [
    pytest.param([hpa()], "kubectl delete hpa -n legal scaler", id="the same target"),
    pytest.param([hpa(version="apps/v1beta1")], "delete hpa", id="in another version"),
    pytest.param([hpa(name="x"), hpa()], "delete hpa", id="among others"),
    pytest.param(
        [hpa(ownerReferences=KEDA)], "kubectl delete scaledobject -n legal queue", id="KEDA's"
    ),
    pytest.param([hpa(name="other")], "", id="another Deployment"),
    pytest.param([hpa(kind="StatefulSet")], "", id="another kind"),
    pytest.param([hpa(version="argoproj.io/v1")], "", id="another group"),
    pytest.param([], "", id="none"),
]


@pytest.mark.parametrize(("autoscalers", "said"), RIVALS)
def test_another_autoscaler_of_the_target_is_named_with_the_way_to_end_it(
    autoscalers: list[dict[str, Any]], said: str
) -> None:
    rival = rival_of(autoscalers, "legal", SMALL)
    assert said in rival
    assert bool(said) == bool(rival)

"""Reading raw Kubernetes objects into the values that decisions are made from. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from overspill.api.policy import Mode
from overspill.controller.cluster import InjectedPod, Scale, Slice, Start
from overspill.controller.errors import Missing
from overspill.controller.keys import INJECT_ANNOTATION, POLICY_LABEL, REVISION_ANNOTATION
from overspill.controller.times import unix_s
from overspill.scaling import Replicas

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from overspill.api.policy import ScaleTargetRef
    from overspill.controller.keys import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How many running pods match a policy's selector, and which of them lack the sidecar."""

    matching: int = 0
    uncovered: int = 0
    restart: str = ""
    """The command that puts the sidecar in."""
    ready_since_s: Mapping[str, float] = field(default_factory=dict)
    """Of the names of pods that have it and are ready."""

    def ready_before(self, running: Collection[str], before_s: float) -> int:
        """Return how many of these pods have it, and have been ready since `before_s`, Unix time.

        A watch may never hear of a pod that is gone, and a list is old: what both know is there.
        """
        return sum(
            since_s <= before_s and name in running for name, since_s in self.ready_since_s.items()
        )


def scale_of(manifest: Manifest) -> Scale:
    """Read a `/scale` subresource."""
    status = manifest.get("status") or {}
    return Scale(
        requested=(manifest.get("spec") or {}).get("replicas") or 0,
        reported=status.get("replicas") or 0,
        selector=status.get("selector") or "",
    )


def replicas_of(scale: Scale, pods: Iterable[Manifest] | None) -> Replicas:
    """Count ready and unschedulable pods; without pods to look at, believe the target's count."""
    if pods is None:
        return Replicas(requested=scale.requested, ready=min(scale.reported, scale.requested))
    alive = [pod for pod in pods if not _terminating(pod)]
    return Replicas(
        requested=scale.requested,
        ready=sum(_condition(pod, "Ready").get("status") == "True" for pod in alive),
        unschedulable=sum(
            _condition(pod, "PodScheduled").get("reason") == "Unschedulable" for pod in alive
        ),
    )


def settled(pods: Iterable[Manifest] | None) -> bool:
    """Whether none of these pods is on its way out, still at work and no longer counted."""
    return not any(_terminating(pod) for pod in pods or ())


def starts_of(pods: Iterable[Manifest] | None) -> tuple[Start, ...]:
    """Read when each pod got its place and became ready."""
    return tuple(
        Start(
            uid=pod["metadata"].get("uid", ""),
            placed_s=_true_since(pod, "PodScheduled"),
            ready_s=_true_since(pod, "Ready"),
        )
        for pod in pods or ()
        if not _terminating(pod)
    )


def nodes_of(pods: Iterable[Manifest] | None) -> tuple[str, ...]:
    """Name the node of each pod that has one; a node with two pods is named twice."""
    places = (
        (pod.get("spec") or {}).get("nodeName") for pod in pods or () if not _terminating(pod)
    )
    return tuple(place for place in places if place)


def rival_of(autoscalers: Iterable[Manifest], namespace: str, target: ScaleTargetRef) -> str:
    """Say which other autoscaler scales the target, and how to end that; empty where none does."""
    for autoscaler in autoscalers:
        ref = autoscaler["spec"]["scaleTargetRef"]
        group = _group(ref.get("apiVersion", ""))
        if (group, ref["kind"], ref["name"]) == (
            _group(target.api_version),
            target.kind,
            target.name,
        ):
            return _rival(autoscaler, namespace, target)
    return ""


def elder_of(policies: Iterable[Manifest], name: str, target: ScaleTargetRef) -> str:
    """Say which older policy scales the target of this one; empty where it is the oldest itself."""
    enforced = [
        policy
        for policy in policies
        if policy["spec"].get("mode") != Mode.OBSERVE and not _terminating(policy)
    ]
    oldest = min(enforced, key=_age, default=None)
    elder = oldest["metadata"]["name"] if oldest else name
    if elder == name:
        return ""
    return (
        f"RoutingPolicy {elder} scales {target.kind} {target.name} too and is older, so its "
        "replicas are left to that one; give this policy a target of its own, or delete one of them"
    )


def _age(policy: Manifest) -> tuple[str, str]:
    meta = policy["metadata"]
    return meta.get("creationTimestamp", ""), meta["name"]


def _rival(autoscaler: Manifest, namespace: str, target: ScaleTargetRef) -> str:
    """A ScaledObject of KEDA would make a deleted autoscaler again: it is the one to delete."""
    meta = autoscaler["metadata"]
    kind, name, command = "HorizontalPodAutoscaler", meta["name"], "hpa"
    owner = next((o for o in meta.get("ownerReferences") or () if o.get("controller")), None)
    if owner is not None:
        kind, name, command = owner["kind"], owner["name"], owner["kind"].lower()
    return (
        f"{kind} {name} scales {target.kind} {target.name} too, so its replicas are left alone; "
        f"choose one of the two: kubectl delete {command} -n {namespace} {name}"
    )


def injected_pod(pod: Manifest) -> InjectedPod:
    """Keep of an injected pod what reconciling needs."""
    phase = (pod.get("status") or {}).get("phase")
    return InjectedPod(
        uid=pod["metadata"]["uid"],
        name=pod["metadata"]["name"],
        running=phase == "Running" and not _terminating(pod),
        finished=phase in {"Succeeded", "Failed"},
        revision=(pod["metadata"].get("annotations") or {}).get(REVISION_ANNOTATION),
    )


def slice_of(manifest: Manifest) -> Slice:
    """Keep of an EndpointSlice its ready addresses and its target ports."""
    addresses = [
        address
        for endpoint in manifest.get("endpoints") or ()
        if _takes_requests(endpoint.get("conditions") or {})
        for address in endpoint.get("addresses", ())[:1]
    ]
    ports = [
        (port.get("name") or "", port["port"])
        for port in manifest.get("ports") or ()
        if port.get("port") and port.get("protocol", "TCP") == "TCP"
    ]
    return Slice(addresses=tuple(addresses), ports=tuple(ports))


def endpoints_of(
    slices: Sequence[Slice], service: Manifest | None, name: str, port: int
) -> list[str]:
    """List `address:targetport` of the pods behind one port of a Service, in a stable order.

    An EndpointSlice holds resolved target ports by the *name* of the service port, so named and
    numbered target ports read alike. Raises: Missing.
    """
    if service is None:
        raise Missing(
            "ServiceNotFound",
            f"Service {name} (spec.small.service) does not exist; create it or correct the name",
        )
    ports = (service.get("spec") or {}).get("ports") or ()
    wanted = next((p.get("name") or "" for p in ports if p.get("port") == port), None)
    if wanted is None:
        offered = ", ".join(str(p.get("port")) for p in ports) or "none"
        raise Missing(
            "ServicePortNotFound",
            f"Service {name} has no port {port} (spec.small.service.port); it has {offered}",
        )
    return sorted(
        f"[{address}]:{target}" if ":" in address else f"{address}:{target}"
        for piece in slices
        for port_name, target in piece.ports
        if port_name == wanted
        for address in piece.addresses
    )


def coverage_of(pods: Iterable[Manifest], namespace: str, policy: str) -> Coverage:
    """Find running pods of the workload that run without this policy's sidecar.

    Pods that cannot have one (opted out, on the host's network) are not counted.
    """
    running = [
        pod
        for pod in pods
        if (pod.get("status") or {}).get("phase") == "Running"
        and not _terminating(pod)
        and not _excused(pod)
    ]
    without = [pod for pod in running if _policy_of(pod) != policy]
    owners = sorted({owner for pod in without if (owner := _owner(pod))})
    restart = "; ".join(f"kubectl rollout restart -n {namespace} {owner}" for owner in owners)
    return Coverage(
        matching=len(running),
        uncovered=len(without),
        restart=restart or f"delete and create them again in namespace {namespace}",
        ready_since_s={
            pod["metadata"]["name"]: since_s
            for pod in running
            if _policy_of(pod) == policy and (since_s := _true_since(pod, "Ready")) is not None
        },
    )


def _takes_requests(conditions: Manifest) -> bool:
    return conditions.get("ready") is not False and not conditions.get("terminating")


def _policy_of(pod: Manifest) -> str | None:
    """Name the policy whose sidecar the pod has."""
    return (pod["metadata"].get("labels") or {}).get(POLICY_LABEL)


def _terminating(one: Manifest) -> bool:
    return bool(one["metadata"].get("deletionTimestamp"))


def _excused(pod: Manifest) -> bool:
    opted_out = (pod["metadata"].get("annotations") or {}).get(INJECT_ANNOTATION) == "false"
    return opted_out or bool((pod.get("spec") or {}).get("hostNetwork"))


def _true_since(pod: Manifest, kind: str) -> float | None:
    found = _condition(pod, kind)
    since = found.get("lastTransitionTime")
    return unix_s(since) if since and found.get("status") == "True" else None


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]


def _condition(pod: Manifest, kind: str) -> Manifest:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return next((found for found in conditions if found.get("type") == kind), {})


def _owner(pod: Manifest) -> str | None:
    """Name what `kubectl rollout restart` takes: a ReplicaSet's name without hash is its owner."""
    meta = pod["metadata"]
    owner = next((o for o in meta.get("ownerReferences") or () if o.get("controller")), None)
    if owner is None:
        return None
    if owner["kind"] == "ReplicaSet":
        pod_hash = (meta.get("labels") or {}).get("pod-template-hash", "")
        return f"deployment/{owner['name'].removesuffix(f'-{pod_hash}')}"
    if owner["kind"] in {"StatefulSet", "DaemonSet"}:
        return f"{owner['kind'].lower()}/{owner['name']}"
    return None

"""Reading raw Kubernetes objects into the values that decisions are made from. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from overspill.controller.cluster import InjectedPod, Scale, Slice
from overspill.controller.errors import Missing
from overspill.controller.keys import INJECT_ANNOTATION, POLICY_LABEL, REVISION_ANNOTATION
from overspill.scaling import Replicas

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from overspill.controller.keys import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How many running pods match a policy's selector, and which of them lack the sidecar."""

    matching: int = 0
    uncovered: int = 0
    restart: str = ""
    """The command that puts the sidecar in."""


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


def injected_pod(pod: Manifest) -> InjectedPod:
    """Keep of an injected pod what reconciling needs."""
    phase = (pod.get("status") or {}).get("phase")
    return InjectedPod(
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
    without = [
        pod for pod in running if (pod["metadata"].get("labels") or {}).get(POLICY_LABEL) != policy
    ]
    owners = sorted({owner for pod in without if (owner := _owner(pod))})
    restart = "; ".join(f"kubectl rollout restart -n {namespace} {owner}" for owner in owners)
    return Coverage(
        matching=len(running),
        uncovered=len(without),
        restart=restart or f"delete and create them again in namespace {namespace}",
    )


def _takes_requests(conditions: Manifest) -> bool:
    return conditions.get("ready") is not False and not conditions.get("terminating")


def _terminating(pod: Manifest) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _excused(pod: Manifest) -> bool:
    opted_out = (pod["metadata"].get("annotations") or {}).get(INJECT_ANNOTATION) == "false"
    return opted_out or bool((pod.get("spec") or {}).get("hostNetwork"))


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

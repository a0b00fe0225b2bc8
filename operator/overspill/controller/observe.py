"""Asking the cluster about one policy's small tier and app pods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from overspill.controller import observation
from overspill.controller.errors import Missing

if TYPE_CHECKING:
    from overspill.api.policy import RoutingPolicySpec
    from overspill.controller.cluster import Cluster, Watched
    from overspill.controller.keys import PolicyKey
    from overspill.controller.observation import Coverage
    from overspill.scaling import Replicas


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The small tier, as far as the cluster tells."""

    replicas: Replicas | None
    """None where there is no target to scale."""
    endpoints: list[str]
    missing: Missing | None
    """The first thing that the policy names and the cluster does not have."""


async def observe(
    cluster: Cluster, watched: Watched, key: PolicyKey, spec: RoutingPolicySpec
) -> Observed:
    """Look at scale target and Service. What is missing is reported, not raised."""
    replicas, no_target = await _replicas(cluster, key, spec)
    endpoints, no_service = await _endpoints(cluster, watched, key, spec)
    return Observed(replicas=replicas, endpoints=endpoints, missing=no_target or no_service)


async def coverage(cluster: Cluster, key: PolicyKey, spec: RoutingPolicySpec) -> Coverage:
    """List the app pods and see which run without the sidecar."""
    labels = spec.workload.selector.match_labels
    selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
    pods = await cluster.pods(key.namespace, selector)
    return observation.coverage_of(pods, key.namespace, key.name)


async def _replicas(
    cluster: Cluster, key: PolicyKey, spec: RoutingPolicySpec
) -> tuple[Replicas | None, Missing | None]:
    try:
        scale = await cluster.scale(key.namespace, spec.small.scale_target_ref)
    except Missing as error:
        return None, error
    pods = await cluster.pods(key.namespace, scale.selector) if scale.selector else None
    return observation.replicas_of(scale, pods), None


async def _endpoints(
    cluster: Cluster, watched: Watched, key: PolicyKey, spec: RoutingPolicySpec
) -> tuple[list[str], Missing | None]:
    name, port = spec.small.service.name, spec.small.service.port
    service = await cluster.service(key.namespace, name)
    try:
        return observation.endpoints_of(
            watched.slices(key.namespace, name), service, name, port
        ), None
    except Missing as error:
        return [], error

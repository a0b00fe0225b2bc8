"""Asking the cluster about one policy's small tier and app pods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from overspill.controller import observation
from overspill.controller.errors import Missing
from overspill.routing.score import InvalidScore, Score

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from overspill.api.policy import RoutingPolicySpec
    from overspill.controller.cluster import Cluster, Start, Watched
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
    rival: str = ""
    """Another autoscaler of the target, and what to do about it."""
    settled: bool = True
    """No replica is on its way out."""
    starts: tuple[Start, ...] = ()
    nodes: tuple[str, ...] = ()
    """The node of each replica that has one."""


async def observe(
    cluster: Cluster, watched: Watched, key: PolicyKey, spec: RoutingPolicySpec
) -> Observed:
    """Look at scale target and Service. What is missing is reported, not raised."""
    endpoints, no_service = await _endpoints(cluster, watched, key, spec)
    target = spec.small.scale_target_ref
    try:
        scale = await cluster.scale(key.namespace, target)
    except Missing as no_target:
        return Observed(replicas=None, endpoints=endpoints, missing=no_target)
    pods = await cluster.pods(key.namespace, scale.selector) if scale.selector else None
    autoscalers = await cluster.autoscalers(key.namespace)
    return Observed(
        replicas=observation.replicas_of(scale, pods),
        endpoints=endpoints,
        missing=no_service,
        rival=observation.rival_of(autoscalers, key.namespace, target)
        or observation.elder_of(
            watched.scaling(key.namespace, target.kind, target.name), key.name, target
        ),
        settled=observation.settled(pods),
        starts=observation.starts_of(pods),
        nodes=observation.nodes_of(pods),
    )


async def named_score(
    cluster: Cluster, key: PolicyKey, spec: RoutingPolicySpec, known: str | None
) -> str | None:
    """Read the score that a policy names; None where it names none. Raises: Missing.

    `known` is the one before: it was checked then.
    """
    complexity = spec.routing.complexity
    if complexity is None or complexity.score is None:
        return None
    name, item = complexity.score.config_map_name, complexity.score.key
    found = await cluster.config_map(key.namespace, name)
    where = f"ConfigMap {name} (spec.routing.complexity.score)"
    how = f"kubectl create configmap -n {key.namespace} {name} --from-file={item}=FILE"
    text = ((found or {}).get("data") or {}).get(item)
    if text is None:
        gone = "does not exist" if found is None else f"has no key {item}"
        message = f"{where} {gone}; write FILE with overspill evaluate --write FILE, then {how}"
        raise Missing("ScoreNotFound", message)
    if text == known:
        return known
    try:
        Score.load(text)
    except InvalidScore as error:
        raise Missing("ScoreInvalid", f"{where}, key {item}: {error}") from None
    return str(text)


async def coverage(cluster: Cluster, key: PolicyKey, spec: RoutingPolicySpec) -> Coverage:
    """List the app pods and see which run without the sidecar."""
    labels = spec.workload.selector.match_labels
    selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
    pods = await cluster.pods(key.namespace, selector)
    return observation.coverage_of(pods, key.namespace, key.name)


async def node_labels(
    cluster: Cluster, nodes: Iterable[str], known: Mapping[str, Mapping[str, str]]
) -> dict[str, Mapping[str, str]]:
    """Read the labels of these nodes, each once; nodes that are not asked for are let go."""
    found: dict[str, Mapping[str, str]] = {}
    for name in set(nodes):
        labels = known[name] if name in known else await cluster.node_labels(name)
        if labels is not None:
            found[name] = labels
    return found


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

"""The seam between reconciling and Kubernetes: what is asked of the cluster, as values.

`Cluster` reads and writes through the API server; `Watched` is what watches have brought in.
Tests put a fake behind both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from overspill.api.policy import ScaleTargetRef
    from overspill.controller.keys import Manifest, PolicyKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A `/scale` subresource."""

    requested: int
    reported: int
    """Pods the target says it has, ready or not."""
    selector: str
    """Label selector of its pods; empty where the target does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectedPod:
    """A pod that carries the sidecar of one policy."""

    uid: str
    name: str
    running: bool
    finished: bool
    revision: str | None
    """Configuration the pod was last stamped with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One EndpointSlice: ready addresses, and the target port behind each service port name."""

    addresses: tuple[str, ...]
    ports: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One small-tier pod, from a place on a node to its first readiness."""

    uid: str
    placed_s: float | None
    """When a node had room for it, Unix time; None while none has."""
    ready_s: float | None
    """Since when it is ready; None while it is not."""


class Cluster(Protocol):
    """The API server. Raises: Unavailable, Refused, and what each method says."""

    async def stored_policy(self, key: PolicyKey) -> Manifest | None:
        """Read a policy as it is, whatever watches say; None where it is gone."""

    async def scale(self, namespace: str, target: ScaleTargetRef) -> Scale:
        """Read `/scale` of any kind. Raises: Missing."""

    async def write_scale(self, namespace: str, target: ScaleTargetRef, replicas: int) -> None:
        """Ask the target for this many replicas. Raises: Missing where a right is missing."""

    async def pods(self, namespace: str, selector: str) -> list[Manifest]:
        """List pods by label selector."""

    async def injected_uids(self, key: PolicyKey) -> frozenset[str]:
        """List the uids of the pods labelled with that policy, whatever watches say."""

    async def autoscalers(self, namespace: str) -> list[Manifest]:
        """List HorizontalPodAutoscalers; empty where a right is missing."""

    async def node_labels(self, name: str) -> Mapping[str, str] | None:
        """Read a node's labels; None where it is gone or a right is missing."""

    async def service(self, namespace: str, name: str) -> Manifest | None:
        """Read a Service."""

    async def config_map(self, namespace: str, name: str) -> Manifest | None:
        """Read a ConfigMap."""

    async def apply_config_map(self, manifest: Manifest) -> None:
        """Server-side apply as field manager `overspill`."""

    async def trial_marks(self, namespace: str, selector: str) -> list[Manifest]:
        """List the metadata of ConfigMaps by label selector."""

    async def delete_config_map(self, meta: Manifest) -> None:
        """Delete exactly this version of a ConfigMap; another one stays."""

    async def annotate_pod(
        self, namespace: str, name: str, annotation: str, value: str | None
    ) -> None:
        """Set or remove one annotation; a pod that is gone is no error."""

    async def patch_status(self, key: PolicyKey, patch: Manifest) -> None:
        """Merge into the policy's status; a policy that is gone is no error."""

    async def delete_ledger(self, key: PolicyKey, manifest: Manifest) -> None:
        """Delete exactly this version of a BudgetLedger; another one stays."""

    async def post_event(self, manifest: Manifest) -> None:
        """Record an Event. Best effort: never raises for a refusal."""


class Watched(Protocol):
    """What the watches know right now, without asking anyone."""

    def policy(self, key: PolicyKey) -> Manifest | None:
        """Return the policy as last seen, or None."""

    def injected(self, key: PolicyKey) -> Sequence[InjectedPod]:
        """Pods labelled with that policy."""

    def slices(self, namespace: str, service: str) -> Sequence[Slice]:
        """EndpointSlices of a Service."""

    def scaling(self, namespace: str, kind: str, name: str) -> Sequence[Manifest]:
        """Policies whose scale target is of that kind and name."""

    def ledger(self, key: PolicyKey) -> Manifest | None:
        """Return the policy's BudgetLedger as last seen, or None."""

    def all_keys(self) -> Iterable[PolicyKey]:
        """Every policy there is, and every one that left a pod with its name or a ledger."""

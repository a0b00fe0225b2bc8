"""A cluster in memory behind the operator's seams, and a clock that tests turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from overspill.controller.cluster import InjectedPod, Scale, Slice
from overspill.controller.errors import Missing
from overspill.controller.keys import PolicyKey
from overspill.controller.meters import Meters
from overspill.controller.reconcile import Reconciler
from overspill.controller.snapshot import Snapshot
from tests.api.policies import policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from overspill.api.policy import ScaleTargetRef
    from overspill.controller.keys import Manifest

KEY = PolicyKey("legal", "contracts")
START_S = 1_800_000_000.0  # 2027-01-15 08:00 UTC


def resource(generation: int = 1, uid: str = "u1", **changes: object) -> Manifest:
    """Return a RoutingPolicy as the API server holds it."""
    meta = {"namespace": "legal", "name": "contracts", "uid": uid, "generation": generation}
    return {"metadata": meta, "spec": policy(**changes)}


def pod(name: str, *, running: bool = True, revision: str | None = None) -> InjectedPod:
    """Return an injected app pod."""
    return InjectedPod(uid=name, name=name, running=running, finished=False, revision=revision)


def merged(target: Manifest, patch: Manifest) -> Manifest:
    """Apply a JSON merge patch, RFC 7386."""
    result = dict(target)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = merged(result[name] if isinstance(result.get(name), dict) else {}, value)
        else:
            result[name] = value
    return result


@dataclass
class FakeCluster:
    """`Cluster` and `Watched`; everything written is kept, in order, in `writes`."""

    policies: dict[PolicyKey, Manifest] = field(default_factory=lambda: {KEY: resource()})
    pods_injected: dict[str, InjectedPod] = field(default_factory=lambda: {"a": pod("a")})
    app_pods: list[Manifest] = field(default_factory=list)
    target: Scale | Missing = field(
        default_factory=lambda: Scale(requested=1, reported=1, selector="")
    )
    write_refusal: Missing | None = None
    endpoint_slices: list[Slice] = field(
        default_factory=lambda: [Slice(addresses=("10.0.0.1",), ports=(("", 8080),))]
    )
    service_ports: list[Manifest] | None = field(default_factory=lambda: [{"port": 8000}])
    hpas: list[Manifest] = field(default_factory=list)
    nodes: dict[str, dict[str, str]] = field(default_factory=dict)
    nodes_read: list[str] = field(default_factory=list)
    config_maps: dict[str, Manifest] = field(default_factory=dict)
    ledgers: dict[PolicyKey, Manifest] = field(default_factory=dict)
    events: list[Manifest] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    lists: int = 0

    policy_stored: Callable[[PolicyKey], Manifest | None] | None = None
    """What the API server has; None where watches are never behind."""

    gone_unheard: set[str] = field(default_factory=set)
    """Names of injected pods that the API server does not have any more."""

    # -- Cluster
    async def stored_policy(self, key: PolicyKey) -> Manifest | None:
        return self.policy_stored(key) if self.policy_stored else self.policies.get(key)

    async def scale(self, namespace: str, target: ScaleTargetRef) -> Scale:
        if isinstance(self.target, Missing):
            raise self.target
        return self.target

    async def write_scale(self, namespace: str, target: ScaleTargetRef, replicas: int) -> None:
        if self.write_refusal:
            raise self.write_refusal
        self.writes.append(f"scale {replicas}")
        assert isinstance(self.target, Scale)
        self.target = Scale(requested=replicas, reported=replicas, selector="")

    async def pods(self, namespace: str, selector: str) -> list[Manifest]:
        self.lists += 1
        return self.app_pods

    async def injected_uids(self, key: PolicyKey) -> frozenset[str]:
        return frozenset(pod.uid for pod in self.pods_injected.values()) - self.gone_unheard

    async def autoscalers(self, namespace: str) -> list[Manifest]:
        return self.hpas

    async def node_labels(self, name: str) -> dict[str, str] | None:
        self.nodes_read.append(name)
        return self.nodes.get(name)

    async def service(self, namespace: str, name: str) -> Manifest | None:
        return None if self.service_ports is None else {"spec": {"ports": self.service_ports}}

    async def config_map(self, namespace: str, name: str) -> Manifest | None:
        return self.config_maps.get(name)

    async def trial_marks(self, namespace: str, selector: str) -> list[Manifest]:
        label, _, value = selector.partition("=")
        found = [one["metadata"] for one in self.config_maps.values()]
        return [{"metadata": m} for m in found if (m.get("labels") or {}).get(label) == value]

    async def delete_config_map(self, meta: Manifest) -> None:
        self.writes.append(f"delete {meta['name']}")
        self.config_maps.pop(meta["name"], None)

    async def apply_config_map(self, manifest: Manifest) -> None:
        self.writes.append("config")
        self.config_maps[manifest["metadata"]["name"]] = manifest

    async def annotate_pod(
        self, namespace: str, name: str, annotation: str, value: str | None
    ) -> None:
        self.writes.append(f"stamp {name}" if value else f"unstamp {name}")
        self.pods_injected[name] = pod(name, revision=value)

    async def patch_status(self, key: PolicyKey, patch: Manifest) -> None:
        self.writes.append("status")
        stored = self.policies[key]
        self.policies[key] = stored | {"status": merged(stored.get("status", {}), patch)}

    async def delete_ledger(self, key: PolicyKey, manifest: Manifest) -> None:
        self.writes.append("delete ledger")
        if self.ledgers.get(key) is manifest:
            del self.ledgers[key]

    async def post_event(self, manifest: Manifest) -> None:
        self.events.append(manifest)

    # -- Watched
    def ledger(self, key: PolicyKey) -> Manifest | None:
        return self.ledgers.get(key)

    def policy(self, key: PolicyKey) -> Manifest | None:
        return self.policies.get(key)

    def injected(self, key: PolicyKey) -> Sequence[InjectedPod]:
        return list(self.pods_injected.values())

    def slices(self, namespace: str, service: str) -> Sequence[Slice]:
        return self.endpoint_slices

    def scaling(self, namespace: str, kind: str, name: str) -> Sequence[Manifest]:
        return list(self.policies.values())

    def all_keys(self) -> Iterable[PolicyKey]:
        return self.policies

    # -- what tests ask
    def edit(self, generation: int = 2, **changes: object) -> None:
        """Replace the spec, as an edit does; the status stays."""
        old = self.policies[KEY]
        self.policies[KEY] = old | resource(generation, old["metadata"]["uid"], **changes)

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.policies[KEY].get("status", {})
        return status

    def condition(self, kind: str) -> dict[str, Any]:
        return next((c for c in self.status().get("conditions", ()) if c["type"] == kind), {})

    def reasons(self) -> list[str]:
        return [event["reason"] for event in self.events]


@dataclass
class Clock:
    """Time stands still until a test moves it."""

    now_s: float = START_S

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Stage:
    """A reconciler over a fake cluster."""

    cluster: FakeCluster = field(default_factory=FakeCluster)
    clock: Clock = field(default_factory=Clock)
    meters: Meters = field(default_factory=Meters)
    reconciler: Reconciler = field(init=False)

    def __post_init__(self) -> None:
        self.restart()
        self.observe()

    def restart(self) -> None:
        """Start a new process over the same cluster."""
        self.reconciler = Reconciler(
            self.cluster,
            self.cluster,
            self.meters,
            interval_s=15.0,
            stale_after_s=45.0,
            window_s=60.0,
            clock=self.clock,
        )

    def observe(
        self, work: float = 2000.0, usd: float = 1.0, spend: float | None = 3.1, **facts: object
    ) -> None:
        """Let Prometheus say this about the policy."""
        name = str(KEY)
        day_s = START_S - START_S % 86400
        told: dict[str, Any] = {
            "taken_at_s": self.clock(),
            "work_tokens_per_s": {name: work},
            "frontier_usd_per_s": {name: usd},
            "requests_per_s": {name: {"small": 8.2, "frontier": 1.8}},
            "generation": {name: 1.0},
            "sidecars": {name: 1.0},
            "last_scrape_s": {name: self.clock()},
            "spend_usd": {} if spend is None else {day_s: {name: spend}},
        }
        self.reconciler.snapshot = Snapshot(**told | facts)

    async def look(self, after_s: float = 0.0) -> None:
        """Let time pass, then look at the policy."""
        self.clock.now_s += after_s
        await self.reconciler.look(KEY)

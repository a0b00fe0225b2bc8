"""One namespace with an app, both tiers and a policy, and the ways to look at it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from e2e.app import asks
from e2e.stage import kube, manifests

if TYPE_CHECKING:
    from collections.abc import Iterable

    from e2e.stage.manifests import PolicyChanges


@dataclass(frozen=True, slots=True)
class Scene:
    """A namespace of its own; nothing is shared with other scenes but the operator."""

    ns: str

    def build(
        self,
        changes: PolicyChanges | None = None,
        *,
        with_policy: bool = True,
        small_replicas: int = 0,
    ) -> Scene:
        """Make everything and wait until the app answers. The policy comes before the app."""
        server = changes.server if changes else manifests.SmallServer()
        kube.apply(manifests.namespace(self.ns))
        kube.apply(*manifests.small(self.ns, server, small_replicas), *manifests.frontier(self.ns))
        if with_policy:
            kube.apply(manifests.policy(self.ns, changes))
        kube.apply(manifests.app(self.ns))
        kube.until("app and frontier ready", lambda: self.pod("app") and self.pod("frontier"), 90)
        return self

    def remove(self) -> None:
        """Delete the namespace and wait until it is gone."""
        kube.kubectl("delete", "namespace", self.ns, "--ignore-not-found", "--wait=false")

    def pod(self, app: str) -> str | None:
        """One ready pod of that app."""
        return next(iter(kube.ready_pods(self.ns, f"app={app}")), None)

    # -- traffic
    def send(self, schedule: Iterable[asks.Ask]) -> None:
        """Let the app run these calls."""
        pod = kube.until("an app pod", lambda: self.pod("app"))
        kube.http_post(self.ns, pod, 8080, "/run", asks.dump(schedule))

    def crowd(self, pod: str, clients: int, seconds: float, ask: asks.Ask) -> None:
        """Let clients in one app pod ask the same again and again."""
        told = {"clients": clients, "seconds": seconds, "ask": asks.dump([ask])[0]}
        kube.http_post(self.ns, pod, 8080, "/crowd", told)

    def stop(self) -> None:
        """Let the app drop what it has not sent."""
        pod = kube.until("an app pod", lambda: self.pod("app"))
        kube.http_post(self.ns, pod, 8080, "/stop", {})

    def stats(self) -> dict[str, Any]:
        """What the app saw."""
        pod = kube.until("an app pod", lambda: self.pod("app"))
        seen: dict[str, Any] = json.loads(kube.http_get(self.ns, pod, 8080, "/stats"))
        return seen

    def finished(self) -> dict[str, Any] | None:
        """The app's counts once every call has ended."""
        seen = self.stats()
        return seen if not seen["scheduled"] and not seen["in_flight"] else None

    def frontier_stats(self) -> dict[str, Any]:
        """What the frontier counted, and charged, itself."""
        pod = kube.until("the frontier", lambda: self.pod("frontier"))
        seen: dict[str, Any] = json.loads(kube.http_get(self.ns, pod, 8000, "/__double/stats"))
        return seen

    # -- the policy
    def policy(self) -> dict[str, Any]:
        """The RoutingPolicy as stored."""
        return kube.get("rp", "chat", self.ns)

    def status(self) -> dict[str, Any]:
        """Its status, empty until the operator has written one."""
        status: dict[str, Any] = self.policy().get("status", {})
        return status

    def condition(self, kind: str) -> dict[str, Any]:
        """One condition, empty where it is not there."""
        return next((c for c in self.status().get("conditions", []) if c["type"] == kind), {})

    def replicas(self) -> int:
        """What the small Deployment was asked for."""
        wanted: int = kube.get("deployment", "small", self.ns)["spec"]["replicas"]
        return wanted

    def events(self) -> list[str]:
        """Reasons of the Events on the policy."""
        return [
            event["reason"]
            for event in kube.listing("events", self.ns)
            if event["involvedObject"]["kind"] == "RoutingPolicy"
        ]

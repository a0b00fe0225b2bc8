"""A valid policy, and the moment it is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from overspill.api.policy import Mode
from overspill.controller.keys import PAUSED_ANNOTATION

if TYPE_CHECKING:
    from overspill.api.policy import RoutingPolicySpec
    from overspill.controller.keys import Manifest, PolicyKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A valid policy, and the moment it is looked at."""

    key: PolicyKey
    policy: Manifest
    spec: RoutingPolicySpec
    running: int
    """Pods that run with its sidecar."""
    settled: int
    """Of them, those that Prometheus should know by now."""
    now_s: float

    @property
    def generation(self) -> int:
        """Counts edits of the spec."""
        return generation_of(self.policy)

    @property
    def observing(self) -> bool:
        """Whether nothing may be changed."""
        return self.spec.mode is Mode.OBSERVE

    @property
    def paused(self) -> bool:
        """Whether a person asked to leave the replicas alone."""
        annotations = self.policy["metadata"].get("annotations") or {}
        return bool(annotations.get(PAUSED_ANNOTATION) == "true")


def generation_of(policy: Manifest) -> int:
    """How often the spec was edited."""
    return int(policy["metadata"].get("generation", 0))

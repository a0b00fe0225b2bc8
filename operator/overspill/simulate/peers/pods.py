"""Which pods of a target the Kubernetes HPA may reckon with.

Source: kubernetes v1.34, groupPods in pkg/controller/podautoscaler/replica_calculator.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from overspill.simulate.peers.calculator import NOBODY, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable

_FULL_PCT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmup:
    """When CPU usage says nothing of a pod's work yet; flags of kube-controller-manager."""

    cpu_initialisation_s: float = 300.0
    initial_readiness_s: float = 30.0
    sample_s: float = 60.0
    """What one sample of usage spans."""


DEFAULT_WARMUP: Final = Warmup()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod, as the HPA sees it. Metrics are in thousandths."""

    used: int | None
    """None where no metric was reported."""
    asked: int
    ready: bool = True
    phase: str = "Running"
    deleting: bool = False
    started_ago_s: float = 180.0
    turned_ago_s: float = 180.0
    """Since it became ready, or ceased to be."""

    @property
    def gone(self) -> bool:
        """Whether it no longer counts at all."""
        return self.deleting or self.phase == "Failed"

    @property
    def serving(self) -> bool:
        """Whether it is ready in every sense."""
        return self.ready and self.phase == "Running"

    def warming(self, warmup: Warmup) -> bool:
        """Whether its CPU usage is still that of starting, not of work."""
        if self.started_ago_s < warmup.cpu_initialisation_s:
            return not self.ready or self.turned_ago_s < warmup.sample_s
        never_was_ready = self.started_ago_s - self.turned_ago_s < warmup.initial_readiness_s
        return not self.ready and never_was_ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """Pods by what is known of them."""

    measured: Tally
    unready: Tally
    missing: Tally


def sort_by_use(
    pods: Iterable[Pod],
    *,
    cpu: bool,
    fallback_pct: int = _FULL_PCT,
    warmup: Warmup = DEFAULT_WARMUP,
) -> Sorted:
    """Add up pods; those without a metric as if they used `fallback_pct` of what they ask for."""
    measured = unready = missing = NOBODY
    for pod in pods:
        if pod.gone:
            continue
        if pod.phase == "Pending":
            unready = unready.plus(Tally(1, 0, pod.asked))
        elif pod.used is None:
            missing = missing.plus(Tally(1, pod.asked * fallback_pct // 100, pod.asked))
        elif cpu and pod.warming(warmup):
            unready = unready.plus(Tally(1, 0, pod.asked))
        else:
            measured = measured.plus(Tally(1, pod.used, pod.asked))
    return Sorted(measured=measured, unready=unready, missing=missing)

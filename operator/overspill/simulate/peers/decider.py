"""Knative's pod autoscaler (KPA): how many pods the observed concurrency asks for.

Two windows: a long one for calm, a short one that takes over in a panic.

Source: knative/serving, pkg/autoscaler/scaling/autoscaler.go, at 98e5ef90aa.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from overspill.simulate.peers.windows import MaxWindow

TICK_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What the decider is told about a revision. Rates and thresholds are factors."""

    target: float
    """Of the metric, per pod."""
    total: float
    """What a pod can bear of it."""
    target_burst_capacity: float = 211.0
    panic_threshold: float = 2.0
    max_up: float = 1000.0
    max_down: float = 2.0
    stable_window_s: float = 60.0
    scale_down_delay_s: float | None = None
    activation_scale: int = 1
    reachable: bool = True


@dataclass(slots=True)
class Decider:
    """One revision's autoscaler and what it remembers."""

    spec: Spec
    panic_since_s: float | None = None
    max_panic_pods: int = 0
    _delay: MaxWindow | None = field(init=False)

    def __post_init__(self) -> None:
        delay_s = self.spec.scale_down_delay_s
        self._delay = MaxWindow(delay_s, TICK_S) if delay_s else None

    def decide(self, stable: float, panic: float, ready: int, now_s: float) -> int:
        """Return the pods wanted, from the metric's averages over both windows."""
        spec, pods = self.spec, max(1, ready)
        by_panic = math.ceil(panic / spec.target)
        wanted = self._within_rates(math.ceil(stable / spec.target), pods)
        self._mind_panic(by_panic / pods >= spec.panic_threshold, now_s)
        if self.panic_since_s is not None:
            # Nothing shrinks in a panic.
            hasty = self._within_rates(by_panic, pods)
            wanted = self.max_panic_pods = max(wanted, hasty, self.max_panic_pods)
        if self._delay is None or not spec.reachable:
            return wanted
        self._delay.record(now_s, wanted)
        return self._delay.current

    def _within_rates(self, wanted: int, pods: int) -> int:
        """Limit the change, and start with no fewer than the activation scale."""
        spec = self.spec
        least = math.floor(pods / spec.max_down) if spec.reachable else 0
        limited = min(max(wanted, least), math.ceil(spec.max_up * pods))
        if spec.activation_scale > 1 and wanted > 0:
            return max(limited, spec.activation_scale)
        return limited

    def _mind_panic(self, over: bool, now_s: float) -> None:
        """Panic lasts for a stable window after the last time over the threshold."""
        if over:
            self.panic_since_s = now_s
        elif self.panic_since_s is not None and (
            self.panic_since_s + self.spec.stable_window_s < now_s
        ):
            self.panic_since_s, self.max_panic_pods = None, 0


def excess_burst_capacity(spec: Spec, panic: float, ready: int) -> float:
    """Room beyond the wanted burst; below 0, an activator stays in the path. -1 is for always."""
    if spec.target_burst_capacity == 0:
        return 0.0
    if spec.target_burst_capacity < 0:
        return -1.0
    return math.floor(ready * spec.total - spec.target_burst_capacity - panic)


def pods_to_scrape(pods: int) -> int:
    """How many pods' metrics stand for those of all: 95% sure with a margin of four deviations."""
    return math.ceil(16 * pods / (15 + pods))

"""How Knative applies what its decider wants, and how it goes to zero.

A revision is activating until a pod is ready, then active for a stable window at least; idle then,
it is inactive for a grace period, in which an activator takes its place, before the last pod goes.

Source: knative/serving, pkg/reconciler/autoscaling/kpa/{kpa,scaler}.go, at 98e5ef90aa.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

UNKNOWN: Final = -1
"""No decision: not enough is known."""


class Activity(StrEnum):
    """The revision's condition `Active`."""

    ACTIVATING = "Unknown"
    ACTIVE = "True"
    INACTIVE = "False"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the scaler is told. Times are of the whole cluster's configuration."""

    low: int = 0
    high: int = 0
    """0 is for no bound."""
    stable_window_s: float = 60.0
    grace_s: float = 30.0
    last_pod_retention_s: float = 0.0
    activation_timeout_s: float = 610.0
    """Progress deadline and 10 s more."""


class Scaling(NamedTuple):
    """A count, and whether the target is to be set to it. -1 is for no decision."""

    replicas: int
    applied: bool


@dataclass(slots=True)
class Scaler:
    """One revision's way up and down."""

    bounds: Bounds
    activity: Activity = Activity.INACTIVE
    since_s: float = 0.0

    def scale(
        self, wanted: int, current: int, ready: int, now_s: float, *, proxied: bool = True
    ) -> Scaling:
        """Say what becomes of the decider's wish.

        `proxied` says whether requests are known to reach the activator.
        """
        if wanted < 0 and self.activity is not Activity.ACTIVATING:
            return Scaling(wanted, applied=False)
        replicas, applied = max(wanted, self.bounds.low), True
        if self.bounds.high:
            replicas = min(replicas, self.bounds.high)
        if not replicas:
            replicas, applied = self._to_zero(now_s, proxied=proxied)
        self._note(replicas, ready, now_s)
        return Scaling(replicas, applied and replicas != current)

    def _to_zero(self, now_s: float, *, proxied: bool) -> Scaling:
        bounds, for_s = self.bounds, now_s - self.since_s
        match self.activity:
            case Activity.ACTIVATING:
                failed = for_s > bounds.activation_timeout_s
                return Scaling(0 if failed else UNKNOWN, applied=failed)
            case Activity.ACTIVE:
                early = for_s < bounds.stable_window_s
                return Scaling(int(early), applied=early)
            case Activity.INACTIVE:
                rested = for_s >= max(bounds.grace_s, bounds.last_pod_retention_s)
                return Scaling(0, applied=proxied and rested)

    def _note(self, wanted: int, ready: int, now_s: float) -> None:
        """Follow the condition `Active` from what is wanted and ready."""
        if wanted == 0:
            activity = Activity.INACTIVE
        elif wanted < 0 and self.activity is Activity.INACTIVE:
            return
        else:
            enough = ready >= max(1, self.bounds.low)
            activity = Activity.ACTIVE if enough else Activity.ACTIVATING
        if activity is not self.activity:
            self.activity, self.since_s = activity, now_s

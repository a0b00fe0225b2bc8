"""How many replicas one metric asks for: the arithmetic of the Kubernetes HPA.

Source: kubernetes v1.34, pkg/controller/podautoscaler/replica_calculator.go.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

_MOST: Final = 2**63 - 1
"""Kubernetes counts metrics in 64 bits."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far usage may be from its target, as a part of the target, before anything changes."""

    down: float = 0.1
    up: float = 0.1

    def holds(self, ratio: float) -> bool:
        """Whether usage ÷ target is near enough."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


DEFAULT_TOLERANCE: Final = Tolerance()


class Tally(NamedTuple):
    """Some pods, added up. A plain tuple, since the simulator makes one a sync."""

    pods: int
    used: int
    """What they use, in thousandths of the metric's unit."""
    asked: int
    """What they may use: requests of the resource, or pods × target."""

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(self.pods + other.pods, self.used + other.used, self.asked + other.asked)

    def idle(self) -> Tally:
        """The same pods, taken to use nothing."""
        return Tally(self.pods, 0, self.asked)


NOBODY: Final = Tally(0, 0, 0)
Ratio = Callable[[Tally], float]


@dataclass(frozen=True, slots=True)
class Utilisation:
    """Usage ÷ requests against a target, both in whole percent as the HPA has them."""

    target_pct: int

    def of(self, tally: Tally) -> int:
        """Whole percent; the rest is cut off."""
        return tally.used * 100 // tally.asked

    def ratio(self, tally: Tally) -> float:
        """Usage ÷ target."""
        return self.of(tally) / self.target_pct


@dataclass(frozen=True, slots=True)
class Average:
    """Usage per pod against a target, both in thousandths."""

    target_milli: int

    def of(self, tally: Tally) -> int:
        """Whole thousandths; the rest is cut off."""
        return tally.used // tally.pods

    def ratio(self, tally: Tally) -> float:
        """Usage ÷ target."""
        return self.of(tally) / self.target_milli


def replicas_by_pods(
    current: int,
    ratio_of: Ratio,
    measured: Tally,
    unready: Tally = NOBODY,
    missing: Tally = NOBODY,
    tolerance: Tolerance = DEFAULT_TOLERANCE,
) -> int:
    """Replicas for a metric that each pod has; pods without one must not drive the change.

    `measured` are ready pods with a metric, one at least. `unready` pods count as idle when usage
    is high. `missing` have no metric: they count as idle when usage is high and as `missing.used`
    when it is low. What they turn around is not done at all.
    """
    ratio = ratio_of(measured)
    dampened = unready.pods > 0 and ratio > 1.0
    if not dampened and not missing.pods:
        return current if tolerance.holds(ratio) else math.ceil(ratio * measured.pods)
    everyone = measured.plus(unready.idle()) if dampened else measured
    if ratio != 1.0:
        everyone = everyone.plus(missing if ratio < 1.0 else missing.idle())
    again = ratio_of(everyone)
    if tolerance.holds(again) or (ratio - 1.0) * (again - 1.0) < 0:
        return current
    wanted = math.ceil(again * everyone.pods)
    turned = wanted > current if again < 1.0 else wanted < current
    return current if turned else wanted


def replicas_by_value(
    current: int, ready: int, used: float, target: float, tolerance: Tolerance = DEFAULT_TOLERANCE
) -> int:
    """Replicas for one metric of the whole target, as each ready pod would lower it."""
    ratio = used / target
    if not current:
        return math.ceil(ratio)
    return current if tolerance.holds(ratio) else math.ceil(ratio * ready)


def replicas_by_average_value(
    current: int,
    used: float,
    target_per_pod: float,
    tolerance: Tolerance = DEFAULT_TOLERANCE,
) -> int:
    """Replicas for one metric of the whole target that is shared out among its pods."""
    if current and tolerance.holds(used / (target_per_pod * current)):
        return current
    return math.ceil(used / target_per_pod)


def average_value(current: int, used: int) -> int:
    """What the HPA reports as usage per pod."""
    return min(math.ceil(used / current), _MOST)

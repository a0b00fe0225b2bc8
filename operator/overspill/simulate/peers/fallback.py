"""What KEDA reports for a metric that it cannot read.

Source: kedacore/keda, pkg/fallback/fallback.go, at 8b4f083ca.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Choice(StrEnum):
    """Which count of replicas the fallback stands for."""

    STATIC = "static"
    CURRENT = "currentReplicas"
    CURRENT_IF_HIGHER = "currentReplicasIfHigher"
    CURRENT_IF_LOWER = "currentReplicasIfLower"


class MetricUnavailable(Exception):
    """Reading failed and no fallback holds (yet): the HPA keeps what it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """`spec.fallback` of a ScaledObject."""

    failure_threshold: int
    replicas: int
    choice: Choice = Choice.STATIC

    def metric(self, failures: int, current: int, target_average: float) -> float:
        """Return the total that makes an HPA with this target ask for the chosen count.

        `failures` are those in a row, this one included. Raises: MetricUnavailable.
        """
        if failures <= self.failure_threshold:
            raise MetricUnavailable(f"{failures} failures; {self.failure_threshold} are borne")
        return target_average * self._chosen(current)

    def _chosen(self, current: int) -> int:
        match self.choice:
            case Choice.CURRENT:
                return current
            case Choice.CURRENT_IF_HIGHER:
                return max(current, self.replicas)
            case Choice.CURRENT_IF_LOWER:
                return min(current, self.replicas)
            case Choice.STATIC:
                return self.replicas


def failures_after(before: int, *, failed: bool) -> int:
    """Count failures in a row; one success forgets them."""
    return before + 1 if failed else 0

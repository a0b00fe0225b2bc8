"""What a scaling decision is made from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Economics:
    """Prices and physics of one policy's small tier."""

    capacity_tokens_per_s: float
    """Work that one replica can do: output tokens + weight × input tokens, per second."""
    rent_usd_per_s: float
    """What one replica costs from the moment it is asked for."""
    startup_s: float
    """From asking for a replica to its first answer."""
    min_replicas: int
    max_replicas: int

    def __post_init__(self) -> None:
        if self.capacity_tokens_per_s <= 0:
            raise ValueError(f"capacity must be positive, not {self.capacity_tokens_per_s}")
        if not 0 <= self.min_replicas <= self.max_replicas:
            raise ValueError(
                f"need 0 <= min <= max replicas, not {self.min_replicas} and {self.max_replicas}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Work that one policy's small tier was asked for, spilled and shed work included."""

    work_tokens_per_s: float
    frontier_usd_per_s: float
    """What all of this work costs, or would cost, at the frontier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Demand that could not be observed. Never the same as none."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """Small-tier replicas as the cluster reports them."""

    requested: int
    """What the scale target was last asked for (`spec.replicas`)."""
    ready: int
    unschedulable: int = 0
    """Pods that the scheduler could not place."""

    @property
    def pending(self) -> int:
        """Asked for and not yet ready: capacity on its way, never asked for twice."""
        return max(0, self.requested - self.ready)

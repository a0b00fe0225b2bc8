"""What a rule did to the bill."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Dollars and replicas of one rule over a whole load."""

    gpu_cost_usd: float
    frontier_cost_usd: float
    """What was paid per token for work that no ready replica took."""
    spilled_share: float
    """Part of all work that no ready replica took, 0 to 1."""
    starts: int
    """Replicas started, each counted."""
    stops: int
    peak_replicas: int

    @property
    def total_cost_usd(self) -> float:
        """Rent and bill."""
        return self.gpu_cost_usd + self.frontier_cost_usd

"""An autoscaler, as the simulator drives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True)
class Seen:
    """What an autoscaler can know at the beginning of a step.

    One object is reused for all steps: a new one for each would double the engine's time.
    """

    now_s: float
    work_tokens_per_s: float
    """Demand of the last step, spilled work included."""
    frontier_usd_per_s: float
    """What all of that demand costs at the frontier."""
    served_tokens_per_s: float
    """What the ready replicas took of it."""
    requested: int
    ready: int


class Rule(Protocol):
    """Says at the beginning of each step how many replicas there should be."""

    name: str

    def desired(self, seen: Seen) -> int:
        """Return a count; the engine keeps it within the policy's bounds."""

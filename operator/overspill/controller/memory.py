"""What the operator remembers of a policy between two looks, and how it outlives the process.

The copy in memory is authoritative while the process runs; `status.scalingState` is read once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from overspill.controller.observation import Coverage
from overspill.controller.saved import load_state
from overspill.scaling import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overspill.api.policy import RoutingPolicySpec
    from overspill.budget import BudgetState
    from overspill.budget.experiment import Experiment
    from overspill.controller.keys import Manifest
    from overspill.controller.learning import Lessons
    from overspill.controller.pacing import Pace
    from overspill.controller.plans import Quality
    from overspill.scaling import Economics, Replicas


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """One policy's memory; `uid` tells a policy from an earlier one of the same name."""

    uid: str
    lessons: Lessons | None = None
    node_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Of the nodes that replicas run on, where replicas cost by them."""
    economics: Economics | None = None
    """What the last decision was reckoned with."""
    scaling: State | None = None
    scaling_written: State | None = None
    decided_at_s: float | None = None
    """When demand was last credited."""
    desired: int | None = None
    budget: BudgetState | None = None
    pace: Pace | None = None
    experiment: Experiment | None = None
    """How the small tier does on trial; None where it is not."""
    status: Manifest | None = None
    """The status as last written."""
    score: str | None = None
    """The text of the score that the policy names, as last read."""
    quality: Quality | None = None
    """What trials tell; None where nothing is tried."""
    asked_at_s: float | None = None
    """When requests were last seen to come."""
    revision: str = ""
    published_at_s: float | None = None
    coverage: Coverage = field(default_factory=Coverage)
    coverage_at_s: float | None = None
    confirmed_at_s: float | None = None
    """When the API server last said that the policy is there."""
    absent: frozenset[str] = frozenset()
    """Uids of pods that watches know, and the API server then did not list."""
    gone: frozenset[str] = frozenset()
    """Of those, the ones that it had not listed the time before either."""

    @property
    def score_in_force(self) -> str | None:
        """What trials have taught, else what the policy names; None for the package's own."""
        taught = self.quality.score if self.quality else None
        return taught or self.score


def elapsed_s(memory: Memory, now_s: float, interval_s: float) -> float:
    """Seconds for which the demand seen now is credited.

    Never more than two intervals: nobody looked in the time before. Nothing for the first look.
    """
    if memory.decided_at_s is None:
        return 0.0
    return min(max(0.0, now_s - memory.decided_at_s), 2 * interval_s)


def is_due(last_s: float | None, now_s: float, every_s: float) -> bool:
    """Whether it is time again. A clock that was set back must not make it wait."""
    return last_s is None or not 0 <= now_s - last_s < every_s


def seeded(
    memory: Memory, replicas: Replicas | None, spec: RoutingPolicySpec
) -> tuple[Memory, str]:
    """Give scaling its memory back, or start it from what runs; say if it was unreadable."""
    if memory.scaling is not None or replicas is None:
        return memory, ""
    start = State(on=min(replicas.requested, spec.small.replicas.max))
    saved = (memory.status or {}).get("scalingState")
    if saved is None:
        return replace(memory, scaling=start), ""
    try:
        state = load_state(saved)
    except ValueError as error:
        problem = f"status.scalingState was dropped: {error}; starting anew from {start.on}"
        return replace(memory, scaling=start), problem
    return replace(memory, scaling=state, scaling_written=state), ""

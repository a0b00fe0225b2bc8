"""Overspill itself: the operator's decision, fed with what the operator would see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overspill.scaling import Demand, Replicas, Situation, State, decide

if TYPE_CHECKING:
    from overspill.scaling import Economics
    from overspill.simulate.rule import Seen


class Overspill:
    """Drives `overspill.scaling.decide`, once a step."""

    name = "overspill"

    def __init__(self, economics: Economics) -> None:
        self._economics = economics
        self._state = State()
        self._decided_at_s = 0.0

    def desired(self, seen: Seen) -> int:
        """Decide, and remember what the decision carries on."""
        situation = Situation(
            demand=Demand(
                work_tokens_per_s=seen.work_tokens_per_s,
                frontier_usd_per_s=seen.frontier_usd_per_s,
            ),
            replicas=Replicas(requested=seen.requested, ready=seen.ready),
        )
        elapsed_s = seen.now_s - self._decided_at_s
        decision = decide(self._economics, situation, self._state, elapsed_s)
        self._state, self._decided_at_s = decision.state, seen.now_s
        return decision.desired

"""Knative's autoscaler on demand in tokens per second, spilled work included.

What no pod takes waits with Knative's activator and is counted there, so demand is what it sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from overspill.simulate.peers.decider import TICK_S, Decider, Spec
from overspill.simulate.peers.scaler import Bounds, Scaler
from overspill.simulate.peers.windows import AverageWindow
from overspill.simulate.trace import STEP_S

if TYPE_CHECKING:
    from overspill.scaling import Economics
    from overspill.simulate.rule import Seen

TARGET: Final = 0.7
_TICKS: Final = round(STEP_S / TICK_S)


class Kpa:
    """Drives a `Decider` and a `Scaler` at 70% of what a replica can do, tick by tick.

    Demand is known a step at a time, so the windows' buckets are steps, and the ticks of a step
    all see the same demand: once nothing shrinks and nothing sleeps, the others change nothing.
    """

    name = "kpa"

    def __init__(self, economics: Economics) -> None:
        capacity = economics.capacity_tokens_per_s
        spec = Spec(target=TARGET * capacity, total=capacity)
        self._decider = Decider(spec)
        bounds = Bounds(low=economics.min_replicas, high=economics.max_replicas)
        self._scaler = Scaler(bounds)
        self._stable = AverageWindow(spec.stable_window_s, STEP_S)

    def desired(self, seen: Seen) -> int:
        """Record the last step's demand, then tick until the others would change nothing."""
        now_s, current, ready = seen.now_s, seen.requested, seen.ready
        if not now_s:  # no metric yet, so no decision
            return current
        panic = seen.work_tokens_per_s  # the panic window of 6 s lies within the last step
        self._stable.record(now_s - STEP_S, panic)
        stable = self._stable.average(now_s - STEP_S)
        for tick in range(_TICKS):
            tick_s = now_s + tick * TICK_S
            wanted = self._decider.decide(stable, panic, ready, tick_s)
            scaling = self._scaler.scale(wanted, current, ready, tick_s)
            current = scaling.replicas if scaling.applied else current
            if scaling.replicas == current and ready <= current:
                break
            ready = min(ready, current)
        return current

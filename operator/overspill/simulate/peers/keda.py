"""KEDA on demand: an external metric, an HPA from one replica up, KEDA itself between none and one.

The metric is a rate over a minute as Prometheus gives it, which is also what the operator asks for.

Source: kedacore/keda, pkg/scaling/executor/scale_scaledobjects.go, at 8b4f083ca.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from overspill.simulate.peers.behavior import DEFAULT_DOWN, Behavior
from overspill.simulate.peers.calculator import replicas_by_average_value
from overspill.simulate.peers.horizontal import SYNC_S, HorizontalPodAutoscaler
from overspill.simulate.trace import STEP_S

if TYPE_CHECKING:
    from collections.abc import Collection

    from overspill.scaling import Economics
    from overspill.simulate.rule import Seen

POLLING_S: Final = 30.0
METRIC_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What a ScaledObject's author may choose here."""

    target: float = 0.7
    """AverageValue, as a part of what one replica can do."""
    metric_s: float = METRIC_S
    """What the metric is the mean of."""
    window_s: float | None = None
    """scaleDown.stabilizationWindowSeconds; None where no behavior is given."""
    cooldown_s: float = 300.0
    """Without demand, from the last active poll until there are no replicas."""

    @property
    def behavior(self) -> Behavior | None:
        """`advanced.horizontalPodAutoscalerConfig.behavior`, filled in."""
        if self.window_s is None:
            return None
        return Behavior(down=replace(DEFAULT_DOWN, window_s=self.window_s))

    @property
    def metric_steps(self) -> int:
        """Steps that the metric is the mean of."""
        return round(self.metric_s / STEP_S)


DEFAULT_TUNING: Final = Tuning()


@dataclass(slots=True, kw_only=True)
class ScaleExecutor:
    """KEDA's own part: wakes a target up, and puts it to sleep."""

    low: int
    cooldown_s: float
    last_active_s: float | None = None

    def polled(self, current: int, now_s: float, *, active: bool) -> int:
        """Say how many replicas there shall be after one poll of the triggers."""
        if active:
            self.last_active_s = now_s
            return current or max(1, self.low)
        if self.low:
            return max(current, self.low)
        return 0 if self._cooled_down(now_s) else current

    def _cooled_down(self, now_s: float) -> bool:
        """KEDA keeps the time in whole seconds, so a cooldown is over in its last poll."""
        return self.last_active_s is None or now_s - self.last_active_s >= self.cooldown_s


def mean(rates: Collection[float]) -> float:
    """Return the mean, rounded once, so that it does not depend on the order of adding."""
    return math.fsum(rates) / len(rates)


class Keda:
    """Drives a ScaledObject with demand as its metric, spilled work included."""

    name = "keda"

    def __init__(self, economics: Economics, tuning: Tuning = DEFAULT_TUNING) -> None:
        low = max(1, economics.min_replicas)
        self._hpa = HorizontalPodAutoscaler(
            low=low, high=max(low, economics.max_replicas), behavior=tuning.behavior
        )
        self._executor = ScaleExecutor(low=economics.min_replicas, cooldown_s=tuning.cooldown_s)
        self._target_tokens_per_s = tuning.target * economics.capacity_tokens_per_s
        steps = tuning.metric_steps
        self._rates = deque([0.0] * steps, steps)  # before the trace there is no demand
        self._next_poll_s = self._next_sync_s = 0.0

    def desired(self, seen: Seen) -> int:
        """Poll and sync where that has come due; at one time, the poll first."""
        now_s, current = seen.now_s, seen.requested
        self._rates.append(seen.work_tokens_per_s)
        if now_s < self._next_sync_s:
            return current
        rate = mean(self._rates)
        if now_s >= self._next_poll_s:
            poll_s = now_s - now_s % POLLING_S
            self._next_poll_s = poll_s + POLLING_S
            current = self._executor.polled(current, poll_s, active=rate > 0)
        sync_s = now_s - now_s % SYNC_S
        self._next_sync_s = sync_s + SYNC_S
        return self._synced(current, rate, sync_s) if current else 0

    def _synced(self, current: int, rate: float, sync_s: float) -> int:
        wanted = replicas_by_average_value(current, rate, self._target_tokens_per_s)
        return self._hpa.reconcile(current, (wanted,), sync_s).replicas

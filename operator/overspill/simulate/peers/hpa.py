"""The Kubernetes HPA on the utilisation of GPUs, which is what people use.

Utilisation is never above 100%, so work that was spilled cannot be seen. It is the mean over a
minute, as Prometheus gives it; on single steps the HPA would follow each peak and cost more.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from overspill.simulate.peers.calculator import Tally, Utilisation, replicas_by_pods
from overspill.simulate.peers.horizontal import SYNC_S, HorizontalPodAutoscaler
from overspill.simulate.trace import STEP_S

if TYPE_CHECKING:
    from overspill.scaling import Economics
    from overspill.simulate.peers.behavior import Behavior
    from overspill.simulate.rule import Seen

TARGET_PCT: Final = 70
_METRIC_STEPS: Final = round(60.0 / STEP_S)
_MILLI: Final = 1000


class Hpa:
    """Drives `HorizontalPodAutoscaler` with the utilisation of ready replicas, 70% by default."""

    name = "hpa"

    def __init__(
        self,
        economics: Economics,
        *,
        target_pct: int = TARGET_PCT,
        behavior: Behavior | None = None,
    ) -> None:
        low = max(1, economics.min_replicas)
        self._hpa = HorizontalPodAutoscaler(
            low=low, high=max(low, economics.max_replicas), behavior=behavior
        )
        self._ratio = Utilisation(target_pct).ratio
        self._replica_milli = round(economics.capacity_tokens_per_s * _MILLI)
        self._served_tokens_per_s: deque[float] = deque(maxlen=_METRIC_STEPS)
        self._serving: deque[int] = deque(maxlen=_METRIC_STEPS)
        self._ready = 0
        self._next_sync_s = 0.0

    def desired(self, seen: Seen) -> int:
        """Reconcile where a sync has come due since the last step."""
        # Those that became ready in this step took no part in the last.
        self._serving.append(min(self._ready, seen.ready))
        self._served_tokens_per_s.append(seen.served_tokens_per_s)
        self._ready = seen.ready
        if seen.now_s < self._next_sync_s:
            return seen.requested
        sync_s = seen.now_s - seen.now_s % SYNC_S
        self._next_sync_s = sync_s + SYNC_S
        # Created with its lower bound: an HPA leaves a target of zero replicas alone.
        current = seen.requested or self._hpa.low
        return self._hpa.reconcile(current, (self._proposal(current),), sync_s).replicas

    def _proposal(self, current: int) -> int | None:
        """Pods on their way are unready ones: they dampen a high usage. None without a sample."""
        serving = sum(self._serving)
        if not serving:
            return None
        each, ready, waiting = self._replica_milli, self._ready, current - self._ready
        used = round(sum(self._served_tokens_per_s) / serving * _MILLI)
        return replicas_by_pods(
            current,
            self._ratio,
            Tally(ready, ready * used, ready * each),
            Tally(waiting, 0, waiting * each),
        )

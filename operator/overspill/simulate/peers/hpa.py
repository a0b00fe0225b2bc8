"""The Kubernetes HPA on the utilisation of GPUs, which is what people use.

Utilisation is never above 100%, so work that was spilled cannot be seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from overspill.simulate.peers.calculator import Tally, Utilisation, replicas_by_pods
from overspill.simulate.peers.horizontal import SYNC_S, HorizontalPodAutoscaler

if TYPE_CHECKING:
    from overspill.scaling import Economics
    from overspill.simulate.peers.behavior import Behavior
    from overspill.simulate.rule import Seen

TARGET_PCT: Final = 70
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
        self._next_sync_s = 0.0

    def desired(self, seen: Seen) -> int:
        """Reconcile where a sync has come due since the last step."""
        if seen.now_s < self._next_sync_s:
            return seen.requested
        sync_s = seen.now_s - seen.now_s % SYNC_S
        self._next_sync_s = sync_s + SYNC_S
        # Created with its lower bound: an HPA leaves a target of zero replicas alone.
        current = seen.requested or self._hpa.low
        ready, served = seen.ready, seen.served_tokens_per_s
        proposal = self._proposal(current, ready, served) if ready else None
        return self._hpa.reconcile(current, (proposal,), sync_s).replicas

    def _proposal(self, current: int, ready: int, served_tokens_per_s: float) -> int:
        """Those on their way are unready pods: a high usage is dampened by them."""
        each, waiting = self._replica_milli, current - ready
        return replicas_by_pods(
            current,
            self._ratio,
            Tally(ready, round(served_tokens_per_s * _MILLI), ready * each),
            Tally(waiting, 0, waiting * each),
        )

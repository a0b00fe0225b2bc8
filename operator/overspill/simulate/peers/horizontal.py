"""A Kubernetes HPA, reconcile by reconcile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from overspill.simulate.peers.behavior import (
    DEFAULT_WINDOW_S,
    Behavior,
    Change,
    Limited,
    Reason,
    Recommendation,
    Rules,
    limit_by_rules,
    limit_plainly,
    stabilise_by_windows,
    stabilise_plainly,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

SYNC_S: Final = 15.0


@dataclass(slots=True, kw_only=True)
class HorizontalPodAutoscaler:
    """One HPA and what the controller remembers of it. It decides; it reads and writes nothing."""

    low: int
    high: int
    behavior: Behavior | None = None
    log: list[Recommendation] | None = None
    """None until the first reconcile, which takes the current count for a recommendation."""
    ups: list[Change] = field(default_factory=list)
    downs: list[Change] = field(default_factory=list)

    def reconcile(self, current: int, proposals: Sequence[int | None], now_s: float) -> Limited:
        """Say how many replicas to ask for.

        `proposals` has one count per metric, None where the metric could not be had: then nothing
        shrinks, and without any metric nothing changes.
        """
        if self.log is None:
            self.log = [Recommendation(current, now_s)]
        if current == 0 and self.low:
            return Limited(0, Reason.DISABLED)
        if current > self.high:
            return self._resized(current, Limited(self.high, Reason.TOO_MANY), now_s)
        if current < self.low:
            return self._resized(current, Limited(self.low, Reason.TOO_FEW), now_s)
        known = [proposal for proposal in proposals if proposal is not None]
        if not known or (len(known) < len(proposals) and max(known) < current):
            return Limited(current, Reason.NO_METRIC)
        return self._resized(current, self._normalised(current, max(known), now_s), now_s)

    def _normalised(self, current: int, wanted: int, now_s: float) -> Limited:
        assert self.log is not None
        bounds = (self.low, self.high)
        if self.behavior is None:
            calm = stabilise_plainly(self.log, DEFAULT_WINDOW_S, wanted, now_s)
            return limit_plainly(bounds, current, calm)
        windows_s = (self.behavior.up.window_s, self.behavior.down.window_s)
        calm = stabilise_by_windows(self.log, windows_s, current, wanted, now_s)
        changes = (self.ups, self.downs)
        return limit_by_rules(self.behavior, bounds, current, calm, changes, now_s)

    def _resized(self, current: int, limited: Limited, now_s: float) -> Limited:
        """Remember the change for as long as a policy may ask for it."""
        if self.behavior is not None and limited.replicas != current:
            change = Change(abs(limited.replicas - current), now_s)
            if limited.replicas > current:
                self.ups = _kept(self.ups, self.behavior.up, change)
            else:
                self.downs = _kept(self.downs, self.behavior.down, change)
        return limited


def _kept(changes: list[Change], rules: Rules, new: Change) -> list[Change]:
    since_s = new.at_s - rules.longest_period_s
    return [*(old for old in changes if old.at_s > since_s), new]

"""Break-even for each replica: ski rental, one level at a time.

The k-th replica absorbs the slice of demand between (k-1)·μ and k·μ. Its worth is what that slice
costs at the frontier, minus rent. A level that is off adds up the worth it forgoes and starts when
that passes the cost of one start; a level that is on adds up its loss and stops at the same sum.
No knob: the prices are the parameters.

Source: Karlin, Manasse, Rudolph, Sleator (1988), "Competitive snoopy caching", for the bound on
buying late; levels separate because demand does not depend on the decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from overspill.scaling.values import Demand, Economics


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelState:
    """What break-even remembers: how many levels are on, and what each has accrued.

    `accrued_usd[k - 1]` is forgone worth while level k is off, and loss while it is on.
    """

    on: int = 0
    accrued_usd: tuple[float, ...] = ()

    def level(self, k: int) -> float:
        """Dollars accrued by level k, counted from 1."""
        return self.accrued_usd[k - 1] if k <= len(self.accrued_usd) else 0.0


def worth_usd_per_s(economics: Economics, demand: Demand, k: int) -> float:
    """Net worth of the k-th replica under this demand; negative where rent exceeds savings."""
    mu = economics.capacity_tokens_per_s
    slice_tokens_per_s = min(max(demand.work_tokens_per_s - (k - 1) * mu, 0.0), mu)
    return slice_tokens_per_s * demand.usd_per_token - economics.rent_usd_per_s


def step(economics: Economics, demand: Demand, state: LevelState, elapsed_s: float) -> LevelState:
    """Advance every level by `elapsed_s` seconds of this demand.

    Worth falls with k and all levels share one threshold, so the levels that are on always form
    a prefix 1..n: the first level that would be off ends it.
    """
    if elapsed_s < 0:
        raise ValueError(f"time runs forward: elapsed_s is {elapsed_s}")
    threshold = economics.start_cost_usd
    on, accrued, prefix = 0, [], True
    for k in range(1, economics.max_replicas + 1):
        is_on, usd = _advance(
            k <= state.on,
            state.level(k),
            worth_usd_per_s(economics, demand, k) * elapsed_s,
            threshold,
        )
        prefix = prefix and is_on
        on += prefix
        accrued.append(usd if prefix == is_on else 0.0)
    return LevelState(on=on, accrued_usd=tuple(accrued))


def _advance(is_on: bool, accrued: float, worth_usd: float, threshold: float) -> tuple[bool, float]:
    """One level: sign says whether worth is forgone (off) or missing (on)."""
    accrued = max(0.0, accrued + (-worth_usd if is_on else worth_usd))
    if accrued > threshold:
        return (not is_on), 0.0
    return is_on, accrued

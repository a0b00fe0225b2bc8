"""Break-even for each replica, on what is expected of it.

The k-th replica takes the slice of demand between (k-1)·μ and k·μ. Its worth is what the work
expected in that slice costs at the frontier; its price is rent. It starts where worth passes rent
by a margin, and stops where worth falls short of it by the same: a start costs rent as well, and
demand that goes may come again. Where another price than its own would have cost less until now, it
starts and stops by that one: see `hindsight`.

Levels separate because demand does not depend on the decision. Worth falls with k, so the levels
that are on form a prefix 1..n. No knob: the prices are the parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from overspill.scaling import hindsight
from overspill.scaling.axis import FloatArray, cell_of, edges
from overspill.scaling.outlook import (
    MOMENT_S,
    SHORTEST_S,
    Outlook,
    blank,
    expected_use,
    fitted,
    reach_of,
    seen,
)

if TYPE_CHECKING:
    from overspill.scaling.hindsight import Hindsight
    from overspill.scaling.values import Demand, Economics

PRICE_SPAN: Final = 2.0
"""Start-ups over which prices are averaged: requests differ, and few of them differ much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What work costs at the frontier: its mean over the last time in which there was any."""

    work_tokens_per_s: float = 0.0
    usd_per_s: float = 0.0

    @property
    def usd_per_token(self) -> float:
        """0 where no work was seen yet."""
        return self.usd_per_s / self.work_tokens_per_s if self.work_tokens_per_s else 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
    """What break-even remembers; without an outlook where nothing was seen yet."""

    on: int = 0
    """Replicas that pay for themselves, from the first on."""
    price: Price = Price()
    outlook: Outlook | None = None
    hindsight: Hindsight | None = None
    """What deciding by other prices would have cost."""
    use: FloatArray | None = None
    """Part of the next start-up that replicas are expected to work, cell by cell."""
    pays: FloatArray | None = None
    """Part of it from which starting one pays, and staying; cells × 2."""

    def expected(self, replica: int) -> float:
        """Part of the next start-up that this replica, counted from 1, will work."""
        if self.use is None or self.outlook is None:
            return 0.0
        return float(self.use[cell_of(replica, self.outlook.reach)])

    def paying(self, replica: int) -> tuple[float, float]:
        """Part of it from which starting this replica pays, and staying."""
        if self.pays is None or self.outlook is None:
            return math.inf, math.inf
        start, stay = self.pays[cell_of(replica, self.outlook.reach)].tolist()
        return start, stay


def step(
    economics: Economics,
    demand: Demand,
    state: State,
    elapsed_s: float,
    *,
    least_usd_per_token: float = 0.0,
) -> State:
    """Advance by `elapsed_s` seconds of this demand.

    Work is worth its frontier price, and not less than `least_usd_per_token`.
    """
    if elapsed_s < 0:
        raise ValueError(f"time runs forward: elapsed_s is {elapsed_s}")
    reach, capacity = reach_of(economics.max_replicas), economics.capacity_tokens_per_s
    outlook = fitted(state.outlook or blank(reach, capacity), reach, capacity)
    price = _priced(state.price, demand, elapsed_s, economics.startup_s)
    ratio = worth_ratio(economics, max(price.usd_per_token, least_usd_per_token))
    past = _past(state, outlook)
    if elapsed_s >= MOMENT_S:
        outlook = seen(outlook, demand.work_tokens_per_s, elapsed_s, economics.startup_s)
        past = hindsight.paid(
            past,
            reach,
            demand.work_tokens_per_s / capacity,
            ratio,
            elapsed_s=elapsed_s,
            startup_s=economics.startup_s,
        )
    if outlook.blank:
        return replace(state, on=min(state.on, economics.max_replicas), price=price)
    use = expected_use(outlook)
    past = hindsight.decided(past, use)
    pays = hindsight.followed(past, ratio)
    start, keep = _paying(use, pays, edges(reach))
    # What was not watched for a while yet is no reason to stop what somebody started.
    stay = min(state.on, keep) if outlook.watched else state.on
    on = min(max(start, stay), economics.max_replicas)
    return State(on=on, price=price, outlook=outlook, hindsight=past, use=use, pays=pays)


def _past(state: State, now: Outlook) -> Hindsight:
    """Costs so far, for replicas as they are now."""
    before = state.outlook
    if before is None or state.hindsight is None:
        return hindsight.blank(now.reach)
    if now is before:
        return state.hindsight
    size = now.capacity_tokens_per_s / before.capacity_tokens_per_s
    return hindsight.restated(state.hindsight, before.reach, now.reach, size)


def _priced(price: Price, demand: Demand, elapsed_s: float, startup_s: float) -> Price:
    """Take in what this work costs; time without work says nothing of prices."""
    work, usd = demand.work_tokens_per_s, demand.frontier_usd_per_s
    if not work:
        return price
    share = min(1.0, elapsed_s / (PRICE_SPAN * max(startup_s, SHORTEST_S)))
    if not price.work_tokens_per_s:
        share = 1.0
    return Price(
        work_tokens_per_s=price.work_tokens_per_s + share * (work - price.work_tokens_per_s),
        usd_per_s=price.usd_per_s + share * (usd - price.usd_per_s),
    )


def worth_ratio(economics: Economics, usd_per_token: float) -> float:
    """Worth of a replica that always works, in rents; infinite where rent is nothing."""
    worth = usd_per_token * economics.capacity_tokens_per_s
    if not economics.rent_usd_per_s:
        return math.inf if worth else 0.0
    return worth / economics.rent_usd_per_s


def _paying(use: FloatArray, pays: FloatArray, bounds: FloatArray) -> tuple[int, int]:
    """How many replicas are worth starting, and how many are worth keeping."""
    start, stay = (use[:, None] > pays).sum(axis=0).tolist()
    return int(bounds[start]), int(bounds[stay])

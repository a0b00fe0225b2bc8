"""Break-even for each replica, on what is expected of it.

The k-th replica takes the slice of demand between (k-1)·μ and k·μ. Its worth is what the work
expected in that slice costs at the frontier; its price is rent. It starts where worth passes rent
by a margin, and stops where worth falls short of it by the same: a start costs rent as well, and
demand that goes may come again. Within the margin it starts and stops, later, by what it has earned
beyond its rent until now.

Levels separate because demand does not depend on the decision. Worth falls with k, so the levels
that are on form a prefix 1..n. No knob: the prices are the parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from overspill.scaling import balance
from overspill.scaling.axis import FloatArray, cell_of, edges
from overspill.scaling.outlook import (
    SHORTEST_S,
    Outlook,
    blank,
    expected_use,
    fitted,
    reach_of,
    seen,
)

if TYPE_CHECKING:
    from overspill.scaling.values import Demand, Economics

MOST_MARGIN: Final = 0.5
"""Rents by which worth must pass rent: two start-ups of work then pay for the three of a start."""
MOMENT_S: Final = 1e-3
"""Time too short to have seen anything in."""
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
    earned: FloatArray | None = None
    """What replicas would have earned beyond their rent, cell by cell: see `balance`."""
    use: FloatArray | None = None
    """Part of the next start-up that replicas are expected to work, cell by cell."""

    def expected(self, replica: int) -> float:
        """Part of the next start-up that this replica, counted from 1, will work."""
        if self.use is None or self.outlook is None:
            return 0.0
        return float(self.use[cell_of(replica, self.outlook.reach)])


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
    earned = _earned(state, outlook)
    if elapsed_s >= MOMENT_S:
        outlook = seen(outlook, demand.work_tokens_per_s, elapsed_s, economics.startup_s)
        replicas = demand.work_tokens_per_s / capacity
        earned = balance.advanced(
            earned, reach, replicas, ratio, elapsed_s / max(economics.startup_s, MOMENT_S)
        )
    if outlook.blank:
        return replace(state, on=min(state.on, economics.max_replicas), price=price)
    use = expected_use(outlook)
    start, keep = _paying(use, earned, ratio, edges(reach))
    # What was not watched for a while yet is no reason to stop what somebody started.
    stay = min(state.on, keep) if outlook.watched else state.on
    on = min(max(start, stay), economics.max_replicas)
    return State(on=on, price=price, outlook=outlook, earned=earned, use=use)


def _earned(state: State, now: Outlook) -> FloatArray:
    """Sums so far, for replicas as they are now."""
    before = state.outlook
    if before is None or state.earned is None:
        return balance.empty(now.reach)
    if now is before:
        return state.earned
    size = now.capacity_tokens_per_s / before.capacity_tokens_per_s
    return balance.restated(state.earned, before.reach, now.reach, size)


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


def thresholds(ratio: float) -> tuple[float, float]:
    """Part of its time that a replica must be expected to work, to start and to stay.

    `ratio` is its worth in rents if it always worked. Where little can be gained the margin is half
    of it, so that a replica which is always busy starts whenever that pays at all.
    """
    if not ratio:
        return math.inf, math.inf
    margin = min(MOST_MARGIN, max(0.0, (ratio - 1) / 2))
    return (1 + margin) / ratio, (1 - margin) / ratio


def _paying(
    use: FloatArray, earned: FloatArray, ratio: float, bounds: FloatArray
) -> tuple[int, int]:
    """How many replicas are worth starting, and how many are worth keeping."""
    start, stay = thresholds(ratio)
    even = 1 / ratio if ratio else math.inf
    starting = (use > start) | ((earned >= balance.start_cost(ratio)) & (use > even))
    staying = (use > stay) & ((earned > 0) | (use >= even))
    return int(bounds[np.count_nonzero(starting)]), int(bounds[np.count_nonzero(staying)])

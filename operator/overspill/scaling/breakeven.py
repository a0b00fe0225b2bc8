"""Break-even for each replica, on what is expected of it.

The k-th replica takes the slice of demand between (k-1)·μ and k·μ. Its worth is what the work
expected in that slice costs at the frontier; its price is rent. It starts where its worth passes
its rent by so much that two start-ups of work pay for the start, and it stops where less than half
of its rent is expected back.

Levels separate because demand does not depend on the decision. Worth falls with k, so the levels
that are on form a prefix 1..n. No knob: the prices are the parameters.

Source for buying late and for the bound: Karlin, Manasse, Rudolph, Sleator (1988), "Competitive
snoopy caching".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from overspill.scaling.axis import FloatArray, cell_of, edges
from overspill.scaling.outlook import Outlook, blank, expected_use, fitted, reach_of, seen

if TYPE_CHECKING:
    from overspill.scaling.values import Demand, Economics

START: Final = 1.5
"""Worth in rents above which a replica starts: it is paid for three start-ups and works for two."""
STOP: Final = 0.5
"""Worth in rents below which it stops: idle for a while is cheaper than starting again."""


MOMENT_S: Final = 1e-3
"""Time too short to have seen anything in."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
    """What break-even remembers; without an outlook where nothing was seen yet."""

    on: int = 0
    """Replicas that pay for themselves, from the first on."""
    usd_per_token: float = 0.0
    """Frontier price of the last work that was seen."""
    outlook: Outlook | None = None
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
    price = demand.usd_per_token if demand.work_tokens_per_s else state.usd_per_token
    if elapsed_s >= MOMENT_S:
        outlook = seen(outlook, demand.work_tokens_per_s, elapsed_s, economics.startup_s)
    if outlook.blank:
        return replace(state, on=min(state.on, economics.max_replicas), usd_per_token=price)
    use = expected_use(outlook)
    worth = use * (max(price, least_usd_per_token) * capacity)
    start, keep = _paying(economics, worth, edges(reach))
    # What was not watched for a while yet is no reason to stop what somebody started.
    stay = min(state.on, keep) if outlook.watched else state.on
    on = min(max(start, stay), economics.max_replicas)
    return State(on=on, usd_per_token=price, outlook=outlook, use=use)


def pays_from(economics: Economics, usd_per_token: float) -> float:
    """Part of its time that a replica must work to earn its rent; above 1 where it never does."""
    worth = usd_per_token * economics.capacity_tokens_per_s
    return economics.rent_usd_per_s / worth if worth else float("inf")


def _paying(economics: Economics, worth: FloatArray, bounds: FloatArray) -> tuple[int, int]:
    """How many replicas are worth starting, and how many are worth keeping; worth in USD/s."""
    rent = economics.rent_usd_per_s
    start, keep = (np.count_nonzero(worth > least * rent) for least in (START, STOP))
    return int(bounds[start]), int(bounds[keep])

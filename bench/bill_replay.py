"""One threshold over recorded traffic: routed, scaled, spilled and paid, step by step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from bench.bill_traffic import DAY_STEPS, GROUPS
from overspill.scaling import Demand, Economics, Replicas, Situation, State, decide
from overspill.simulate.engine import run
from overspill.simulate.fixed import best_constant
from overspill.simulate.load import Load
from overspill.simulate.trace import STEP_S

if TYPE_CHECKING:
    from bench.bill_traffic import Traffic
    from overspill.simulate.load import FloatArray, Series
    from overspill.simulate.rule import Seen

USD_PER_TOKEN: Final = 25e-6
"""Frontier price of a token of work: 25 USD per million out, 5 in."""
SMALL_PRICE: Final = 0.01
"""Of the frontier's, for a token that a full replica does."""
MEAN_REPLICAS: Final = 4
"""That all of the traffic would fill."""
STARTUP_S: Final = 180.0

Count = Callable[["Seen", bool], int]
"""From what is seen, and whether the budget is spent, to replicas."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Played:
    """What happened; arrays have one element a step."""

    share: float
    """Of requests that the score sends to the frontier, 0..1."""
    requested: Series
    kept: FloatArray
    """Part of the requests for the small tier that it answered, 0..1."""
    lost: FloatArray
    """Part of the requests for the small tier that found neither room nor money."""
    refused: FloatArray
    """Part of the requests for the frontier that the budget turned to the small tier."""
    gpu_usd: float
    frontier_usd: float


def economics_of(work_tokens: FloatArray) -> Economics:
    """Size and price a replica by all of the work, whichever tier does it."""
    capacity = float(work_tokens.mean()) / STEP_S / MEAN_REPLICAS
    return Economics(
        capacity_tokens_per_s=capacity,
        rent_usd_per_s=SMALL_PRICE * USD_PER_TOKEN * capacity,
        startup_s=STARTUP_S,
        min_replicas=0,
        max_replicas=math.ceil(float(work_tokens.max()) / STEP_S / capacity),
    )


def load_of(work_tokens: FloatArray, economics: Economics) -> Load:
    """Price work at the frontier."""
    return Load(
        step_s=STEP_S,
        work_tokens=work_tokens,
        frontier_usd=work_tokens * USD_PER_TOKEN,
        economics=economics,
    )


def ours(economics: Economics) -> Count:
    """Return the operator's decision: when the budget is spent, the replicas have to do it all."""
    state, decided_at_s = State(), 0.0

    def count(seen: Seen, broke: bool) -> int:
        nonlocal state, decided_at_s
        situation = Situation(
            demand=Demand(
                work_tokens_per_s=seen.work_tokens_per_s,
                frontier_usd_per_s=seen.frontier_usd_per_s,
            ),
            replicas=Replicas(requested=seen.requested, ready=seen.ready),
            absorbing=broke,
        )
        decision = decide(economics, situation, state, seen.now_s - decided_at_s)
        state, decided_at_s = decision.state, seen.now_s
        return decision.desired

    return count


class Day:
    """Pays for what is routed and for what overflows, alike, until the day's budget is spent.

    Stands between the engine and the rule, since what the small tier is asked for depends on the
    budget.
    """

    name = "day"

    def __init__(self, load: Load, sent: FloatArray, limit_usd: float, count: Count) -> None:
        self._sent = (load.work_tokens * sent).tolist()
        self._rest = (load.work_tokens * (1 - sent)).tolist()
        self._room = load.replica_tokens
        self._limit = self._left = limit_usd / USD_PER_TOKEN  # in tokens of work
        self._count, self._asked, self._today = count, 0.0, 0
        self.paid: list[float] = []
        """Part of what each step wanted from the frontier."""
        self.ready: list[int] = []

    def desired(self, seen: Seen) -> int:
        """Ask the rule, with the demand that the small tier had."""
        if len(self.paid) // DAY_STEPS != self._today:
            self._today, self._left = self._today + 1, self._limit
        seen.work_tokens_per_s = self._asked / STEP_S
        seen.frontier_usd_per_s = seen.work_tokens_per_s * USD_PER_TOKEN
        return self._count(seen, self._left <= 0)

    def serve(self, step: int, ready: int) -> float:
        """Play one step; return what the small tier did, in tokens/s."""
        sent, rest, room = self._sent[step], self._rest[step], ready * self._room
        wanted = sent + max(0.0, rest - room)
        paid = 1.0 if wanted <= self._left else self._left / wanted
        self._left = max(0.0, self._left - wanted) if paid == 1.0 else 0.0
        self._asked = rest + (1 - paid) * sent
        self.paid.append(paid)
        self.ready.append(ready)
        return min(self._asked, room) / STEP_S


def play(
    traffic: Traffic, groups: int, *, limit_usd: float = math.inf, static: bool = False
) -> Played:
    """Send the first groups to the frontier, from a cold start.

    `limit_usd` is for each day at the frontier, overflow included; `static`: not our scaling but
    the count of replicas that in hindsight is cheapest.
    """
    economics = economics_of(traffic.work_tokens)
    load, sent = load_of(traffic.work_tokens, economics), traffic.part(slice(groups))
    day = Day(load, sent, limit_usd, ours(economics))
    if static:
        best = int(best_constant(load_of(load.work_tokens * (1 - sent), economics))[0])
        day = Day(load, sent, limit_usd, lambda _seen, _broke: best)
    requested = run(load, day, serve=day.serve)
    return _accounted(load, groups / GROUPS, sent, requested, day)


def _accounted(load: Load, share: float, sent: FloatArray, requested: Series, day: Day) -> Played:
    paid, room = np.array(day.paid), np.array(day.ready) * load.replica_tokens
    routed, rest = load.work_tokens * sent, load.work_tokens * (1 - sent)
    asked = rest + (1 - paid) * routed
    spilled = paid * np.maximum(rest - room, 0.0)
    bought = float((paid * routed + spilled).sum())
    kept = np.minimum(asked, room)
    one, none = np.ones_like(asked), np.zeros_like(asked)
    lost = np.maximum(asked - kept - spilled, 0.0)  # rounding may leave a little below 0
    return Played(
        share=share,
        requested=requested,
        kept=np.divide(kept, asked, out=one, where=asked > 0),
        lost=np.divide(lost, asked, out=none, where=asked > 0),
        refused=1 - paid,
        gpu_usd=float(requested.sum()) * load.rent_usd,
        frontier_usd=bought * USD_PER_TOKEN,
    )

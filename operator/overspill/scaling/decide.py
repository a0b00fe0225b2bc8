"""The scaling decision: break-even, then guardrails. Each leaves its name in the record."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from overspill.scaling.breakeven import State, step, worth_ratio
from overspill.scaling.margin import thresholds
from overspill.scaling.values import Demand, Economics, Replicas, Unknown


class Reason(StrEnum):
    """Why the desired count is what it is: condition reason, metric label, simulator column."""

    START_PAYS = "StartPays"
    STOP_PAYS = "StopPays"
    HOLDING = "Holding"
    AT_MIN = "AtMin"
    AT_MAX = "AtMax"
    TRIALS = "Trials"
    UNSCHEDULABLE = "Unschedulable"
    DEMAND_UNKNOWN = "DemandUnknown"
    PAUSED = "Paused"
    ANOTHER_AUTOSCALER = "AnotherAutoscaler"
    SUSPENDED = "Suspended"
    BUDGET_EXHAUSTED = "BudgetExhausted"


LOST: Final = 20.0
"""Worth of a full replica, in rents, where what it does not do is done nowhere."""


_SMALLEST: Final = 0.001
"""Part of its time that is worth a figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One look at the world."""

    demand: Demand | Unknown
    replicas: Replicas
    paused: bool = False
    rival: str = ""
    """Another autoscaler of the same target, and what to do about it; empty where there is none."""
    suspended: str = ""
    """Why the policy has the small tier shut down; empty where it has not."""
    absorbing: bool = False
    """The budget is spent and the small tier has to do what it can: nothing spills any more."""
    tried: bool = False
    """Requests come of which some are trials: the small model has to answer these, too."""

    @property
    def rest(self) -> str:
        """What becomes of work that the replicas cannot do."""
        return "the rest is turned away" if self.absorbing else "the rest spills"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Desired replicas, the binding reason, and everything needed to explain or resume."""

    desired: int
    reason: Reason
    message: str
    state: State
    demand: Demand | None
    replicas: Replicas

    @property
    def changes(self) -> bool:
        """Whether the scale target must be written."""
        return self.desired != self.replicas.requested


def decide(economics: Economics, situation: Situation, state: State, elapsed_s: float) -> Decision:
    """Say how many small replicas there should be.

    `elapsed_s` is the time since the last decision for which this demand stands.
    The same arguments always give the same decision.
    """
    replicas, after = situation.replicas, _after(economics, situation, state, elapsed_s)
    if situation.paused:
        return _leave(replicas, after, Reason.PAUSED, "paused by annotation; replicas left alone")
    if situation.rival:
        return _leave(replicas, after, Reason.ANOTHER_AUTOSCALER, situation.rival)
    if situation.suspended:
        return _suspend(replicas, after, situation.suspended)
    if isinstance(situation.demand, Unknown):
        return _unknown(economics, situation, after, situation.demand)
    return _bound(economics, situation, situation.demand, before=state, after=after)


def _after(economics: Economics, situation: Situation, state: State, elapsed_s: float) -> State:
    """Learn from demand wherever it is known, whoever decides on the replicas."""
    demand = situation.demand
    if isinstance(demand, Unknown):
        return state
    least = _least_usd_per_token(economics, situation)
    after = step(economics, demand, state, elapsed_s, least_usd_per_token=least)
    if situation.absorbing:
        return replace(after, on=max(after.on, _needed(economics, demand)))
    return after


def _least_usd_per_token(economics: Economics, situation: Situation) -> float:
    """What work is worth, whatever its price at the frontier: much where it would be lost."""
    if not situation.absorbing:
        return 0.0
    return LOST * economics.rent_usd_per_s / economics.capacity_tokens_per_s


def _hold(replicas: Replicas, state: State, reason: Reason, message: str) -> Decision:
    return Decision(
        desired=replicas.requested,
        reason=reason,
        message=message,
        state=state,
        demand=None,
        replicas=replicas,
    )


def _leave(replicas: Replicas, state: State, reason: Reason, message: str) -> Decision:
    """Leave replicas alone; once it is our turn again, we go on from what somebody else made."""
    return _hold(replicas, replace(state, on=replicas.requested), reason, message)


def _suspend(replicas: Replicas, state: State, why: str) -> Decision:
    held = _hold(replicas, state, Reason.SUSPENDED, f"{why}: shut down")
    return replace(held, desired=0, state=replace(state, on=0))


def _fewest(economics: Economics, situation: Situation) -> int:
    """Replicas that there are whatever the demand."""
    wanted = max(economics.min_replicas, 1 if situation.tried else 0)
    return min(wanted, economics.max_replicas)


def _unknown(
    economics: Economics, situation: Situation, state: State, unknown: Unknown
) -> Decision:
    """Missing is not zero: nothing shrinks and nothing is spent on absence; bounds still hold."""
    low, high = _fewest(economics, situation), economics.max_replicas
    desired = min(max(situation.replicas.requested, low), high)
    message = f"holding {desired}: {unknown.message}"
    held = _hold(situation.replicas, state, Reason.DEMAND_UNKNOWN, message)
    return replace(held, desired=desired)


def _needed(economics: Economics, demand: Demand) -> int:
    """Replicas that all of this work needs, up to the most there may be."""
    replicas = math.ceil(demand.work_tokens_per_s / economics.capacity_tokens_per_s)
    return min(replicas, economics.max_replicas)


def _bound(
    economics: Economics,
    situation: Situation,
    demand: Demand,
    *,
    before: State,
    after: State,
) -> Decision:
    replicas = situation.replicas
    wanted = max(after.on, _fewest(economics, situation))
    reason, message = _why(economics, situation, demand, before, after)
    if replicas.unschedulable and wanted > replicas.requested - replicas.unschedulable:
        # Keep asking for what is pending: a node that joins is used at once. Never ask for more.
        wanted, reason = min(wanted, replicas.requested), Reason.UNSCHEDULABLE
        message = f"{replicas.unschedulable} pods fit on no node; no more are asked for, "
        message += situation.rest
    worth = demand.work_tokens_per_s / economics.capacity_tokens_per_s
    return Decision(
        desired=wanted,
        reason=reason,
        message=f"demand is worth {worth:.2f} replicas; {message}",
        state=after,
        demand=demand,
        replicas=replicas,
    )


def _why(
    economics: Economics,
    situation: Situation,
    demand: Demand,
    before: State,
    after: State,
) -> tuple[Reason, str]:
    """Name what binds, and say it."""
    low, high = economics.min_replicas, economics.max_replicas
    if after.on < low:
        return Reason.AT_MIN, f"held at replicas.min {low}"
    if after.on < _fewest(economics, situation):
        return Reason.TRIALS, "one is kept to answer trials: they tell what the small model can do"
    if after.on >= high and demand.work_tokens_per_s > high * economics.capacity_tokens_per_s:
        return Reason.AT_MAX, f"held at replicas.max {high}, {situation.rest}"
    if before.on > high:
        return Reason.AT_MAX, f"lowered to replicas.max {high}"
    if situation.absorbing and 0 < after.on == _needed(economics, demand):
        return Reason.BUDGET_EXHAUSTED, "the budget is spent, so all of it is done here"
    if after.use is None:
        return Reason.HOLDING, "no demand was watched yet"
    usd_per_token = max(after.price.usd_per_token, _least_usd_per_token(economics, situation))
    own = thresholds(worth_ratio(economics, usd_per_token))
    if after.on > before.on:
        start, _ = after.paying(after.on)
        return Reason.START_PAYS, f"{_use(after, after.on)}; {_pays('starting', start, own[0])}"
    if after.on < before.on:
        _, stay = after.paying(after.on + 1)
        return Reason.STOP_PAYS, f"{_use(after, after.on + 1)}; {_pays('staying', stay, own[1])}"
    return Reason.HOLDING, _use(after, after.on) if after.on else "none pays for itself"


def _pays(what: str, least: float, own: float) -> str:
    """Say from which part of its time on, and whether its price says so or what it would have cost.

    A replica cannot work more than all of it.
    """
    if least > 1:
        return f"{what} never pays at this price"
    part = f"{least:.1%}" if least >= _SMALLEST else f"less than {_SMALLEST:.1%}"
    why = "" if least == own else ", as that would have cost least until now"
    return f"{what} pays from {part}{why}"


def _use(state: State, replica: int) -> str:
    """Say what is expected of one replica."""
    return f"replica {replica} is expected to work {state.expected(replica):.1%} of its time"

"""The scaling decision: break-even, then guardrails. Each leaves its name in the record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from overspill.scaling.breakeven import LevelState, step
from overspill.scaling.values import Demand, Economics, Replicas, Unknown


class Reason(StrEnum):
    """Why the desired count is what it is: condition reason, metric label, simulator column."""

    START_PAYS = "StartPays"
    STOP_PAYS = "StopPays"
    HOLDING = "Holding"
    AT_MIN = "AtMin"
    AT_MAX = "AtMax"
    UNSCHEDULABLE = "Unschedulable"
    DEMAND_UNKNOWN = "DemandUnknown"
    PAUSED = "Paused"
    SUSPENDED = "Suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One look at the world."""

    demand: Demand | Unknown
    replicas: Replicas
    paused: bool = False
    suspended: bool = False
    """The budget is spent and the policy says to shut the small tier down too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Desired replicas, the binding reason, and everything needed to explain or resume."""

    desired: int
    reason: Reason
    message: str
    state: LevelState
    demand: Demand | None
    replicas: Replicas

    @property
    def changes(self) -> bool:
        """Whether the scale target must be written."""
        return self.desired != self.replicas.requested


def decide(
    economics: Economics, situation: Situation, state: LevelState, elapsed_s: float
) -> Decision:
    """Say how many small replicas there should be.

    `elapsed_s` is the time since the last decision for which this demand stands.
    The same arguments always give the same decision.
    """
    demand, replicas = situation.demand, situation.replicas
    if situation.paused:
        return _hold(replicas, state, Reason.PAUSED, "paused by annotation; replicas left alone")
    if situation.suspended:
        return _suspend(replicas, state)
    if isinstance(demand, Unknown):
        return _unknown(economics, replicas, state, demand)
    after = step(economics, demand, state, elapsed_s)
    return _bound(economics, demand, replicas, before=state, after=after)


def _hold(replicas: Replicas, state: LevelState, reason: Reason, message: str) -> Decision:
    return Decision(
        desired=replicas.requested,
        reason=reason,
        message=message,
        state=state,
        demand=None,
        replicas=replicas,
    )


def _suspend(replicas: Replicas, state: LevelState) -> Decision:
    held = _hold(
        replicas, state, Reason.SUSPENDED, "budget spent and onExhausted is Suspend: shut down"
    )
    return replace(held, desired=0, state=LevelState())


def _unknown(
    economics: Economics, replicas: Replicas, state: LevelState, unknown: Unknown
) -> Decision:
    """Missing is not zero: nothing shrinks and nothing is spent on absence; bounds still hold."""
    held = _hold(
        replicas, state, Reason.DEMAND_UNKNOWN, f"holding {replicas.requested}: {unknown.message}"
    )
    low, high = economics.min_replicas, economics.max_replicas
    return replace(held, desired=min(max(replicas.requested, low), high))


def _bound(
    economics: Economics,
    demand: Demand,
    replicas: Replicas,
    *,
    before: LevelState,
    after: LevelState,
) -> Decision:
    mu = economics.capacity_tokens_per_s
    worth = f"demand is worth {demand.work_tokens_per_s / mu:.2f} replicas"
    wanted, reason, message = after.on, Reason.HOLDING, f"{worth}; {after.on} pay for themselves"
    if after.on > before.on:
        reason = Reason.START_PAYS
        message = f"{worth}; frontier spend forgone passed the cost of a start"
    elif after.on < before.on:
        reason = Reason.STOP_PAYS
        message = f"{worth}; rent lost on idle replicas passed the cost of a start"
    if wanted < economics.min_replicas:
        wanted, reason = economics.min_replicas, Reason.AT_MIN
        message = f"{worth}; held at replicas.min {wanted}"
    elif (
        wanted >= economics.max_replicas and demand.work_tokens_per_s > economics.max_replicas * mu
    ):
        reason = Reason.AT_MAX
        message = f"{worth}; held at replicas.max {wanted}, the rest spills to the frontier"
    achievable = replicas.requested - replicas.unschedulable
    if replicas.unschedulable and wanted > achievable:
        # Keep asking for what is pending: a node that joins is used at once. Never ask for more.
        wanted, reason = min(wanted, replicas.requested), Reason.UNSCHEDULABLE
        message = (
            f"{replicas.unschedulable} pods fit on no node; no more are asked for, the rest spills"
        )
    return Decision(
        desired=wanted,
        reason=reason,
        message=message,
        state=after,
        demand=demand,
        replicas=replicas,
    )

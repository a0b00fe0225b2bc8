"""What a policy has spent in its budget period, from what Prometheus shows and what was known."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from overspill.budget import BudgetState, Effect, Period, observe_spend, period_at
from overspill.controller.times import timestamp

if TYPE_CHECKING:
    from overspill.api.policy import Budget, RoutingPolicySpec
    from overspill.controller.keys import Manifest
    from overspill.controller.memory import Memory
    from overspill.controller.snapshot import Snapshot


def current_period(budget: Budget, now_s: float) -> Period:
    """Return the budget's period that holds now."""
    return period_at(budget.period, ZoneInfo(budget.time_zone), now_s)


def budget_state(
    policy: str, spec: RoutingPolicySpec, memory: Memory, snapshot: Snapshot, now_s: float
) -> BudgetState | None:
    """Take the newest look at the spend; None where the policy sets no budget."""
    if (budget := spec.budget) is None:
        return None
    period = current_period(budget, now_s)
    seen = snapshot.spend_usd.get(period.start_s, {}).get(policy)
    known = memory.budget or saved_state(memory.status or {}, period, budget.limit)
    return observe_spend(
        known,
        period=period,
        limit_usd=budget.limit,
        seen_usd=None if seen is None else Decimal(repr(seen)),
    )


def suspended(spec: RoutingPolicySpec, state: BudgetState | None) -> bool:
    """Whether the spent budget shuts the small tier down too."""
    if state is None or spec.budget is None:
        return False
    return state.effect(spec.budget.on_exhausted) is Effect.SUSPEND


def absorbing(spec: RoutingPolicySpec, state: BudgetState | None) -> bool:
    """Whether the small tier has to do alone what it can."""
    if state is None or spec.budget is None:
        return False
    return state.effect(spec.budget.on_exhausted) is Effect.SMALL_ONLY


def saved_state(status: Manifest, period: Period, limit_usd: Decimal) -> BudgetState | None:
    """Read back what an earlier process knew of the spend of this very period."""
    spend = status.get("spend") or {}
    if spend.get("periodStart") != timestamp(period.start_s):
        return None
    try:
        usd = Decimal(spend["usd"])
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return None
    return BudgetState(period=period, limit_usd=limit_usd, spent_usd=usd)

"""What a policy has spent in its budget period, from what Prometheus shows and what was known."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from overspill.budget import BudgetState, Effect, Period, observe_spend
from overspill.budget.account import Limits
from overspill.budget.money import usd, usd_micros
from overspill.budget.period import current_period
from overspill.controller.times import timestamp

if TYPE_CHECKING:
    from overspill.api.policy import RoutingPolicySpec
    from overspill.budget.account import Account
    from overspill.budget.experiment import Experiment
    from overspill.budget.ledger import Ledger
    from overspill.controller.keys import Manifest
    from overspill.controller.memory import Memory
    from overspill.controller.snapshot import Snapshot


def budget_state(
    policy: str,
    spec: RoutingPolicySpec,
    memory: Memory,
    snapshot: Snapshot,
    now_s: float,
    ledger: Ledger | None = None,
) -> BudgetState | None:
    """Take the newest look at the spend; None where the policy sets no budget.

    What the ledger says is so. Before a period's first lease there is only what was metered.
    """
    if (budget := spec.budget) is None:
        return None
    period = current_period(budget, now_s)
    if ledger is not None and ledger.current.period.start_s >= period.start_s:
        return lent_state(ledger.current, budget.limit, now_s)
    seen = snapshot.spend_usd.get(period.start_s, {}).get(policy)
    known = memory.budget or saved_state(memory.status or {}, period, budget.limit)
    return observe_spend(
        known,
        period=period,
        limit_usd=budget.limit,
        seen_usd=None if seen is None else Decimal(repr(seen)),
    )


def lent_state(account: Account, limit_usd: Decimal, now_s: float) -> BudgetState:
    """Say what a ledger means."""
    limits = Limits(limit_usd_micros=usd_micros(limit_usd))
    return BudgetState(
        period=account.period,
        limit_usd=limit_usd,
        spent_usd=usd(account.spent_usd_micros(now_s)),
        leased_usd=usd(account.outstanding_usd_micros(now_s)),
        refused=account.exhausted(limits, now_s),
    )


def suspended(
    spec: RoutingPolicySpec, state: BudgetState | None, experiment: Experiment | None = None
) -> str:
    """Say why the small tier is shut down; empty where it is not."""
    if experiment is not None and experiment.ended:
        return "it saved too little for spec.experiment"
    if state is None or spec.budget is None:
        return ""
    ends = state.effect(spec.budget.on_exhausted) is Effect.SUSPEND
    return "budget spent and onExhausted is Suspend" if ends else ""


def absorbing(spec: RoutingPolicySpec, state: BudgetState | None) -> bool:
    """Whether the small tier has to do alone what it can."""
    if state is None or spec.budget is None:
        return False
    return state.effect(spec.budget.on_exhausted) is Effect.SMALL_ONLY


def saved_state(status: Manifest, period: Period, limit_usd: Decimal) -> BudgetState | None:
    """Read back what an earlier process knew of the spend of this very period."""
    spent = saved_usd(status, period)
    if spent is None:
        return None
    return BudgetState(period=period, limit_usd=limit_usd, spent_usd=spent)


def saved_usd(status: Manifest, period: Period) -> Decimal | None:
    """Return the spend of this very period as a status has it; None where it has none."""
    return _saved_usd(status, period, "usd")


def saved_leased_usd(status: Manifest, period: Period) -> Decimal | None:
    """Return what sidecars held of this very period beyond that; None where nothing was lent."""
    return _saved_usd(status, period, "leasedUsd")


def _saved_usd(status: Manifest, period: Period, name: str) -> Decimal | None:
    spend = status.get("spend") or {}
    if spend.get("periodStart") != timestamp(period.start_s):
        return None
    try:
        return Decimal(spend[name])
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return None

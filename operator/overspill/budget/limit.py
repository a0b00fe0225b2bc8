"""Whether the frontier may be paid: a limit, the spend seen, and what follows from the two."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from overspill.api.policy import OnExhausted
    from overspill.budget.period import Period


class Effect(StrEnum):
    """What the budget does to requests and replicas right now."""

    OPEN = "Open"
    SMALL_ONLY = "SmallOnly"
    REJECT = "Reject"
    SUSPEND = "Suspend"


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """Spend of one policy in one period. `spent_usd` is None until it was seen once."""

    period: Period
    limit_usd: Decimal
    spent_usd: Decimal | None = None
    leased_usd: Decimal | None = None
    """What sidecars hold and may still spend; None where nothing is lent."""
    refused: bool = False
    """What is left bought nothing any more."""

    @property
    def exhausted(self) -> bool:
        """Whether the limit is reached. Spend never seen does not exhaust a budget."""
        return self.refused or (self.spent_usd is not None and self.spent_usd >= self.limit_usd)

    @property
    def used(self) -> float | None:
        """Share of the limit that is spent; None until spend was seen."""
        if self.spent_usd is None:
            return None
        return float(self.spent_usd / self.limit_usd) if self.limit_usd else 1.0

    def effect(self, on_exhausted: OnExhausted) -> Effect:
        """Say what holds now, given what the policy wants once its budget is spent."""
        return Effect(on_exhausted.value) if self.exhausted else Effect.OPEN


def observe_spend(
    before: BudgetState | None, *, period: Period, limit_usd: Decimal, seen_usd: Decimal | None
) -> BudgetState:
    """Take in one look at the spend of `period`; `None` means that it could not be seen.

    Unseen spend keeps what is known of the same period and is never taken for zero. Within a
    period spend only grows: a Prometheus that lost its data reopens no budget. Spend seen with a
    new period starts from it alone.
    """
    fresh = BudgetState(period=period, limit_usd=limit_usd, spent_usd=seen_usd)
    if before is None or before.period.start_s != period.start_s or before.spent_usd is None:
        return fresh
    known = before.spent_usd if seen_usd is None else max(before.spent_usd, seen_usd)
    return replace(fresh, spent_usd=known)

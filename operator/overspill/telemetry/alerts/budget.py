"""Alerts on what is spent."""

from __future__ import annotations

from typing import Final

from overspill.telemetry import names
from overspill.telemetry.alert import Alert, Group, Severity
from overspill.telemetry.alerts.signals import HOUR, RECENT, says
from overspill.telemetry.promql import share

NEARLY: Final = 0.8
"""Of the limit; `NearlySpent` in BudgetAvailable."""
UNMETERED: Final = 0.2
"""Of the spend of an hour."""
_EXHAUSTED: Final = says("BudgetAvailable", "False")
_OF: Final = (names.POLICY, "provider")

BUDGET: Final = Group(
    name="overspill.budget",
    alerts=(
        Alert(
            name="OverspillBudgetNearlySpent",
            expr=f"{RECENT.now(names.BUDGET_USED_RATIO)} >= {NEARLY:g} unless {_EXHAUSTED}",
            severity=Severity.WARNING,
            summary="{{ $labels.policy }}: {{ $value | humanizePercentage }} of the budget is "
            "spent",
            description="At the limit the frontier closes until the period ends. Where that is "
            "too soon, raise budget.limit, or set budget.pacing: Smooth to keep the rest for what "
            "is worth most; overspill ledger says what it went to.",
        ),
        Alert(
            name="OverspillBudgetExhausted",
            expr=_EXHAUSTED,
            severity=Severity.CRITICAL,
            summary="{{ $labels.policy }}: BudgetAvailable is False, the budget is spent",
            description="The frontier is closed until the period ends: budget.onExhausted says "
            "whether the small tier answers alone, requests are refused, or the small tier is "
            "shut down too. Raise budget.limit, or wait; the condition's message says until when.",
        ),
        Alert(
            name="OverspillUnmeteredSpend",
            expr=share(
                HOUR.increase(names.UNMETERED_USD, by=_OF), HOUR.increase(names.SPEND_USD, by=_OF)
            )
            + f" > {UNMETERED:g} and {RECENT.increase(names.UNMETERED_USD, by=_OF)} > 0",
            lasting="30m",
            severity=Severity.WARNING,
            summary="{{ $labels.policy }}: {{ $value | humanizePercentage }} of what "
            "{{ $labels.provider }} is paid is charged at worst case",
            description="Answers came without usage, so the budget is charged the most that each "
            "could have cost and buys less. Streams that break and clients that leave early do "
            "that, and providers that send no usage: see requests by outcome, and let clients set "
            "a lower max_tokens.",
        ),
    ),
)

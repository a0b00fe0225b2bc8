"""What of the budget is spent, lent and left."""

from __future__ import annotations

from overspill.telemetry import names
from overspill.telemetry.panel import Line, Panel, Row, Unit
from overspill.telemetry.promql import per_hour, share
from overspill.telemetry.rows.views import VIEW


def budget() -> Row:
    """What of the budget is spent, lent and left."""
    paid = VIEW.rate(names.SPEND_USD, by=("provider",))
    unmetered = VIEW.rate(names.UNMETERED_USD, by=("provider",))
    return Row(
        title="Budget",
        panels=(
            Panel(
                title="Spent, leased, limit",
                description="Of the budget's current period, by the ledger. Leased is what "
                "sidecars hold and may still spend. Both together never pass the limit "
                "that they were granted under.",
                unit=Unit.USD,
                lines=(
                    Line(VIEW.now(names.BUDGET_SPENT_USD), "spent {{policy}}"),
                    Line(VIEW.now(names.BUDGET_LEASED_USD), "leased {{policy}}"),
                    Line(VIEW.now(names.BUDGET_LIMIT_USD), "limit {{policy}}"),
                ),
            ),
            Panel(
                title="Spend an hour by provider",
                description="Which provider the money goes to.",
                unit=Unit.USD,
                lines=(Line(per_hour(paid), "{{provider}}"),),
                stacked=True,
            ),
            Panel(
                title="Unmetered part of the spend",
                description="Of what is spent under a budget, the part that was charged at worst "
                "case because no usage was told: streams that broke, clients that left, or a "
                "provider that sends none. The budget buys less by it.",
                unit=Unit.SHARE,
                lines=(Line(share(unmetered, paid), "{{provider}}"),),
                highest=1.0,
            ),
        ),
    )

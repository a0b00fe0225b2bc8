"""What it costs, what it saves, who answers, and how soon."""

from __future__ import annotations

from typing import Final

from overspill.telemetry import names
from overspill.telemetry.panel import Kind, Line, Panel, Row, Step, Unit
from overspill.telemetry.promql import among, equal, per_hour, share, share_of_all
from overspill.telemetry.rows.views import SHOWN, VIEW

ANSWERING: Final = among("tier", "small", "hosted", "frontier")
FULL: Final = (Step(value=0.8, color="orange"), Step(value=1.0, color="red"))


def at_a_glance() -> Row:
    """What it costs, what it saves, who answers, and how soon."""
    return Row(title="At a glance", panels=(*_totals(), *_courses()))


def _totals() -> tuple[Panel, ...]:
    paid, rent = SHOWN.increase(names.SPEND_USD), SHOWN.increase(names.RENT_USD)
    alone = SHOWN.increase(names.FRONTIER_EQUIVALENT_USD)
    small = SHOWN.increase(names.REQUESTS, equal("tier", "small"))
    return (
        Panel(
            title="Saved",
            description="Of what all requests would have cost without the small tier, the part "
            "that neither providers nor the rent of replicas took, over the time shown. Below 0 "
            "the small tier costs more than it saves.",
            unit=Unit.SHARE,
            lines=(Line(f"1 - {share(f'({paid} + {rent})', alone)}", "saved"),),
            kind=Kind.STAT,
            width=6,
            height=4,
            lowest=None,
        ),
        Panel(
            title="Paid",
            description="Dollars over the time shown: for hosted and frontier providers, judges of "
            "trials included, and the rent of replicas.",
            unit=Unit.USD,
            lines=(Line(paid, "providers"), Line(rent, "rent")),
            kind=Kind.STAT,
            width=6,
            height=4,
        ),
        Panel(
            title="Answered by the small tier",
            description="Of all requests that any tier answered or failed over the time shown, "
            "the part that one's own replicas took.",
            unit=Unit.SHARE,
            lines=(Line(share(small, SHOWN.increase(names.REQUESTS, ANSWERING)), "small tier"),),
            kind=Kind.STAT,
            width=6,
            height=4,
            highest=1.0,
        ),
        Panel(
            title="Budget used",
            description="Spent by limit in the budget's current period. At 1 the frontier is "
            "closed until the period ends. Policies without a budget are not here.",
            unit=Unit.SHARE,
            lines=(Line(VIEW.now(names.BUDGET_USED_RATIO), "{{policy}}"),),
            kind=Kind.BAR_GAUGE,
            width=6,
            height=4,
            highest=1.0,
            steps=FULL,
        ),
    )


def _courses() -> tuple[Panel, ...]:
    requests = VIEW.rate(names.REQUESTS)
    paid, rent = VIEW.rate(names.SPEND_USD), VIEW.rate(names.RENT_USD)
    return (
        Panel(
            title="Cost an hour, and without the small tier",
            description="What is saved is the gap between the two upper lines. Without the small "
            "tier what it can do costs the price of the first rung it would spill to: a host's "
            "where there is one, else the frontier's; requests that nobody answered are in it, "
            "too.",
            unit=Unit.USD,
            lines=(
                Line(per_hour(paid), "providers"),
                Line(per_hour(f"({paid} + {rent})"), "providers and rent"),
                Line(per_hour(VIEW.rate(names.FRONTIER_EQUIVALENT_USD)), "without the small tier"),
            ),
        ),
        Panel(
            title="Requests by tier",
            description="Who finished which part of the requests; none is what nobody answered. "
            "Little of the small tier with replicas that are ready means that rules, the budget or "
            "the floor of quality send requests on: see decisions by reason.",
            unit=Unit.SHARE,
            lines=(
                Line(share_of_all(VIEW.rate(names.REQUESTS, by=("tier",)), requests), "{{tier}}"),
            ),
            stacked=True,
            highest=1.0,
        ),
        Panel(
            title="Time to first byte, 95 of 100",
            description="95 of 100 requests had their first byte by then, waiting and attempts "
            "that failed included. Where the small tier's line rises and the frontier's does not, "
            "replicas are too few or too slow.",
            unit=Unit.SECONDS,
            lines=(Line(VIEW.quantile(0.95, names.TTFT_SECONDS, by=("tier",)), "{{tier}}"),),
        ),
    )

"""Whether the floor of quality is held, and what says so."""

from __future__ import annotations

from overspill.telemetry import names
from overspill.telemetry.panel import Line, Panel, Row, Unit
from overspill.telemetry.promql import POLICY_ONLY, per_hour
from overspill.telemetry.rows.views import VIEW


def quality() -> Row:
    """Whether the floor of quality is held, and what says so."""
    return Row(title="Quality", panels=(*_promise(), *_trials()))


def _promise() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Quality, of the frontier's",
            description="As trials tell it. The floor is held where at least is above it; "
            "in between estimate and at least it is not proven. Only policies with trials are "
            "here.",
            unit=Unit.SHARE,
            lines=(
                Line(VIEW.now(names.QUALITY), "estimate {{policy}}"),
                Line(VIEW.now(names.QUALITY_LOW), "at least {{policy}}"),
                Line(VIEW.now(names.QUALITY_FLOOR), "floor {{policy}}"),
            ),
            lowest=None,
        ),
        Panel(
            title="Trials kept",
            description="Requests that both tiers answered, of which quality is told. A fall to "
            "0 says that the small model, the frontier model or the graders changed, and learning "
            "begins anew.",
            unit=Unit.COUNT,
            lines=(Line(VIEW.now(names.TRIALS_KEPT), "trials {{policy}}"),),
        ),
        Panel(
            title="Answers held back",
            description="Answers of the small model that no client got, by what was wrong with "
            "them; another tier answered. Each was paid for twice.",
            unit=Unit.REQUESTS_PER_S,
            lines=(Line(VIEW.rate(names.NOT_VERIFIED, by=("check",)), "{{check}}"),),
            stacked=True,
        ),
    )


def _trials() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Trials by outcome",
            description="Graded ones teach. Of the others the label says why they came to "
            "nothing: no_room that the small tier is full, ungraded that no grader could tell.",
            unit=Unit.REQUESTS_PER_S,
            lines=(Line(VIEW.rate(names.TRIALS, by=("outcome",)), "{{outcome}}"),),
            width=12,
            stacked=True,
        ),
        Panel(
            title="Judges an hour",
            description="Dollars that judges of trials are paid; part of the spend, and bounded "
            "by routing.trials.limit.",
            unit=Unit.USD,
            lines=(
                Line(per_hour(VIEW.rate(names.JUDGES_USD, by=POLICY_ONLY)), "judges {{policy}}"),
            ),
            width=12,
        ),
    )
